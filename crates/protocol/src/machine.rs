//! What a deciding machine is: four nouns, one verb, one question.

use std::fmt::Debug;

use crate::{CallId, Effects, NodeId, Time};

/// A machine that decides. Four nouns and one verb.
///
/// Recovery is not part of the trait: each core has a pure constructor from its records. The
/// driver or simulator sends one [`Event::Wake`] as the first event of every life.
pub trait Core: Sized {
    /// What this core can be asked, by a peer, by itself or by its own process.
    type Request: Clone + Debug;
    /// What it answers.
    type Reply: Clone + Debug;
    /// What it must never forget.
    type Record: Clone + Debug;
    /// What it announces unasked to the layer above.
    type Output: Debug;

    /// Changes the core and says what must be done. Total, deterministic, never waits.
    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>);

    /// When to send [`Event::Wake`]. A time already past means: once the inbox has been emptied.
    fn deadline(&self) -> Option<Time>;
}

/// What can happen to a core.
pub enum Event<C: Core> {
    /// Somebody asks. Answer `caller` now, later or never; at most once.
    Request {
        /// The right to answer.
        caller: Caller,
        /// What is asked.
        request: C::Request,
    },
    /// A node answered a call of ours. Its words rest on its disk, ours included.
    Reply(Heard<C::Reply>),
    /// A call of ours came to nothing as far as we know. A hint, never a fact.
    Failed {
        /// Whom we had called.
        to: NodeId,
        /// Which call.
        call: CallId,
    },
    /// The oldest unsaved record is overdue (`false`), or the log caught up again (`true`).
    DiskHealthy(bool),
    /// Time is up: do everything that is due. Also the first event of every life.
    Wake,
}

/// The right to answer one request, once: not `Clone`, and only a [`Desk`](crate::Desk) makes one.
#[must_use = "a caller that is dropped is never answered"]
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Caller(pub(crate) Asker);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    Myself { me: NodeId, call: CallId },
    Outside { ticket: u64, peer: Option<NodeId> },
}

impl Caller {
    /// The node that asked: proved by its connection, or this node itself. `None` for a client or
    /// the own process.
    #[must_use]
    pub fn peer(&self) -> Option<NodeId> {
        match self.0 {
            Asker::Myself { me, .. } => Some(me),
            Asker::Outside { peer, .. } => peer,
        }
    }
}

/// A reply that really came from `from`. Only a [`Desk`](crate::Desk) makes one, and a node's
/// reply to itself passes its own log first, so a tally that takes `&Heard<_>` cannot count an
/// unsaved vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard<R> {
    pub(crate) from: NodeId,
    pub(crate) call: CallId,
    pub(crate) reply: R,
}

impl<R> Heard<R> {
    /// Who answered.
    #[must_use]
    pub fn from(&self) -> NodeId {
        self.from
    }

    /// Which call of ours is answered.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.call
    }

    /// What was answered.
    #[must_use]
    pub fn reply(&self) -> &R {
        &self.reply
    }

    /// The same answer in the words of another layer.
    #[must_use]
    pub fn map<T>(self, word: impl FnOnce(R) -> T) -> Heard<T> {
        Heard { from: self.from, call: self.call, reply: word(self.reply) }
    }

    /// Splits the answer from who gave it, so that a core can move it instead of cloning it. The
    /// returned [`Heard`] of nothing still proves where it came from.
    #[must_use]
    pub fn take(self) -> (Heard<()>, R) {
        (Heard { from: self.from, call: self.call, reply: () }, self.reply)
    }
}

/// A word that may leave before the records saved beside it are durable, and why that is safe.
///
/// Implemented next to the message. A promise or a vote must never have it; `cargo xtask tidy`
/// compares the list of implementations with the one in the design.
pub trait Free {
    /// Why nothing in this word rests on an unsaved record.
    const WHY: &'static str;
}
