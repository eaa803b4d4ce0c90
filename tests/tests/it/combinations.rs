//! One test over every way to stack the tower: who agrees, where records go, how bytes travel.
//!
//! Another implementation of a seam is another word in one line of the table at the end. The test
//! itself opens a group the one way there is, lets clients work on it at the same time, takes
//! servers away and brings them back where something was kept, and judges what the clients heard.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use histcheck::{Action, Answer, Outcome};
use kvpaxos::{Connections, server};
use net::{Addr, Memory, Network, Tcp};
use paxosrsm::{
    core::Config,
    engine::{Engine, MultiPaxos, Neighbours, Single},
    server::{Group, OpenError},
    storage::{LogConfig, Storage},
};
use protocol::{NodeId, Rng};
use synod::{
    store,
    trial::{Recorder, Witness},
};
use tempfile::TempDir;
use wal::{ClusterId, RealDisk, SimDisk, Snapshots};

/// The third log of the examples, as it stands there.
#[allow(dead_code, reason = "an example has a `main` of its own")]
#[path = "../../../crates/wal/examples/third_log.rs"]
mod third_log;

use third_log::PlainLog;

const CLUSTER: u64 = 11;
const CLIENTS: u64 = 4;
/// Operations of one client in one life of the group.
const OPERATIONS: u64 = 30;
const LIVES: u64 = 3;
const KEYS: [&str; 3] = ["a", "b", "c"];
/// So few bytes that each life takes several snapshots.
const SNAPSHOT_BYTES: u64 = 1500;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a group's records and snapshots go.
enum Kept {
    /// Nowhere: nothing outlives its process.
    Nowhere,
    /// In files below this directory.
    InFiles(TempDir),
    /// In one plain file each, below this directory.
    InPlainLogs(TempDir),
    /// On simulated disks, whose power is cut under running servers.
    OnSimulatedDisks(BTreeMap<NodeId, SimDisk>),
}

fn in_memory(_: &[NodeId]) -> Kept {
    Kept::Nowhere
}

fn in_files(members: &[NodeId]) -> Kept {
    let home = TempDir::new().expect("a directory");
    for id in members {
        let dir = home.path().join(id.to_string());
        Storage::init(&dir, CLUSTER, *id, &LogConfig::small()).expect("a new directory");
    }
    Kept::InFiles(home)
}

fn in_plain_logs(members: &[NodeId]) -> Kept {
    let home = TempDir::new().expect("a directory");
    for id in members {
        std::fs::create_dir(home.path().join(id.to_string())).expect("a new directory");
    }
    Kept::InPlainLogs(home)
}

fn on_simulated_disks(members: &[NodeId]) -> Kept {
    let cluster = ClusterId(u128::from(CLUSTER));
    let disk = |id: &NodeId| {
        let disk = SimDisk::new();
        wal::init(&disk, cluster, *id, &LogConfig::small()).expect("a new disk");
        (*id, disk)
    };
    Kept::OnSimulatedDisks(members.iter().map(disk).collect())
}

