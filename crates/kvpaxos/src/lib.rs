//! One replicated map.
pub mod command;
pub mod core;

pub use command::{Command, Expect, Found, Get, MAX_KEY, MAX_VALUE, Response, Version};
pub use core::Store;
