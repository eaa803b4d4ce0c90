//! The wire contract with clients.

use paxosrsm::{
    Index, Refused,
    message::{Chunk, Digest, Done, Piece, Query, ReplicaStatus, Submit, Taken},
};
use serde::{Deserialize, Serialize};

/// What clients ask a store.
#[tarpc::service]
pub trait Kv {
    /// Do this: a command of a session, encoded. Safe to repeat as it is.
    async fn submit(submit: Submit) -> Result<Done, Refused>;
    /// Show this, as it is after everything acknowledged before: a question, encoded.
    async fn get(query: Query) -> Result<Done, Refused>;
    /// How is this node doing?
    async fn status() -> Option<NodeStatus>;
    /// A fingerprint of the whole state, and what it covers.
    async fn digest() -> Option<Digest>;
    /// A durable snapshot of at least everything below this, to be pulled with `piece`: which one
    /// it is, or that it is not there yet and somebody sees to it.
    async fn snapshot(covering: Index) -> Taken;
    /// A piece of a snapshot.
    async fn piece(chunk: Chunk) -> Piece;
}

/// How one node is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its replica.
    pub replica: ReplicaStatus,
    /// Its log; absent if it has none on disk.
    pub log: Option<LogStatus>,
    /// Connections it took, and those it refused or closed for what they sent.
    pub connections: (u64, u64),
}

/// How a log is doing, in this life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// Times it made something durable.
    pub syncs: u64,
    /// Records it made durable.
    pub records: u64,
    /// Segments in use.
    pub segments: u64,
    /// Bytes of records that are still needed.
    pub live_bytes: u64,
    /// How long the latest sync took, in microseconds.
    pub last_sync_us: u64,
    /// How long the longest took.
    pub max_sync_us: u64,
}
