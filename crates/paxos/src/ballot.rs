//! Ballot and slot: the two numbers of Multi-Paxos, and what stands in a slot.

use std::fmt;

use bytes::Bytes;
use protocol::NodeId;
use serde::{Deserialize, Serialize};

/// A place in the sequence of decisions; each holds one value, independently of the others.
/// Numbered from 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub u64);

impl Slot {
    /// The highest slot that anybody may name: there is always room to count on from it.
    pub const LAST: Self = Self(1 << 62);

    /// The slot behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A proposal number (PMS 2.2). Ordered by round, then by node, so two nodes never share one and
/// ballots never tie. A node uses each of its rounds once, across restarts too: it promises its
/// own ballot durably before it asks anybody else to.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Counts campaigns.
    pub round: u64,
    /// Who campaigns.
    pub node: NodeId,
}

impl Ballot {
    /// Below every ballot that anybody uses.
    pub const NONE: Self = Self { round: 0, node: NodeId(0) };
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.node.0)
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.node.0)
    }
}

/// What stands in a slot.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// Nothing, on purpose: how a new leader closes a gap in a log (PMS 3).
    Noop,
    /// What somebody started or appended. Opaque here.
    Data(Bytes),
}

impl Value {
    /// Its size in bytes, for limits.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Noop => 0,
            Self::Data(bytes) => bytes.len(),
        }
    }

    /// Whether the two are equal; at once if they are the very same bytes in memory, as they are
    /// wherever a node meets its own proposal again.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Data(one), Self::Data(two)) => {
                (one.as_ptr(), one.len()) == (two.as_ptr(), two.len()) || one == two
            }
            _ => self == other,
        }
    }

    /// Whether it holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Short values print as text, short batches as a list of texts, long ones as their size.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noop => write!(f, "no-op"),
            Self::Data(bytes) if bytes.len() <= 24 && bytes.iter().all(u8::is_ascii_graphic) => {
                write!(f, "{:?}", String::from_utf8_lossy(bytes))
            }
            Self::Data(bytes) if bytes.len() <= 64 => match crate::batch::unpack(bytes) {
                Some(commands) => f.debug_list().entries(commands).finish(),
                None => write!(f, "<{} bytes>", bytes.len()),
            },
            Self::Data(bytes) => write!(f, "<{} bytes>", bytes.len()),
        }
    }
}
