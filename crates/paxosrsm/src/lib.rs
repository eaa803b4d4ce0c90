//! The same commands in the same order everywhere, each at most once.
pub mod machine;
pub mod sessions;
pub mod agreement;
pub mod solo;
pub mod message;
pub mod core;

pub mod clerk;

pub mod engine;

pub mod storage;

mod librarian;

pub mod service;

pub mod server;

pub use clerk::Clerk;
pub use agreement::{Agreement, Index, Refused};
pub use core::{Config, Replica, Restored};
pub use machine::{Coded, Image, StateMachine};
pub use sessions::{ClientId, RequestNo, Sessions};
pub use solo::Solo;
