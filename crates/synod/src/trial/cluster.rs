//! The nodes on trial: threads of this process, or processes of their own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use net::{Network, Tcp};
use protocol::NodeId;
use viewservice::SERVICE_NODE;

use super::{
    role::Role,
    threads::{Party, Threads},
};
use crate::{
    cli::StoreKind,
    failure::{Exit, Failure},
    node::NodeSettings,
    pb::PbSettings,
    processes::{Processes, free_addresses},
    settings::Addresses,
    store::Connections,
    view::ViewSettings,
};

/// The number of every installation on trial.
const CLUSTER: u64 = 1;

/// Nodes on trial.
pub struct Cluster {
    kind: Kind,
    store: StoreKind,
    peers: Addresses,
    down: Vec<NodeId>,
}

enum Kind {
    Threads(Threads),
    Processes(Processes),
}

impl Cluster {
    /// Replicas in this process, with their data in `dir`.
    ///
    /// # Errors
    ///
    /// If no ports are free.
    pub fn threads(dir: &Path, count: u16) -> Result<Self, Failure> {
        let peers = free_addresses(1..=count)?;
        let replica = |id: NodeId| {
            let (data, peers) = (data(dir, id), peers.clone());
            Role::Replica(NodeSettings { id, peers, data, cluster: CLUSTER, snapshot_bytes: None })
        };
        let roles = peers.0.keys().map(|id| (*id, replica(*id))).collect();
        Ok(Self::of(Kind::Threads(Threads::new(roles)), StoreKind::Kv, peers))
    }

    /// A view service, which is node 0, and durable servers, likewise.
    ///
    /// # Errors
    ///
    /// If no ports are free.
    pub fn pair_threads(dir: &Path, count: u16) -> Result<Self, Failure> {
        let peers = free_addresses(SERVICE_NODE.0..=count)?;
        let view = peers.0[&SERVICE_NODE].clone();
        let role = |(id, listen): (&NodeId, &net::Addr)| {
            let (id, listen, data, cluster) = (*id, listen.clone(), data(dir, *id), CLUSTER);
            let role = if id == SERVICE_NODE {
                Role::View(ViewSettings { listen, data, cluster })
            } else {
                let (advertise, view, data) = (None, view.clone(), Some(data));
                Role::Server(PbSettings { id, listen, advertise, view, cluster, data })
            };
            (id, role)
        };
        let roles = peers.0.iter().map(role).collect();
        Ok(Self::of(Kind::Threads(Threads::new(roles)), StoreKind::Pb, peers))
    }

    /// Replicas as processes, with their data in `dir`.
    ///
    /// # Errors
    ///
    /// If no ports are free.
    pub fn processes(dir: &Path, count: u16) -> Result<Self, Failure> {
        let processes = Processes::new(dir, count, CLUSTER)?;
        let peers = processes.peers.clone();
        Ok(Self::of(Kind::Processes(processes), StoreKind::Kv, peers))
    }

    /// A view service and durable servers as processes.
    ///
    /// # Errors
    ///
    /// If no ports are free.
    pub fn pair_processes(dir: &Path, count: u16) -> Result<Self, Failure> {
        let processes = Processes::pair(dir, count, CLUSTER, true)?;
        let peers = processes.peers.clone();
        Ok(Self::of(Kind::Processes(processes), StoreKind::Pb, peers))
    }

    fn of(kind: Kind, store: StoreKind, peers: Addresses) -> Self {
        let down = peers.0.keys().copied().collect();
        Self { kind, store, peers, down }
    }

    /// Every node and where it listens.
    #[must_use]
    pub fn peers(&self) -> &Addresses {
        &self.peers
    }

