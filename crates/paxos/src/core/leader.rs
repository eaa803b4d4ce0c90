//! SAFETY: what may be proposed, and when it is chosen (PMS 2.2 P2c, and 3 for the gaps).

use std::collections::{BTreeMap, VecDeque};

use protocol::{Heard, planted};

use super::quorum::{Members, Votes};
use crate::{
    Accepted, Ballot, Ignored, Mode, Promise, Report, Slot, Slots, Value, Watermark,
    message::MAX_RUNS,
};

/// The widest gap between what is settled and the highest vote reported that a new leader of a log
/// takes on, in slots. Sound nodes stay far below; a larger number is a broken peer's, and would
/// oblige us to fill a desert. No single report is ever left out: it might be the only trace of a
/// chosen value. Who cannot honour all of them does not lead.
const MAX_AHEAD: u64 = 1 << 20;

/// A node that has promised itself a ballot and asks the others to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Its ballot.
    pub ballot: Ballot,
    /// Reports are asked from here: everything below is settled for the candidate itself.
    pub from: Slot,
    promised: Votes,
    low: Slot,
    bound: BTreeMap<Slot, (Ballot, bool, Value)>,
}

/// What a page of a promise led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Campaign {
    /// It was for another ballot, or counted before.
    Ignore(Ignored),
    /// This acceptor has more to report, from there on.
    More(Slot),
    /// Not a quorum yet.
    Waiting,
    /// A quorum has promised and reported completely.
    Won,
    /// A quorum has promised, but the reports oblige to more than can be done.
    Hopeless,
}

impl Candidate {
    pub(crate) fn new(ballot: Ballot, from: Slot) -> Self {
        Self { ballot, from, promised: Votes::default(), low: from, bound: BTreeMap::new() }
    }

    /// Takes one page of a promise. An acceptor counts when its last page is here.
    pub(crate) fn hear(
        &mut self,
        members: &Members,
        heard: &Heard<()>,
        promise: Promise,
        mode: Mode,
    ) -> Campaign {
        if promise.ballot != self.ballot {
            return Campaign::Ignore(Ignored::StaleBallot);
        }
        self.low = self.low.max(promise.settled);
        for Report { slot, ballot, value, chosen } in promise.accepted {
            // P2c: of all votes reported for a slot, the one with the highest ballot binds us. A
            // chosen value outranks them all; it is the same value anyway.
            let higher = match self.bound.get(&slot) {
                Some(_) if planted::is("adopts-first-reported") => false,
                Some((best, known, _)) => (chosen, ballot) > (*known, *best),
                None => true,
            };
            if higher {
                self.bound.insert(slot, (ballot, chosen, value));
            }
        }
        if let Some(next) = promise.more {
            return Campaign::More(next);
        }
        if !self.promised.hear(members, heard) {
            return Campaign::Ignore(Ignored::Duplicate);
        }
        let high = self.bound.last_key_value().map_or(Slot(0), |(slot, _)| *slot);
        match mode {
            _ if !members.quorum(self.promised) => Campaign::Waiting,
            Mode::Append if high.0.saturating_sub(self.low.0) > MAX_AHEAD => Campaign::Hopeless,
            _ => Campaign::Won,
        }
    }

    /// Takes office, with the proposals that the promises oblige it to make: bound values, and in
    /// a log a no-op for every gap between them. Slots below the highest `settled` reported are
    /// settled elsewhere and never proposed in.
    pub(crate) fn lead(mut self, mode: Mode) -> Leader {
        let low = self.low;
        self.bound = self.bound.split_off(&low);
        let high = self.bound.last_key_value().map_or(low, |(slot, _)| slot.next());
        let mut duties = VecDeque::new();
        match mode {
            Mode::Append => {
                let mut slot = low;
                while slot < high {
                    let value = self.bound.remove(&slot).map_or(Value::Noop, |(_, _, value)| value);
                    duties.push_back((slot, value));
                    slot = slot.next();
                }
            }
            Mode::Explicit => {
                duties.extend(self.bound.into_iter().map(|(slot, (_, _, value))| (slot, value)));
            }
        }
        Leader {
            ballot: self.ballot,
            low,
            high,
            next: high,
            commit: low,
            duties,
            tallies: Slots::default(),
        }
    }
}

/// A node that a quorum has promised to: it proposes at most one value per slot at its ballot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    /// Its ballot.
    pub ballot: Ballot,
    /// Everything below is settled elsewhere: it proposes nothing there.
    pub low: Slot,
    /// The takeover ends here: reads wait until everything below is chosen.
    pub high: Slot,
    /// The next slot of a log.
    pub next: Slot,
    /// Everything in `low..commit` was chosen at this ballot.
    pub commit: Slot,
    /// What the promises oblige it to propose and it has not proposed yet, in slot order.
    duties: VecDeque<(Slot, Value)>,
    tallies: Slots<Tally>,
}

