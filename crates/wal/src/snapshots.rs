//! Snapshots: one file each, there completely or not at all.
//!
//! ```text
//!  0 "SYNODSNP"             16 u32 stream           24 u64 index
//!  8 u32 version            20 u32 payload checksum 32 u64 payload length
//! 12 u32 header checksum    40 payload
//! ```

use std::io;
use std::sync::Arc;

use crate::disk::read_whole;
use crate::format::MAX_STREAMS;
use crate::{Disk, StreamId};

const MAGIC: [u8; 8] = *b"SYNODSNP";
const VERSION: u32 = 1;
const HEADER: usize = 40;

/// Bytes written at once, and the most that one [`Snapshots::chunk`] returns: 512 KiB.
pub const MAX_CHUNK: usize = 512 << 10;

/// The longest snapshot, in bytes.
pub const MAX_SNAPSHOT: u64 = 4 << 30;

/// Why a snapshot cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file does not verify: use an older one, or another node's.
    #[error("{file} is damaged ({why}): use the snapshot before it, or one of another node")]
    Damaged {
        /// The file.
        file: String,
        /// What did not fit.
        why: String,
    },
    /// The disk refused.
    #[error("cannot {what} {file}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
}

/// One snapshot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snapshot {
    /// Whose it is.
    pub stream: StreamId,
    /// How far it reaches: everything up to here is in it.
    pub index: u64,
}

/// The newest snapshot that verifies, and those newer ones that do not.
#[derive(Debug, Default)]
pub struct Newest {
    /// The snapshot and its bytes, if there is one.
    pub found: Option<(Snapshot, Vec<u8>)>,
    /// Newer ones that were passed over, and why. Worth an alarm.
    pub damaged: Vec<SnapshotError>,
}

/// The snapshots on one disk.
#[derive(Clone)]
pub struct Snapshots {
    disk: Arc<dyn Disk>,
}

impl Snapshot {
    /// The name of its file.
    #[must_use]
    pub fn file(&self) -> String {
        format!("snap-{:03}-{:020}", self.stream.0, self.index)
    }

    fn of(name: &str) -> Option<Self> {
        let (stream, index) = name.strip_prefix("snap-")?.split_once('-')?;
        let (stream, index) = (stream.parse().ok()?, index.parse().ok()?);
        let snapshot = Self { stream: StreamId(stream), index };
        (snapshot.file() == name && (stream as usize) < MAX_STREAMS).then_some(snapshot)
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(io::Error) -> SnapshotError {
        let file = self.file();
        move |source| SnapshotError::Io { what, file, source }
    }

    fn damaged(&self, why: &str) -> SnapshotError {
        SnapshotError::Damaged { file: self.file(), why: why.to_owned() }
    }

    fn header(&self, payload: &[u8]) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.stream.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
        bytes[24..32].copy_from_slice(&self.index.to_le_bytes());
        bytes[32..40].copy_from_slice(&(payload.len() as u64).to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header that `payload` must have is unique, so it is compared, not parsed.
    fn check<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], SnapshotError> {
        let (header, payload) =
            bytes.split_at_checked(HEADER).ok_or_else(|| self.damaged("it is too short"))?;
        if header[..8] != MAGIC {
            return Err(self.damaged("it does not begin like a snapshot"));
        }
        if header[8..12] != VERSION.to_le_bytes() {
            return Err(self.damaged("its format version is unknown"));
        }
        if header != self.header(payload) {
            return Err(self.damaged("its checksums do not match"));
        }
        Ok(payload)
    }
}

impl Snapshots {
    /// The snapshots on `disk`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    /// Writes a snapshot: in pieces to a temporary file, synced, read back and compared, and only
    /// then under its name. Older ones stay until [`remove_below`](Self::remove_below).
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; the older snapshots are untouched.
    pub fn save(
        &self,
        stream: StreamId,
        index: u64,
        payload: &[u8],
    ) -> Result<Snapshot, SnapshotError> {
        let snapshot = Snapshot { stream, index };
        if payload.len() as u64 > MAX_SNAPSHOT || stream.0 as usize >= MAX_STREAMS {
            return Err(snapshot.failed("write")(io::ErrorKind::InvalidInput.into()));
        }
        let temporary = format!("{}.tmp", snapshot.file());
        self.write(&temporary, &snapshot, payload).map_err(snapshot.failed("write"))?;
        // A disk that lost the write is found out now, while the log still holds everything.
        let back = read_whole(&*self.disk, &temporary).map_err(snapshot.failed("read back"))?;
        if snapshot.check(&back)? != payload {
            return Err(snapshot.damaged("it reads back other than it was written"));
        }
        self.disk
            .rename(&temporary, &snapshot.file())
            .and_then(|()| self.disk.sync_dir())
            .map_err(snapshot.failed("name"))?;
        Ok(snapshot)
    }

