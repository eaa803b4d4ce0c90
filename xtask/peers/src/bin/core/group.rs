//! What both sides have in common: the cell, the turns, the count.

use std::{fmt, time::Duration};

use serde::Deserialize;

/// One combination.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cell {
    pub(crate) replicas: usize,
    /// Entries proposed before messages are exchanged.
    pub(crate) window: usize,
    /// The other library's batching knob; ours batches as it always does.
    pub(crate) batch: usize,
    /// Bytes of one entry.
    pub(crate) size: usize,
    /// Whether the other library is given bytes too where an entry would fit into a number.
    #[serde(default)]
    pub(crate) bytes: bool,
    /// Whether every replica must know a window decided before the next is proposed.
    #[serde(default)]
    pub(crate) all_know: bool,
}

impl Cell {
    /// Whether the other library's entries are numbers, its best case.
    pub(crate) fn numbers(&self) -> bool {
        self.size == 8 && !self.bytes
    }

    /// Most entries of one group: logs are not trimmed, and memory is not what is measured.
    pub(crate) fn most(&self) -> u64 {
        const ENTRIES: usize = 200_000;
        const BYTES: usize = 64 << 20;
        ENTRIES.min(BYTES / self.size.max(1)).max(self.window) as u64
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replicas, window, batch, size, .. } = self;
        write!(f, "{replicas},{window},{batch},{size}")?;
        f.write_str(if self.bytes { ",bytes" } else { "" })?;
        f.write_str(if self.all_know { ",all-know" } else { "" })
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) entries: u64,
    pub(crate) messages: u64,
    pub(crate) took: Duration,
}

impl Measured {
    pub(crate) fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.messages += other.messages;
        self.took += other.took;
    }

    pub(crate) fn rate(&self) -> f64 {
        self.entries as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn messages_each(&self) -> f64 {
        self.messages as f64 / self.entries as f64
    }
}

/// Some replicas in one thread.
pub(crate) trait Group {
    /// A group that has a leader and nothing on its way.
    fn elected(cell: &Cell) -> Self;

    /// Hands so many new entries to the leader.
    fn propose(&mut self, entries: usize);

    /// Lets replicas take turns until nobody says anything more.
    fn carry(&mut self);

    /// Lets as much time pass as the last decision needs to be known everywhere.
    fn settle(&mut self);

    /// Entries that every replica knows decided.
    fn decided(&self) -> u64;

    /// Messages between replicas so far; what a proposer is told is none.
    fn messages(&self) -> u64;
}

/// Whose turn it is: replicas that were told something, in a circle.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    told: u32,
    last: u32,
}

impl Turns {
    pub(crate) fn tell(&mut self, replica: usize) {
        self.told |= 1 << replica;
    }

    pub(crate) fn next(&mut self) -> Option<usize> {
        if self.told == 0 {
            return None;
        }
        let behind = self.told & !((2 << self.last) - 1);
        let next = if behind == 0 { self.told } else { behind }.trailing_zeros();
        self.told &= !(1 << next);
        self.last = next;
        Some(next as usize)
    }
}
