//! The crate's one integration binary: scenarios, a random walk, a search, scripts, bytes, sockets.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod checkpoints;
mod golden;
mod hostile;
mod node;
mod pinger;
mod scenarios;
mod scene;
mod scripts;
mod search;
mod walk;
