//! A store on trial: nodes that can be stopped and cut off, clients whose every word is recorded,
//! and a verdict over what they heard.
//!
//! The demos and chaos differ only in what they do to the nodes in the middle.

pub mod cluster;
pub mod input;
pub mod pair;
pub mod recorder;
pub mod role;
pub mod threads;
pub mod verdict;
pub mod watch;
pub mod watchdog;
pub mod workload;

pub use cluster::Cluster;
pub use recorder::{Recorder, Witness};
pub use threads::Party;
pub use verdict::Verdict;
pub use workload::Workload;

/// A line of narration for whoever watches, with the seconds since the beginning.
pub fn say(recorder: &Recorder, what: impl std::fmt::Display) {
    eprintln!("{:>6.2} s  {what}", recorder.now() as f64 / 1e9);
}
