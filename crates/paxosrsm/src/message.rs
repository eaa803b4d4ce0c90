//! What a replica can be asked, what it answers, what it announces.

use bytes::Bytes;
use protocol::{Free, NodeId};
use serde::{Deserialize, Serialize};

use crate::{
    agreement::{Index, Refused, Status},
    machine::Image,
};

/// The largest piece of a snapshot in one message, in bytes.
pub const CHUNK: usize = 512 << 10;

/// What a replica can be asked. `Q` is what its agreement can be asked.
#[derive(Clone, Debug)]
pub enum Request<Q> {
    /// For the agreement below, from peers.
    Engine(Q),
    /// Do this: a command of the machine, encoded.
    Submit(Submit),
    /// Show this: a query of the machine, encoded.
    Query(Query),
    /// From peers: a piece of a snapshot.
    Chunk(Chunk),
    /// Own process: this snapshot is durable, or could not be written.
    Saved {
        /// What it covers: everything below.
        upto: Index,
        /// Whether it was written.
        written: bool,
    },
    /// Own process: the piece that [`Output::Load`] asked for.
    Loaded {
        /// Which question.
        ticket: u64,
        /// The size of the whole, and the piece; `None` if that snapshot is gone.
        piece: Option<(u64, Bytes)>,
    },
    /// Own process: a durable snapshot of at least this much, please.
    Snapshot {
        /// Everything below must be in it.
        covering: Index,
    },
    /// Own process: how are you?
    Inspect,
    /// Own process: a fingerprint of the whole state.
    Digest,
}

/// A command for the machine, encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit(pub Bytes);
impl Free for Submit {
    const WHY: &'static str = "it hands on what a client said";
}

/// A query for the machine, encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query(pub Bytes);
impl Free for Query {
    const WHY: &'static str = "it hands on what a client said";
}

/// A piece of a snapshot is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Which snapshot.
    pub upto: Index,
    /// From which byte on.
    pub offset: u64,
}
impl Free for Chunk {
    const WHY: &'static str = "it only asks";
}

/// What a replica answers. `R` is what its agreement answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<R> {
    /// The agreement's answer.
    Engine(R),
    /// The machine's response or answer, encoded.
    Done(Done),
    /// Not done, and why.
    Refused(Refused),
    /// A piece of a snapshot.
    Piece(Piece),
    /// The snapshot that was asked for.
    Taken(Taken),
    /// How this replica is doing.
    Status(Box<ReplicaStatus>),
    /// The fingerprint of the state, and what it covers.
    Digest(Digest),
}

/// The machine's response or answer, encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done(pub Bytes);
impl Free for Done {
    const WHY: &'static str = "it rests on decisions, and those on a quorum of durable votes";
}
impl Free for Refused {
    const WHY: &'static str = "nothing was done, or nothing is claimed";
}

/// A piece of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Of which snapshot.
    pub upto: Index,
    /// From which byte on.
    pub offset: u64,
    /// The size of the whole, in bytes; 0 if that snapshot is not there any more.
    pub total: u64,
    /// The bytes.
    pub bytes: Bytes,
}
impl Free for Piece {
    const WHY: &'static str = "a snapshot is durable before anybody hears of it";
}

/// The newest durable snapshot, if it covers what was asked for; otherwise one is being written,
/// or what it must cover is not applied here yet: ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken(pub Option<Index>);
impl Free for Taken {
    const WHY: &'static str = "a snapshot is durable before anybody hears of it";
}

/// How a replica is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// Which.
    pub me: NodeId,
    /// How its agreement is doing.
    pub agreement: Status,
    /// Everything below was applied.
    pub applied: Index,
    /// A fingerprint of everything applied, in order.
    pub chain: u64,
    /// The latest durable snapshot covers everything below.
    pub snapshot: Index,
    /// Commands applied in this life.
    pub commands: u64,
}
impl Free for Box<ReplicaStatus> {
    const WHY: &'static str = "a look at memory, for people";
}

/// The fingerprint of a state, and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Everything below was applied.
    pub applied: Index,
    /// The fingerprint of the whole state, sessions included.
    pub state: u64,
}
impl Free for Digest {
    const WHY: &'static str = "a look at memory, for people";
}

/// What a replica announces to its own process.
#[derive(Debug)]
pub enum Output {
    /// Write this snapshot down durably, then say [`Request::Saved`].
    Save {
        /// What it covers: everything below.
        upto: Index,
        /// What to write.
        image: Image,
    },
    /// Read a piece of a snapshot, then say [`Request::Loaded`].
    Load {
        /// The number to give back.
        ticket: u64,
        /// Which piece; at most [`CHUNK`] bytes.
        chunk: Chunk,
    },
    /// Commands were applied: what, and how many in all. For tests and narration.
    Applied {
        /// Where.
        index: Index,
        /// The fingerprint of everything applied so far.
        chain: u64,
    },
    /// A snapshot of somebody else took the place of what this replica had.
    Installed(Index),
}
impl Free for Output {
    const WHY: &'static str = "what is applied is chosen; the rest are wishes to the own process";
}

macro_rules! worded {
    ($($into:ident :: $variant:ident($word:ty)),* $(,)?) => {
        $(impl<T> From<$word> for $into<T> {
            fn from(word: $word) -> Self {
                Self::$variant(word)
            }
        })*
    };
}
worded!(
    Request::Submit(Submit),
    Request::Query(Query),
    Request::Chunk(Chunk),
    Reply::Done(Done),
    Reply::Refused(Refused),
    Reply::Piece(Piece),
    Reply::Taken(Taken),
    Reply::Status(Box<ReplicaStatus>),
    Reply::Digest(Digest),
);
