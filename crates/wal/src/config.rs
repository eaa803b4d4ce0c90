//! The knobs of a log.

use crate::OpenError;
use crate::format::{MAX_RECORD, RECORD_HEADER, SEGMENT_HEADER};

/// Milliseconds without a new record after which the durable mark is written on its own.
pub const QUIET_MS: u64 = 20;

/// Bytes the writer takes from the queue for one write and one sync.
pub const MAX_BATCH: usize = 1 << 20;

/// Orders that may wait for the writer; a stream that finds the queue full keeps its records and
/// tries again when it is woken.
pub const MAX_QUEUE: usize = 1024;

/// The smallest segment, in bytes: the header and room for some records.
pub const MIN_SEGMENT: u64 = 12 * 1024;

/// The largest segment, in bytes.
pub const MAX_SEGMENT: u64 = 1 << 30;

/// What "durable" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Every report follows a sync: an acknowledged record survives the loss of power. The
    /// default.
    Sync,
    /// Reports follow the write, and no record is synced: an acknowledged record survives the
    /// death of the process, *not* of the machine. For tests and demos that say so.
    Memory,
}

/// The knobs of a [`Wal`](crate::Wal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Size of one segment file in bytes, header included. Default 32 MiB. A record that does not
    /// fit in it gets a larger file of its own.
    pub segment_bytes: u64,
    /// Segments in use above which the writer copies live records forward to free the oldest.
    /// Default 16. It is exceeded only while more than half of what they hold is live.
    pub max_segments: usize,
    /// Segments kept for reuse, besides those in use. Default 4, about what one snapshot frees;
    /// more are removed.
    pub pool_segments: usize,
    /// What "durable" means. Default [`Durability::Sync`].
    pub durability: Durability,
    /// Run the writer inside `push` instead of on a thread of its own: no threads, no timer, the
    /// same disk calls in the same order every time. For simulations. Default off.
    pub inline: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes: 32 << 20,
            max_segments: 16,
            pool_segments: 4,
            durability: Durability::Sync,
            inline: false,
        }
    }
}

impl Config {
    /// A small log for tests: 64 KiB segments, four of them.
    #[must_use]
    pub fn small() -> Self {
        Self { segment_bytes: 64 << 10, max_segments: 4, ..Self::default() }
    }

    /// Checks every knob.
    ///
    /// # Errors
    ///
    /// [`OpenError::Config`] with the knob and its range.
    pub fn validate(&self) -> Result<(), OpenError> {
        if !(MIN_SEGMENT..=MAX_SEGMENT).contains(&self.segment_bytes) {
            return Err(OpenError::Config(format!(
                "segment_bytes is {}, and must lie between {MIN_SEGMENT} and {MAX_SEGMENT}",
                self.segment_bytes
            )));
        }
        if self.max_segments < 2 {
            return Err(OpenError::Config("max_segments must be at least 2".to_owned()));
        }
        Ok(())
    }

    /// The size of a segment that can take a record frame of `frame` bytes.
    pub(crate) fn segment_for(&self, frame: usize) -> u64 {
        debug_assert!(frame <= MAX_RECORD + RECORD_HEADER + 8);
        self.segment_bytes.max((SEGMENT_HEADER + frame) as u64)
    }
}
