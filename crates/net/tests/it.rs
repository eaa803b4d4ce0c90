//! The whole crate at work: servers, peers and drivers on every network, and what hostile bytes,
//! broken connections and bad weather do to them.

#![allow(unreachable_pub, reason = "modules of one test binary; nothing is reachable from outside")]

#[path = "it/broken.rs"]
mod broken;
#[path = "it/driving.rs"]
mod driving;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/greeting.rs"]
mod greeting;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/keeper.rs"]
mod keeper;
#[path = "it/networks.rs"]
mod networks;
#[path = "it/reconnect.rs"]
mod reconnect;
#[path = "it/stopping.rs"]
mod stopping;
#[path = "it/toy.rs"]
mod toy;