impl Kept {
    fn storage(&self, id: NodeId, life: u64) -> Storage {
        let opened = match self {
            Self::Nowhere => return Storage::memory(u64::from(id.0)),
            Self::InFiles(home) => {
                let dir = home.path().join(id.to_string());
                Storage::open(&dir, CLUSTER, id, LogConfig::small())
            }
            Self::InPlainLogs(home) => {
                let dir = home.path().join(id.to_string());
                let disk = Arc::new(RealDisk::open(&dir).expect("nobody else has it"));
                let (log, first, records) = PlainLog::open(disk.clone()).expect("a sound log");
                return Storage {
                    log: Box::new(log),
                    kept: (first, records),
                    snapshots: Arc::new(Snapshots::new(disk)),
                    ..Storage::memory(u64::from(id.0) << 32 | life)
                };
            }
            Self::OnSimulatedDisks(disks) => {
                Storage::on(Arc::new(disks[&id].clone()), CLUSTER, id, LogConfig::small())
            }
        };
        opened.unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    fn survives(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }
}

/// A tower, some of its servers running.
struct Tower<E: Engine> {
    engine: fn(NodeId, &[NodeId]) -> E,
    kept: Kept,
    network: Arc<dyn Network>,
    addrs: BTreeMap<NodeId, Addr>,
    running: BTreeMap<NodeId, Group<E>>,
    lives: u64,
    cuts: u64,
}

fn alone(me: NodeId, _: &[NodeId]) -> Single {
    Single(me)
}

/// Multi-Paxos with short patience.
fn paxos(me: NodeId, members: &[NodeId]) -> MultiPaxos {
    MultiPaxos {
        heartbeat: Duration::from_millis(40),
        election_timeout: Duration::from_millis(250),
        probe_timeout: Duration::from_millis(60),
        trailing: 8,
        ..MultiPaxos::new(me, members.to_vec())
    }
}

impl<E: Engine> Tower<E> {
    async fn new(
        count: u16,
        engine: fn(NodeId, &[NodeId]) -> E,
        kept: fn(&[NodeId]) -> Kept,
        network: Arc<dyn Network>,
    ) -> Self {
        let members: Vec<NodeId> = (1..=count).map(NodeId).collect();
        let (mut doors, mut addrs) = (Vec::new(), BTreeMap::new());
        for id in &members {
            let door = network.listen(&Addr::any()).await.expect("a free port");
            addrs.insert(*id, door.addr());
            doors.push(door);
        }
        drop(doors);
        let kept = kept(&members);
        let mut tower =
            Self { engine, kept, network, addrs, running: BTreeMap::new(), lives: 0, cuts: 0 };
        tower.start_all().await;
        tower
    }

    fn members(&self) -> Vec<NodeId> {
        self.addrs.keys().copied().collect()
    }

