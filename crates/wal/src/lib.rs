//! Records on disk that survive a crash.
//!
//! # What it promises
//!
//! A record reported durable is still there after the machine has lost its power at any moment,
//! and it comes back in its place: every stream is a dense row of records, without a gap, a
//! stranger or a half record in it. What the disk has spoiled is reported as spoilt, by file,
//! offset and number; it is never skipped and never cut away. A log whose disk has failed once
//! says so for ever.
//!
//! # What it assumes
//!
//! A sync that succeeds has put the file's bytes (or the directory's names) where a power cut
//! cannot reach them. Nothing is assumed of a sync that fails, of writes that were not synced
//! (each sector of 512 bytes may be old, new or half of each, in any order), or of names that were
//! not synced. One process at a time owns the directory; a lock sees to it.
//!
//! # The idea in one picture
//!
//! ```text
//!   stream 0 ─ append, push ─┐                      ┌─ wal-3   records of every stream, and
//!   stream 1 ─ append, push ─┼─▶ writer: one write, ┼─ wal-4   at the front of each segment a
//!   stream 7 ─ append, push ─┘   one sync for all   └─ wal-5   table: what each stream keeps
//!        ▲                            │
//!        └── durable up to n, wake ◀──┘    wal-6 is ready: filled with zeros and synced
//! ```
//!
//! One log per node is shared by all its streams, because a sync costs the same for one record as
//! for a thousand. Each record says three things about its place: which segment it was written
//! for, its *position* (exactly one more than the record before it, over all streams), and a
//! *chain* (the checksum of the record before it). So what an earlier life left behind in a reused
//! file can never continue the story. And each record carries the *mark*: the highest position
//! that was known to be synced when it was written. The mark tells a torn tail from rot. A record
//! that does not verify, and that some later record's mark covers, was acknowledged: that is
//! corruption, and the log refuses to open. A record that no mark covers was the last batch, torn
//! by the crash, and nobody was told that it was safe.
//!
//! # Invariants
//!
//! * A count is reported durable only after a sync that covers it has succeeded.
//! * At most one batch is not yet synced; a new segment begins only when the old one is synced.
//! * A segment's file is filled, synced and named durably before its first byte of use.
//! * A new life begins a new segment: it writes down again what it found behind the last mark,
//!   syncs that, and only then the header that makes it count. No byte is destroyed on the
//!   strength of a verdict; the new header says where the old segment ends.
//! * A segment is reused only when no stream needs a record in it and a newer segment says so
//!   durably.
//! * Opening writes nothing before the whole log has been read and judged.
//!
//! # What was left out
//!
//! Reading old records while running (a stream's owner has them in memory or in a snapshot),
//! repair from peers (the layers above know the peers; this one only says exactly what is
//! missing), and encryption. A full disk fails the log like any other error, because a log that
//! refuses some records and takes others is a second protocol. Two risks remain and are stated.
//! Rot inside the very last batch, together with a crash before the next record or the mark that
//! follows after [`QUIET_MS`] milliseconds, looks like a torn tail. And whoever removes the newest
//! segment by hand leaves a log that looks whole and is shorter.
//!
//! # Reading order
//!
//! [`disk`] and [`simdisk`], then [`format`](mod@format), `scan`, `recover`, `writer`, `shelf`, [`log`];
//! beside them [`mod@survey`], [`identity`], [`snapshots`], [`portable`], [`memory`], and the proofs in [`suite`].

pub mod error;

pub mod config;

pub mod disk;

pub mod simdisk;

pub mod format;

mod scan;

pub mod survey;

mod recover;

mod writer;

mod shelf;

pub mod log;

pub mod stats;

pub mod identity;

pub mod snapshots;

pub mod portable;

pub mod memory;

pub mod suite;

#[cfg(test)]
mod tests;

pub use config::{Config, Durability, QUIET_MS};
pub use disk::{Disk, DiskFile, RealDisk};
pub use error::OpenError;
pub use format::{MAX_RECORD, MAX_STREAMS, StreamId};
pub use identity::{ClusterId, Identity, init, init_dir};
pub use log::{FileLog, Recovered, Wal};
pub use memory::MemoryLog;
pub use portable::{Portable, PortableError};
pub use simdisk::SimDisk;
pub use snapshots::{Snapshot, Snapshots};
pub use stats::Stats;
pub use survey::{Report, Verdict, survey, survey_dir, verify, verify_dir};
