//! Going after planted bugs: a test that never failed proves nothing.
//!
//! A bug is awake when the feature `planted` is compiled in and the environment names it. The hunt
//! runs what a run of all tests would run, the same days from the same seeds, and stops at the
//! first trouble of any kind.

use std::{
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use sim::Trouble;

use crate::{
    day::{self, Done},
    locks, pb,
};

/// Who should catch a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hunter {
    /// A replicated store in the weather.
    Store,
    /// A primary and its backup in the weather.
    Pair,
    /// A table of locks beside the naive one.
    LockTable,
    /// A lock service that is killed again and again.
    LockService,
    /// Every crash image of every small workload of a log.
    CrashImages,
    /// Failed syncs.
    FailedSyncs,
    /// Rot in a log.
    Rot,
    /// Segments used again.
    StaleRecords,
}

/// Every planted bug and who should catch it.
pub const BUGS: [(&str, Hunter); 34] = [
    ("promise-not-saved", Hunter::Store),
    ("speak-before-sync", Hunter::Store),
    ("counts-own-vote-unsaved", Hunter::Store),
    ("adopts-first-reported", Hunter::Store),
    ("ballot-reused-after-restart", Hunter::Store),
    ("accepts-below-promise", Hunter::Store),
    ("settles-across-a-gap", Hunter::Store),
    ("unscoped-watermark", Hunter::Store),
    ("counts-mixed-ballots", Hunter::Store),
    ("log-shortened-before-snapshot", Hunter::Store),
    ("snapshot-off-by-one", Hunter::Store),
    ("snapshot-forgets-sessions", Hunter::Store),
    ("runs-duplicates", Hunter::Store),
    ("deposed-leader-reads", Hunter::Store),
    ("retries-under-a-new-number", Hunter::Store),
    ("promotes-without-acknowledgement", Hunter::Pair),
    ("promotes-an-idle-server", Hunter::Pair),
    ("rewinds-the-view-after-restart", Hunter::Pair),
    ("forgets-the-table-on-transfer", Hunter::Pair),
    ("answers-a-get-without-its-backup", Hunter::Pair),
    ("applies-a-forward-twice", Hunter::Pair),
    ("takes-a-forward-of-an-old-view", Hunter::Pair),
    ("acknowledges-during-transfer", Hunter::Pair),
    ("repeats-under-a-new-number", Hunter::Pair),
    ("upgrade-barges", Hunter::LockTable),
    ("shares-past-a-queued-writer", Hunter::LockTable),
    ("never-wakes-after-a-cancel", Hunter::LockTable),
    ("newer-edge-overwrites", Hunter::LockTable),
    ("expired-owner-releases", Hunter::LockTable),
    ("token-reused-after-restart", Hunter::LockService),
    ("fsync-failure-believed", Hunter::FailedSyncs),
    ("mid-log-rot-as-torn-tail", Hunter::Rot),
    ("stale-records-of-recycled-segment", Hunter::StaleRecords),
    ("no-directory-sync", Hunter::CrashImages),
];

/// Commands in the life of a table of locks.
const COMMANDS: usize = 600;

/// A bug was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// By whom, and what it noticed.
    pub by: String,
    /// Days or workloads until then.
    pub seeds: u64,
}

/// Runs `hunter` until it notices something, or the time is over.
#[must_use]
pub fn hunt(hunter: Hunter, limit: Duration) -> Option<Caught> {
    match hunter {
        Hunter::Store => days("the store in the weather", day::run, limit),
        Hunter::Pair => days("the pair in the weather", pb::day::run, limit),
        Hunter::LockTable => lives("a lock table beside the naive one", limit, |seed| {
            lockmgr::suite::random(seed, COMMANDS).map(drop).map_err(|_| String::new())
        }),
        Hunter::LockService => lives("a lock service that is killed", limit, locks::life),
        Hunter::CrashImages => log("crash images", || wal::suite::hunt_crash_images(3)),
        Hunter::FailedSyncs => log("failed syncs", wal::suite::hunt_fsync_failure),
        Hunter::Rot => log("rot", wal::suite::hunt_rot),
        Hunter::StaleRecords => log("stale records", wal::suite::hunt_stale_records),
    }
}

/// The seeds of a volume test, one after the other.
fn days(who: &str, run: impl Fn(u64) -> Result<Done, Trouble>, limit: Duration) -> Option<Caught> {
    let begun = Instant::now();
    (0..).take_while(|_| begun.elapsed() < limit).find_map(|seed| {
        let Trouble { what, .. } = run(seed).err()?;
        Some(Caught { by: format!("{who}: {}", name(&what)), seeds: seed + 1 })
    })
}

/// Lives of locks, one seed after the other.
fn lives(who: &str, limit: Duration, life: impl Fn(u64) -> Result<(), String>) -> Option<Caught> {
    let begun = Instant::now();
    (0..).take_while(|_| begun.elapsed() < limit).find_map(|seed| {
        let by = match panic::catch_unwind(AssertUnwindSafe(|| life(seed))) {
            Ok(Ok(())) => return None,
            Ok(Err(what)) if what.is_empty() => who.into(),
            Ok(Err(what)) => format!("{who}: {what}"),
            Err(panic) => format!("{who}: {}", day::words(&*panic)),
        };
        Some(Caught { by, seeds: seed + 1 })
    })
}

fn log(name: &str, hunt: impl FnOnce() -> Result<wal::suite::Report, String>) -> Option<Caught> {
    let what = match panic::catch_unwind(AssertUnwindSafe(hunt)) {
        Ok(Ok(_)) => return None,
        Ok(Err(what)) => what,
        Err(panic) => day::words(&*panic),
    };
    Some(Caught { by: format!("the log's {name}: {what}"), seeds: 1 })
}

/// The name of an invariant without what is different from day to day.
fn name(what: &str) -> &str {
    let line = what.lines().next().unwrap_or_default();
    let mut letters = line.chars();
    let numbered = letters.next().is_some_and(|it| matches!(it, 'S' | 'V' | 'P'))
        && letters.next().is_some_and(|it| it.is_ascii_digit());
    if numbered { line.split(':').next().unwrap_or(line) } else { line }
}
