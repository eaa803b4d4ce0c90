//! The door `Instances`: the caller names the slot (start, status, done, max, min).
//!
//! Whoever is asked to start an instance and does not lead hands it to the leader; the leader's
//! answer is the outcome. A slot that nobody starts stays open for ever: filling it would choose
//! a value that nobody proposed.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::{CallId, Caller, Effects, Heard, NodeId, Time};

use super::{Paxos, Role};
use crate::{Fate, Forward, Ignored, Mode, Outcome, Refusal, Slot, Told, Value, config::MAX_VALUE};

/// What is under way at this door.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// The highest slot heard of.
    max: Option<Slot>,
    /// Started here and not known to be chosen.
    pending: BTreeMap<Slot, Pending>,
    /// Peers that wait for an outcome.
    waiting: BTreeMap<Slot, Vec<Caller>>,
    /// Each member's first slot that it still needs.
    done: BTreeMap<NodeId, Slot>,
}

#[derive(Debug)]
struct Pending {
    value: Value,
    forwarded: Option<CallId>,
    retry_at: Time,
}

impl Instances {
    pub(super) fn heard_of(&mut self, slot: Slot) {
        self.max = self.max.max(Some(slot));
    }

    /// Everybody's `done`, as far as it is known, for the others.
    pub(super) fn done(&self) -> Vec<(NodeId, Slot)> {
        self.done.iter().map(|(node, slot)| (*node, *slot)).collect()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let idle = self.pending.values().filter(|pending| pending.forwarded.is_none());
        idle.map(|pending| pending.retry_at).min()
    }
}

impl Paxos {
    /// `start`: begin agreement on `value` in `slot`. Returns at once.
    pub(super) fn on_start(
        &mut self,
        now: Time,
        caller: Caller,
        slot: Slot,
        value: Bytes,
        fx: &mut Effects<Self>,
    ) {
        let told = match () {
            () if self.config.mode != Mode::Explicit => Told::Refused(Refusal::WrongDoor),
            () if value.len() > MAX_VALUE || slot > Slot::LAST => Told::Refused(Refusal::TooLarge),
            () if slot < self.ledger.floor || self.ledger.chosen(slot).is_some() => Told::Started,
            () if self.instances.pending.contains_key(&slot) => Told::Started,
            () if self.instances.pending.len() >= self.config.undecided => {
                Told::Refused(Refusal::Busy)
            }
            () => {
                self.instances.heard_of(slot);
                let value = Value::Data(value);
                let pending = Pending { value, forwarded: None, retry_at: Time::ZERO };
                self.instances.pending.insert(slot, pending);
                if self.election.leader().is_none() && self.role.ballot().is_none() {
                    self.election.hurry(now);
                }
                Told::Started
            }
        };
        fx.answer_free(caller, told);
    }

    /// What became of `slot`, as far as this node knows.
    pub(super) fn on_fate(&mut self, caller: Caller, slot: Slot, fx: &mut Effects<Self>) {
        let fate = match self.ledger.chosen(slot) {
            _ if slot < self.ledger.floor => Fate::Forgotten,
            Some(value) => Fate::Decided(value.clone()),
            None => Fate::Pending,
        };
        fx.answer_free(caller, Told::Fate(fate));
    }

    /// The lowest slot not forgotten, and the highest heard of.
    pub(super) fn on_bounds(&mut self, caller: Caller, fx: &mut Effects<Self>) {
        fx.answer_free(caller, Told::Bounds { min: self.ledger.floor, max: self.instances.max });
    }

    /// The own process does not need slots up to `slot` any more.
    pub(super) fn on_done(&mut self, caller: Caller, slot: Slot, fx: &mut Effects<Self>) {
        if self.config.mode == Mode::Explicit {
            let me = self.config.me;
            self.merge_done(&[(me, slot.min(Slot::LAST).next())], fx);
            fx.answer_free(caller, Told::Noted);
        } else {
            fx.answer_free(caller, Told::Refused(Refusal::WrongDoor));
        }
    }

    /// Somebody told what everybody is done with. The whole vector travels, since in a group
    /// around a leader two followers may never talk to each other. Each entry only rises, so order
    /// and repetition do not matter.
    pub(super) fn merge_done(&mut self, done: &[(NodeId, Slot)], fx: &mut Effects<Self>) {
        if self.config.mode != Mode::Explicit {
            return;
        }
        for (node, slot) in done {
            if self.members.position(*node).is_some() {
                let known = self.instances.done.entry(*node).or_default();
                *known = (*known).max(*slot);
            }
        }
        let of = |node| self.instances.done.get(&node).copied().unwrap_or_default();
        let floor = self.members.iter().map(of).min().unwrap_or_default();
        if floor > self.ledger.floor {
            self.raise_floor(floor, fx);
        }
    }

