//! One replicated map.
pub mod command;
pub mod core;

pub mod service;

pub mod server;

pub mod client;

pub use client::{Client, Connections, Error};
pub use command::{Command, Expect, Found, Get, MAX_KEY, MAX_VALUE, Response, Version};
pub use core::Store;
