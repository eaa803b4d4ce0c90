//! What a log has done, in numbers that cost next to nothing to keep.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::StreamId;

/// The numbers of one log since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Successful syncs of records (in [`Memory`](crate::Durability::Memory) mode: writes).
    pub syncs: u64,
    /// Records of streams written, copies not counted.
    pub records: u64,
    /// Bytes written, headers and copies included.
    pub bytes: u64,
    /// Records copied forward to free an old segment.
    pub copied: u64,
    /// Segments that are needed, the current one included.
    pub segments: u64,
    /// Segments ready for use.
    pub pooled: u64,
    /// Microseconds the last sync took.
    pub last_sync_micros: u64,
    /// Microseconds the slowest sync took.
    pub max_sync_micros: u64,
    /// Payload bytes that are not forgotten, of each stream that ever held a record.
    pub live: Vec<(StreamId, u64)>,
}

impl Stats {
    /// Records a sync, on average.
    #[must_use]
    pub fn batch(&self) -> f64 {
        self.records as f64 / self.syncs.max(1) as f64
    }

    /// Payload bytes that are not forgotten, over all streams.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        sum(self.live.iter().map(|(_, bytes)| *bytes))
    }
}

/// How live payload is counted, by the running log and by whoever looks at its files: payloads
/// alone, without headers, padding, copies or what was forgotten.
pub(crate) fn sum(payloads: impl Iterator<Item = u64>) -> u64 {
    payloads.sum()
}

/// The writer's side of [`Stats`]. Only the writer writes, so relaxed loads and stores do.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) syncs: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) copied: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) pooled: AtomicU64,
    last_sync: AtomicU64,
    max_sync: AtomicU64,
}

impl Counters {
    pub(crate) fn synced(&self, bytes: u64, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.last_sync.store(micros, Relaxed);
        self.max_sync.fetch_max(micros, Relaxed);
    }

    pub(crate) fn read(&self, live: Vec<(StreamId, u64)>) -> Stats {
        Stats {
            syncs: self.syncs.load(Relaxed),
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            copied: self.copied.load(Relaxed),
            segments: self.segments.load(Relaxed),
            pooled: self.pooled.load(Relaxed),
            last_sync_micros: self.last_sync.load(Relaxed),
            max_sync_micros: self.max_sync.load(Relaxed),
            live,
        }
    }
}
