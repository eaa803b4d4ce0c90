//! What a simulated disk holds, and what may be left of it after a power cut.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that reach the platter together, or half of them, or not at all.
pub const SECTOR: usize = 512;

/// How many unsynced versions of one sector are remembered; older ones never survive.
const MAX_VERSIONS: usize = 2;

/// A change to the disk. A trace is a row of these.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Create { name: String },
    Write { inode: u64, offset: usize, data: Arc<[u8]> },
    Sync { inode: u64 },
    FailedSync { inode: u64 },
    Rename { from: String, to: String },
    Remove { name: String },
    SyncDir,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sectors {
    versions: Vec<Vec<u8>>,
    /// False after a failed sync: the system believes the page clean and never writes it again.
    dirty: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What reads show.
    pub(super) seen: Vec<u8>,
    /// What is certainly on the platter; a whole number of sectors.
    pub(super) safe: Vec<u8>,
    safe_len: usize,
    pending: BTreeMap<usize, Sectors>,
}

#[derive(Clone, Debug)]
enum NameOp {
    Bind { name: String, inode: u64 },
    Rename { from: String, to: String, inode: u64 },
    Remove { name: String },
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<String, u64>,
    safe_names: BTreeMap<String, u64>,
    pending_names: Vec<NameOp>,
    next_inode: u64,
}

impl Inode {
    fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(data);
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let start = sector * SECTOR;
            let stop = (start + SECTOR).min(self.seen.len());
            let mut bytes = self.seen[start..stop].to_vec();
            bytes.resize(SECTOR, 0);
            let pending = self.pending.entry(sector).or_default();
            if pending.versions.len() == MAX_VERSIONS {
                pending.versions.remove(0);
            }
            pending.versions.push(bytes);
            pending.dirty = true;
        }
    }

    fn sync(&mut self) {
        self.safe_len = self.seen.len();
        self.safe.resize(self.safe_len.div_ceil(SECTOR) * SECTOR, 0);
        let safe = &mut self.safe;
        self.pending.retain(|sector, pending| {
            if pending.dirty {
                let last = pending.versions.last().expect("a pending sector has a version");
                safe[sector * SECTOR..][..SECTOR].copy_from_slice(last);
            }
            !pending.dirty
        });
    }

    /// What is left of this file. `choose(n)` picks one of `n` fates; 0 is always the old one.
    fn image(&self, choose: &mut dyn FnMut(usize) -> usize) -> Self {
        let grows = self.safe_len != self.seen.len();
        let len = if grows && choose(2) == 1 { self.seen.len() } else { self.safe_len };
        let mut bytes = self.safe.clone();
        bytes.resize(len.div_ceil(SECTOR) * SECTOR, 0);
        for (sector, pending) in &self.pending {
            let start = sector * SECTOR;
            if start >= len {
                break;
            }
            let versions = pending.versions.len();
            let old = &mut bytes[start..start + SECTOR];
            let last = &pending.versions[versions - 1];
            match choose(versions + 3) {
                0 => {}
                n if n <= versions => old.copy_from_slice(&pending.versions[n - 1]),
                n if n == versions + 1 => {
                    old[..SECTOR / 2].copy_from_slice(&last[..SECTOR / 2]);
                }
                _ => old[SECTOR / 2..].copy_from_slice(&last[SECTOR / 2..]),
            }
        }
        Self { seen: bytes[..len].to_vec(), safe: bytes, safe_len: len, pending: BTreeMap::new() }
    }
}

impl State {
    /// Makes the change. The caller has checked that names exist.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { name } => {
                self.next_inode += 1;
                let inode = self.next_inode;
                self.inodes.insert(inode, Inode::default());
                self.names.insert(name.clone(), inode);
                self.pending_names.push(NameOp::Bind { name: name.clone(), inode });
            }
            Op::Write { inode, offset, data } => self.inode(*inode).write(*offset, data),
            Op::Sync { inode } => self.inode(*inode).sync(),
            Op::FailedSync { inode } => {
                self.inode(*inode).pending.values_mut().for_each(|p| p.dirty = false);
            }
            Op::Rename { from, to } => {
                let inode = self.names.remove(from).expect("checked before");
                self.names.insert(to.clone(), inode);
                let (from, to) = (from.clone(), to.clone());
                self.pending_names.push(NameOp::Rename { from, to, inode });
            }
            Op::Remove { name } => {
                self.names.remove(name);
                self.pending_names.push(NameOp::Remove { name: name.clone() });
            }
            Op::SyncDir => {
                self.pending_names.clear();
                self.safe_names = self.names.clone();
                // A file without a name may still be open, so inodes are kept until a crash.
            }
        }
    }

    pub(super) fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.get_mut(&inode).expect("inodes live until a crash")
    }

    /// One thing a power cut may leave behind; `choose(n)` picks one of `n` fates at each fork.
    pub(super) fn image(&self, choose: &mut dyn FnMut(usize) -> usize) -> Self {
        let mut names = self.safe_names.clone();
        for op in &self.pending_names {
            if choose(2) == 0 {
                continue;
            }
            match op {
                NameOp::Bind { name, inode } => {
                    names.insert(name.clone(), *inode);
                }
                NameOp::Rename { from, to, inode } => {
                    if names.get(from) == Some(inode) {
                        names.remove(from);
                    }
                    names.insert(to.clone(), *inode);
                }
                NameOp::Remove { name } => {
                    names.remove(name);
                }
            }
        }
        let mut inodes = BTreeMap::new();
        for inode in names.values() {
            if let (false, Some(old)) = (inodes.contains_key(inode), self.inodes.get(inode)) {
                inodes.insert(*inode, old.image(choose));
            }
        }
        Self {
            inodes,
            safe_names: names.clone(),
            names,
            pending_names: Vec::new(),
            next_inode: self.next_inode,
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.names.values().filter_map(|i| self.inodes.get(i)).map(|i| i.seen.len() as u64).sum()
    }
}
