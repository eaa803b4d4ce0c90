//! Where the records of live slots stand in the log, so that it knows what may go.

use protocol::Lsn;

use crate::{Record, Slot, Slots};

/// The latest record of each slot from the floor on.
#[derive(Debug, Default)]
pub(super) struct Shelf(Slots<Lsn>);

impl Shelf {
    /// `slot` stands in record `lsn` now.
    pub(super) fn put(&mut self, slot: Slot, lsn: Lsn) {
        if slot >= self.0.base() {
            self.0.insert(slot, lsn);
        }
    }

    /// One record of the own past.
    pub(super) fn replay(&mut self, lsn: Lsn, record: &Record, floor: Slot) {
        match record {
            Record::Accepted { slot, .. } | Record::Learned { slot, .. } => self.put(*slot, lsn),
            Record::Checkpoint { .. } => self.release_below(floor),
            Record::Promised { .. } => {}
        }
    }

    /// Slots below `floor` need no record.
    pub(super) fn release_below(&mut self, floor: Slot) {
        self.0.release_below(floor);
    }

    /// The first record still needed, now that record `lsn` is a checkpoint.
    pub(super) fn checkpoint(&self, lsn: Lsn) -> Lsn {
        self.0.iter_from(Slot(0)).map(|(_, at)| *at).min().map_or(lsn, |first| first.min(lsn))
    }
}
