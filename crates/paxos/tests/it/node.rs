//! Nodes by themselves, over real sockets and real files: the door `Instances` from outside.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use net::{Addr, Memory, Network, Tcp};
use paxos::{
    Config, Fate, Output, Refusal, Reply, Request, Slot, Told, Value,
    server::{Home, Node, OpenError},
};
use protocol::{Lsn, NodeId};
use tempfile::TempDir;
use wal::{ClusterId, FileLog, StreamId, Wal};

const CLUSTER: u64 = 3;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three nodes that keep their records in files.
struct Three {
    network: Arc<dyn Network>,
    home: TempDir,
    addrs: BTreeMap<NodeId, Addr>,
    running: BTreeMap<NodeId, Node>,
}

fn config(me: NodeId) -> Config {
    Config {
        heartbeat: Duration::from_millis(40),
        election_timeout: Duration::from_millis(250),
        probe_timeout: Duration::from_millis(60),
        ..Config::explicit(me, (1..=3).map(NodeId).collect())
    }
}

/// Opens the log of a node, created at the first call.
fn log(dir: &Path, me: NodeId) -> (FileLog, (Lsn, Vec<Vec<u8>>)) {
    let (cluster, knobs) = (ClusterId(u128::from(CLUSTER)), wal::Config::small());
    if !dir.exists() {
        wal::init_dir(dir, cluster, me, &knobs).expect("a new directory");
    }
    let (wal, recovered) = Wal::open_dir(dir, cluster, me, knobs).expect("its own directory");
    let kept = recovered.into_iter().find(|stream| stream.stream == StreamId(0));
    (wal.stream(StreamId(0)), kept.map_or((Lsn(1), Vec::new()), |kept| (kept.first, kept.records)))
}

impl Three {
    async fn new(network: Arc<dyn Network>) -> Self {
        let (mut doors, mut addrs) = (Vec::new(), BTreeMap::new());
        for id in (1..=3).map(NodeId) {
            let door = network.listen(&Addr::any()).await.expect("a free port");
            addrs.insert(id, door.addr());
            doors.push(door);
        }
        let home = TempDir::new().expect("a directory");
        Self { network, home, addrs, running: BTreeMap::new() }
    }

