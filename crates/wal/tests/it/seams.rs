//! The suites of the two seams: every implementation passes, and every way to break one is seen.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use protocol::{Log, Lsn};
use wal::suite::{disk_conformance, log_conformance};
use wal::{Disk, DiskFile, MemoryLog, RealDisk, SimDisk};

#[test]
fn a_directory_keeps_the_rules_of_a_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    disk_conformance(|| RealDisk::open(dir.path()).expect("nobody else has it"));
}

#[test]
fn a_simulated_disk_keeps_the_rules_of_a_disk() {
    let disk = SimDisk::new();
    disk_conformance(|| disk.clone());
    // The power goes each time.
    for seed in 0..20 {
        disk_conformance(crashing(&SimDisk::new(), seed));
    }
}

/// The same disk after another power cut.
fn crashing(disk: &SimDisk, seed: u64) -> impl FnMut() -> SimDisk + use<> {
    let (disk, mut cuts) = (disk.clone(), seed << 32);
    move || {
        disk.crash(cuts);
        cuts += 1;
        disk.clone()
    }
}

/// What a suite said about something that is broken.
///
/// # Panics
///
/// If it said nothing.
fn blame(broken: &str, suite: impl FnOnce()) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(suite)) else {
        panic!("the suite let it pass: {broken}")
    };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// How a disk is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    ForgetsRenamings,
    RenamesInTwoSteps,
    OnlySaysItSyncs,
    CreatesOverOthers,
    MakesBytesUp,
    ListsAsItLikes,
    FollowsTheName,
}

/// A simulated disk with one flaw.
#[derive(Clone)]
struct Bent {
    disk: SimDisk,
    flaw: Flaw,
}

struct BentFile {
    disk: SimDisk,
    name: String,
    file: Arc<dyn DiskFile>,
    flaw: Flaw,
}

impl Disk for Bent {
    fn place(&self) -> String {
        format!("a disk that {:?}", self.flaw)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = self.disk.list()?;
        if self.flaw == Flaw::ListsAsItLikes {
            names.reverse();
        }
        Ok(names)
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        if create && self.flaw == Flaw::CreatesOverOthers {
            // Whether there was one does not matter here, and that is the flaw.
            let _ = self.disk.remove(name);
        }
        let (disk, name, flaw) = (self.disk.clone(), name.to_owned(), self.flaw);
        let file = disk.open(&name, create)?;
        Ok(Arc::new(BentFile { disk, name, file, flaw }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if self.flaw == Flaw::RenamesInTwoSteps && self.disk.list()?.iter().any(|name| name == from)
        {
            let _ = self.disk.remove(to);
            self.disk.sync_dir()?;
        }
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.flaw == Flaw::ForgetsRenamings { Ok(()) } else { self.disk.sync_dir() }
    }
}

impl DiskFile for BentFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match self.file.read_at(offset, into) {
            Err(_) if self.flaw == Flaw::MakesBytesUp => {
                into.fill(0);
                Ok(())
            }
            read => read,
        }
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.flaw {
            Flaw::FollowsTheName => self.disk.open(&self.name, false)?.write_at(offset, data),
            _ => self.file.write_at(offset, data),
        }
    }

    fn sync(&self) -> io::Result<()> {
        if self.flaw == Flaw::OnlySaysItSyncs { Ok(()) } else { self.file.sync() }
    }
}

#[test]
fn a_broken_disk_is_found() {
    let flaws = [
        (Flaw::ForgetsRenamings, "log cannot be read"),
        (Flaw::RenamesInTwoSteps, "place cannot be read"),
        (Flaw::OnlySaysItSyncs, "synced bytes are there"),
        (Flaw::CreatesOverOthers, "the name is taken"),
        (Flaw::MakesBytesUp, "no bytes behind the end are made up"),
        (Flaw::ListsAsItLikes, "all names, sorted"),
        (Flaw::FollowsTheName, "a handle follows its file"),
    ];
    for (flaw, expected) in flaws {
        let mut power = crashing(&SimDisk::new(), 7);
        let said = blame(&format!("{flaw:?}"), || {
            disk_conformance(|| Bent { disk: power(), flaw });
        });
        assert!(said.contains(expected), "{flaw:?}: {said}");
    }
}

/// How a log is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    ReportsWhatWasOnlyQueued,
    ReportsBeforeItSyncs,
    ReportsTwice,
    CountsBytes,
    KeepsNoEmptyRecords,
    CountsTheForgottenTwice,
    LosesTheLastRecord,
    WritesOverThePast,
    ReportsEveryPush,
}

