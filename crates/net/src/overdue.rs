//! How long the oldest unsaved record has been waiting for the disk.

use std::{collections::VecDeque, time::Duration};

use protocol::{Lsn, Time};

use crate::limits::DISK_STALL;

/// Records appended within this time count as appended together.
const BUCKET: Duration = Duration::from_millis(10);

/// Buckets kept; a disk that is behind by more has been overdue for long, and how long exactly
/// does not matter.
const BUCKETS: usize = 64;

/// The ages of the records that are not durable yet, in buckets.
pub(crate) struct Overdue {
    /// Up to which record, and when the first of them was appended.
    waiting: VecDeque<(Lsn, Time)>,
    told: bool,
}

impl Overdue {
    pub(crate) fn new() -> Self {
        Self { waiting: VecDeque::with_capacity(BUCKETS), told: false }
    }

    /// Everything up to `saved` has been handed to the log.
    pub(crate) fn appended(&mut self, now: Time, saved: Lsn) {
        let full = self.waiting.len() >= BUCKETS;
        match self.waiting.back_mut() {
            Some((up_to, since)) if full || now.since(*since) < BUCKET => *up_to = saved,
            _ => self.waiting.push_back((saved, now)),
        }
    }

    /// Everything up to `durable` is on disk.
    pub(crate) fn durable(&mut self, durable: Lsn) {
        while self.waiting.front().is_some_and(|(up_to, _)| *up_to <= durable) {
            self.waiting.pop_front();
        }
    }

    /// What the core must be told now, if anything: whether its disk is healthy.
    pub(crate) fn news(&mut self, now: Time) -> Option<bool> {
        let late = self.waiting.front().is_some_and(|(_, since)| now.since(*since) >= DISK_STALL);
        (late != self.told).then(|| {
            self.told = late;
            !late
        })
    }

    /// When to look again even if nothing happens.
    pub(crate) fn alarm(&self) -> Option<Time> {
        if self.told {
            return None;
        }
        self.waiting.front().map(|(_, since)| since.plus(DISK_STALL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO.plus(Duration::from_millis(ms))
    }

    #[test]
    fn the_oldest_record_decides() {
        let mut overdue = Overdue::new();
        overdue.appended(at(0), Lsn(1));
        overdue.appended(at(100), Lsn(2));
        assert_eq!(overdue.alarm(), Some(at(500)));
        assert_eq!(overdue.news(at(499)), None);
        assert_eq!(overdue.news(at(500)), Some(false));
        assert_eq!((overdue.news(at(550)), overdue.alarm()), (None, None), "told once");
        overdue.durable(Lsn(1));
        assert_eq!(overdue.news(at(560)), Some(true), "the next one is young");
        assert_eq!(overdue.news(at(600)), Some(false));
        overdue.durable(Lsn(2));
        assert_eq!(overdue.news(at(700)), Some(true));
        assert_eq!(overdue.alarm(), None);
    }

    #[test]
    fn a_long_stall_takes_no_memory() {
        let mut overdue = Overdue::new();
        for n in 0..10_000 {
            overdue.appended(at(n * 20), Lsn(n));
        }
        assert!(overdue.waiting.len() <= BUCKETS);
        overdue.durable(Lsn(9_999));
        assert!(overdue.waiting.is_empty());
    }
}
