//! Where a group's records and snapshots are kept: in a directory, or in memory.

use std::{path::Path, sync::Arc};

use protocol::{Log, Lsn, NodeId};
use wal::{ClusterId, Identity, MemoryLog, OpenError, RealDisk, SimDisk, Snapshots, StreamId};
pub use wal::{Config as LogConfig, Disk, Wal};

pub use crate::librarian::Aside;

/// The stream of a group that has a log to itself.
const STREAM: StreamId = StreamId(0);

/// What a group writes to, and what was kept of its earlier lives.
pub struct Storage {
    /// Where records go.
    pub log: Box<dyn Log + Send>,
    /// The number of the first record kept, and all of them in order.
    pub kept: (Lsn, Vec<Vec<u8>>),
    /// Where snapshots go.
    pub snapshots: Arc<Snapshots>,
    /// Where the work on snapshots is done.
    pub aside: Aside,
    /// Differs from life to life.
    pub seed: u64,
    /// The log of the whole node, to keep it open and to look at.
    pub wal: Option<Arc<Wal>>,
}

impl Storage {
    /// Creates the directory of a node, once.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(
        path: &Path,
        cluster: u64,
        me: NodeId,
        config: &wal::Config,
    ) -> Result<(), OpenError> {
        wal::init_dir(path, ClusterId(u128::from(cluster)), me, config).map(|_| ())
    }

    /// The directory of a node that `init` has made.
    ///
    /// # Errors
    ///
    /// If it is not there, is somebody else's, is in use, or is damaged: one sentence with the
    /// next step.
    pub fn open(
        path: &Path,
        cluster: u64,
        me: NodeId,
        config: wal::Config,
    ) -> Result<Self, OpenError> {
        Self::on(Arc::new(RealDisk::open(path)?), cluster, me, config)
    }

    /// The same on any disk that holds a node already.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on(
        disk: Arc<dyn Disk>,
        cluster: u64,
        me: NodeId,
        config: wal::Config,
    ) -> Result<Self, OpenError> {
        let identity = Identity::open(&*disk, ClusterId(u128::from(cluster)), me)?;
        let (wal, recovered) = Wal::open(Arc::clone(&disk), &identity, config)?;
        let kept = recovered
            .into_iter()
            .find(|stream| stream.stream == STREAM)
            .map_or((Lsn(1), Vec::new()), |stream| (stream.first, stream.records));
        Ok(Self {
            log: Box::new(wal.stream(STREAM)),
            kept,
            snapshots: Arc::new(Snapshots::new(disk)),
            aside: Aside::Thread,
            seed: identity.incarnation ^ (u64::from(me.0) << 48) ^ cluster.rotate_left(17),
            wal: Some(Arc::new(wal)),
        })
    }

    /// Nothing outlives the process: for tests and demonstrations that say so.
    #[must_use]
    pub fn memory(seed: u64) -> Self {
        Self {
            log: Box::new(MemoryLog::new()),
            kept: (Lsn(1), Vec::new()),
            snapshots: Arc::new(Snapshots::new(Arc::new(SimDisk::new()))),
            aside: Aside::Thread,
            seed,
            wal: None,
        }
    }
}
