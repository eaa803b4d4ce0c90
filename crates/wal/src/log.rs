//! The log's door: [`Wal`] opens it, [`FileLog`] is one stream of it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use protocol::{Lsn, NodeId};

use crate::config::{MAX_BATCH, MAX_QUEUE, QUIET_MS};
use crate::format::MAX_STREAMS;
use crate::stats::{Counters, Stats};
use crate::writer::Writer;
use crate::{ClusterId, Config, Disk, Identity, OpenError, RealDisk, StreamId, recover};

mod file;

pub use file::FileLog;

/// A recycled buffer longer than this is let go, in bytes.
const KEEP_BUFFER: usize = 1 << 20;

/// The log of one node, shared by all its streams. The writer lives until this and every
/// [`FileLog`] are dropped; the last one to go waits until all that was pushed is written.
pub struct Wal {
    inner: Arc<Inner>,
}

/// What one stream had kept when the log was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The stream.
    pub stream: StreamId,
    /// The number of the first record; everything below was forgotten.
    pub first: Lsn,
    /// The records from `first` on, without a gap.
    pub records: Vec<Vec<u8>>,
}

impl Recovered {
    /// The number of the last record the stream ever held, forgotten or not: what a
    /// [`Desk`](protocol::Desk) is told was saved.
    #[must_use]
    pub fn last(&self) -> Lsn {
        Lsn(self.first.0 + self.records.len() as u64 - 1)
    }
}

impl Wal {
    /// Opens the log on `disk`, which belongs to `identity`, and returns it with what every
    /// stream had kept. Nothing is written before everything has been read and judged.
    ///
    /// # Errors
    ///
    /// [`OpenError::Corrupt`] names what is spoilt; the others say what to do.
    pub fn open(
        disk: Arc<dyn Disk>,
        identity: &Identity,
        config: Config,
    ) -> Result<(Self, Vec<Recovered>), OpenError> {
        let (writer, recovered) = recover::open(&disk, identity, &config)?;
        let shared = writer.shared.clone();
        let hand = if config.inline {
            Hand::Inline(Box::new(Mutex::new(writer)))
        } else {
            let (orders, queue) = bounded(MAX_QUEUE);
            let thread = thread::Builder::new()
                .name("wal-writer".to_owned())
                .spawn(move || run(writer, &queue))
                .map_err(OpenError::io(&disk.place(), "start the writer's thread"))?;
            Hand::Thread(Some((orders, thread)))
        };
        Ok((Self { inner: Arc::new(Inner { shared, hand }) }, recovered))
    }

    /// Locks `dir`, checks whose it is, raises its incarnation and opens its log.
    ///
    /// # Errors
    ///
    /// Those of [`RealDisk::open`], [`Identity::open`] and [`open`](Self::open).
    pub fn open_dir(
        dir: &Path,
        cluster: ClusterId,
        node: NodeId,
        config: Config,
    ) -> Result<(Self, Vec<Recovered>), OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir)?);
        let identity = Identity::open(&*disk, cluster, node)?;
        Self::open(disk, &identity, config)
    }

    /// The handle of one stream. Its count goes on where [`Recovered::last`] ends; a stream that
    /// was not recovered begins with record 1.
    ///
    /// # Panics
    ///
    /// If the id is not below [`MAX_STREAMS`], or the stream has a handle already: two owners of
    /// one count are a bug.
    #[must_use]
    pub fn stream(&self, id: StreamId) -> FileLog {
        assert!((id.0 as usize) < MAX_STREAMS, "{id} is beyond the {MAX_STREAMS} of one log");
        let slot = &self.inner.shared.slots[id.0 as usize];
        assert!(!slot.taken.swap(true, Ordering::AcqRel), "{id} has an owner already");
        FileLog {
            reported: slot.durable.load(Ordering::Acquire),
            inner: self.inner.clone(),
            stream: id.0,
            frames: Vec::new(),
            pushed: 0,
            keep: 0,
            refused: None,
        }
    }

    /// What the log has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.inner.shared;
        let live = (0u32..).zip(&shared.slots).filter_map(|(id, slot)| {
            let (bytes, durable) = (&slot.live_bytes, &slot.durable);
            let used = durable.load(Ordering::Acquire) > 0;
            used.then(|| (StreamId(id), bytes.load(Ordering::Relaxed)))
        });
        shared.counters.read(live.collect())
    }

    /// Begins a new segment although the current one is not full. For tests and tools.
    pub fn rotate(&self) {
        self.inner.hand(Order::Rotate);
    }

    /// Writes the durable mark now, and what streams have forgotten, instead of after
    /// [`QUIET_MS`] of quiet. An inline log has no timer, so its owner calls this.
    pub fn settle(&self) {
        self.inner.hand(Order::Settle);
    }
}

