//! Our side.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use kvpaxos::Connections;
use net::Tcp;
use synod::processes::Processes;

use crate::load::{self, Client, Load, Measured};

/// The number of the group.
const CLUSTER: u64 = 1;
/// How long three nodes may take until they answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts three nodes, measures, and ends them.
pub(crate) async fn measured(program: &Path, load: Load, home: &Path) -> Result<Measured> {
    let folder = tempfile::Builder::new().prefix("synod-").tempdir_in(home)?;
    let mut nodes = Processes::new(folder.path(), 3, CLUSTER)?.program(program);
    nodes.start_all()?;
    let connect = |seed: u64| Connections::new(Arc::new(Tcp), CLUSTER, nodes.peers.0.clone(), seed);
    let mut first = kvpaxos::Client::new(connect(0), 0);
    first.budget = PATIENCE;
    first.put(Bytes::from_static(b"?"), Bytes::new()).await.context("nobody answers")?;
    let connections: Vec<Connections> = (1..=load.connections() as u64).map(connect).collect();
    let client = |number: u64| {
        let connections = connections[number as usize % connections.len()].clone();
        kvpaxos::Client::new(connections, number + 1)
    };
    let measured = load::measured(load, &nodes.ids(), client).await;
    connections.iter().for_each(Connections::close);
    measured
}

impl Client for kvpaxos::Client {
    async fn put(&mut self, key: Bytes, value: Bytes) -> Result<()> {
        Self::put(self, key, value).await?;
        Ok(())
    }

    async fn get(&mut self, key: Bytes) -> Result<usize> {
        let (value, _) = Self::get(self, key).await?.context("a key that was written is gone")?;
        Ok(value.len())
    }
}