    async fn start(&mut self, me: NodeId, life: u64) {
        let deadline = Instant::now() + PATIENCE;
        let node = loop {
            let (log, kept) = log(&self.home.path().join(me.to_string()), me);
            let home = Home {
                network: Arc::clone(&self.network),
                cluster: CLUSTER,
                addrs: self.addrs.clone(),
                log,
                kept,
                seed: u64::from(me.0) << 32 | life,
            };
            match Node::open(config(me), home, Slot(0), |_: Output| ()).await {
                Ok(node) => break node,
                // Its port was free a moment ago; a stranger's connection may have it just now.
                Err(OpenError::Listen(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{me}: {error}"),
            }
        };
        self.running.insert(me, node);
    }

    async fn start_all(&mut self, life: u64) {
        for me in self.addrs.clone().into_keys() {
            self.start(me, life).await;
        }
    }

    async fn stop(&mut self, me: NodeId) {
        self.running.remove(&me).expect("it runs").stop().await.expect("its log is sound");
    }

    async fn ask(&self, node: u16, request: Request) -> Told {
        match self.running[&NodeId(node)].inbox.request(None, request).await {
            Ok(Reply::Told(told)) => told,
            other => panic!("n{node} answered {other:?}"),
        }
    }

    async fn begin(&self, node: u16, slot: u64, value: &'static str) {
        let told = self.ask(node, Request::Start(Slot(slot), Bytes::from(value))).await;
        assert_eq!(told, Told::Started);
    }

    async fn fate(&self, node: u16, slot: u64) -> Fate {
        match self.ask(node, Request::Fate(Slot(slot))).await {
            Told::Fate(fate) => fate,
            other => panic!("n{node} answered {other:?}"),
        }
    }

    async fn bounds(&self, node: u16) -> (u64, Option<u64>) {
        match self.ask(node, Request::Bounds).await {
            Told::Bounds { min, max } => (min.0, max.map(|slot| slot.0)),
            other => panic!("n{node} answered {other:?}"),
        }
    }

    /// The value that every running node reports for this slot, once all do.
    async fn decided(&self, slot: u64) -> Bytes {
        let mut found = Vec::new();
        until(&format!("slot {slot} is decided everywhere"), async || {
            found.clear();
            for node in self.running.keys() {
                if let Fate::Decided(Value::Data(value)) = self.fate(node.0, slot).await {
                    found.push(value);
                }
            }
            found.len() == self.running.len()
        })
        .await;
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "slot {slot}: {found:?}");
        found.swap_remove(0)
    }
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "it never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Start, status, done, min and max, with nodes that are stopped and come back in the middle.
async fn instances_work(network: Arc<dyn Network>) {
    let mut three = Three::new(network).await;
    three.start_all(1).await;
    assert_eq!(three.bounds(1).await, (0, None), "nothing was heard of yet");
    assert_eq!(three.fate(2, 0).await, Fate::Pending, "and nothing is decided");

    // Out of order, at whoever, and once by all three: one of them wins.
    three.begin(2, 7, "seven").await;
    three.begin(3, 0, "zero").await;
    for (node, value) in [(1, "by one"), (2, "by two"), (3, "by three")] {
        three.begin(node, 1, value).await;
    }
    assert_eq!(three.decided(7).await, "seven");
    assert_eq!(three.decided(0).await, "zero");
    let winner = three.decided(1).await;
    assert!(["by one", "by two", "by three"].contains(&&*String::from_utf8_lossy(&winner)));
    assert_eq!(three.fate(1, 3).await, Fate::Pending, "nobody started this one");
    for node in 1..=3 {
        assert_eq!(three.bounds(node).await, (0, Some(7)), "n{node}");
    }
    // Too late: the slot has its value.
    three.begin(1, 7, "another").await;
    assert_eq!(three.decided(7).await, "seven");
    let told = three.ask(1, Request::Append(Bytes::from("where?"))).await;
    let refused = matches!(told, Told::Refused(Refusal::WrongDoor | Refusal::NotLeading(_)));
    assert!(refused, "callers name the slots here: {told:?}");

    // A majority decides without the third, which learns of it when it is back.
    three.stop(NodeId(3)).await;
    three.begin(1, 2, "by a majority").await;
    assert_eq!(three.decided(2).await, "by a majority");
    three.start(NodeId(3), 2).await;
    assert_eq!(three.decided(2).await, "by a majority");

    // What everybody is done with is forgotten, and not before.
    for node in 1..=2 {
        assert_eq!(three.ask(node, Request::Done(Slot(1))).await, Told::Noted);
    }
    assert_eq!(three.decided(0).await, "zero", "the third still needs it");
    assert_eq!(three.ask(3, Request::Done(Slot(2))).await, Told::Noted);
    until("the first two slots are forgotten", async || {
        let mut floors = Vec::new();
        for node in 1..=3 {
            floors.push(three.bounds(node).await.0);
        }
        floors == [2, 2, 2]
    })
    .await;
    assert_eq!(three.fate(1, 1).await, Fate::Forgotten);

    // All go, and come back from their files.
    for node in (1..=3).map(NodeId) {
        three.stop(node).await;
    }
    three.start_all(3).await;
    assert_eq!(three.decided(7).await, "seven");
    assert_eq!(three.decided(2).await, "by a majority");
    assert_eq!(three.fate(2, 1).await, Fate::Forgotten, "also after a restart");
    three.begin(3, 8, "after all that").await;
    assert_eq!(three.decided(8).await, "after all that");
    for node in (1..=3).map(NodeId) {
        three.stop(node).await;
    }
}

#[tokio::test]
async fn instances_work_over_sockets_and_files() {
    instances_work(Arc::new(Tcp)).await;
}

#[tokio::test]
async fn instances_work_over_pipes_and_files() {
    instances_work(Arc::new(Memory::new())).await;
}
