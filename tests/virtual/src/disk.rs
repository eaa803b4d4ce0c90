//! A disk that takes its time.
//!
//! The log's writer has no thread here and may not wait, so it sees each change at once, as in a
//! page cache that is ahead of its device. The device follows in the same order: a write counts
//! when it was issued, a sync only after it took its time, and what was issued behind a sync that
//! is not over has not been issued yet. When the power goes, the device is where it is, and what
//! was not synced there is old, new or half of each, sector by sector.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use protocol::Rng;
use wal::{DiskFile, SimDisk};

use crate::story::{Story, now};

/// How long a sync takes on most disks.
const SYNC: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));
/// How long it takes on a slow one.
const SLOW_SYNC: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(40));
/// In so many of a thousand cases a disk is slow.
const SLOW: u64 = 250;

/// One host's disk. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

struct Inner {
    host: String,
    story: Story,
    rng: Rng,
    /// How long a sync takes.
    pace: (Duration, Duration),
    /// What the host sees.
    seen: SimDisk,
    /// Where the device is.
    device: SimDisk,
    /// The open files, as the device knows them.
    files: BTreeMap<u64, Arc<dyn DiskFile>>,
    next_file: u64,
    /// What the device has not done yet, and when each will be.
    ahead: VecDeque<(Duration, Change)>,
    /// When the last of it will be.
    due: Duration,
    /// Nothing takes time.
    prompt: bool,
    /// Handles of an earlier one fail.
    life: u64,
    /// Power cuts that found a sync under way.
    cut_syncs: u64,
}

enum Change {
    Open { file: u64, name: String, create: bool },
    Write { file: u64, offset: u64, data: Box<[u8]> },
    Sync { file: u64 },
    Close { file: u64 },
    Rename { from: String, to: String },
    Remove { name: String },
    SyncDir,
}

struct Handle {
    disk: Disk,
    name: String,
    seen: Arc<dyn DiskFile>,
    file: u64,
    life: u64,
}

