//! A third `Log`: one plain file, written and synced by whoever pushes. It promises what the seam
//! asks for: a record that was reported outlives a power cut, in its place; counts are dense; a log
//! that failed once says so for ever.
//!
//! What `wal`'s own log does and this one does not:
//! - it has one stream and no identity, so nobody notices a file that belongs to another node;
//! - a push waits for the disk, and with it everybody who shares the thread;
//! - space is freed only when the log is opened again, by writing all of it anew;
//! - it ends at the first record that does not verify. A torn tail and rotten bytes look the same
//!   to it, so a disk that rots may take acknowledged records, silently.
//!
//! `cargo run -p wal --example third_log`

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll};

use protocol::{Log, Lsn};
use wal::disk::{read_whole, write_atomically};
use wal::{Disk, DiskFile, RealDisk, SimDisk, suite};

const NAME: &str = "plain-log";
const MAGIC: [u8; 8] = *b"PLAINLOG";
const RECORD: u8 = 0;
const KEEP: u8 = 1;

/// One plain file of frames: a length, a kind, bytes, and a checksum of everything up to here.
pub(crate) struct PlainLog {
    file: Arc<dyn DiskFile>,
    _disk: Arc<dyn Disk>, // for its lock
    checksum: u32,
    queued: Vec<u8>,
    appended: Lsn,
    durable: Lsn,
    reported: Lsn,
    failed: Option<ErrorKind>,
}

fn frame(checksum: &mut u32, kind: u8, payload: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    let length = u32::try_from(payload.len()).expect("no record comes near 4 GiB");
    into.extend_from_slice(&length.to_le_bytes());
    into.push(kind);
    into.extend_from_slice(payload);
    *checksum = crc32c::crc32c_append(*checksum, &into[start..]);
    into.extend_from_slice(&checksum.to_le_bytes());
}

/// The next whole frame, if there is one: its kind, its payload, and where it ends.
fn read_frame<'a>(bytes: &'a [u8], at: usize, checksum: &mut u32) -> Option<(u8, &'a [u8], usize)> {
    let length = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    let end = (at + 5).checked_add(length)?;
    let sum = crc32c::crc32c_append(*checksum, bytes.get(at..end)?);
    if bytes.get(end..end + 4)? != sum.to_le_bytes() {
        return None;
    }
    *checksum = sum;
    Some((bytes[at + 4], &bytes[at + 5..end], end + 4))
}

impl PlainLog {
    /// Opens the log, created if there is none; with the number of the first record, and all.
    pub(crate) fn open(disk: Arc<dyn Disk>) -> io::Result<(Self, Lsn, Vec<Vec<u8>>)> {
        let old = match read_whole(&*disk, NAME) {
            Err(error) if error.kind() == ErrorKind::NotFound => MAGIC.to_vec(),
            read => read?,
        };
        if !old.starts_with(&MAGIC) {
            return Err(io::Error::new(ErrorKind::InvalidData, "this is no plain log"));
        }
        let (mut records, mut first, mut keep) = (Vec::new(), 1, 1);
        let (mut at, mut checksum) = (MAGIC.len(), 0);
        while let Some((kind, payload, end)) = read_frame(&old, at, &mut checksum) {
            match kind {
                KEEP => keep = payload.try_into().map_or(keep, u64::from_le_bytes).max(keep),
                _ => records.push(payload.to_vec()),
            }
            // In front of all records it says where they begin.
            first = if records.is_empty() { keep } else { first };
            at = end;
        }
        let forgotten = (keep - first).min(records.len() as u64);
        records.drain(..forgotten as usize);
        first += forgotten;
        // Written anew, so that nothing of a torn tail can ever be taken for a record.
        let (mut whole, mut checksum) = (MAGIC.to_vec(), 0);
        frame(&mut checksum, KEEP, &first.to_le_bytes(), &mut whole);
        records.iter().for_each(|record| frame(&mut checksum, RECORD, record, &mut whole));
        write_atomically(&*disk, NAME, &whole)?;
        let (file, last) = (disk.open(NAME, false)?, Lsn(first + records.len() as u64 - 1));
        let (queued, appended, durable, reported, failed) = (Vec::new(), last, last, last, None);
        let _disk = disk;
        let log = Self { file, _disk, checksum, queued, appended, durable, reported, failed };
        Ok((log, Lsn(first), records))
    }
}

impl Log for PlainLog {
    fn append(&mut self, record: &[u8]) {
        frame(&mut self.checksum, RECORD, record, &mut self.queued);
        self.appended.0 += 1;
    }

    fn push(&mut self) {
        // After one failure nobody knows what is on the disk: nothing more is written or reported.
        if self.queued.is_empty() || self.failed.is_some() {
            return;
        }
        let written = self.file.size().and_then(|end| self.file.write_at(end, &self.queued));
        match written.and_then(|()| self.file.sync()) {
            Ok(()) => self.durable = self.appended,
            Err(error) => self.failed = Some(error.kind()),
        }
        self.queued.clear();
    }

    fn poll_durable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Lsn>> {
        // Nobody is woken: news comes out of `push` alone, and the owner looks after each.
        match self.failed {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None if self.durable == self.reported => Poll::Pending,
            None => {
                self.reported = self.durable;
                Poll::Ready(Ok(self.reported))
            }
        }
    }

    fn forget(&mut self, keep: Lsn) {
        // It leaves with the next push, and may be lost: then more is kept than was needed.
        frame(&mut self.checksum, KEEP, &keep.0.to_le_bytes(), &mut self.queued);
    }
}

fn main() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let real = || RealDisk::open(dir.path()).expect("nobody else has it");
    suite::log_conformance(|| PlainLog::open(Arc::new(real())).expect("a sound log"), true);
    println!("in a directory: every rule holds");
    let (disk, mut cuts) = (SimDisk::new(), 0);
    let mut crashed = || {
        disk.crash(cuts);
        cuts += 1;
        PlainLog::open(Arc::new(disk.clone())).expect("a sound log")
    };
    suite::log_conformance(&mut crashed, true);
    println!("on a simulated disk: every rule holds across {cuts} power cuts");
    Ok(())
}
