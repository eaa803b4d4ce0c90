//! The replicas on trial: threads of this process, or processes of their own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use kvpaxos::Connections;
use net::{Network, Tcp};
use protocol::NodeId;

use super::threads::Threads;
use crate::{
    failure::{Exit, Failure},
    node::NodeSettings,
    processes::{Processes, free_addresses},
    settings::Addresses,
};

/// The number of every installation on trial.
const CLUSTER: u64 = 1;

/// How long a group may take to find a leader, or a replica to catch up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often somebody looks whether it is so far.
const GLANCE: Duration = Duration::from_millis(10);

/// Replicas on trial.
pub struct Cluster {
    kind: Kind,
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
        let settings: BTreeMap<_, _> = peers
            .0
            .keys()
            .map(|id| {
                let data = dir.join(format!("node-{}", id.0));
                let (id, peers) = (*id, peers.clone());
                (id, NodeSettings { id, peers, data, cluster: CLUSTER, snapshot_bytes: None })
            })
            .collect();
        let down = peers.0.keys().copied().collect();
        Ok(Self { kind: Kind::Threads(Threads::new(settings)), peers, down })
    }

    /// Replicas as processes, with their data in `dir`.
    ///
    /// # Errors
    ///
    /// If no ports are free.
    pub fn processes(dir: &Path, count: u16) -> Result<Self, Failure> {
        let processes = Processes::new(dir, count, CLUSTER)?;
        let peers = processes.peers.clone();
        let down = peers.0.keys().copied().collect();
        Ok(Self { kind: Kind::Processes(processes), peers, down })
    }

    /// Every replica and where it listens.
    #[must_use]
    pub fn peers(&self) -> &Addresses {
        &self.peers
    }

    /// Every replica.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        self.peers.0.keys().copied().collect()
    }

    /// Connections for clients.
    #[must_use]
    pub fn connections(&self, seed: u64) -> Connections {
        let network: Arc<dyn Network> = match &self.kind {
            Kind::Threads(threads) => threads.network(),
            Kind::Processes(_) => Arc::new(Tcp),
        };
        Connections::new(network, CLUSTER, self.peers.0.clone(), seed)
    }

    /// Starts a replica.
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

    /// Starts every replica that is down.
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

    /// Stops a replica without warning: SIGKILL, or the end of its runtime.
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

    /// Whether a replica was stopped and not started again.
    #[must_use]
    pub fn is_down(&self, node: NodeId) -> bool {
        self.down.contains(&node)
    }

    /// Whether replicas can be cut off from each other: only where we are the network.
    #[must_use]
    pub fn can_cut(&self) -> bool {
        matches!(self.kind, Kind::Threads(_))
    }

    /// Cuts a replica off from everybody. Processes cannot be cut off.
    pub fn cut(&self, node: NodeId) {
        if let Kind::Threads(threads) = &self.kind {
            threads.cut(node);
        }
    }

    /// Ends every cut.
    pub fn heal(&self) {
        if let Kind::Threads(threads) = &self.kind {
            threads.heal();
        }
    }

    /// A replica whose process or thread ended by itself, which none should.
    #[must_use]
    pub fn deserter(&mut self) -> Option<NodeId> {
        let nodes = self.nodes();
        match &mut self.kind {
            Kind::Threads(_) => None,
            Kind::Processes(processes) => {
                nodes.into_iter().find(|node| processes.ended(*node).is_some())
            }
        }
    }
}

/// Who leads, in its own belief; `None` if nobody does, or more than one thinks so: one that was
/// cut off may not know better. Asks all at once, so that one that is silent holds up nobody.
pub async fn leader(connections: &Connections) -> Option<NodeId> {
    let asked = connections.servers().iter().map(|node| {
        let (connections, node) = (connections.clone(), *node);
        tokio::task::spawn_local(async move {
            let limit = Duration::from_millis(300);
            let status = tokio::time::timeout(limit, connections.status(node)).await.ok()?.ok()?;
            (status.replica.agreement.role == "leader").then_some(node)
        })
    });
    let mut leaders = Vec::new();
    for answer in asked.collect::<Vec<_>>() {
        leaders.extend(answer.await.ok().flatten());
    }
    match &leaders[..] {
        [node] => Some(*node),
        _ => None,
    }
}

/// Waits until somebody leads other than `but`.
///
/// # Errors
///
/// If nobody does for a long time.
pub async fn wait_for_leader(
    connections: &Connections,
    but: Option<NodeId>,
) -> Result<NodeId, Failure> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match leader(connections).await {
            Some(node) if Some(node) != but => return Ok(node),
            _ => tokio::time::sleep(GLANCE).await,
        }
    }
    Err(Failure::new(Exit::Failed, "nobody leads: the replicas' own words are in the directory"))
}

/// Waits until a replica answers.
///
/// # Errors
///
/// If it does not for a long time.
pub async fn wait_until_up(connections: &Connections, node: NodeId) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let limit = Duration::from_millis(500);
        if let Ok(Ok(_)) = tokio::time::timeout(limit, connections.status(node)).await {
            return Ok(());
        }
        tokio::time::sleep(GLANCE).await;
    }
    Err(Failure::new(Exit::Failed, format!("replica {} does not answer", node.0)))
}

/// Waits until every replica has applied as much as every other: whether their states are the
/// same then, and how much that is. `None` if it does not come to that.
pub async fn wait_until_equal(connections: &Connections) -> Option<(bool, u64)> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let mut digests = Vec::new();
        for node in connections.servers() {
            let limit = Duration::from_secs(2);
            let asked = tokio::time::timeout(limit, connections.digest(*node)).await;
            digests.extend(asked.ok().and_then(Result::ok));
        }
        let all = digests.len() == connections.servers().len();
        if all && digests.iter().all(|digest| digest.applied == digests[0].applied) {
            let same = digests.iter().all(|digest| digest.state == digests[0].state);
            return Some((same, digests[0].applied.0));
        }
        tokio::time::sleep(GLANCE).await;
    }
    None
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
