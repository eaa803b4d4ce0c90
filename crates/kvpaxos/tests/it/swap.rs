//! Any engine, any disk, any network: the same test over every combination.

use std::sync::Arc;

use net::{Memory, Network, Tcp};
use paxosrsm::engine::{Engine, Single};
use protocol::NodeId;
use tempfile::TempDir;

use crate::group::{Servers, a_client_is_served, b, paxos_of};

async fn works<E: Engine>(
    engine: impl Fn(NodeId) -> E + 'static,
    network: Arc<dyn Network>,
    on_disk: bool,
) {
    let home = on_disk.then(|| TempDir::new().expect("a directory"));
    let mut servers = Servers::new(1, network, home, engine).await;
    servers.snapshots_every(200);
    servers.start_all().await;
    a_client_is_served(&mut servers.client(1)).await;
    for life in 0..3 {
        for number in 0..10 {
            let mut client = servers.client(life * 10 + number);
            client.append(b("log"), b("0123456789")).await.expect("append");
        }
        if on_disk {
            servers.stop_all().await;
            servers.start_all().await;
        }
        let seen = servers.client(99).get(b("log")).await.expect("get").expect("there");
        assert_eq!(seen.0.len() as u64, 100 * (life + 1));
    }
    servers.stop_all().await;
}

macro_rules! combinations {
    ($($name:ident: $engine:expr, $network:expr, $on_disk:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            works($engine, Arc::new($network), $on_disk).await;
        })*
    };
}

combinations! {
    alone_in_memory_on_pipes: Single, Memory::new(), false;
    alone_in_memory_on_sockets: Single, Tcp, false;
    alone_on_disk_on_pipes: Single, Memory::new(), true;
    alone_on_disk_on_sockets: Single, Tcp, true;
    paxos_in_memory_on_pipes: paxos_of(1), Memory::new(), false;
    paxos_in_memory_on_sockets: paxos_of(1), Tcp, false;
    paxos_on_disk_on_pipes: paxos_of(1), Memory::new(), true;
    paxos_on_disk_on_sockets: paxos_of(1), Tcp, true;
}
