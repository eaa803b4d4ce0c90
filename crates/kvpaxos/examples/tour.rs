//! Three servers and a client in one process, on the memory network: the leader is lost, the
//! values are not.
//!
//! ```text
//! cargo run -p kvpaxos --example tour
//! ```

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use kvpaxos::{Client, Connections, Expect, server};
use net::{Addr, Memory, Network};
use paxosrsm::{
    Config,
    engine::{MultiPaxos, Neighbours},
    storage::Storage,
};
use protocol::NodeId;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let network: Arc<dyn Network> = Arc::new(Memory::new());
    let ids = (1..=3).map(NodeId);
    let addrs: BTreeMap<NodeId, Addr> =
        ids.clone().map(|id| (id, Addr::from(format!("server {id}")))).collect();
    let mut servers = BTreeMap::new();
    for me in ids.clone() {
        let engine = MultiPaxos {
            heartbeat: Duration::from_millis(20),
            election_timeout: Duration::from_millis(100),
            probe_timeout: Duration::from_millis(30),
            ..MultiPaxos::new(me, ids.clone().collect())
        };
        let neighbours = Neighbours {
            network: Arc::clone(&network),
            cluster: 1,
            me,
            addrs: addrs.clone(),
            seed: u64::from(me.0),
        };
        let storage = Storage::memory(u64::from(me.0));
        servers.insert(me, server::open(engine, Config::new(me), storage, neighbours).await?);
    }
    let connections = Connections::new(network, 1, addrs, 1);
    let mut client = Client::new(connections.clone(), 1);

    let key = Bytes::from("greeting");
    let version = client.put(key.clone(), Bytes::from("good")).await?;
    println!("put: version {}", version.0);
    let version = client.append(key.clone(), Bytes::from(" morning")).await?;
    println!("append: version {}", version.0);
    let late = client.cas(key.clone(), Expect::Absent, Bytes::from("lost")).await?;
    println!("set it if it is absent: {late:?}");

    let status = connections.status(NodeId(1)).await?.replica;
    let leader = status.agreement.leader.ok_or("somebody leads")?;
    println!("{leader} leads and is stopped");
    if let Some(server) = servers.remove(&leader) {
        server.stop().await?;
    }
    let found = client.get(key.clone()).await?;
    println!("get, from those who are left: {found:?}");
    let tail = Bytes::from(" to you");
    println!("append: version {}", client.append(key.clone(), tail).await?.0);
    println!("get: {:?}", client.get(key).await?);
    for (_, server) in servers {
        server.stop().await?;
    }
    Ok(())
}
