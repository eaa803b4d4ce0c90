//! Logs to be damaged: what lies on their disks, and all that may be read from it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use protocol::{Log, Lsn, NodeId, Rng};

use super::crash_images::tiny;
use crate::disk::read_whole;
use crate::format::{Front, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader, segment_number};
use crate::survey::What;
use crate::{
    ClusterId, Disk, DiskFile, FileLog, Identity, Recovered, SimDisk, StreamId, Wal, init, survey,
};

/// Streams of such a log.
const STREAMS: usize = 3;

/// Kinds of logs.
pub(super) const SHAPES: u64 = 4;

/// A disk that is only read, so that hundreds of thousands of them cost little.
#[derive(Clone, Default)]
pub(super) struct Picture {
    pub(super) files: BTreeMap<String, Arc<Vec<u8>>>,
}

struct Plate(Arc<Vec<u8>>);

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::PermissionDenied.into())
}

impl Disk for Picture {
    fn place(&self) -> String {
        "a picture of a disk".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.keys().cloned().collect())
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.files.get(name).filter(|_| !create).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Plate(Arc::clone(file))))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self) -> io::Result<()> {
        refused()
    }
}

impl DiskFile for Plate {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.get(offset as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        refused()
    }
}

impl Picture {
    /// A simulated disk with the same files, all synced.
    pub(super) fn develop(&self) -> io::Result<SimDisk> {
        let disk = SimDisk::new();
        for (name, bytes) in &self.files {
            let file = disk.open(name, true)?;
            file.write_at(0, bytes)?;
            file.sync()?;
        }
        disk.sync_dir()?;
        Ok(disk)
    }
}

/// A log, undamaged, and all that is true of it.
pub(super) struct Truth {
    pub(super) picture: Picture,
    /// Every record ever written, stream by stream.
    handed: Vec<Vec<Vec<u8>>>,
    /// What comes back of the undamaged log.
    whole: Vec<Recovered>,
    /// For each stream, the position at which each record was written first.
    positions: Vec<BTreeMap<u64, u64>>,
    /// Where something stands that proves a position durable: file, bytes, position.
    proofs: Vec<(String, Range<usize>, u64)>,
}

/// What a damaged log was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Every record is there, unchanged.
    Identical,
    /// The last records are missing, and nothing that is left proves that they were durable.
    Torn,
}

impl Truth {
    /// A log of one of the [`SHAPES`]: several segments, several streams, and what its kind has
    /// besides. Everything random is drawn from `seed`.
    pub(super) fn new(shape: u64, seed: u64) -> Result<Self, String> {
        let said = |error: crate::OpenError| error.to_string();
        let mut rng = Rng::new(seed).fork(shape);
        let disk = SimDisk::new();
        init(&disk, ClusterId(7), NodeId(1), &tiny()).map_err(said)?;
        let mut handed = vec![Vec::new(); STREAMS];
        // A log that was opened again has written its tail down twice.
        let lives = if shape == 2 { 4 } else { 1 };
        for life in 0..lives {
            let (wal, logs) = open(&disk)?;
            write(&wal, logs, &mut handed, shape, life, &mut rng);
            if shape == 0 {
                wal.settle();
            }
            let files = disk.copy();
            // The quiet end of an inline log is its owner's to ask for: none here.
            drop(wal);
            if life + 1 == lives {
                return Self::of(&files, handed);
            }
        }
        Err("a log has a life at least".to_owned())
    }

    fn of(disk: &SimDisk, handed: Vec<Vec<Vec<u8>>>) -> Result<Self, String> {
        let mut picture = Picture::default();
        for name in disk.list().map_err(|e| e.to_string())? {
            let bytes = read_whole(disk, &name).map_err(|e| e.to_string())?;
            picture.files.insert(name, Arc::new(bytes));
        }
        let mut positions = vec![BTreeMap::new(); STREAMS];
        let mut proofs = Vec::new();
        survey(&picture, &mut |entry| {
            let at = entry.offset as usize;
            proofs.push((entry.file.to_owned(), at..at + RECORD_HEADER, entry.mark));
            if let What::Data { stream, lsn, .. } = entry.what {
                positions[stream.0 as usize].entry(lsn.0).or_insert(entry.position);
            }
        })
        .map_err(|e| e.to_string())?;
        for (name, bytes) in &picture.files {
            if let (Some(number), Front::Begun(header)) =
                (segment_number(name), SegmentHeader::decode(bytes))
                && header.segment == number
            {
                proofs.push((name.clone(), 0..SEGMENT_HEADER, header.first - 1));
            }
        }
        let whole = recovered(&picture)?.ok_or("the undamaged log does not open")?;
        Ok(Self { picture, handed, whole, positions, proofs })
    }

