//! A group of servers in one process, and what its clients may expect of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use kvpaxos::{Client, Connections, Expect, server, service::NodeStatus};
use net::{Addr, Memory, Network, Tcp};
use paxosrsm::{
    Config,
    engine::{Engine, MultiPaxos, Neighbours},
    server::Group,
    storage::{LogConfig, Storage},
};
use protocol::NodeId;
use tempfile::TempDir;

pub(crate) const CLUSTER: u64 = 7;

/// Servers, some of them running.
pub(crate) struct Servers<E: Engine> {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) addrs: BTreeMap<NodeId, Addr>,
    /// Where they keep what they must not forget; in memory if nowhere.
    home: Option<TempDir>,
    engine: Box<dyn Fn(NodeId) -> E>,
    snapshot_bytes: u64,
    pub(crate) running: BTreeMap<NodeId, Group<E>>,
}

/// Multi-Paxos with short patience, among so many.
pub(crate) fn paxos_of(count: u16) -> impl Fn(NodeId) -> MultiPaxos {
    move |me| MultiPaxos {
        heartbeat: Duration::from_millis(40),
        election_timeout: Duration::from_millis(250),
        probe_timeout: Duration::from_millis(60),
        trailing: 8,
        ..MultiPaxos::new(me, (1..=count).map(NodeId).collect())
    }
}

/// Three servers on the memory network.
pub(crate) async fn three(home: Option<TempDir>) -> Servers<MultiPaxos> {
    let mut servers = Servers::new(3, Arc::new(Memory::new()), home, paxos_of(3)).await;
    servers.start_all().await;
    servers
}

impl<E: Engine> Servers<E> {
    pub(crate) async fn new(
        count: u16,
        network: Arc<dyn Network>,
        home: Option<TempDir>,
        engine: impl Fn(NodeId) -> E + 'static,
    ) -> Self {
        let mut addrs = BTreeMap::new();
        let mut doors = Vec::new();
        for id in (1..=count).map(NodeId) {
            let door = network.listen(&Addr::any()).await.expect("a free port");
            addrs.insert(id, door.addr());
            doors.push(door);
            if let Some(home) = &home {
                let dir = home.path().join(id.to_string());
                Storage::init(&dir, CLUSTER, id, &LogConfig::small()).expect("a new directory");
            }
        }
        let (engine, running) = (Box::new(engine), BTreeMap::new());
        Self { network, addrs, home, engine, snapshot_bytes: u64::MAX, running }
    }

    pub(crate) fn snapshots_every(&mut self, bytes: u64) {
        self.snapshot_bytes = bytes;
    }

    pub(crate) fn storage(&self, id: NodeId) -> Storage {
        match &self.home {
            Some(home) => {
                let dir = home.path().join(id.to_string());
                Storage::open(&dir, CLUSTER, id, LogConfig::small()).expect("its own directory")
            }
            None => Storage::memory(u64::from(id.0)),
        }
    }

    pub(crate) async fn start(&mut self, id: NodeId) {
        let storage = self.storage(id);
        self.start_on(id, storage).await;
    }

    pub(crate) async fn start_on(&mut self, id: NodeId, storage: Storage) {
        let neighbours = Neighbours {
            network: Arc::clone(&self.network),
            cluster: CLUSTER,
            me: id,
            addrs: self.addrs.clone(),
            seed: storage.seed,
        };
        let config = Config { me: id, snapshot_bytes: self.snapshot_bytes };
        let group = server::open((self.engine)(id), config, storage, neighbours).await;
        self.running.insert(id, group.unwrap_or_else(|error| panic!("{id}: {error}")));
    }

    pub(crate) async fn start_all(&mut self) {
        for id in self.addrs.clone().into_keys() {
            self.start(id).await;
        }
    }

    pub(crate) async fn stop(&mut self, id: NodeId) {
        let group = self.running.remove(&id).expect("it runs");
        group.stop().await.expect("its log is sound");
    }

    pub(crate) async fn stop_all(&mut self) {
        for id in self.running.keys().copied().collect::<Vec<_>>() {
            self.stop(id).await;
        }
    }

    pub(crate) fn connections(&self) -> Connections {
        Connections::new(Arc::clone(&self.network), CLUSTER, self.addrs.clone(), 1)
    }

    pub(crate) fn client(&self, seed: u64) -> Client {
        let mut client = Client::new(self.connections(), seed);
        client.budget = Duration::from_secs(20);
        client
    }

    pub(crate) async fn status(&self, id: NodeId) -> NodeStatus {
        self.connections().status(id).await.expect("it runs")
    }

    /// Who leads, once somebody does.
    pub(crate) async fn leader(&self) -> NodeId {
        let mut found = None;
        until("somebody leads", async || {
            for id in self.running.keys() {
                let leader = self.status(*id).await.replica.agreement.leader;
                found = leader.filter(|leader| leader == id).or(found);
            }
            found.is_some()
        })
        .await;
        found.expect("just found")
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), wait).await.is_err() {
        panic!("it never came true: {what}");
    }
}