/// What a stream, or the log's owner, wants of the writer.
pub(crate) enum Order {
    /// Frames with empty headers, payload lengths filled in.
    Append {
        stream: u32,
        frames: Vec<u8>,
    },
    Forget {
        stream: u32,
        keep: u64,
    },
    Rotate,
    Settle,
}

impl Order {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { frames, .. } => frames.len(),
            _ => 0,
        }
    }
}

/// What writer and streams share.
pub(crate) struct Shared {
    pub(crate) slots: Vec<Slot>,
    pub(crate) counters: Counters,
    failure: OnceLock<(io::ErrorKind, String)>,
}

/// One stream's mailbox.
#[derive(Default)]
pub(crate) struct Slot {
    /// How many of the stream's records are durable.
    pub(crate) durable: AtomicU64,
    live_bytes: AtomicU64,
    waker: Mutex<Option<Waker>>,
    /// An empty buffer on its way back to the stream, so that pushing allocates nothing.
    spare: Mutex<Vec<u8>>,
    /// The stream found the queue full.
    stalled: AtomicBool,
    taken: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        let slots = (0..MAX_STREAMS).map(|_| Slot::default()).collect();
        Self { slots, counters: Counters::default(), failure: OnceLock::new() }
    }
}

impl Slot {
    pub(crate) fn wake(&self) {
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }
}

impl Shared {
    /// The log has failed, for ever. Tells everybody.
    pub(crate) fn poison(&self, error: &io::Error) {
        // Only the first failure is the reason; what follows is its consequence.
        let _ = self.failure.set((error.kind(), format!("the log has failed: {error}")));
        self.slots.iter().for_each(Slot::wake);
    }

    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.failure.get().map(|(kind, text)| io::Error::new(*kind, text.clone()))
    }

    pub(crate) fn live(&self, stream: u32, bytes: u64) {
        self.slots[stream as usize].live_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self, stream: u32, mut frames: Vec<u8>) {
        if frames.capacity() <= KEEP_BUFFER {
            frames.clear();
            *lock(&self.slots[stream as usize].spare) = frames;
        }
    }

    pub(crate) fn wake_stalled(&self) {
        for slot in &self.slots {
            if slot.stalled.load(Ordering::Relaxed) && slot.stalled.swap(false, Ordering::AcqRel) {
                slot.wake();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes guard is whole at every moment, even if a holder panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Inner {
    shared: Arc<Shared>,
    hand: Hand,
}

enum Hand {
    Thread(Option<(Sender<Order>, JoinHandle<()>)>),
    Inline(Box<Mutex<Writer>>),
}

impl Inner {
    /// Gives an order and waits for room in the queue if it must.
    fn hand(&self, order: Order) {
        match &self.hand {
            // A writer that is gone has left its reason in `failure`.
            Hand::Thread(Some((orders, _))) => drop(orders.send(order)),
            Hand::Thread(None) => {}
            Hand::Inline(_) => drop(self.try_hand(order)),
        }
    }

    /// Gives an order, or returns it when the queue is full.
    fn try_hand(&self, order: Order) -> Result<(), Order> {
        match &self.hand {
            Hand::Thread(Some((orders, _))) => match orders.try_send(order) {
                Err(TrySendError::Full(order)) => Err(order),
                _ => Ok(()),
            },
            Hand::Thread(None) => Ok(()),
            Hand::Inline(writer) => {
                if self.shared.failure.get().is_none() {
                    lock(writer).turn(&mut vec![order]);
                }
                Ok(())
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        match &mut self.hand {
            Hand::Thread(thread) => {
                if let Some((orders, thread)) = thread.take() {
                    drop(orders);
                    // A panic there has poisoned the log and shown its own message.
                    let _ = thread.join();
                }
            }
            Hand::Inline(_) => {}
        }
    }
}

/// Poisons the log if the writer's thread ends by a panic.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.poison(&io::Error::other("the writer panicked"));
        }
    }
}

/// The writer's thread: block, take everything that waits, write it, sync once.
fn run(mut writer: Writer, queue: &Receiver<Order>) {
    let _alarm = Alarm(writer.shared.clone());
    let mut batch = Vec::new();
    loop {
        let first = if writer.unsettled() {
            match queue.recv_timeout(Duration::from_millis(QUIET_MS)) {
                Ok(order) => order,
                Err(RecvTimeoutError::Timeout) if writer.settle() => continue,
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        } else {
            let Ok(order) = queue.recv() else { break };
            order
        };
        let mut bytes = first.bytes();
        batch.push(first);
        while bytes < MAX_BATCH
            && let Ok(order) = queue.try_recv()
        {
            bytes += order.bytes();
            batch.push(order);
        }
        if !writer.turn(&mut batch) {
            return;
        }
    }
    // A clean end leaves a mark, so that the next opening finds nothing in doubt.
    writer.settle();
}
