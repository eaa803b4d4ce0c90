//! The crate's one integration binary: golden scripts, the weather, the acceptance scenarios.

mod group;
mod weather;
