//! LIVENESS: asking for chosen values that this node lacks, one page at a time.

use protocol::{CallId, Effects, NodeId, Time};

use super::Paxos;
use crate::{Fetch, Mode, Slot};

/// What a node knows that it does not know.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    /// Everything below is settled somewhere.
    pub(super) known: Slot,
    /// A slot above that is known to be chosen, and the end of its run (door `Instances`).
    pub(super) wanted: Option<(Slot, Slot)>,
    asked: Option<CallId>,
    /// Something was already lacking at the last wake.
    armed: bool,
    /// Not before this time.
    not_before: Time,
    /// Counts fruitless questions: each goes to another member.
    turns: usize,
    /// Who said how far it is.
    settled: Vec<(NodeId, Slot)>,
}

impl Fetching {
    /// A member said how far it is.
    pub(super) fn heard_settled(&mut self, node: NodeId, settled: Slot) {
        match self.settled.iter_mut().find(|(known, _)| *known == node) {
            Some((_, known)) => *known = settled.max(*known),
            None => self.settled.push((node, settled)),
        }
    }

    /// Whether this answers our question.
    pub(super) fn answered(&mut self, call: CallId) -> bool {
        let ours = self.asked == Some(call);
        if ours {
            self.asked = None;
        }
        ours
    }

    /// There may be more: ask as soon as the inbox is empty.
    pub(super) fn ask_again(&mut self) {
        self.not_before = Time::ZERO;
    }

    /// The one we asked was of no help.
    pub(super) fn rotate(&mut self) {
        self.turns += 1;
    }
}

impl Paxos {
    /// The first slot that is known to be chosen and not known here.
    fn lacking(&self) -> Option<Slot> {
        if self.ledger.settled < self.fetching.known {
            return Some(self.ledger.settled);
        }
        let wanted = self.fetching.wanted.filter(|_| self.config.mode == Mode::Explicit);
        wanted.map(|(slot, _)| slot).filter(|slot| self.ledger.chosen(*slot).is_none())
    }

    /// When to ask, if anything is lacking.
    pub(super) fn fetch_deadline(&self) -> Option<Time> {
        if self.fetching.asked.is_some() {
            return None;
        }
        match (self.lacking(), self.fetching.armed) {
            (Some(_), true) => Some(self.fetching.not_before),
            // Something began or ceased to be lacking: look at it once the inbox is empty.
            (Some(_), false) | (None, true) => Some(Time::ZERO),
            (None, false) => None,
        }
    }

    /// Asks for what is lacking: whoever leads first, then the others in turn.
    pub(super) fn fetch_due(&mut self, now: Time, fx: &mut Effects<Self>) {
        if self.fetch_deadline().is_none_or(|at| at > now) {
            return;
        }
        let others: Vec<_> = self.members.iter().filter(|n| *n != self.config.me).collect();
        let Some(from) = self.lacking().filter(|_| !others.is_empty()) else {
            self.fetching.armed = false;
            self.fetching.turns = 0;
            self.fetching.known = self.fetching.known.min(self.ledger.settled);
            return;
        };
        if !self.fetching.armed {
            // Calls may overtake each other: what is lacking may be on its way.
            self.fetching.armed = true;
            self.fetching.not_before = now.plus(self.config.linger);
            if self.fetching.not_before > now {
                return;
            }
        }
        let first = self
            .election
            .leader()
            .filter(|leader| *leader != self.config.me)
            .or_else(|| self.furthest())
            .and_then(|node| others.iter().position(|other| *other == node))
            .unwrap_or(0);
        let to = others[(first + self.fetching.turns) % others.len()];
        self.fetching.asked = Some(fx.send_free(to, Fetch { from }));
        self.fetching.not_before = now.plus(self.config.heartbeat);
        if self.fetching.turns > 2 * others.len() {
            self.fetching.turns = 0;
        }
    }

    fn furthest(&self) -> Option<NodeId> {
        let ahead = self.fetching.settled.iter().filter(|(node, _)| *node != self.config.me);
        ahead.max_by_key(|(_, settled)| *settled).map(|(node, _)| *node)
    }

    /// The question got lost.
    pub(super) fn fetch_failed(&mut self, call: CallId) {
        if self.fetching.answered(call) {
            self.fetching.rotate();
        }
    }
}
