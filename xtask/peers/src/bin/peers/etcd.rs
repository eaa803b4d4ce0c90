//! The other side: three nodes with their own defaults, every write synced.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    grpc::{self, Connection},
    load::{self, Load, Measured},
};

const NODES: usize = 3;
/// How long three nodes may take until they have a leader.
const PATIENCE: Duration = Duration::from_secs(30);

/// Processes that are gone when this is.
struct Nodes(Vec<Child>);

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already; either way it is gone afterwards.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts three nodes, finds the leader, measures, and ends them.
pub(crate) async fn measured(program: &Path, load: Load, home: &Path) -> Result<Measured> {
    let folder = tempfile::Builder::new().prefix("etcd-").tempdir_in(home)?;
    let (peer, client) = (urls()?, urls()?);
    let nodes = started(program, folder.path(), &peer, &client)?;
    let leader = leader(&client).await?;
    let mut connections = Vec::new();
    for _ in 0..load.connections() {
        connections.push(Connection::open(&leader).await?);
    }
    let ids: Vec<u32> = nodes.0.iter().map(Child::id).collect();
    let client = |number: u64| connections[number as usize % connections.len()].clone();
    load::measured(load, &ids, client).await
}

/// Addresses on this machine that were free a moment ago.
fn urls() -> Result<Vec<String>> {
    let held: Vec<TcpListener> =
        (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    held.iter().map(|at| Ok(format!("http://{}", at.local_addr()?))).collect()
}

fn started(program: &Path, folder: &Path, peer: &[String], client: &[String]) -> Result<Nodes> {
    let all: Vec<String> = (0..NODES).map(|n| format!("n{n}={}", peer[n])).collect();
    let mut nodes = Nodes(Vec::new());
    for (number, (peer, client)) in peer.iter().zip(client).enumerate() {
        let log = std::fs::File::create(folder.join(format!("n{number}.log")))?;
        let mut command = Command::new(program);
        command.args(["--name", &format!("n{number}"), "--data-dir"]);
        command.arg(folder.join(format!("n{number}")));
        command.args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]);
        command.args(["--listen-client-urls", client, "--advertise-client-urls", client]);
        command.args(["--initial-cluster", &all.join(","), "--initial-cluster-state", "new"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        nodes.0.push(command.spawn().context("etcd does not start")?);
    }
    Ok(nodes)
}

/// The address of whoever leads.
async fn leader(client: &[String]) -> Result<String> {
    /// How often nodes that are starting are asked.
    const AGAIN: Duration = Duration::from_millis(50);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        for url in client {
            if grpc::leads(url).await.unwrap_or(false) {
                return Ok(url.clone());
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
    bail!("three nodes have no leader after {PATIENCE:?}");
}
