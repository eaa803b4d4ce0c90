//! The one binary.
pub mod bench;
pub mod check;
pub mod cli;
pub mod failure;
pub mod node;
pub mod print;
pub mod processes;
pub mod settings;
pub mod status;
pub mod verbs;