    fn write(&self, temporary: &str, snapshot: &Snapshot, payload: &[u8]) -> io::Result<()> {
        match self.disk.remove(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.disk.open(temporary, true)?;
        file.write_at(0, &snapshot.header(payload))?;
        let mut at = HEADER as u64;
        for chunk in payload.chunks(MAX_CHUNK) {
            file.write_at(at, chunk)?;
            at += chunk.len() as u64;
        }
        file.sync()
    }

    /// The snapshots of a stream, newest first. They are not read.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn list(&self, stream: StreamId) -> io::Result<Vec<Snapshot>> {
        let mut found = self.list_all()?;
        found.retain(|snapshot| snapshot.stream == stream);
        Ok(found)
    }

    /// The snapshots of every stream, newest first. They are not read.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn list_all(&self) -> io::Result<Vec<Snapshot>> {
        let names = self.disk.list()?;
        let mut found: Vec<Snapshot> = names.iter().filter_map(|name| Snapshot::of(name)).collect();
        found.sort_by_key(|snapshot| (snapshot.stream, std::cmp::Reverse(snapshot.index)));
        Ok(found)
    }

    /// The newest snapshot that verifies. Damaged newer ones are passed over and reported.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn newest(&self, stream: StreamId) -> io::Result<Newest> {
        let mut newest = Newest::default();
        for snapshot in self.list(stream)? {
            match self.read(&snapshot) {
                Ok(bytes) => {
                    newest.found = Some((snapshot, bytes));
                    break;
                }
                Err(error) => newest.damaged.push(error),
            }
        }
        Ok(newest)
    }

    /// The whole of a snapshot, verified.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn read(&self, snapshot: &Snapshot) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes =
            read_whole(&*self.disk, &snapshot.file()).map_err(snapshot.failed("read"))?;
        snapshot.check(&bytes)?;
        bytes.drain(..HEADER);
        Ok(bytes)
    }

    /// The size of a snapshot's payload, in bytes.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be looked at.
    pub fn size(&self, snapshot: &Snapshot) -> io::Result<u64> {
        let file = self.disk.open(&snapshot.file(), false)?;
        Ok(file.size()?.saturating_sub(HEADER as u64))
    }

    /// A piece of a snapshot's payload: from `offset`, at most `len` and [`MAX_CHUNK`] bytes,
    /// fewer at the end, none behind it. Not verified by itself: the receiver checks the whole.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Io`].
    pub fn chunk(
        &self,
        snapshot: &Snapshot,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, SnapshotError> {
        let read = || {
            let file = self.disk.open(&snapshot.file(), false)?;
            let payload = file.size()?.saturating_sub(HEADER as u64);
            let rest = payload.saturating_sub(offset).min(MAX_CHUNK as u64) as usize;
            let mut bytes = vec![0; len.min(rest)];
            if !bytes.is_empty() {
                file.read_at(HEADER as u64 + offset, &mut bytes)?;
            }
            Ok(bytes)
        };
        read().map_err(snapshot.failed("read a piece of"))
    }

    /// Removes the snapshots of a stream below `index`, durably, and what attempts to save them
    /// have left behind.
    ///
    /// # Errors
    ///
    /// Whatever the disk says; some may then be gone and others not.
    pub fn remove_below(&self, stream: StreamId, index: u64) -> io::Result<()> {
        for name in self.disk.list()? {
            let found = Snapshot::of(name.strip_suffix(".tmp").unwrap_or(&name));
            if found.is_some_and(|found| found.stream == stream && found.index < index) {
                self.disk.remove(&name)?;
            }
        }
        self.disk.sync_dir()
    }
}
