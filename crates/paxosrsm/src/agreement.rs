//! How replicas agree on an order: the seam below which consensus lives.
//!
//! The contract, checked by [`suite`](crate::suite): decisions come as *free* outputs, in order,
//! gapless, each once. A proposal may be lost, and must then be proposed again; it may be decided
//! although its proposer was told nothing. A query comes back only when every command that was
//! acknowledged before it was asked has been handed out.

use bytes::Bytes;
use paxos::{Output, Paxos, Refusal, Reply, Request, Slot, Told, Value, batch};
use protocol::{Caller, Core, NodeId};
use serde::{Deserialize, Serialize};

/// A position in the agreed order, gapless from 0. May hold many commands, or none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Index(pub u64);

/// What a replica asks of the agreement below it.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Get this command into the order. Its caller comes back with the decision.
    Propose(Bytes),
    /// Hand this query back, with its caller, when it may be answered from what was handed out.
    Ask(Bytes),
    /// A durable snapshot covers everything below: shorten the log.
    Compact(Index),
    /// A durable snapshot of somebody else was installed: go on from here.
    Install(Index),
}

/// What an agreement announced.
#[derive(Debug)]
pub enum Happened {
    /// These commands are next in the order.
    Decided {
        /// Where.
        index: Index,
        /// What; the fingerprint of the whole is taken over these bytes.
        batch: Bytes,
        /// The commands in it.
        commands: Vec<Bytes>,
        /// Whose they are, in the same order; empty unless proposed here.
        callers: Vec<Option<Caller>>,
    },
    /// This query may be answered now.
    Readable {
        /// Who asked.
        caller: Caller,
        /// What.
        query: Bytes,
    },
    /// What this replica lacks can be had as a snapshot only.
    NeedSnapshot {
        /// From whom.
        from: NodeId,
        /// Everything below is in it.
        upto: Index,
    },
    /// Nothing that concerns a replica.
    Nothing,
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// Certainly not done: this replica does not lead; perhaps that one does.
    #[error("this replica does not lead")]
    NotLeading(Option<NodeId>),
    /// Certainly not done: too much is waiting already.
    #[error("too much is waiting already: try again later")]
    Busy,
    /// Perhaps done, perhaps not. Asking again with the same request number is safe.
    #[error("it may or may not have happened: ask again with the same number")]
    Unknown,
    /// Certainly not done: larger than the limit.
    #[error("it is larger than the limit")]
    TooLarge,
    /// Certainly not done: the bytes mean nothing here.
    #[error("the bytes mean nothing here")]
    Malformed,
}

/// Agreement on an order of commands: Multi-Paxos, or one node alone.
pub trait Agreement: Core {
    /// The request that makes this wish.
    fn wish(wish: Wish) -> Self::Request;

    /// What an output means to a replica.
    fn happened(output: Self::Output) -> Happened;

    /// Whether a reply refuses a wish, and why.
    fn refused(reply: &Self::Reply) -> Option<Refused>;

    /// Who leads, as far as this node knows.
    fn leader(&self) -> Option<NodeId>;

    /// One line on how it is doing, for `status`.
    fn status(&self) -> Status;
}

/// How an agreement is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `leader`, `candidate`, `follower`, or `alone`.
    pub role: String,
    /// The ballot led or followed, as text.
    pub ballot: String,
    /// Who leads, as far as is known.
    pub leader: Option<NodeId>,
    /// Everything below is known chosen.
    pub chosen: Index,
    /// Everything below is gone from the log.
    pub floor: Index,
    /// How far each other replica is, as a leader last heard.
    pub peers: Vec<(NodeId, Index)>,
    /// Batches and commands proposed in this life.
    pub batches: (u64, u64),
    /// Campaigns begun in this life.
    pub campaigns: u64,
}

impl Agreement for Paxos {
    fn wish(wish: Wish) -> Request {
        match wish {
            Wish::Propose(command) => Request::Propose(command),
            Wish::Ask(query) => Request::Ask(query),
            Wish::Compact(upto) => Request::Compact(Slot(upto.0)),
            Wish::Install(upto) => Request::Install(Slot(upto.0)),
        }
    }

    fn happened(output: Output) -> Happened {
        match output {
            Output::Decided { slot, value, callers } => {
                let batch = match value {
                    Value::Noop => Bytes::new(),
                    Value::Data(batch) => batch,
                };
                // Only this crate proposes here, and only batches; a no-op has no commands.
                let commands = batch::unpack(&batch).unwrap_or_default();
                Happened::Decided { index: Index(slot.0), batch, commands, callers }
            }
            Output::Readable { caller, query } => Happened::Readable { caller, query },
            Output::NeedSnapshot { from, upto } => {
                Happened::NeedSnapshot { from, upto: Index(upto.0) }
            }
            Output::Role { .. } | Output::Ignored(_) => Happened::Nothing,
        }
    }

    fn refused(reply: &Reply) -> Option<Refused> {
        let Reply::Told(Told::Refused(refusal)) = reply else { return None };
        Some(match refusal {
            Refusal::NotLeading(leader) => Refused::NotLeading(*leader),
            Refusal::Busy => Refused::Busy,
            Refusal::Unknown => Refused::Unknown,
            Refusal::TooLarge => Refused::TooLarge,
            Refusal::WrongDoor => Refused::Malformed,
        })
    }

    fn leader(&self) -> Option<NodeId> {
        Self::leader(self)
    }

    fn status(&self) -> Status {
        let status = Self::status(self);
        Status {
            role: status.role,
            ballot: status.ballot.to_string(),
            leader: status.leader,
            chosen: Index(status.settled.0),
            floor: Index(status.floor.0),
            peers: status.peers.iter().map(|(node, slot)| (*node, Index(slot.0))).collect(),
            batches: status.batches,
            campaigns: status.campaigns,
        }
    }
}
