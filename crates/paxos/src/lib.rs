//! Many slots, one value each: Multi-Paxos, usable alone.
pub mod ballot;
pub mod slots;
pub mod message;
pub mod door;
pub mod batch;
pub mod record;
pub mod config;
pub mod core;
pub mod invariants;

pub use ballot::{Ballot, Slot, Value};
pub use config::{Config, ConfigError, Mode};
pub use core::{Ledger, Paxos};
pub use door::{Fate, Ignored, Output, Refusal, Reply, Request, Status, Told, Why};
pub use message::{
    Accept, Accepted, Beat, Fetch, Fetched, Forward, Heartbeat, Nack, Outcome, Prepare, Probe,
    Promise, Pulse, Report, Watermark,
};
pub use record::Record;
pub use slots::Slots;
