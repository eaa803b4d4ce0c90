//! A disk in memory that fails on request, and loses what was not synced when it crashes.
//!
//! It is as unkind as a real one may be: after a crash each unsynced sector is old, new or half of
//! each, whatever its neighbours are; each unsynced name change happened or did not; and a sync
//! that failed once leaves pages that look written and are not.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::Rng;

use crate::{Disk, DiskFile};

mod images;
mod state;

pub use images::Trace;
pub use state::SECTOR;
use state::{Op, State};

/// A kind of disk call, for faults that hit only that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Listing the names.
    List,
    /// Opening a file that is there.
    Open,
    /// Creating a file.
    Create,
    /// Reading bytes, or a length.
    Read,
    /// Writing bytes.
    Write,
    /// Syncing a file.
    Sync,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Syncing the directory.
    SyncDir,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The device fails (EIO). A sync that fails so marks its pages clean.
    Eio,
    /// No space is left (ENOSPC).
    Enospc,
    /// Half of the bytes are written, then an error. For other calls the same as `Eio`.
    Short,
}

/// One planned failure.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The kind of call it hits; `None` counts all calls.
    pub call: Option<Call>,
    /// How many such calls from now on still succeed before it.
    pub after: u64,
    /// What goes wrong.
    pub trouble: Trouble,
    /// Whether every later call of the kind fails as well.
    pub forever: bool,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    trace: Option<Trace>,
    faults: Vec<Fault>,
    quota: Option<u64>,
    calls: u64,
    /// Whether a planned failure has hit a call.
    met: bool,
    life: u64,
}

/// A simulated disk. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<Inner>>);

struct SimFile {
    disk: SimDisk,
    inode: u64,
    life: u64,
}

