//! The crate's one integration binary: golden scripts, the weather, the acceptance scenarios.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod golden;
mod group;
mod more_scenarios;
#[cfg(feature = "net")]
mod node;
mod partitions;
mod scenarios;
mod scripts;
mod search;
mod weather;
