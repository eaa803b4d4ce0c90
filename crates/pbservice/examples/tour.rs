//! A view service and three servers in one process, on the memory network: the primary is lost,
//! the value is not.
//!
//! ```text
//! cargo run -p pbservice --example tour
//! ```

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use net::{Addr, Memory, Network};
use pbservice::{Client, Config, Connections, Home, Node, Storage};
use protocol::NodeId;
use viewservice::{SERVICE_NODE, server};

/// The number that every node of this installation shares.
const CLUSTER: u64 = 1;

/// A server with nothing but its memory.
async fn serve(network: Arc<dyn Network>, view: Addr, me: NodeId) -> Result<Node, Box<dyn Error>> {
    let storage = Storage::memory(u64::from(me.0));
    let home = Home { network, cluster: CLUSTER, addr: Addr::any(), view, storage };
    // No address of its own to tell the others: that on which it listens will do.
    Ok(Node::open(Config::new(me, ""), home).await?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let network: Arc<dyn Network> = Arc::new(Memory::new());
    let views = server::Service::open(server::Home {
        network: Arc::clone(&network),
        cluster: CLUSTER,
        me: SERVICE_NODE,
        addr: Addr::any(),
        storage: server::Storage::memory(),
    })
    .await?;
    let mut servers = BTreeMap::new();
    for me in (1..=3).map(NodeId) {
        servers.insert(me, serve(Arc::clone(&network), views.addr.clone(), me).await?);
    }
    let connections = Connections::new(network, CLUSTER, views.addr.clone(), 1);
    let mut client = Client::new(connections.clone(), 1);

    let key = Bytes::from("greeting");
    client.put(key.clone(), Bytes::from("good")).await?;
    println!("put, in {}", client.view());
    // Until the backup has everything, its primary must not be lost: then nobody else has it.
    let view = loop {
        let status = connections.views().await?;
        if status.acknowledged && status.view.backup.is_some() {
            break status.view;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    println!("{view}: the backup has everything");
    client.append(key.clone(), Bytes::from(" morning")).await?;

    let primary = view.primary.ok_or("somebody is primary")?.member;
    println!("{primary} is gone");
    drop(servers.remove(&primary.node));
    println!("get: {:?}, in {}", client.get(key.clone()).await?, client.view());
    client.append(key.clone(), Bytes::from(" to you")).await?;
    println!("get: {:?}", client.get(key).await?);
    for (_, server) in servers {
        server.stop().await?;
    }
    Ok(views.stop().await?)
}
