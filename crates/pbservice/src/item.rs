//! One place in the stream that a primary sends its backup, and that both write to their logs.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::change::{Change, Done, MAX_KEY, MAX_VALUE, RequestNo, SessionId};

/// Bytes of keys and values from which on a piece is full; one pair more may stand in it.
pub const PIECE: usize = 128 << 10;
/// Rows of sessions in one piece.
pub const PIECE_ROWS: usize = 2_048;
/// What a pair costs beside its bytes, in bytes: an upper bound.
pub const PAIR: usize = 16;
/// What an item or a row costs beside the bytes it carries, in bytes: an upper bound.
pub const OVERHEAD: usize = 48;
/// A store that was used so often is a lie: the half of what the counter can count.
const MOST_USES: u64 = u64::MAX / 2;

/// A place in the stream of one view, counted from 1. Zero is before the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

/// What stands at one place of the stream.
///
/// The state travels in the same stream as the operations, in pieces. Each piece is cut from the
/// live state at its place, so whoever applies the items in order has, at every place, exactly the
/// part of the sender's state that the pieces so far have covered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Item {
    /// Nothing. Whoever has it had not left the view when it came.
    Probe,
    /// A session begins; this one, the least recently used, makes room for it.
    Open {
        /// Forgotten from here on.
        evict: Option<SessionId>,
    },
    /// A request that was not done before.
    Do {
        /// Whose.
        session: SessionId,
        /// Which of his.
        number: RequestNo,
        /// What he wants.
        change: Change,
    },
    /// The state begins anew: nothing is covered, and these are its counters.
    Begin {
        /// Sessions opened so far.
        opened: u64,
        /// Requests and openings so far.
        uses: u64,
    },
    /// All keys from where the last piece ended up to a bound.
    Keys {
        /// In order.
        pairs: Vec<(Bytes, Bytes)>,
        /// Every key below it is covered now; `None`: every key.
        upto: Option<Bytes>,
    },
    /// All sessions from where the last piece ended up to a bound. They come behind the keys.
    Sessions {
        /// In order.
        rows: Vec<Row>,
        /// Every session below it is covered now; `None`: the state is whole.
        upto: Option<SessionId>,
    },
}

/// What is remembered of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// Whose.
    pub session: SessionId,
    /// His latest request; 0 before the first.
    pub number: RequestNo,
    /// What came of it.
    pub done: Done,
    /// When he last did something, in uses of the whole store.
    pub used: u64,
}

impl Item {
    /// About how many bytes it takes, in a frame or in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Probe | Self::Open { .. } | Self::Begin { .. } => 0,
                Self::Do { change, .. } => change.bytes(),
                Self::Keys { pairs, .. } => {
                    pairs.iter().map(|(key, value)| key.len() + value.len() + PAIR).sum()
                }
                Self::Sessions { rows, .. } => rows.len() * OVERHEAD,
            }
    }

    /// Whether it carries a part of the state rather than an operation.
    #[must_use]
    pub fn is_piece(&self) -> bool {
        matches!(self, Self::Begin { .. } | Self::Keys { .. } | Self::Sessions { .. })
    }

    /// Whether it changes nothing that must be remembered.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        matches!(self, Self::Probe)
    }

    /// Whether every part of it is within its limit: what a primary sends always is.
    #[must_use]
    pub fn fits(&self) -> bool {
        match self {
            Self::Probe | Self::Open { .. } => true,
            Self::Do { change, .. } => change.fits(),
            Self::Begin { opened, uses } => opened.max(uses) <= &MOST_USES,
            Self::Keys { pairs, upto } => {
                let cost = |(key, value): &(Bytes, Bytes)| key.len() + value.len() + PAIR;
                let before_last: usize = pairs.iter().rev().skip(1).map(cost).sum();
                let fits = |(key, value): &(Bytes, Bytes)| {
                    key.len() <= MAX_KEY && value.len() <= MAX_VALUE
                };
                let bound = upto.as_ref().is_none_or(|key| key.len() <= MAX_KEY);
                bound && before_last < PIECE && pairs.iter().all(fits)
            }
            Self::Sessions { rows, .. } => {
                rows.len() <= PIECE_ROWS && rows.iter().all(|row| row.used <= MOST_USES)
            }
        }
    }
}
