//! What a log of large values costs in memory. Alone in its program, because it measures the
//! program: three servers and their client.

use std::{collections::BTreeMap, process::Command, sync::Arc, time::Duration};

use bytes::Bytes;
use kvpaxos::{Client, Connections, server};
use net::{Addr, Memory, Network};
use paxosrsm::{
    Config,
    engine::{MultiPaxos, Neighbours},
    server::Group,
    storage::{LogConfig, Storage},
};
use protocol::NodeId;
use sim::Scenario;
use tempfile::TempDir;

const CLUSTER: u64 = 3;
const SERVERS: u16 = 3;
const KEYS: u64 = 10;
const ROUNDS: u64 = 2;
const VALUE: usize = 1_000_000;
/// What the three of them may grow by, in bytes: twice their data.
const BOUND: u64 = SERVERS as u64 * KEYS * VALUE as u64 * 2;

/// Resident bytes of this program, where the system says so; it counts what the allocator keeps
/// back as well.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

type Running = (BTreeMap<NodeId, Group<MultiPaxos>>, BTreeMap<NodeId, Addr>);

/// Three servers with logs in files, which are shortened after every megabyte of commands.
async fn start(network: &Arc<dyn Network>, home: &TempDir) -> Running {
    let members: Vec<NodeId> = (1..=SERVERS).map(NodeId).collect();
    let (mut addrs, mut doors) = (BTreeMap::new(), Vec::new());
    for id in &members {
        let door = network.listen(&Addr::any()).await.expect("a free port");
        addrs.insert(*id, door.addr());
        doors.push(door);
    }
    drop(doors);
    let mut running = BTreeMap::new();
    for me in members.iter().copied() {
        let dir = home.path().join(me.to_string());
        Storage::init(&dir, CLUSTER, me, &LogConfig::small()).expect("a new directory");
        let storage = Storage::open(&dir, CLUSTER, me, LogConfig::small()).expect("its own");
        let neighbours = Neighbours {
            network: Arc::clone(network),
            cluster: CLUSTER,
            me,
            addrs: addrs.clone(),
            seed: storage.seed,
        };
        let config = Config { me, snapshot_bytes: 1 << 20 };
        let engine = MultiPaxos { trailing: 0, ..MultiPaxos::new(me, members.clone()) };
        let group = server::open(engine, config, storage, neighbours).await;
        running.insert(me, group.unwrap_or_else(|error| panic!("{me}: {error}")));
    }
    (running, addrs)
}

/// A client of one server only.
fn client(network: &Arc<dyn Network>, addrs: &BTreeMap<NodeId, Addr>, at: u16) -> Client {
    let only = addrs.iter().filter(|(id, _)| id.0 == at).map(|(id, addr)| (*id, addr.clone()));
    let connections = Connections::new(Arc::clone(network), CLUSTER, only.collect(), 1);
    let mut client = Client::new(connections, u64::from(at));
    client.budget = Duration::from_secs(60);
    client
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("k{number}"))
}

/// Set in the process that is measured.
const MEASURED: &str = "SYNOD_MEASURED";
const NAME: &str = "s8_5_03_memory_stays_near_the_size_of_the_data";

/// Runs the test once more in a process of its own, whose allocator gives large pieces back at
/// once instead of keeping them for later: what is resident there is what is in use.
#[test]
fn s8_5_03_memory_stays_near_the_size_of_the_data() {
    if std::env::var_os(MEASURED).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(measure());
    }
    let mut again = Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", NAME, "--nocapture"]).env(MEASURED, "1");
    again.env("MALLOC_MMAP_THRESHOLD_", "131072").env("MALLOC_ARENA_MAX", "1");
    let output = again.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

async fn measure() {
    let (network, home) = (Arc::new(Memory::new()) as Arc<dyn Network>, TempDir::new());
    let home = home.expect("a directory");
    let (running, addrs) = start(&network, &home).await;
    let mut clients: Vec<Client> = (1..=SERVERS).map(|at| client(&network, &addrs, at)).collect();
    for client in &mut clients {
        client.put(key(0), Bytes::from_static(b"small")).await.expect("put");
    }
    let before = resident();
    for round in 0..ROUNDS {
        for number in 0..KEYS {
            let client = &mut clients[((round * KEYS + number) % u64::from(SERVERS)) as usize];
            let value = Bytes::from(vec![(round * KEYS + number) as u8; VALUE]);
            client.put(key(number), value.clone()).await.expect("put");
            let seen = client.get(key(number)).await.expect("get");
            assert!(seen.is_some_and(|(seen, _)| seen == value), "what was just put");
        }
    }
    // Two small rounds at every server: everybody hears that everything is chosen.
    for number in 0..2 * usize::from(SERVERS) {
        let client = &mut clients[number % usize::from(SERVERS)];
        client.put(Bytes::from_static(b"s"), Bytes::from_static(b"s")).await.expect("put");
    }
    let bound = tokio::time::Instant::now() + Duration::from_secs(20);
    let live = || {
        let logs = running.values().filter_map(|group| group.wal.as_ref());
        logs.map(|wal| wal.stats().live_bytes()).max().unwrap_or_default()
    };
    // Snapshots may still be under way, and then their images are in memory.
    let grown = || resident().zip(before).map(|(now, before)| now.saturating_sub(before));
    while grown().is_some_and(|bytes| bytes > BOUND) && tokio::time::Instant::now() < bound {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let grown = grown();
    assert!(grown.is_none_or(|bytes| bytes <= BOUND), "{grown:?} bytes more than before");
    let log = live();
    let words = grown.map_or_else(String::new, |bytes| format!("{} MB more, ", bytes / 1_000_000));
    let figure = format!("{words}log of at most {} kB, for 30 MB of data", log / 1000);
    let puts = ROUNDS * KEYS;
    Scenario { seeds: 1, events: 2 * puts, acknowledged: 2 * puts, figure }.write(NAME);
    for group in running.into_values() {
        group.stop().await.expect("its log is sound");
    }
}
