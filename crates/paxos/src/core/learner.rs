//! SAFETY: what is chosen, who may say so, and what may be forgotten (PMS 2.3).
//!
//! A watermark speaks for its own ballot only. A node may conclude that its vote in a slot is the
//! chosen value if that vote was cast at the watermark's ballot or above; from a lower vote it may
//! conclude nothing, and asks for the value.

use protocol::{Caller, Effects, Heard, NodeId, planted};

use super::{Ledger, Paxos, Role, ledger::Entry};
use crate::{Ballot, Fetch, Fetched, Ignored, Mode, Output, Record, Slot, Told, Value, Watermark};

/// What a chosen value that somebody told us meant to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// Known before.
    Known,
    /// It is what we voted for: nothing to write.
    Confirmed,
    /// New to us: write it down.
    New,
    /// Another value is chosen already. Cannot happen among sound nodes.
    Contradiction,
}

impl Ledger {
    /// `low..upto` was chosen at `ballot`: marks every slot in it whose vote is as high. The
    /// slots that could be marked are added to `fresh`.
    pub(crate) fn conclude(
        &mut self,
        ballot: Ballot,
        low: Slot,
        upto: Slot,
        fresh: &mut Vec<Slot>,
    ) {
        let first = fresh.len();
        let own = |entry: &Entry| entry.ballot >= ballot || planted::is("unscoped-watermark");
        // Over what is here, not over what a peer claims: its numbers may be anything.
        fresh.extend(
            self.slots
                .iter_from(low.max(self.settled))
                .take_while(|(slot, _)| *slot < upto)
                .filter(|(_, entry)| !entry.chosen && own(entry))
                .map(|(slot, _)| slot),
        );
        for slot in &fresh[first..] {
            if let Some(entry) = self.slots.get_mut(*slot) {
                entry.chosen = true;
            }
        }
        self.advance();
    }

    /// `value` is chosen in `slot`, somebody who knows says.
    pub(crate) fn learn(&mut self, slot: Slot, value: &Value) -> Learned {
        if slot < self.floor {
            return Learned::Known;
        }
        let learned = match self.slots.get_mut(slot) {
            Some(entry) if entry.value.same(value) && entry.chosen => return Learned::Known,
            Some(entry) if entry.value.same(value) => {
                entry.chosen = true;
                Learned::Confirmed
            }
            Some(entry) if entry.chosen => return Learned::Contradiction,
            Some(entry) => {
                (entry.value, entry.chosen) = (value.clone(), true);
                Learned::New
            }
            None => {
                let entry = Entry { ballot: Ballot::NONE, value: value.clone(), chosen: true };
                self.slots.insert(slot, entry);
                Learned::New
            }
        };
        self.advance();
        learned
    }

    /// The first slot of `first..end` that is still to be learned.
    fn unknown(&self, first: Slot, end: Slot) -> Option<Slot> {
        let mut slot = first.max(self.settled);
        while slot < end && self.chosen(slot).is_some() {
            slot = slot.next();
        }
        (slot < end).then_some(slot)
    }
}

impl Paxos {
    /// A leader's watermark came.
    pub(super) fn conclude(&mut self, ballot: Ballot, chosen: &Watermark, fx: &mut Effects<Self>) {
        let mut fresh = std::mem::take(&mut self.fresh);
        self.ledger.conclude(ballot, chosen.low, chosen.upto, &mut fresh);
        for (first, end) in &chosen.runs {
            self.ledger.conclude(ballot, *first, *end, &mut fresh);
        }
        self.fetching.known = self.fetching.known.max(chosen.upto).max(chosen.low);
        let unknown =
            |(first, end): &(Slot, Slot)| Some((self.ledger.unknown(*first, *end)?, *end));
        self.fetching.wanted = chosen.runs.iter().find_map(unknown);
        self.deliver(&fresh, fx);
        fresh.clear();
        self.fresh = fresh;
    }

    /// A chosen value came by itself.
    pub(super) fn learn(&mut self, slot: Slot, value: &Value, fx: &mut Effects<Self>) {
        self.instances.heard_of(slot);
        match self.ledger.learn(slot, value) {
            Learned::Known => return,
            Learned::Contradiction => return self.ignore(Ignored::Contradiction, fx),
            Learned::Confirmed => {}
            Learned::New => {
                let lsn = fx.save(Record::Learned { slot, value: value.clone() });
                self.shelf.put(slot, lsn);
            }
        }
        self.deliver(&[slot], fx);
    }

    /// Hands what is newly chosen to whoever waits for it. In a log strictly in order: nothing is
    /// handed out past a gap.
    pub(super) fn deliver(&mut self, fresh: &[Slot], fx: &mut Effects<Self>) {
        match self.config.mode {
            Mode::Append => {
                while self.delivered < self.ledger.settled {
                    let slot = self.delivered;
                    self.delivered = slot.next();
                    let Some(value) = self.ledger.chosen(slot).cloned() else {
                        assert!(
                            planted::is("settles-across-a-gap"),
                            "slot {slot} is settled but its value is not known"
                        );
                        continue;
                    };
                    let callers = self.redeem(slot, fx);
                    fx.output_free(Output::Decided { slot, value, callers });
                }
                self.deliver_reads(fx);
            }
            Mode::Explicit => {
                for slot in fresh {
                    let Some(value) = self.ledger.chosen(*slot).cloned() else { continue };
                    self.instance_decided(*slot, &value, fx);
                    fx.output_free(Output::Decided { slot: *slot, value, callers: Vec::new() });
                }
            }
        }
    }

