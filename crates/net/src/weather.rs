//! The weather between nodes: which way bytes get through, how late, and which connections break.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::sync::watch;

use crate::{Addr, Connection, Faulty, Network};

/// Connections kept whose end cannot be told to the other side because of a cut. More than that
/// are closed at once.
const LIMBO: usize = 1024;

/// A handle on the weather between any number of nodes, each known by a label. Clones are the same
/// weather. It begins fine.
#[derive(Clone)]
pub struct Weather {
    sky: Arc<Mutex<Sky>>,
    changes: watch::Sender<u64>,
}

struct Sky {
    links: BTreeMap<(String, String), Arc<Link>>,
    homes: BTreeMap<Addr, String>,
    cuts: BTreeSet<(String, String)>,
    isolated: BTreeSet<String>,
    /// Dropped while cut off: the other side must not hear of it before the cut is healed.
    limbo: Vec<(Arc<Link>, Connection)>,
}

/// One direction between two nodes.
#[derive(Default)]
pub(crate) struct Link {
    cut: AtomicBool,
    /// In nanoseconds.
    delay: AtomicU64,
    resets: AtomicU64,
    ears: Mutex<Vec<Weak<Ears>>>,
}

/// The two ends of a stream that may be waiting for better weather.
#[derive(Default)]
pub(crate) struct Ears {
    pub(crate) reader: AtomicWaker,
    pub(crate) writer: AtomicWaker,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Held for a few instructions that do not panic; were it otherwise, the state is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Weather {
    fn default() -> Self {
        Self::new()
    }
}

impl Weather {
    /// Fine weather.
    #[must_use]
    pub fn new() -> Self {
        let sky = Sky {
            links: BTreeMap::new(),
            homes: BTreeMap::new(),
            cuts: BTreeSet::new(),
            isolated: BTreeSet::new(),
            limbo: Vec::new(),
        };
        Self { sky: Arc::new(Mutex::new(sky)), changes: watch::Sender::new(0) }
    }

    /// `network` as the node called `label` sees it in this weather.
    #[must_use]
    pub fn over(&self, network: Arc<dyn Network>, label: &str) -> Faulty {
        Faulty::new(network, label, self.clone())
    }

    /// Nothing gets from `from` to `to` any more, nor does a new connection between them; existing
    /// connections hang. The other direction is not touched.
    pub fn cut(&self, from: &str, to: &str) {
        self.change(|sky| sky.cuts.insert((from.into(), to.into())));
    }

    /// Bytes get from `from` to `to` again, those included that were waiting.
    pub fn heal(&self, from: &str, to: &str) {
        self.change(|sky| sky.cuts.remove(&(from.into(), to.into())));
    }

    /// Cuts `label` off from everybody, both ways.
    pub fn isolate(&self, label: &str) {
        self.change(|sky| sky.isolated.insert(label.into()));
    }

    /// Ends [`isolate`](Self::isolate).
    pub fn rejoin(&self, label: &str) {
        self.change(|sky| sky.isolated.remove(label));
    }

    /// Ends every cut, isolation and delay.
    pub fn clear(&self) {
        self.change(|sky| {
            sky.cuts.clear();
            sky.isolated.clear();
            for link in sky.links.values() {
                link.delay.store(0, Ordering::Release);
            }
        });
    }

    /// Bytes from `from` to `to` take this much longer from now on, without overtaking.
    pub fn delay(&self, from: &str, to: &str, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.change(|sky| sky.link(from, to).delay.store(nanos, Ordering::Release));
    }

    /// Breaks every connection between the two. New ones are not affected.
    pub fn reset(&self, one: &str, other: &str) {
        self.change(|sky| {
            for link in [sky.link(one, other), sky.link(other, one)] {
                link.resets.fetch_add(1, Ordering::AcqRel);
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Sky) -> T) {
        let mut sky = lock(&self.sky);
        change(&mut sky);
        let released = sky.settle();
        drop(sky);
        // Outside the lock: closing a stream may come back to us.
        drop(released);
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn lives_at(&self, label: &str, addr: Addr) {
        lock(&self.sky).homes.insert(addr, label.into());
    }

    /// The two directions between `label` and whoever lives at `addr`.
    pub(crate) fn links(&self, label: &str, addr: &Addr) -> (Arc<Link>, Arc<Link>) {
        let mut sky = lock(&self.sky);
        let them = sky.homes.get(addr).cloned().unwrap_or_else(|| addr.to_string());
        (sky.link(label, &them), sky.link(&them, label))
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn keep(&self, link: Arc<Link>, stream: Connection) {
        let mut sky = lock(&self.sky);
        if sky.limbo.len() < LIMBO {
            sky.limbo.push((link, stream));
        }
    }
}

impl Sky {
    fn link(&mut self, from: &str, to: &str) -> Arc<Link> {
        let pair = (from.to_owned(), to.to_owned());
        let cut = self.is_cut(&pair);
        let link = self.links.entry(pair).or_insert_with(|| {
            let link = Link::default();
            link.cut.store(cut, Ordering::Release);
            Arc::new(link)
        });
        Arc::clone(link)
    }

    fn is_cut(&self, pair: &(String, String)) -> bool {
        self.cuts.contains(pair)
            || self.isolated.contains(&pair.0)
            || self.isolated.contains(&pair.1)
    }

    /// Tells every link and every stream on it; returns the dead that may now be buried.
    fn settle(&mut self) -> Vec<(Arc<Link>, Connection)> {
        for (pair, link) in &self.links {
            link.cut.store(self.is_cut(pair), Ordering::Release);
            lock(&link.ears).retain(|ears| {
                let Some(ears) = ears.upgrade() else { return false };
                ears.reader.wake();
                ears.writer.wake();
                true
            });
        }
        let (kept, released) =
            std::mem::take(&mut self.limbo).into_iter().partition(|(link, _)| link.is_cut());
        self.limbo = kept;
        released
    }
}

impl Link {
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_nanos(self.delay.load(Ordering::Acquire))
    }

    pub(crate) fn resets(&self) -> u64 {
        self.resets.load(Ordering::Acquire)
    }

    pub(crate) fn listen(&self, ears: &Arc<Ears>) {
        lock(&self.ears).push(Arc::downgrade(ears));
    }
}
