//! The crate's one integration binary: scenarios, a random walk, a search, scripts, bytes, sockets.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod checkpoints;
mod hostile;
mod pinger;
mod scenarios;
mod scene;
mod search;
mod walk;
