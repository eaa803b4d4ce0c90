//! The wire contracts: what clients ask a server, and what a primary asks its backup.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    change::{Done, SessionId},
    message::{Digest, Forward, Forwarded, Get, Open, Rebuff, Refused, Status, Submit},
};

/// What clients ask.
#[tarpc::service]
pub trait Pb {
    /// A session, please. Asked again, it is another one.
    async fn open(open: Open) -> Result<SessionId, Refused>;
    /// Do this. Safe to repeat as it is.
    async fn submit(submit: Submit) -> Result<Done, Refused>;
    /// The value of this key, as it is after everything acknowledged before.
    async fn get(get: Get) -> Result<Option<Bytes>, Refused>;
    /// How is this server doing? `None` if it is about to end.
    async fn status() -> Option<NodeStatus>;
    /// What does this server have, in a word? `None` if it is about to end.
    async fn digest() -> Option<Digest>;
}

/// What a primary asks. A server's connection only: it must have proved which.
#[tarpc::service]
pub trait PbPeer {
    /// The next part of the stream of a view. Safe to repeat, to lose and to be overtaken.
    async fn forward(forward: Forward) -> Result<Forwarded, Rebuff>;
}

/// How one server is doing, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// What it is and has.
    pub server: Status,
    /// Its log; absent if it keeps everything in memory only.
    pub log: Option<LogStatus>,
    /// Connections it took, in this life.
    pub connections: u64,
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