pub(crate) fn b(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Everything one client can do, and what it hears. The same on every kind of store.
pub(crate) async fn a_client_is_served(client: &mut Client) {
    assert_eq!(client.get(b("k")).await, Ok(None));
    let first = client.put(b("k"), b("a")).await.expect("put");
    let second = client.append(b("k"), b("b")).await.expect("append");
    assert!(second > first);
    assert_eq!(client.get(b("k")).await, Ok(Some((b("ab"), second))));
    let swapped = client.cas(b("k"), Expect::Version(first), b("x")).await;
    assert_eq!(swapped, Ok(Err(Some(second))));
    let third = client.cas(b("k"), Expect::Value(b("ab")), b("c")).await.expect("cas");
    assert_eq!(client.get(b("k")).await.expect("get"), Some((b("c"), third.expect("equal"))));
    assert_eq!(client.delete(b("k")).await, Ok(true));
    assert_eq!(client.delete(b("k")).await, Ok(false));
    assert_eq!(client.get(b("k")).await, Ok(None));
    client.put(b("kept"), b("for later")).await.expect("put");
}

#[tokio::test]
async fn what_one_client_wrote_every_client_reads() {
    let servers = three(None).await;
    a_client_is_served(&mut servers.client(1)).await;
    for seed in 2..6 {
        let mut client = servers.client(seed);
        let seen = client.get(b("kept")).await.expect("get").expect("it was put");
        assert_eq!(seen.0, "for later");
        client.append(b("log"), b(&seed.to_string())).await.expect("append");
    }
    let log = servers.client(9).get(b("log")).await.expect("get").expect("it was appended to");
    assert_eq!(log.0, "2345");
}

#[tokio::test]
async fn status_and_digest_tell_how_each_server_is_doing() {
    let servers = three(None).await;
    servers.client(1).put(b("k"), b("v")).await.expect("put");
    let leader = servers.leader().await;
    let connections = servers.connections();
    until("all have applied everything", async || {
        let mut chains = Vec::new();
        for id in servers.addrs.keys() {
            let status = connections.status(*id).await.expect("it runs");
            assert_eq!(status.replica.me, *id);
            assert!(status.log.is_none(), "it has no log on disk");
            chains.push((status.replica.applied, status.replica.chain));
        }
        chains.windows(2).all(|pair| pair[0] == pair[1])
    })
    .await;
    let status = connections.status(leader).await.expect("it runs").replica;
    assert_eq!((status.agreement.role.as_str(), status.agreement.leader), ("leader", Some(leader)));
    let mut digests = Vec::new();
    for id in servers.addrs.keys() {
        digests.push(connections.digest(*id).await.expect("it runs"));
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

#[tokio::test]
async fn the_leader_stops_and_the_others_go_on() {
    let mut servers = three(None).await;
    let mut client = servers.client(1);
    client.put(b("k"), b("a")).await.expect("put");
    let leader = servers.leader().await;
    servers.stop(leader).await;
    client.append(b("k"), b("b")).await.expect("a majority is left");
    let seen = servers.client(2).get(b("k")).await.expect("get").expect("there");
    assert_eq!(seen.0, "ab");
}

#[tokio::test]
async fn everything_is_there_again_after_all_were_stopped() {
    let mut servers = three(Some(TempDir::new().expect("a directory"))).await;
    for life in 0..3 {
        let mut client = servers.client(life);
        for _ in 0..5 {
            client.append(b("k"), b("x")).await.expect("append");
        }
        servers.stop_all().await;
        servers.start_all().await;
        let seen = servers.client(9).get(b("k")).await.expect("get").expect("there");
        assert_eq!(seen.0.len() as u64, 5 * (life + 1), "in life {life}");
    }
}

/// A server that was away while the others forgot what it lacks pulls their snapshot over the
/// network, keeps it, and begins its next life from it.
#[tokio::test]
async fn who_is_far_behind_installs_a_snapshot_over_the_network() {
    let home = Some(TempDir::new().expect("a directory"));
    let mut servers = Servers::new(3, Arc::new(Memory::new()), home, paxos_of(3)).await;
    servers.snapshots_every(2000);
    let late = NodeId(3);
    servers.start(NodeId(1)).await;
    servers.start(NodeId(2)).await;
    let mut client = servers.client(1);
    let value = Bytes::from(vec![7; 3000]);
    for number in 0..60 {
        client.put(b(&format!("k{number}")), value.clone()).await.expect("put");
    }
    for id in [NodeId(1), NodeId(2)] {
        // A snapshot is written beside the work, and may be late.
        until("it forgot what a snapshot covers", async || {
            servers.status(id).await.replica.agreement.floor.0 > 0
        })
        .await;
    }
    servers.start(late).await;
    let caught_up = async |servers: &Servers<MultiPaxos>| {
        until("it has caught up", async || {
            let leader = servers.leader().await;
            let (ahead, behind) = (servers.status(leader).await, servers.status(late).await);
            behind.replica.applied == ahead.replica.applied
                && behind.replica.chain == ahead.replica.chain
        })
        .await;
    };
    caught_up(&servers).await;
    let status = servers.status(late).await.replica;
    assert!(status.snapshot.0 > 0 && status.commands < 60, "{status:?}");
    let digest = servers.connections().digest(late).await.expect("it runs");
    assert_eq!(digest, servers.connections().digest(servers.leader().await).await.expect("runs"));
    // And again from its own disk.
    servers.stop(late).await;
    servers.start(late).await;
    caught_up(&servers).await;
}

/// The same on real sockets, once.
#[tokio::test]
async fn three_servers_on_real_sockets_and_disks() {
    let home = Some(TempDir::new().expect("a directory"));
    let mut servers = Servers::new(3, Arc::new(Tcp), home, paxos_of(3)).await;
    servers.start_all().await;
    a_client_is_served(&mut servers.client(1)).await;
    let log = servers.status(servers.leader().await).await.log.expect("it has one on disk");
    assert!(log.syncs > 0 && log.records > 0 && log.live_bytes > 0, "{log:?}");
    servers.stop_all().await;
    servers.start_all().await;
    let seen = servers.client(2).get(b("kept")).await.expect("get").expect("there");
    assert_eq!(seen.0, "for later");
    servers.stop_all().await;
}