    async fn start(&mut self, me: NodeId) {
        let deadline = Instant::now() + PATIENCE;
        let group = loop {
            self.lives += 1;
            let storage = self.kept.storage(me, self.lives);
            let neighbours = Neighbours {
                network: Arc::clone(&self.network),
                cluster: CLUSTER,
                me,
                addrs: self.addrs.clone(),
                seed: storage.seed,
            };
            let config = Config { me, snapshot_bytes: SNAPSHOT_BYTES };
            let engine = (self.engine)(me, &self.members());
            match server::open(engine, config, storage, neighbours).await {
                Ok(group) => break group,
                // Its port was free a moment ago; a stranger's connection may have it just now.
                Err(OpenError::Listen { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{me}: {error}"),
            }
        };
        self.running.insert(me, group);
    }

    async fn start_all(&mut self) {
        for id in self.members() {
            self.start(id).await;
        }
    }

    /// Stops a server; if its disk is a simulated one, by cutting its power.
    async fn stop(&mut self, id: NodeId) {
        let Some(group) = self.running.remove(&id) else { return };
        if let Kept::OnSimulatedDisks(disks) = &self.kept {
            self.cuts += 1;
            disks[&id].crash(self.cuts);
            // Whether it noticed, or was idle, does not matter: it is gone.
            let _ = group.stop().await;
        } else {
            group.stop().await.expect("its log is sound");
        }
    }

    async fn restart_all(&mut self) {
        for id in self.members() {
            self.stop(id).await;
        }
        self.start_all().await;
    }

    fn connections(&self) -> Connections {
        Connections::new(Arc::clone(&self.network), CLUSTER, self.addrs.clone(), 1)
    }

    /// The table tells the truth: these are the implementations that the line names.
    async fn is_what_it_says(&self, engine: &str, socket: bool) {
        let connections = self.connections();
        for (id, addr) in &self.addrs {
            let status = connections.status(*id).await.expect("it runs");
            let ours = matches!(self.kept, Kept::InFiles(_) | Kept::OnSimulatedDisks(_));
            assert_eq!(status.log.is_some(), ours, "the log of {id}");
            let alone = status.replica.agreement.role == "alone";
            assert_eq!(alone, engine == "alone", "the agreement of {id}");
            let reached = std::net::TcpStream::connect(addr.as_str()).is_ok();
            assert_eq!(reached, socket, "{addr} is a socket, or is not");
        }
    }

    async fn ends_equal(&self) {
        let connections = self.connections();
        until("all servers hold the same", async || {
            let mut digests = Vec::new();
            for id in self.addrs.keys() {
                digests.extend(connections.digest(*id).await);
            }
            digests.len() == self.addrs.len() && digests.windows(2).all(|pair| pair[0] == pair[1])
        })
        .await;
    }
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "it never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// One client's work in one life: puts, appends, gets and compare-and-swaps on keys that all share.
async fn work(mut witness: Witness, mut rng: Rng, name: String) {
    let mut seen: BTreeMap<&str, Option<Vec<u8>>> = BTreeMap::new();
    for number in 0..OPERATIONS {
        let at = KEYS[rng.below(KEYS.len() as u64) as usize];
        let (key, value) = (at.as_bytes().to_vec(), format!("<{name}.{number}>").into_bytes());
        let action = match rng.below(4) {
            0 => Action::Put { key, value },
            1 => Action::Append { key, value },
            2 => Action::Get { key },
            _ => Action::Cas { key, expect: seen.get(at).cloned().flatten(), value },
        };
        if let (Outcome::Ok(Answer::Value(value)), _) = witness.ask(action).await {
            seen.insert(at, value);
        }
    }
}

async fn serves<E: Engine>(mut tower: Tower<E>, seed: u64) {
    let (recorder, rng) = (Recorder::new(), Rng::new(seed));
    for life in 0..LIVES {
        let connections = store::Connections::Kv(tower.connections());
        let clients = (0..CLIENTS).map(|client| {
            let rng = rng.fork(life * CLIENTS + client);
            let witness = Witness::new(&recorder, &connections, rng.clone().next_u64());
            work(witness, rng, format!("{life}.{client}"))
        });
        let some = recorder.acknowledged().len() + (CLIENTS * OPERATIONS / 3) as usize;
        let unlucky = NodeId(1 + (life % tower.addrs.len() as u64) as u16);
        let trouble = async {
            if tower.kept.survives() {
                until("work is under way", async || recorder.acknowledged().len() >= some).await;
                tower.stop(unlucky).await;
                tower.start(unlucky).await;
            }
        };
        tokio::join!(join_all(clients), trouble);
        if tower.kept.survives() {
            tower.restart_all().await;
        }
    }
    let connections = store::Connections::Kv(tower.connections());
    let mut reader = Witness::new(&recorder, &connections, seed);
    for key in KEYS {
        assert!(reader.value(key.as_bytes(), PATIENCE).await.is_some(), "{key} is read at the end");
    }
    tower.ends_equal().await;
    let report = histcheck::check(&recorder.operations(), PATIENCE);
    assert!(report.passed(), "seed {seed}: {report}");
    let asked = (LIVES * CLIENTS * OPERATIONS) as usize;
    assert!(report.counts.ok > asked / 2, "seed {seed}: too little was answered: {report}");
    for id in tower.members() {
        tower.stop(id).await;
    }
}

macro_rules! combinations {
    ($($name:ident: $count:literal $engine:ident, $kept:ident, $network:expr, $socket:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let tower = Tower::new($count, $engine, $kept, Arc::new($network)).await;
            tower.is_what_it_says(stringify!($engine), $socket).await;
            serves(tower, 0xC0B1).await;
        })*
    };
}

combinations! {
    alone_in_memory_on_pipes: 1 alone, in_memory, Memory::new(), false;
    alone_in_memory_on_sockets: 1 alone, in_memory, Tcp, true;
    alone_in_files_on_pipes: 1 alone, in_files, Memory::new(), false;
    alone_in_files_on_sockets: 1 alone, in_files, Tcp, true;
    alone_in_plain_logs_on_sockets: 1 alone, in_plain_logs, Tcp, true;
    alone_on_simulated_disks_on_pipes: 1 alone, on_simulated_disks, Memory::new(), false;
    alone_on_simulated_disks_on_sockets: 1 alone, on_simulated_disks, Tcp, true;
    paxos_in_memory_on_pipes: 3 paxos, in_memory, Memory::new(), false;
    paxos_in_memory_on_sockets: 3 paxos, in_memory, Tcp, true;
    paxos_in_files_on_pipes: 3 paxos, in_files, Memory::new(), false;
    paxos_in_files_on_sockets: 3 paxos, in_files, Tcp, true;
    paxos_in_plain_logs_on_sockets: 3 paxos, in_plain_logs, Tcp, true;
    paxos_on_simulated_disks_on_pipes: 3 paxos, on_simulated_disks, Memory::new(), false;
    paxos_on_simulated_disks_on_sockets: 3 paxos, on_simulated_disks, Tcp, true;
}
