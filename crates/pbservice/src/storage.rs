//! Where a server keeps what it must not forget: in a directory, or nowhere.

use std::{path::Path, sync::Arc};

use net::Forgetful;
use protocol::{Log, Lsn, NodeId, codec};
use wal::{ClusterId, Identity, OpenError, RealDisk, StreamId};
pub use wal::{Config as LogConfig, Disk, Wal};

use crate::{config::BATCH_BYTES, message::Record};

/// The stream of a server that has a log to itself.
const STREAM: StreamId = StreamId(0);

/// Largest record on disk, in bytes: the items of one forward, the last of which may be a piece
/// that ends with a value of its own.
pub const MAX_RECORD: u64 = 4 * BATCH_BYTES as u64;

/// How records look in the log: a version byte, then the record.
const VERSION: u8 = 1;

/// A record that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a version of this crate that is not known here.
    #[error("a record of version {0}; this program reads version {VERSION}")]
    Version(u8),
    /// Its bytes mean nothing.
    #[error(transparent)]
    Malformed(#[from] codec::Malformed),
}

/// Adds the bytes of a record to `into`.
///
/// # Panics
///
/// If it is larger than [`MAX_RECORD`]: something beyond its limit was let in, our own bug.
pub fn encode(record: &Record, into: &mut Vec<u8>) {
    into.push(VERSION);
    codec::encode_into(record, MAX_RECORD, into).expect("items are within their limits");
}

/// The record that these bytes mean.
///
/// # Errors
///
/// If they mean none.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    match bytes.split_first() {
        Some((&VERSION, record)) => Ok(codec::decode(record, MAX_RECORD)?),
        Some((&version, _)) => Err(RecordError::Version(version)),
        None => Err(RecordError::Version(0)),
    }
}

/// What a server writes to, and what was kept of its earlier lives.
pub struct Storage {
    /// Where records go.
    pub log: Box<dyn Log + Send>,
    /// The number of the first record kept, and all of them in order.
    pub kept: (Lsn, Vec<Vec<u8>>),
    /// Differs from life to life.
    pub seed: u64,
    /// The log itself, to keep it open and to look at; without one the server is not durable.
    pub wal: Option<Arc<Wal>>,
}

impl Storage {
    /// Creates the directory of a server, once.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(
        path: &Path,
        cluster: u64,
        me: NodeId,
        config: &LogConfig,
    ) -> Result<(), OpenError> {
        wal::init_dir(path, ClusterId(u128::from(cluster)), me, config).map(|_| ())
    }

    /// The directory of a server that `init` has made.
    ///
    /// # Errors
    ///
    /// If it is not there, is somebody else's, is in use, or is damaged: one sentence with the
    /// next step.
    pub fn open(
        path: &Path,
        cluster: u64,
        me: NodeId,
        config: LogConfig,
    ) -> Result<Self, OpenError> {
        Self::on(Arc::new(RealDisk::open(path)?), cluster, me, config)
    }

    /// The same on any disk that holds a server already.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on(
        disk: Arc<dyn Disk>,
        cluster: u64,
        me: NodeId,
        config: LogConfig,
    ) -> Result<Self, OpenError> {
        let identity = Identity::open(&*disk, ClusterId(u128::from(cluster)), me)?;
        let (wal, recovered) = Wal::open(disk, &identity, config)?;
        let kept = recovered
            .into_iter()
            .find(|stream| stream.stream == STREAM)
            .map_or((Lsn(1), Vec::new()), |stream| (stream.first, stream.records));
        Ok(Self {
            log: Box::new(wal.stream(STREAM)),
            kept,
            seed: identity.incarnation ^ (u64::from(me.0) << 48) ^ cluster.rotate_left(17),
            wal: Some(Arc::new(wal)),
        })
    }

    /// Nothing outlives the process: a server that comes back is a new one, and empty.
    #[must_use]
    pub fn memory(seed: u64) -> Self {
        Self { log: Box::new(Forgetful::default()), kept: (Lsn(1), Vec::new()), seed, wal: None }
    }
}
