//! A host that runs the shipped server.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use net::{Addr, Network};
use paxosrsm::{
    core::Config,
    engine::{MultiPaxos, Neighbours},
    storage::{Aside, LogConfig, Storage},
};
use protocol::{Log, Lsn, NodeId};
use wal::{ClusterId, Identity, Snapshots, StreamId, Wal};

use crate::{disk::Disk, leak::Leak, log::Late, network::Virtual, story::Story};

/// How many replicas there are.
pub(crate) const NODES: u16 = 3;
/// Where servers listen.
const PORT: u16 = 7000;
/// The stream of the group.
const STREAM: StreamId = StreamId(0);
/// Bytes of commands after which a snapshot is taken: often, so that segments are used again.
const SNAPSHOT_BYTES: u64 = 16 << 10;
/// Slots kept behind a snapshot: few, so that who was away needs the snapshot.
const TRAILING: u64 = 64;

/// The name of a node's host.
pub(crate) fn host(node: NodeId) -> String {
    format!("n{}", node.0)
}

/// Every node.
pub(crate) fn nodes() -> impl Iterator<Item = NodeId> {
    (1..=NODES).map(NodeId)
}

/// Every node and where it listens.
pub(crate) fn addrs() -> BTreeMap<NodeId, Addr> {
    nodes().map(|node| (node, Addr::from(format!("{}:{PORT}", host(node))))).collect()
}

/// Small segments, and no thread for the writer.
fn log_config(leak: Option<Leak>) -> LogConfig {
    let inline = leak != Some(Leak::Threads);
    LogConfig { inline, segment_bytes: 32 << 10, max_segments: 4, ..LogConfig::default() }
}

/// What a node's host is made of. It outlives the power.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) me: NodeId,
    pub(crate) cluster: u64,
    pub(crate) disk: Disk,
    pub(crate) story: Story,
    pub(crate) leak: Option<Leak>,
}

impl Machine {
    /// Makes the node's identity, once.
    ///
    /// # Errors
    ///
    /// If the disk is not empty.
    pub(crate) fn init(&self) -> Result<(), wal::OpenError> {
        let cluster = ClusterId(u128::from(self.cluster));
        wal::init(&self.disk, cluster, self.me, &log_config(None)).map(|_| ())
    }

    /// What the host's disk kept, and where the group writes from now on.
    async fn storage(&self) -> Result<Storage, Box<dyn Error>> {
        let disk: Arc<dyn wal::Disk> = Arc::new(self.disk.clone());
        let cluster = ClusterId(u128::from(self.cluster));
        let identity = Identity::open(&*disk, cluster, self.me)?;
        let (wal, recovered) = Wal::open(Arc::clone(&disk), &identity, log_config(self.leak))?;
        // The number of this life must be on the disk before anybody is told anything.
        self.disk.settled().await;
        let kept = recovered
            .into_iter()
            .find(|stream| stream.stream == STREAM)
            .map_or((Lsn(1), Vec::new()), |stream| (stream.first, stream.records));
        let wal = Arc::new(wal);
        let stream = wal.stream(STREAM);
        let log: Box<dyn Log + Send> = match self.leak {
            Some(Leak::Threads) => Box::new(stream),
            _ => Box::new(Late::new(&wal, stream, &self.disk)),
        };
        let settled = self.disk.clone();
        Ok(Storage {
            log,
            kept,
            snapshots: Arc::new(Snapshots::new(disk)),
            aside: Aside::Task(Arc::new(move || settled.settled())),
            seed: identity.incarnation ^ (u64::from(self.me.0) << 48) ^ self.cluster,
            wal: Some(wal),
        })
    }

    /// The host's software, from power on.
    ///
    /// # Errors
    ///
    /// If it ends by itself.
    pub(crate) async fn live(self) -> Result<(), Box<dyn Error>> {
        if let Some(leak) = self.leak {
            self.disk.disturb(leak.number()?);
        }
        if self.leak == Some(Leak::Threads) {
            // A thread knows no virtual time for a disk to take.
            self.disk.hurry();
        }
        let storage = self.storage().await?;
        let network: Arc<dyn Network> = Arc::new(Virtual::new(&host(self.me), &self.story));
        let neighbours = Neighbours {
            network,
            cluster: self.cluster,
            me: self.me,
            addrs: addrs(),
            seed: storage.seed,
        };
        let engine =
            MultiPaxos { trailing: TRAILING, ..MultiPaxos::new(self.me, nodes().collect()) };
        let config = Config { snapshot_bytes: SNAPSHOT_BYTES, ..Config::new(self.me) };
        let mut group = kvpaxos::server::open(engine, config, storage, neighbours).await?;
        loop {
            tokio::select! {
                biased;
                ended = group.ended() => {
                    ended?;
                    return Err(format!("{} ended by itself", self.me).into());
                }
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    let panics = group.counters.panics.load(Relaxed);
                    if panics > 0 {
                        return Err(format!("{}: {panics} connections panicked", self.me).into());
                    }
                }
            }
        }
    }
}