impl Disk {
    /// An empty disk of `host`.
    pub(crate) fn new(host: &str, story: &Story, mut rng: Rng) -> Self {
        let pace = if rng.chance(SLOW) { SLOW_SYNC } else { SYNC };
        Self(Arc::new(Mutex::new(Inner {
            host: host.to_owned(),
            story: story.clone(),
            rng,
            pace,
            seen: SimDisk::new(),
            device: SimDisk::new(),
            files: BTreeMap::new(),
            next_file: 0,
            ahead: VecDeque::new(),
            due: Duration::ZERO,
            prompt: false,
            life: 0,
            cut_syncs: 0,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When everything asked for so far will be done.
    pub(crate) fn due(&self) -> Duration {
        self.inner().due
    }

    /// Waits until everything asked for so far is done.
    pub(crate) fn settled(&self) -> BoxFuture<'static, ()> {
        let due = self.due();
        Box::pin(async move {
            // The clock may tick while a timer is on its way.
            while now() < due {
                tokio::time::sleep(due.saturating_sub(now())).await;
            }
        })
    }

    /// From `at` on, nothing is done for so long.
    pub(crate) fn stall(&self, at: Duration, pause: Duration) {
        let mut inner = self.inner();
        inner.due = inner.due.max(at) + pause;
    }

    /// The power goes at `at`.
    pub(crate) fn cut(&self, at: Duration) {
        let mut inner = self.inner();
        inner.follow(at);
        inner.cut_syncs += u64::from(matches!(inner.ahead.front(), Some((_, Change::Sync { .. }))));
        let fate = inner.rng.next_u64();
        inner.device.crash(fate);
        inner.seen = inner.device.copy();
        inner.ahead.clear();
        inner.files.clear();
        inner.due = at;
        inner.life += 1;
    }

    /// Power cuts that found a sync under way.
    pub(crate) fn cut_syncs(&self) -> u64 {
        self.inner().cut_syncs
    }

    /// From now on everything is done at once, whoever asks.
    pub(crate) fn hurry(&self) {
        self.inner().prompt = true;
    }

    /// From now on this disk is as fast as `leak` says.
    pub(crate) fn disturb(&self, leak: u64) {
        let mut inner = self.inner();
        inner.rng = inner.rng.fork(leak);
    }
}

impl Inner {
    /// The device does what it will have done at `at`.
    fn follow(&mut self, at: Duration) {
        while self.ahead.front().is_some_and(|(done, _)| *done <= at) {
            let Some((_, change)) = self.ahead.pop_front() else { return };
            // The host saw it succeed.
            self.apply(change).expect("the device does what the host saw");
        }
    }

    fn apply(&mut self, change: Change) -> io::Result<()> {
        match change {
            Change::Open { file, name, create } => {
                let opened = wal::Disk::open(&self.device, &name, create)?;
                self.files.insert(file, opened);
            }
            Change::Write { file, offset, data } => self.files[&file].write_at(offset, &data)?,
            Change::Sync { file } => self.files[&file].sync()?,
            Change::Close { file } => drop(self.files.remove(&file)),
            Change::Rename { from, to } => wal::Disk::rename(&self.device, &from, &to)?,
            Change::Remove { name } => wal::Disk::remove(&self.device, &name)?,
            Change::SyncDir => wal::Disk::sync_dir(&self.device)?,
        }
        Ok(())
    }

    /// The host asks for a change that it has seen happen.
    fn ask(&mut self, change: Change) {
        if self.prompt {
            self.follow(self.due);
            return self.apply(change).expect("the device does what the host saw");
        }
        let at = now();
        self.follow(at);
        let took = match change {
            Change::Sync { .. } | Change::SyncDir => self.rng.between(self.pace.0, self.pace.1),
            _ => Duration::ZERO,
        };
        self.due = self.due.max(at) + took;
        self.ahead.push_back((self.due, change));
    }

    fn tell(&self, what: std::fmt::Arguments<'_>, bytes: &[u8]) {
        self.story.tell(now(), format_args!("{} disk {what}", self.host), bytes);
    }
}

impl wal::Disk for Disk {
    fn place(&self) -> String {
        format!("the disk of {}", self.inner().host)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        wal::Disk::list(&self.inner().seen)
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner();
        let seen = wal::Disk::open(&inner.seen, name, create)?;
        inner.next_file += 1;
        let (file, life) = (inner.next_file, inner.life);
        inner.tell(format_args!("{} {name}", if create { "creates" } else { "opens" }), &[]);
        inner.ask(Change::Open { file, name: name.to_owned(), create });
        drop(inner);
        Ok(Arc::new(Handle { disk: self.clone(), name: name.to_owned(), seen, file, life }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        wal::Disk::rename(&inner.seen, from, to)?;
        inner.tell(format_args!("renames {from} to {to}"), &[]);
        inner.ask(Change::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        wal::Disk::remove(&inner.seen, name)?;
        inner.tell(format_args!("removes {name}"), &[]);
        inner.ask(Change::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut inner = self.inner();
        wal::Disk::sync_dir(&inner.seen)?;
        inner.ask(Change::SyncDir);
        inner.tell(format_args!("syncs its names by {:?}", inner.due), &[]);
        Ok(())
    }
}

impl Handle {
    /// The disk, if this handle is of its present life.
    fn disk(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let inner = self.disk.inner();
        if inner.life == self.life {
            return Ok(inner);
        }
        Err(io::Error::other("this file was opened before the power went"))
    }
}

impl DiskFile for Handle {
    fn size(&self) -> io::Result<u64> {
        drop(self.disk()?);
        self.seen.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        drop(self.disk()?);
        self.seen.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.disk()?;
        self.seen.write_at(offset, data)?;
        let (name, len) = (&self.name, data.len());
        inner.tell(format_args!("writes {len} bytes at {offset} of {name}"), data);
        inner.ask(Change::Write { file: self.file, offset, data: data.into() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk()?;
        self.seen.sync()?;
        inner.ask(Change::Sync { file: self.file });
        inner.tell(format_args!("syncs {} by {:?}", self.name, inner.due), &[]);
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Ok(mut inner) = self.disk() {
            inner.ask(Change::Close { file: self.file });
        }
    }
}