    /// Moves what was started here: proposes it, or hands it to the leader.
    pub(super) fn starts_due(&mut self, now: Time, fx: &mut Effects<Self>) {
        let due = |pending: &Pending| pending.forwarded.is_none() && pending.retry_at <= now;
        let slots: Vec<Slot> =
            self.instances.pending.iter().filter(|(_, p)| due(p)).map(|(s, _)| *s).collect();
        for slot in slots {
            let again = now.plus(self.election.spread(20, 60));
            let leader = self.election.leader();
            let Some(pending) = self.instances.pending.get_mut(&slot) else { continue };
            pending.retry_at = again;
            let value = pending.value.clone();
            match (&self.role, leader) {
                (Role::Leader(leader), _) => {
                    if leader.may_propose(slot) && self.traffic.room(&self.config) {
                        self.propose(now, slot, value, Vec::new(), fx);
                    }
                }
                (Role::Follower, Some(leader)) if leader != self.config.me => {
                    pending.forwarded = Some(fx.send_free(leader, Forward { slot, value }));
                }
                // A campaign has its own patience; hurrying it would end it before the disks answer.
                (Role::Candidate(_), _) => {}
                (Role::Follower, _) => self.election.hurry(now),
            }
        }
    }

    /// A peer wants this value chosen, or to hear what was.
    pub(super) fn on_forward(
        &mut self,
        now: Time,
        caller: Caller,
        forward: Forward,
        fx: &mut Effects<Self>,
    ) {
        let Forward { slot, value } = forward;
        if self.config.mode != Mode::Explicit || value.len() > MAX_VALUE {
            return self.ignore(Ignored::Unasked, fx);
        }
        self.instances.heard_of(slot);
        if slot < self.ledger.floor {
            return fx.answer_free(caller, Outcome::Forgotten(self.ledger.floor));
        }
        if let Some(value) = self.ledger.chosen(slot) {
            return fx.answer_free(caller, Outcome::Chosen(slot, value.clone()));
        }
        let Role::Leader(leader) = &self.role else {
            return fx.answer_free(caller, Outcome::Elsewhere(self.election.leader()));
        };
        if leader.may_propose(slot) {
            if !self.traffic.room(&self.config) {
                return fx.answer_free(caller, Outcome::Elsewhere(None));
            }
            self.propose(now, slot, value, Vec::new(), fx);
        }
        self.instances.waiting.entry(slot).or_default().push(caller);
    }

    /// What became of a value that was handed to the leader.
    pub(super) fn on_outcome(
        &mut self,
        now: Time,
        heard: &Heard<()>,
        outcome: &Outcome,
        fx: &mut Effects<Self>,
    ) {
        let call = Some(heard.call());
        if let Some(pending) = self.instances.pending.values_mut().find(|p| p.forwarded == call) {
            pending.forwarded = None;
            pending.retry_at = now.plus(self.election.spread(20, 60));
        }
        match outcome {
            Outcome::Chosen(slot, value) => self.learn(*slot, value, fx),
            Outcome::Forgotten(floor) => {
                self.instances.pending = self.instances.pending.split_off(floor);
            }
            Outcome::Elsewhere(_) => {}
        }
    }

    pub(super) fn forward_failed(&mut self, now: Time, call: CallId) {
        let call = Some(call);
        if let Some(pending) = self.instances.pending.values_mut().find(|p| p.forwarded == call) {
            pending.forwarded = None;
            pending.retry_at = now.plus(self.election.spread(10, 40));
        }
    }

    /// A slot's value is known: whoever waited for it hears.
    pub(super) fn instance_decided(&mut self, slot: Slot, value: &Value, fx: &mut Effects<Self>) {
        self.instances.pending.remove(&slot);
        for caller in self.instances.waiting.remove(&slot).unwrap_or_default() {
            fx.answer_free(caller, Outcome::Chosen(slot, value.clone()));
        }
    }

    /// Slots below `floor` were forgotten by everybody: nobody can be told more than that.
    pub(super) fn forget_instances(&mut self, floor: Slot, fx: &mut Effects<Self>) {
        self.instances.pending = self.instances.pending.split_off(&floor);
        let kept = self.instances.waiting.split_off(&floor);
        let gone = std::mem::replace(&mut self.instances.waiting, kept);
        for caller in gone.into_values().flatten() {
            fx.answer_free(caller, Outcome::Forgotten(floor));
        }
    }

    /// Leadership is over: peers that waited must ask whoever leads next.
    pub(super) fn abandon_forwards(&mut self, fx: &mut Effects<Self>) {
        for caller in std::mem::take(&mut self.instances.waiting).into_values().flatten() {
            fx.answer_free(caller, Outcome::Elsewhere(None));
        }
    }
}