    /// Somebody lacks chosen values that we have.
    pub(super) fn on_fetch(&mut self, caller: Caller, fetch: &Fetch, fx: &mut Effects<Self>) {
        let mut chosen = Vec::new();
        let mut bytes = 0;
        for (slot, entry) in self.ledger.entries_from(fetch.from) {
            if !entry.chosen {
                continue;
            }
            if !chosen.is_empty() && bytes + entry.value.len() > self.config.page_bytes {
                break;
            }
            bytes += entry.value.len() + 32;
            chosen.push((slot, entry.value.clone()));
        }
        let (settled, floor) = (self.ledger.settled, self.ledger.floor);
        let snapshot = self.snapshot;
        fx.answer_free(caller, Fetched { chosen, settled, floor, snapshot });
    }

    /// A page of chosen values came.
    pub(super) fn on_fetched(
        &mut self,
        heard: &Heard<()>,
        fetched: Fetched,
        fx: &mut Effects<Self>,
    ) {
        if !self.fetching.answered(heard.call()) {
            return self.ignore(Ignored::Unasked, fx);
        }
        let new = |slot: Slot| slot >= self.ledger.floor && self.ledger.chosen(slot).is_none();
        let news = fetched.chosen.iter().any(|(slot, _)| new(*slot));
        for (slot, value) in &fetched.chosen {
            self.learn(*slot, value, fx);
        }
        if let Some((first, end)) = self.fetching.wanted {
            self.fetching.wanted = self.ledger.unknown(first, end).map(|slot| (slot, end));
        }
        if self.ledger.settled < fetched.floor {
            return self.below_the_floor(heard.from(), &fetched, fx);
        }
        if news {
            self.fetching.ask_again();
        } else {
            // It knows no more than we do, whatever it sent: somebody else, and not at once.
            self.fetching.rotate();
        }
    }

    /// The slots we lack are gone there: forgotten by everybody, or covered by a snapshot.
    fn below_the_floor(&mut self, from: NodeId, fetched: &Fetched, fx: &mut Effects<Self>) {
        match (self.config.mode, fetched.snapshot) {
            (Mode::Explicit, _) => self.raise_floor(fetched.floor, fx),
            (Mode::Append, Some(upto)) => fx.output_free(Output::NeedSnapshot { from, upto }),
            (Mode::Append, None) => self.fetching.rotate(),
        }
    }

    /// The layer above has a durable snapshot of everything below `upto`: the log may shrink, but
    /// for what is kept to mend short absences.
    pub(super) fn on_compact(&mut self, caller: Caller, upto: Slot, fx: &mut Effects<Self>) {
        if upto <= self.delivered && self.snapshot.is_none_or(|have| have < upto) {
            self.snapshot = Some(upto);
            self.raise_floor(self.trailing(upto), fx);
        }
        fx.answer_free(caller, Told::Noted);
    }

    /// The first slot that is kept behind a snapshot of everything below `upto`.
    fn trailing(&self, upto: Slot) -> Slot {
        let lowest = Slot(upto.0.saturating_sub(self.config.trailing)).max(self.ledger.floor);
        let (mut floor, mut room) = (upto, self.config.trailing_bytes);
        while floor > lowest {
            let before = Slot(floor.0 - 1);
            let size = self.ledger.entry(before).map_or(0, |entry| entry.value.len());
            let Some(left) = room.checked_sub(size) else { break };
            (floor, room) = (before, left);
        }
        floor.max(lowest)
    }

    /// The layer above installed a durable snapshot: whatever it covers is settled here now. The
    /// promise and the votes from `upto` on stay as they are.
    pub(super) fn on_install(&mut self, caller: Caller, upto: Slot, fx: &mut Effects<Self>) {
        if upto > self.delivered {
            self.snapshot = Some(upto);
            self.delivered = upto;
            self.raise_floor(upto, fx);
            self.fetching.ask_again();
            self.deliver(&[], fx);
        }
        fx.answer_free(caller, Told::Noted);
    }

    /// Forgets everything below `floor`. The checkpoint is durable before the log lets go.
    pub(super) fn raise_floor(&mut self, floor: Slot, fx: &mut Effects<Self>) {
        self.ledger.release_below(floor);
        self.shelf.release_below(floor);
        let floor = self.ledger.floor;
        if let Role::Leader(leader) = &mut self.role {
            leader.settled_elsewhere(floor);
        }
        self.close_below(floor, fx);
        self.forget_instances(floor, fx);
        let lsn = fx.save(Record::Checkpoint {
            promised: self.ledger.promised,
            floor: self.ledger.floor,
            settled: self.ledger.settled,
            snapshot: self.snapshot,
        });
        fx.forget(self.shelf.checkpoint(lsn));
    }
}
