//! A store on trial: replicas that can be stopped and cut off, clients whose every word is
//! recorded, and a verdict over what they heard.
//!
//! The demo and chaos differ only in what they do to the replicas in the middle.

pub mod cluster;
pub mod input;
pub mod recorder;
pub mod threads;
pub mod verdict;
pub mod watchdog;
pub mod workload;

pub use cluster::Cluster;
pub use recorder::{Recorder, Witness};
pub use verdict::Verdict;
pub use workload::Workload;

/// A line of narration for whoever watches, with the seconds since the beginning.
pub fn say(recorder: &Recorder, what: impl std::fmt::Display) {
    eprintln!("{:>6.2} s  {what}", recorder.now() as f64 / 1e9);
}