/// One proposal of this ballot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tally {
    pub(crate) value: Value,
    pub(crate) votes: Votes,
    pub(crate) chosen: bool,
}

impl Leader {
    /// Is any value as good as another for `slot`? Not where something is settled, was proposed
    /// already, or is bound by what the promises reported (P2c).
    pub(crate) fn may_propose(&self, slot: Slot) -> bool {
        let bound = self.duties.binary_search_by_key(&slot, |(slot, _)| *slot).is_ok();
        slot >= self.commit && self.tallies.get(slot).is_none() && !bound
    }

    /// The next proposal that the promises oblige to, unless its slot was settled meanwhile.
    pub(crate) fn next_duty(&mut self) -> Option<(Slot, Value)> {
        while let Some((slot, value)) = self.duties.pop_front() {
            if slot >= self.commit {
                return Some((slot, value));
            }
        }
        None
    }

    /// Whether it owes proposals.
    pub(crate) fn owes(&self) -> bool {
        !self.duties.is_empty()
    }

    /// Proposes `value` in `slot`: the only value of this ballot there.
    pub(crate) fn propose(&mut self, members: &Members, slot: Slot, value: Value) {
        assert!(self.may_propose(slot), "slot {slot} was proposed in already");
        let mut tally = Tally { value, votes: Votes::default(), chosen: false };
        if planted::is("counts-own-vote-unsaved") {
            tally.votes.presume(members, self.ballot.node);
        }
        self.tallies.insert(slot, tally);
        self.next = self.next.max(slot.next());
    }

    /// Counts a durable vote. `Ok(true)` when it made the slot chosen.
    pub(crate) fn count(
        &mut self,
        members: &Members,
        heard: &Heard<()>,
        accepted: &Accepted,
    ) -> Result<bool, Ignored> {
        if accepted.ballot != self.ballot && !planted::is("counts-mixed-ballots") {
            return Err(Ignored::StaleBallot);
        }
        let Some(tally) = self.tallies.get_mut(accepted.slot) else {
            return Err(Ignored::AlreadyChosen);
        };
        if tally.chosen {
            return Err(Ignored::AlreadyChosen);
        }
        if !tally.votes.hear(members, heard) {
            return Err(Ignored::Duplicate);
        }
        tally.chosen = members.quorum(tally.votes);
        Ok(tally.chosen)
    }

    /// Moves the watermark over everything tallied as chosen at this ballot, and lets go of it.
    pub(crate) fn advance(&mut self) {
        while self.tallies.get(self.commit).is_some_and(|tally| tally.chosen) {
            self.commit = self.commit.next();
        }
        self.tallies.release_below(self.commit);
    }

    /// An acceptor says that everything below `settled` is settled: nothing there is ours to
    /// propose, nor to claim.
    pub(crate) fn settled_elsewhere(&mut self, settled: Slot) {
        if settled > self.commit {
            self.low = settled;
            self.commit = settled;
            self.next = self.next.max(settled);
            self.high = self.high.max(settled);
            self.tallies.release_below(settled);
            self.advance();
        }
    }

    /// Whether `slot` was chosen at this ballot: its value is the one proposed here.
    pub(crate) fn chose(&self, slot: Slot) -> bool {
        let below = slot >= self.low && slot < self.commit;
        below || self.tallies.get(slot).is_some_and(|tally| tally.chosen)
    }

    /// The tally of `slot`, while it is open or above the watermark.
    pub(crate) fn tally(&self, slot: Slot) -> Option<&Tally> {
        self.tallies.get(slot)
    }

    /// The proposals that are not chosen yet, in slot order.
    pub(crate) fn undecided(&self) -> impl Iterator<Item = (Slot, &Tally)> {
        self.tallies.iter_from(self.commit).filter(|(_, tally)| !tally.chosen)
    }

    /// What may be said to be chosen: own tallies at this ballot, nothing else. Runs above the
    /// watermark are listed from `from` on, as many as fit.
    pub(crate) fn watermark(&self, mode: Mode, from: Slot) -> Watermark {
        let mut runs: Vec<(Slot, Slot)> = Vec::new();
        if mode == Mode::Explicit {
            let from = from.max(self.commit);
            for (slot, _) in self.tallies.iter_from(from).filter(|(_, t)| t.chosen) {
                let full = runs.len() == MAX_RUNS;
                match runs.last_mut() {
                    Some((_, end)) if *end == slot => *end = slot.next(),
                    _ if full => break,
                    _ => runs.push((slot, slot.next())),
                }
            }
        }
        Watermark { low: self.low, upto: self.commit, runs }
    }
}