/// A log of lines in one file, or in memory, with one fault.
struct Crooked {
    inner: MemoryLog,
    file: Arc<dyn DiskFile>,
    end: u64,
    /// Records before this life; those of this life; those that were pushed.
    past: u64,
    queued: u64,
    pushed: u64,
    forgotten: u64,
    /// A report that is none.
    again: bool,
    fault: Fault,
}

impl Crooked {
    /// Opens it on a disk, where each record is a length in two bytes, and its bytes.
    fn open(disk: &SimDisk, fault: Fault) -> (Self, Lsn, Vec<Vec<u8>>) {
        let file = disk.open("lines", false).unwrap_or_else(|_| {
            let file = disk.open("lines", true).expect("a new name");
            disk.sync_dir().expect("healthy");
            file
        });
        let bytes = wal::disk::read_whole(disk, "lines").expect("healthy");
        let (mut records, mut at) = (Vec::new(), 0);
        while let Some(head) = bytes.get(at..at + 2) {
            let length = usize::from(u16::from_le_bytes([head[0], head[1]]));
            let Some(record) = bytes.get(at + 2..at + 2 + length) else { break };
            records.push(record.to_vec());
            at += 2 + length;
        }
        if fault == Fault::LosesTheLastRecord {
            records.pop();
        }
        let past = records.len() as u64;
        let (inner, end) = (MemoryLog::new(), at as u64);
        let end = if fault == Fault::WritesOverThePast { 0 } else { end };
        let (queued, pushed, forgotten, again) = (0, 0, 0, false);
        let log = Self { inner, file, end, past, queued, pushed, forgotten, again, fault };
        (log, Lsn(1), records)
    }
}

impl Log for Crooked {
    fn append(&mut self, record: &[u8]) {
        if !record.is_empty() || self.fault != Fault::KeepsNoEmptyRecords {
            let mut bytes = (record.len() as u16).to_le_bytes().to_vec();
            bytes.extend_from_slice(record);
            self.file.write_at(self.end, &bytes).expect("healthy");
            self.end += bytes.len() as u64;
        }
        self.inner.append(record);
        self.queued += 1;
        if self.fault == Fault::ReportsWhatWasOnlyQueued {
            self.push();
        }
    }

    fn push(&mut self) {
        if self.fault != Fault::ReportsBeforeItSyncs {
            self.file.sync().expect("healthy");
        }
        self.again = self.fault == Fault::ReportsEveryPush && self.queued == self.pushed;
        self.pushed = self.queued;
        self.inner.push();
    }

    fn poll_durable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Lsn>> {
        match self.inner.poll_durable(cx) {
            Poll::Ready(Ok(Lsn(count))) => Poll::Ready(Ok(Lsn(match self.fault {
                Fault::CountsBytes => self.end,
                Fault::CountsTheForgottenTwice => count + self.forgotten,
                _ => self.past + count,
            }))),
            Poll::Pending if self.fault == Fault::ReportsTwice && self.pushed > 0 => {
                Poll::Ready(Ok(Lsn(self.past + self.pushed)))
            }
            Poll::Pending if std::mem::take(&mut self.again) => {
                Poll::Ready(Ok(Lsn(self.past + self.pushed)))
            }
            pending => pending,
        }
    }

    fn forget(&mut self, keep: Lsn) {
        self.forgotten = keep.0 - 1;
    }
}

#[test]
fn a_broken_log_is_found() {
    let faults = [
        (Fault::ReportsWhatWasOnlyQueued, "what was not pushed is not durable"),
        (Fault::ReportsBeforeItSyncs, "every kept record is there"),
        (Fault::ReportsTwice, "the same count is not reported twice"),
        (Fault::CountsBytes, "the count is dense"),
        (Fault::KeepsNoEmptyRecords, "every kept record is there"),
        (Fault::CountsTheForgottenTwice, "forgetting does not change the count"),
        (Fault::LosesTheLastRecord, "every kept record is there"),
        (Fault::WritesOverThePast, "every kept record is there"),
        (Fault::ReportsEveryPush, "a push of nothing is no news"),
    ];
    for (fault, expected) in faults {
        let disk = SimDisk::new();
        let cuts = Cell::new(0);
        let said = blame(&format!("{fault:?}"), || {
            log_conformance(
                || {
                    disk.crash(cuts.replace(cuts.get() + 1));
                    Crooked::open(&disk, fault)
                },
                true,
            );
        });
        assert!(said.contains(expected), "{fault:?}: {said}");
    }
}
