//! Any two quorums share a node.

use protocol::{Heard, NodeId};

/// The voters of a group, in one order for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Members(Vec<NodeId>);

/// Who voted, one bit a member. Only a [`Heard`] adds one: an unsaved vote cannot be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Votes(u16);

impl Members {
    /// The voters named, in order.
    #[must_use]
    pub fn new(mut members: Vec<NodeId>) -> Self {
        members.sort_unstable();
        members.dedup();
        Self(members)
    }

    /// Their place in the order, if they are a member.
    #[must_use]
    pub fn position(&self, node: NodeId) -> Option<usize> {
        self.0.iter().position(|member| *member == node)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.iter().copied()
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody votes; never true for a configured group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many make a quorum: more than half, so that any two share a node (PMS 2.2).
    #[must_use]
    pub fn majority(&self) -> usize {
        self.0.len() / 2 + 1
    }

    /// Whether these votes are a quorum.
    #[must_use]
    pub fn quorum(&self, votes: Votes) -> bool {
        votes.count() >= self.majority()
    }
}

impl Votes {
    /// Counts the vote that was heard. False if it was counted before or is no member's.
    pub fn hear<R>(&mut self, members: &Members, heard: &Heard<R>) -> bool {
        let Some(position) = members.position(heard.from()) else { return false };
        let bit = 1 << position;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// The mistake of counting a vote that nobody has heard; see `protocol::planted`.
    pub(crate) fn presume(&mut self, members: &Members, node: NodeId) {
        if let Some(position) = members.position(node) {
            self.0 |= 1 << position;
        }
    }

    /// Whether this member's vote was counted.
    #[must_use]
    pub fn has(&self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }

    /// How many votes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count_ones() as usize
    }
}
