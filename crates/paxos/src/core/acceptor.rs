//! SAFETY: promise and accept. The acceptor of *Paxos Made Simple*, section 2.2, with one promise
//! that covers every slot.

use protocol::{Caller, Effects, Time, planted};

use super::{Ledger, Paxos, ledger::Entry};
use crate::{
    Accept, Accepted, Ballot, Ignored, Nack, Prepare, Promise, Record, Reply, Report, Slot, Value,
};

/// What became of a vote that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    /// A higher ballot was promised.
    Outranked,
    /// The slot is below the floor.
    Settled,
    /// This very vote was cast before.
    Repeat,
    /// Cast now: save it.
    New,
    /// Another value is known to be chosen there: whoever asks was deposed and does not know it.
    Overtaken,
    /// The value contradicts the same ballot's earlier one. Cannot happen among sound nodes.
    Contradiction,
}

impl Ledger {
    /// Phase 1b: promise unless something higher was promised (PMS 2.2, P1b). Whether the promise
    /// is new, or `None` if it is refused.
    pub(crate) fn promise(&mut self, ballot: Ballot) -> Option<bool> {
        if ballot < self.promised {
            return None;
        }
        let new = ballot > self.promised;
        self.promised = ballot;
        Some(new)
    }

    /// What was accepted from `from` on, one page of it, and where the next page starts. Slots
    /// below `settled` are not reported: they are settled, and the promise says so.
    pub(crate) fn report(&self, from: Slot, page_bytes: usize) -> (Vec<Report>, Option<Slot>) {
        let mut page = Vec::new();
        let mut bytes = 0;
        for (slot, entry) in self.slots.iter_from(from.max(self.settled)) {
            if !page.is_empty() && bytes + entry.value.len() > page_bytes {
                return (page, Some(slot));
            }
            bytes += entry.value.len() + 32;
            let Entry { ballot, value, chosen } = entry.clone();
            page.push(Report { slot, ballot, value, chosen });
        }
        (page, None)
    }

    /// Phase 2b: accept unless a higher ballot was promised (PMS 2.2, P1a).
    pub(crate) fn vote(&mut self, ballot: Ballot, slot: Slot, value: &Value) -> Vote {
        if ballot < self.promised && !planted::is("accepts-below-promise") {
            return Vote::Outranked;
        }
        if slot < self.floor {
            return Vote::Settled;
        }
        let chosen = match self.slots.get(slot) {
            Some(entry) if entry.chosen && !entry.value.same(value) => return Vote::Overtaken,
            Some(entry) if entry.ballot == ballot && entry.value.same(value) => {
                return Vote::Repeat;
            }
            Some(entry) if entry.ballot == ballot => return Vote::Contradiction,
            Some(entry) => entry.chosen,
            None => false,
        };
        self.promised = self.promised.max(ballot);
        self.slots.insert(slot, Entry { ballot, value: value.clone(), chosen });
        Vote::New
    }
}

impl Paxos {
    /// Phase 1b. The answer waits for the promise, and for every vote it reports, to be durable.
    pub(super) fn on_prepare(
        &mut self,
        now: Time,
        caller: Caller,
        prepare: &Prepare,
        fx: &mut Effects<Self>,
    ) {
        let ballot = prepare.ballot;
        self.election.saw(ballot);
        match self.ledger.promise(ballot) {
            None => {
                let nack = self.nack(None);
                return fx.answer(caller, nack.into());
            }
            Some(true) => {
                if !planted::is("promise-not-saved") {
                    fx.save(Record::Promised { ballot });
                }
                self.outranked(now, ballot, fx);
            }
            Some(false) => {}
        }
        let (accepted, more) = self.ledger.report(prepare.from, self.config.page_bytes);
        let settled = self.ledger.settled;
        fx.answer(caller, Promise { ballot, settled, accepted, more }.into());
    }

    /// Phase 2b. The answer waits for the vote to be durable; so does a repeated one.
    pub(super) fn on_accept(
        &mut self,
        now: Time,
        caller: Caller,
        accept: Accept,
        fx: &mut Effects<Self>,
    ) {
        let Accept { ballot, slot, value, chosen } = accept;
        self.election.saw(ballot);
        self.instances.heard_of(slot);
        match self.ledger.vote(ballot, slot, &value) {
            Vote::Outranked | Vote::Overtaken => {
                let nack = self.nack(Some(slot));
                return fx.answer(caller, nack.into());
            }
            Vote::Settled => {
                let nack = self.nack(None);
                return fx.answer(caller, nack.into());
            }
            Vote::Contradiction => return self.ignore(Ignored::Contradiction, fx),
            Vote::Repeat => {}
            Vote::New => {
                let settled = self.ledger.settled;
                let lsn = fx.save(Record::Accepted { ballot, slot, value, settled });
                self.shelf.put(slot, lsn);
            }
        }
        self.follow(now, ballot, fx);
        let settled = self.ledger.settled;
        fx.answer(caller, Reply::from(Accepted { ballot, slot, settled }));
        self.conclude(ballot, &chosen, fx);
    }

    /// A refusal, with the outcome of the slot that was asked about if it is known: this is how a
    /// deposed leader learns.
    pub(super) fn nack(&self, slot: Option<Slot>) -> Nack {
        let chosen = slot.and_then(|slot| Some((slot, self.ledger.chosen(slot)?.clone())));
        Nack { promised: self.ledger.promised, settled: self.ledger.settled, chosen }
    }
}