impl SimDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn of(state: State) -> Self {
        Self(Arc::new(Mutex::new(Inner { state, ..Inner::default() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes: what was not synced survives or not, as `seed` decides. Handles opened
    /// before fail from now on; planned faults and the recording end.
    pub fn crash(&self, seed: u64) {
        let image = self.image(seed);
        let mut inner = self.inner();
        let state = std::mem::take(&mut image.inner().state);
        *inner = Inner { state, quota: inner.quota, life: inner.life + 1, ..Inner::default() };
    }

    /// The disk that a power cut now would leave, as `seed` decides; this one goes on.
    #[must_use]
    pub fn image(&self, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let even = rng.chance(300);
        let survivors = 1000 * rng.below(2);
        let image = self.inner().state.image(&mut |n| match even {
            // Now and then the extremes: everything is lost, or everything is there.
            true if survivors == 0 => 0,
            true => n.saturating_sub(if n > 2 { 3 } else { 1 }),
            false => rng.below(n as u64) as usize,
        });
        Self::of(image)
    }

    /// Visits at most `bound` of the disks that a power cut now may leave.
    pub fn images(&self, bound: usize, seed: u64, mut visit: impl FnMut(&Self) -> bool) {
        let state = self.inner().state.clone();
        images::images(&state, bound, &mut Rng::new(seed), &mut |image| visit(&Self::of(image)));
    }

    /// Records every change from now on.
    pub fn start_trace(&self) {
        let mut inner = self.inner();
        inner.trace = Some(Trace { base: inner.state.clone(), ops: Vec::new() });
    }

    /// How many changes the recording holds.
    #[must_use]
    pub fn trace_len(&self) -> usize {
        self.inner().trace.as_ref().map_or(0, Trace::len)
    }

    /// Ends the recording and returns it; nothing if none was started.
    #[must_use]
    pub fn take_trace(&self) -> Option<Trace> {
        self.inner().trace.take()
    }

    /// Plans a failure.
    pub fn fail(&self, fault: Fault) {
        self.inner().faults.push(fault);
    }

    /// Forgets all planned failures.
    pub fn heal(&self) {
        self.inner().faults.clear();
    }

    /// Whether a planned failure has hit a call since the last crash.
    #[must_use]
    pub fn met(&self) -> bool {
        self.inner().met
    }

    /// How many calls this disk has had since its last crash.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inner().calls
    }

    /// Limits the bytes of all files together; a write beyond fails for lack of space.
    pub fn set_quota(&self, bytes: Option<u64>) {
        self.inner().quota = bytes;
    }

    /// Rot: inverts the bits of `mask` in one byte, for good.
    ///
    /// # Panics
    ///
    /// If there is no such byte.
    pub fn flip(&self, name: &str, offset: u64, mask: u8) {
        let mut inner = self.inner();
        let inode = *inner.state.names.get(name).expect("rot needs a file that exists");
        let file = inner.state.inode(inode);
        let at = usize::try_from(offset).expect("an offset inside the file");
        file.seen[at] ^= mask;
        if let Some(byte) = file.safe.get_mut(at) {
            *byte ^= mask;
        }
    }

    /// A second disk with the same files, all synced, and no faults.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut state = self.inner().state.clone();
        let inodes: Vec<u64> = state.inodes.keys().copied().collect();
        inodes.into_iter().for_each(|inode| state.apply(&Op::Sync { inode }));
        state.apply(&Op::SyncDir);
        Self::of(state)
    }
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn enospc() -> io::Error {
    io::Error::from_raw_os_error(28)
}

impl Inner {
    /// Counts the call and says what goes wrong with it, if anything.
    fn trouble(&mut self, call: Call) -> Option<Trouble> {
        self.calls += 1;
        let mut hit = None;
        self.faults.retain_mut(|fault| {
            if fault.call.is_some_and(|only| only != call) {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            hit = Some(fault.trouble);
            fault.forever
        });
        self.met |= hit.is_some();
        hit
    }

    fn check(&mut self, call: Call) -> io::Result<()> {
        match self.trouble(call) {
            None => Ok(()),
            Some(Trouble::Enospc) => Err(enospc()),
            Some(_) => Err(eio()),
        }
    }

    fn apply(&mut self, op: Op) {
        self.state.apply(&op);
        if let Some(trace) = &mut self.trace {
            trace.ops.push(op);
        }
    }

    fn named(&self, name: &str) -> io::Result<u64> {
        self.state.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for SimDisk {
    fn place(&self) -> String {
        "the simulated disk".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut inner = self.inner();
        inner.check(Call::List)?;
        Ok(inner.state.names.keys().cloned().collect())
    }

    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner();
        inner.check(if create { Call::Create } else { Call::Open })?;
        if create {
            if inner.state.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            inner.apply(Op::Create { name: name.to_owned() });
        }
        let (inode, life) = (inner.named(name)?, inner.life);
        Ok(Arc::new(SimFile { disk: self.clone(), inode, life }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.check(Call::Rename)?;
        inner.named(from)?;
        inner.apply(Op::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.check(Call::Remove)?;
        inner.named(name)?;
        inner.apply(Op::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.check(Call::SyncDir)?;
        inner.apply(Op::SyncDir);
        Ok(())
    }
}

impl SimFile {
    fn inner(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let inner = self.disk.inner();
        if inner.life == self.life {
            return Ok(inner);
        }
        Err(io::Error::other("this file was opened before the simulated power cut"))
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut inner = self.inner()?;
        inner.check(Call::Read)?;
        Ok(inner.state.inode(self.inode).seen.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut inner = self.inner()?;
        inner.check(Call::Read)?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let seen = &inner.state.inode(self.inode).seen;
        let bytes = seen.get(at..at + into.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let (kept, error) = match inner.trouble(Call::Write) {
            None => (data.len(), None),
            Some(Trouble::Eio) => (0, Some(eio())),
            Some(Trouble::Enospc) => (0, Some(enospc())),
            Some(Trouble::Short) => (data.len() / 2, Some(io::ErrorKind::WriteZero.into())),
        };
        let size = inner.state.inode(self.inode).seen.len();
        let growth = (offset + data.len()).saturating_sub(size) as u64;
        if growth > 0 && inner.quota.is_some_and(|quota| inner.state.used() + growth > quota) {
            return Err(enospc());
        }
        inner.apply(Op::Write { inode: self.inode, offset, data: data[..kept].into() });
        error.map_or(Ok(()), Err)
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.inner()?;
        let checked = inner.check(Call::Sync);
        let inode = self.inode;
        inner.apply(if checked.is_ok() { Op::Sync { inode } } else { Op::FailedSync { inode } });
        checked
    }
}
