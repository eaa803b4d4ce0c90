//! SAFETY: what one node must know, and nothing that a clock or chance had a part in.

use protocol::planted;

use crate::{Ballot, Record, Slot, Slots, Value};

/// What a node knows of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The ballot of this node's latest vote here; [`Ballot::NONE`] if it never voted.
    pub ballot: Ballot,
    /// The value voted for, or the chosen one.
    pub value: Value,
    /// Whether `value` is known to be chosen.
    pub chosen: bool,
}

/// The safety state of a node: one promise for all slots, and what is known of each.
///
/// Free of time and chance, so that a model checker may hash it. Its rules live in `acceptor` and
/// `learner`; what may be proposed lives in `leader`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// No ballot below this is accepted any more.
    pub(crate) promised: Ballot,
    /// Slots below are gone: covered by a snapshot, or forgotten by everybody.
    pub(crate) floor: Slot,
    /// Slots below are known chosen; those from the floor on with their values.
    pub(crate) settled: Slot,
    /// What is known of each slot from the floor on.
    pub(crate) slots: Slots<Entry>,
}

impl Ledger {
    /// The highest ballot promised.
    #[must_use]
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// Slots below are gone.
    #[must_use]
    pub fn floor(&self) -> Slot {
        self.floor
    }

    /// Slots below are known chosen.
    #[must_use]
    pub fn settled(&self) -> Slot {
        self.settled
    }

    /// What is known of `slot`.
    #[must_use]
    pub fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.slots.get(slot)
    }

    /// Everything known from `from` on, in slot order.
    pub fn entries_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &Entry)> {
        self.slots.iter_from(from)
    }

    /// The value chosen in `slot`, if it is known and still kept.
    #[must_use]
    pub fn chosen(&self, slot: Slot) -> Option<&Value> {
        self.entry(slot).filter(|entry| entry.chosen).map(|entry| &entry.value)
    }

    /// Reads one record of the own past. Records are replayed in the order they were saved.
    pub(crate) fn replay(&mut self, record: &Record) {
        match record {
            Record::Promised { ballot } => self.promised = self.promised.max(*ballot),
            Record::Accepted { ballot, slot, value, settled } => {
                self.promised = self.promised.max(*ballot);
                if *slot >= self.floor {
                    let chosen = self.chosen(*slot).is_some();
                    let value = match self.entry(*slot) {
                        // A learned value is the chosen one; a later vote can only repeat it.
                        Some(entry) if chosen => entry.value.clone(),
                        _ => value.clone(),
                    };
                    self.slots.insert(*slot, Entry { ballot: *ballot, value, chosen });
                }
                self.settle_up_to(*settled);
            }
            Record::Learned { slot, value } => {
                if *slot >= self.floor {
                    let ballot = self.entry(*slot).map_or(Ballot::NONE, |entry| entry.ballot);
                    let entry = Entry { ballot, value: value.clone(), chosen: true };
                    self.slots.insert(*slot, entry);
                    self.advance();
                }
            }
            Record::Checkpoint { promised, floor, settled, .. } => {
                self.promised = self.promised.max(*promised);
                self.release_below(*floor);
                self.settle_up_to(*settled);
            }
        }
    }

    /// Marks every slot below `settled` that is present without a gap as chosen.
    fn settle_up_to(&mut self, settled: Slot) {
        while self.settled < settled {
            let Some(entry) = self.slots.get_mut(self.settled) else { return };
            entry.chosen = true;
            self.settled = self.settled.next();
        }
    }

    /// Moves `settled` over everything chosen behind it.
    pub(crate) fn advance(&mut self) {
        while self.slots.get(self.settled).is_some_and(|entry| entry.chosen) {
            self.settled = self.settled.next();
        }
        if planted::is("settles-across-a-gap")
            && let Some((slot, _)) = self.slots.iter_from(self.settled).find(|(_, e)| e.chosen)
        {
            self.settled = slot.next();
        }
    }

    /// Lets go of everything below `floor`. The floor never falls, and whatever is below it is
    /// settled.
    pub(crate) fn release_below(&mut self, floor: Slot) {
        if floor > self.floor {
            self.floor = floor;
            self.slots.release_below(floor);
            self.settled = self.settled.max(floor);
            self.advance();
        }
    }
}
