//! A log that forgets everything when the process ends: the trivial implementation of the seam.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use protocol::{Log, Lsn};

/// Records in memory, "durable" as soon as they are pushed. Promises nothing across a crash; for
/// tests, and for demos that say so.
#[derive(Debug, Default)]
pub struct MemoryLog {
    shared: Arc<Mutex<Memory>>,
    queued: Vec<Vec<u8>>,
    reported: u64,
}

#[derive(Debug, Default)]
struct Memory {
    records: Vec<Vec<u8>>,
    /// The number of the first record that is kept.
    keep: u64,
    durable: u64,
    held: bool,
    failure: Option<io::ErrorKind>,
    waker: Option<Waker>,
}

/// The other end of a [`MemoryLog::held`]: decides when records become durable.
#[derive(Clone, Debug)]
pub struct Release(Arc<Mutex<Memory>>);

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty log whose records become durable only when [`Release`] says so.
    #[must_use]
    pub fn held() -> (Self, Release) {
        let log = Self::default();
        lock(&log.shared).held = true;
        let release = Release(log.shared.clone());
        (log, release)
    }
}

impl Release {
    /// Makes the first `lsn` records durable, as far as they were pushed, and wakes the owner.
    pub fn up_to(&self, lsn: Lsn) {
        let mut memory = lock(&self.0);
        let pushed = memory.pushed();
        memory.durable = memory.durable.max(lsn.0.min(pushed));
        memory.wake();
    }

    /// Fails the log, for ever, with an error of `kind`.
    pub fn fail(&self, kind: io::ErrorKind) {
        let mut memory = lock(&self.0);
        memory.failure.get_or_insert(kind);
        memory.wake();
    }

    /// How many records were pushed.
    #[must_use]
    pub fn pushed(&self) -> Lsn {
        Lsn(lock(&self.0).pushed())
    }

    /// The records that were pushed and not forgotten, and the number of the first.
    #[must_use]
    pub fn records(&self) -> (Lsn, Vec<Vec<u8>>) {
        let memory = lock(&self.0);
        (Lsn(memory.keep.max(1)), memory.records.clone())
    }
}

impl Memory {
    fn pushed(&self) -> u64 {
        self.keep.max(1) - 1 + self.records.len() as u64
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Log for MemoryLog {
    fn append(&mut self, record: &[u8]) {
        self.queued.push(record.to_vec());
    }

    fn push(&mut self) {
        let mut memory = lock(&self.shared);
        memory.records.append(&mut self.queued);
        if !memory.held {
            memory.durable = memory.pushed();
            memory.wake();
        }
    }

    fn poll_durable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Lsn>> {
        let mut memory = lock(&self.shared);
        if let Some(kind) = memory.failure {
            return Poll::Ready(Err(kind.into()));
        }
        if memory.durable > self.reported {
            self.reported = memory.durable;
            return Poll::Ready(Ok(Lsn(self.reported)));
        }
        memory.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn forget(&mut self, keep: Lsn) {
        let mut memory = lock(&self.shared);
        let keep = keep.0.min(memory.pushed() + 1);
        let first = memory.keep.max(1);
        if keep > first {
            memory.records.drain(..(keep - first) as usize);
            memory.keep = keep;
        }
    }
}
