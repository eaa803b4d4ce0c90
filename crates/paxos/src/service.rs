//! The wire contract between the nodes of a group: one call a message, named as the paper names
//! it, answered by its answer.

use crate::{
    Accept, Accepted, Beat, Fetch, Fetched, Forward, Heartbeat, Nack, Outcome, Prepare, Probe,
    Promise, Pulse,
};

/// What the nodes of a group ask each other. What is not here cannot be asked from outside.
#[tarpc::service]
pub trait Peer {
    /// Phase 1.
    async fn prepare(prepare: Prepare) -> Result<Promise, Nack>;
    /// Phase 2.
    async fn accept(accept: Accept) -> Result<Accepted, Nack>;
    /// A leader's sign of life, with what is chosen.
    async fn heartbeat(heartbeat: Heartbeat) -> Result<Beat, Nack>;
    /// How are you, and how is the leader?
    async fn probe(probe: Probe) -> Pulse;
    /// Chosen values, by value.
    async fn fetch(fetch: Fetch) -> Fetched;
    /// Please get this value chosen.
    async fn forward(forward: Forward) -> Outcome;
}
