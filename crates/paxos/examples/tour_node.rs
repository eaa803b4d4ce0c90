//! Three nodes of this crate alone, on loopback sockets: callers name the slots, and whoever is
//! asked, the answer is the same.
//!
//! ```text
//! cargo run -p paxos --example tour_node
//! ```

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use net::{Addr, Network, Tcp};
use paxos::server::{Home, Node};
use paxos::{Config, Fate, Output, Reply, Request, Slot, Told};
use protocol::{Lsn, NodeId};
use wal::MemoryLog;

/// Asks a node, as its own process does.
async fn ask(node: &Node, request: Request) -> Result<Told, Box<dyn Error>> {
    match node.inbox.request(None, request).await? {
        Reply::Told(told) => Ok(told),
        other => Err(format!("{other:?} is no answer to the own process").into()),
    }
}

/// Asks until the answer is `so`.
async fn wait(node: &Node, asked: Request, so: fn(&Told) -> bool) -> Result<Told, Box<dyn Error>> {
    loop {
        let told = ask(node, asked.clone()).await?;
        if so(&told) {
            return Ok(told);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let network: Arc<dyn Network> = Arc::new(Tcp);
    let members: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let (mut addrs, mut held) = (BTreeMap::new(), Vec::new());
    for id in &members {
        let door = network.listen(&Addr::any()).await?;
        addrs.insert(*id, door.addr());
        held.push(door);
    }
    drop(held);
    let mut nodes = Vec::new();
    for me in &members {
        let home = Home {
            network: Arc::clone(&network),
            cluster: 1,
            addrs: addrs.clone(),
            log: MemoryLog::new(),
            kept: (Lsn(1), Vec::new()),
            seed: u64::from(me.0),
        };
        let output = |_: Output| (); // decisions, in order, for a layer above
        nodes
            .push(Node::open(Config::explicit(*me, members.clone()), home, Slot(0), output).await?);
    }
    let slot = Slot(4);
    for (node, value) in nodes.iter().zip(["red", "green", "blue"]) {
        let told = ask(node, Request::Start(slot, Bytes::from(value))).await?;
        println!("{} is asked for {value} in slot {slot}: {told:?}", node.addr);
    }
    for node in &nodes {
        let is_decided = |told: &Told| matches!(told, Told::Fate(Fate::Decided(_)));
        println!("{} knows: {:?}", node.addr, wait(node, Request::Fate(slot), is_decided).await?);
        ask(node, Request::Done(slot)).await?;
    }
    let has_risen = |told: &Told| !matches!(told, Told::Bounds { min: Slot(0), .. });
    let bounds = wait(&nodes[0], Request::Bounds, has_risen).await?;
    println!("all are done with it, so it is forgotten: {bounds:?}");
    for node in nodes {
        node.stop().await?;
    }
    Ok(())
}