    /// Every node.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        self.peers.0.keys().copied().collect()
    }

    /// What a node is called, for people.
    #[must_use]
    pub fn name(&self, node: NodeId) -> String {
        match self.store {
            StoreKind::Kv => format!("replica {}", node.0),
            StoreKind::Pb if node == SERVICE_NODE => "the view service".to_owned(),
            StoreKind::Pb => format!("server {}", node.0),
        }
    }

    /// Connections for clients.
    #[must_use]
    pub fn connections(&self, seed: u64) -> Connections {
        let network: Arc<dyn Network> = match &self.kind {
            Kind::Threads(threads) => threads.network(),
            Kind::Processes(_) => Arc::new(Tcp),
        };
        let addrs = &self.peers.0;
        match self.store {
            StoreKind::Kv => {
                let connections = kvpaxos::Connections::new(network, CLUSTER, addrs.clone(), seed);
                Connections::Kv(connections)
            }
            StoreKind::Pb => {
                let view = addrs[&SERVICE_NODE].clone();
                Connections::Pb(pbservice::Connections::new(network, CLUSTER, view, seed))
            }
        }
    }

    /// Starts a node.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub async fn start(&mut self, node: NodeId) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Threads(threads) => threads.start(node).await?,
            Kind::Processes(processes) => processes.start(node)?,
        }
        self.down.retain(|down| *down != node);
        Ok(())
    }

    /// Starts every node that is down.
    ///
    /// # Errors
    ///
    /// If one cannot be started.
    pub async fn start_all(&mut self) -> Result<(), Failure> {
        for node in self.down.clone() {
            self.start(node).await?;
        }
        Ok(())
    }

    /// Stops a node without warning: SIGKILL, or the end of its runtime.
    ///
    /// # Errors
    ///
    /// If it cannot be killed.
    pub async fn kill(&mut self, node: NodeId) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Threads(threads) => threads.kill(node).await,
            Kind::Processes(processes) => processes.kill(node)?,
        }
        if !self.down.contains(&node) {
            self.down.push(node);
        }
        Ok(())
    }

    /// Whether a node was stopped and not started again.
    #[must_use]
    pub fn is_down(&self, node: NodeId) -> bool {
        self.down.contains(&node)
    }

    /// Whether nodes can be cut off from each other: only where we are the network.
    #[must_use]
    pub fn can_cut(&self) -> bool {
        matches!(self.kind, Kind::Threads(_))
    }

    /// Cuts a node off from everybody. Processes cannot be cut off.
    pub fn cut(&self, node: NodeId) {
        if let Kind::Threads(threads) = &self.kind {
            threads.cut(node);
        }
    }

    /// Cuts two off from each other, both ways. Processes cannot be cut off.
    pub fn part(&self, one: Party, other: Party) {
        if let Kind::Threads(threads) = &self.kind {
            threads.part(one, other);
        }
    }

    /// Ends every cut.
    pub fn heal(&self) {
        if let Kind::Threads(threads) = &self.kind {
            threads.heal();
        }
    }

    /// A node whose process or thread ended by itself, which none should.
    #[must_use]
    pub fn deserter(&mut self) -> Option<NodeId> {
        let nodes = self.nodes();
        nodes.into_iter().find(|node| match &mut self.kind {
            Kind::Threads(threads) => threads.ended(*node),
            Kind::Processes(processes) => processes.ended(*node).is_some(),
        })
    }
}

/// The directory of a node.
fn data(dir: &Path, node: NodeId) -> PathBuf {
    dir.join(format!("node-{}", node.0))
}

/// Removes the replicas' data if nobody asked for it and all went well.
///
/// # Errors
///
/// What went wrong before; or if it cannot be removed.
pub fn tidy_up(dir: &Path, asked: bool, ended: Result<(), Failure>) -> Result<(), Failure> {
    if ended.is_ok() && !asked {
        std::fs::remove_dir_all(dir)?;
    }
    ended
}

/// A directory for the replicas' data: the one asked for, which must be new or empty, or a fresh
/// one, which is removed by [`tidy_up`] if all goes well.
///
/// # Errors
///
/// If it cannot be made, or holds something already.
pub fn directory(asked: Option<&Path>, prefix: &str) -> Result<PathBuf, Failure> {
    let Some(asked) = asked else {
        return Ok(tempfile::Builder::new().prefix(prefix).tempdir()?.keep());
    };
    std::fs::create_dir_all(asked)?;
    if std::fs::read_dir(asked)?.next().is_some() {
        let why = format!("{} is not empty: name a new directory", asked.display());
        return Err(Failure::new(Exit::Environment, why));
    }
    Ok(asked.to_owned())
}
