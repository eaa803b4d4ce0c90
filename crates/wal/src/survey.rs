//! Looking at a log without changing it and without getting in anybody's way: what is in it, and
//! whether it is whole.
//!
//! No lock is taken, so a log may be looked at while a server writes it. Such a look sees a moment
//! of each file, not one moment of all: it may meet the second half of a batch without the first,
//! or miss a segment that was given a new name. So nobody is told bad news of a directory before
//! a second look has found the very same: what was only being written stands there complete by
//! then, since a record is written before the sync that any later record's mark speaks of.

use std::path::Path;
use std::thread;
use std::time::Duration;

use protocol::Lsn;

use crate::error::Damage;
use crate::scan::{Scan, Visit};
use crate::stats::sum;
use crate::{Disk, Identity, OpenError, RealDisk, StreamId};

/// How often a log is looked at before it is said to change too fast.
const LOOKS: usize = 20;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// What a look at a log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose log it is.
    pub identity: Identity,
    /// Whether it is whole.
    pub verdict: Verdict,
    /// Segments that are needed, the current one included.
    pub segments: usize,
    /// Segment files that are not part of the log: prepared for use, or no longer needed.
    pub spares: usize,
    /// The position (the count over all streams) of the last record that verifies.
    pub position: u64,
    /// The highest position that the log itself proves to be durable.
    pub mark: u64,
    /// The streams that ever held a record.
    pub streams: Vec<StreamReport>,
}

/// What one stream keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// Which.
    pub stream: StreamId,
    /// Its first record; everything below was forgotten.
    pub first: Lsn,
    /// How many records it keeps.
    pub records: u64,
    /// The bytes of their payloads: the number that [`Stats`](crate::Stats) reports while the log
    /// runs.
    pub live_bytes: u64,
}

impl Report {
    /// Payload bytes that are not forgotten, over all streams.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        sum(self.streams.iter().map(|stream| stream.live_bytes))
    }
}

/// Whether a log is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every record verifies, up to the end.
    Clean,
    /// The last batch was torn by a crash, or is being written right now. Nobody was told that it
    /// was safe; nothing is lost.
    TornTail {
        /// The last segment's file name.
        file: String,
        /// Where the first incomplete record begins, in bytes.
        offset: u64,
    },
    /// Acknowledged data is missing or spoilt.
    Corrupt(Damage),
}

/// One record that verifies, whether it is still needed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The segment's file name.
    pub file: &'a str,
    /// Where it begins there, in bytes.
    pub offset: u64,
    /// Its number over all streams.
    pub position: u64,
    /// The highest position that was known to be durable when it was written.
    pub mark: u64,
    /// What it says.
    pub what: What<'a>,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// A record of a stream, or another copy of one.
    Data {
        /// Whose.
        stream: StreamId,
        /// Its number there.
        lsn: Lsn,
        /// Its bytes.
        payload: &'a [u8],
    },
    /// A stream needs nothing below `keep` any more.
    Forget {
        /// Which.
        stream: StreamId,
        /// The first record it keeps.
        keep: Lsn,
    },
    /// Only the durable mark.
    Mark,
}

/// Reads the whole log on `disk` once, shows every record to `visit`, and judges it. Changes
/// nothing. Holds the records that streams keep in memory while it reads.
///
/// # Errors
///
/// Those of opening, except corruption, which is a verdict here.
pub fn survey(disk: &dyn Disk, visit: &mut dyn FnMut(&Entry<'_>)) -> Result<Report, OpenError> {
    look(disk, visit)
}

fn look(disk: &dyn Disk, visit: Visit<'_>) -> Result<Report, OpenError> {
    let identity = Identity::peek(disk)?;
    let scan = match Scan::walk(disk, &identity, visit) {
        Ok(scan) => scan,
        Err(OpenError::Corrupt { damage, .. }) => {
            let verdict = Verdict::Corrupt(damage);
            let (segments, spares, position, mark) = (0, 0, 0, 0);
            let streams = Vec::new();
            return Ok(Report { identity, verdict, segments, spares, position, mark, streams });
        }
        Err(error) => return Err(error),
    };
    let verdict = scan
        .torn
        .clone()
        .map_or(Verdict::Clean, |(file, offset)| Verdict::TornTail { file, offset: offset as u64 });
    let streams = scan.known().map(|(stream, state)| StreamReport {
        stream,
        first: Lsn(state.keep),
        records: state.next.saturating_sub(state.keep),
        live_bytes: sum(state.records.iter().flatten().map(|record| record.len() as u64)),
    });
    Ok(Report {
        identity,
        verdict,
        segments: scan.segments.len(),
        spares: scan.orphans.len(),
        position: scan.position,
        mark: scan.mark,
        streams: streams.collect(),
    })
}

/// Looks at a directory of the real file system without locking it, as often as it takes to be
/// sure; safe while a server writes there. `visit` is shown each record once, in the order of
/// positions, those before the damage too.
///
/// # Errors
///
/// Those of [`survey`].
pub fn survey_dir(dir: &Path, visit: &mut dyn FnMut(&Entry<'_>)) -> Result<Report, OpenError> {
    let disk = RealDisk::read_only(dir);
    if !dir.is_dir() {
        return Err(OpenError::Empty { dir: disk.place() });
    }
    let mut shown = 0;
    let mut before = None;
    for _ in 0..LOOKS {
        let looked = look(&disk, &mut |entry| {
            if entry.position > shown {
                shown = entry.position;
                visit(entry);
            }
        });
        let news = match &looked {
            Ok(Report { verdict: Verdict::Corrupt(damage), .. }) => damage.to_string(),
            Ok(_) => return looked,
            Err(error) => error.to_string(),
        };
        if before.as_ref() == Some(&news) {
            return looked;
        }
        before = Some(news);
        thread::sleep(PAUSE);
    }
    let source = std::io::Error::other("it changes faster than it can be read; try again");
    Err(OpenError::io(&disk.place(), "read the log")(source))
}

/// [`survey`] for its verdict alone.
///
/// # Errors
///
/// Those of [`survey`].
pub fn verify(disk: &dyn Disk) -> Result<Report, OpenError> {
    survey(disk, &mut |_| ())
}

/// [`survey_dir`] for its verdict alone.
///
/// # Errors
///
/// Those of [`survey_dir`].
pub fn verify_dir(dir: &Path) -> Result<Report, OpenError> {
    survey_dir(dir, &mut |_| ())
}