    /// The highest position that is proven durable by what the damage left as it was.
    fn proven(&self, damaged: &Picture) -> u64 {
        let left = self.proofs.iter().filter(|(name, bytes, _)| {
            let (old, now) = (&self.picture.files[name], damaged.files.get(name));
            now.is_some_and(|now| {
                Arc::ptr_eq(old, now) || now.get(bytes.clone()) == old.get(bytes.clone())
            })
        });
        left.map(|(.., position)| *position).max().unwrap_or(0)
    }

    /// Compares what came back with what was written.
    ///
    /// # Errors
    ///
    /// If something came back that was never written, or something proven durable did not.
    pub(super) fn judge(&self, damaged: &Picture, found: &[Recovered]) -> Result<Found, String> {
        if found == self.whole {
            return Ok(Found::Identical);
        }
        let proven = self.proven(damaged);
        if let Some(stranger) = found.iter().find(|it| it.stream.0 as usize >= STREAMS) {
            return Err(format!("{} came out of nothing", stranger.stream));
        }
        for whole in &self.whole {
            let (id, stream) = (whole.stream.0 as usize, whole.stream);
            let found = found.iter().find(|found| found.stream == stream);
            let (first, last) = found.map_or((1, 0), |found| (found.first.0, found.last().0));
            if first > whole.first.0 || last > whole.last().0 {
                return Err(format!("{stream} came back as {first}..={last}"));
            }
            for (lsn, record) in (first..).zip(found.iter().flat_map(|found| &found.records)) {
                if self.handed[id].get(lsn as usize - 1) != Some(record) {
                    return Err(format!("{stream}: record {lsn} came back changed"));
                }
            }
            for lsn in last + 1..=whole.last().0 {
                let position = self.positions[id].get(&lsn).copied().unwrap_or(0);
                if position <= proven {
                    return Err(format!(
                        "{stream}: record {lsn}, position {position}, was proven durable (up to \
                         {proven}) and is gone without a word"
                    ));
                }
            }
        }
        Ok(Found::Torn)
    }
}

fn open(disk: &SimDisk) -> Result<(Wal, Vec<FileLog>), String> {
    let (wal, _) = super::crash_images::open(disk)?;
    let logs = (0..STREAMS as u32).map(|id| wal.stream(StreamId(id))).collect();
    Ok((wal, logs))
}

/// One life of a log.
fn write(
    wal: &Wal,
    mut logs: Vec<FileLog>,
    handed: &mut [Vec<Vec<u8>>],
    shape: u64,
    life: u64,
    rng: &mut Rng,
) {
    // Stream 2 falls silent after its first records, so that they are copied forward.
    let rounds = [30, 120, 16, 24][shape as usize];
    for round in 0..rounds {
        for (id, log) in logs.iter_mut().enumerate() {
            if id == 2 && (round > 2 || life > 0) || rng.chance(300) {
                continue;
            }
            let size = match shape {
                3 if rng.chance(150) => 4000 + rng.below(3000),
                _ => 8 + rng.below(500),
            };
            let number = handed[id].len() as u64 + 1;
            let mut record = vec![number as u8; size as usize];
            record[..8].copy_from_slice(&(number << 8 | id as u64).to_le_bytes());
            log.append(&record);
            handed[id].push(record);
        }
        for (log, handed) in logs.iter_mut().zip(handed.iter()) {
            log.push();
            // Of two kinds, so that segments come back into use with old bytes in them.
            if shape % 2 == 1 && !handed.is_empty() && rng.chance(400) {
                log.forget(Lsn((handed.len() as u64).saturating_sub(5).max(1)));
            }
        }
        if shape == 0 && round % 9 == 8 {
            wal.rotate();
        }
    }
    // A last batch that no mark covers.
    let record = vec![0xEE; 100];
    handed[0].push(record.clone());
    logs[0].append(&record);
    logs[0].push();
}

/// What a log would give back; `None` if it refuses to.
pub(super) fn recovered(picture: &Picture) -> Result<Option<Vec<Recovered>>, String> {
    let Ok(identity) = Identity::peek(picture) else { return Ok(None) };
    if (identity.cluster, identity.node) != (ClusterId(7), NodeId(1)) {
        return Err("the identity changed and nobody noticed".to_owned());
    }
    Ok(crate::scan::Scan::read(picture, &identity).ok().map(|scan| scan.recovered()))
}
