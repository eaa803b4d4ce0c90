//! The service on sockets and in memory, with pingers of the shipped kind; its own death.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use net::{Addr, CallError, Calls, Hello, Line, Memory, Network, Peers, Tcp, Wire, context_until};
use protocol::{CallId, NodeId, Time};
use sim::Scenario;
use tokio::time::{Instant, sleep, timeout};
use viewservice::{
    Home, Incarnation, Join, Member, News, Ping, Pinger, Reply, Request, SERVICE_NODE, Server,
    Service, Status, Storage, View, ViewClient, ViewNum, ViewWire,
    client::calls,
    server::{BOUNDS, SERVICE},
};
use wal::SimDisk;

const CLUSTER: u64 = 7;

/// How long anything may take on a busy machine before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(20);

async fn open(network: Arc<dyn Network>, addr: &Addr, storage: Storage) -> Service {
    let addr = addr.clone();
    let home = Home { network, cluster: CLUSTER, me: SERVICE_NODE, addr, storage };
    Service::open(home).await.expect("it opens")
}

/// The storage of a service whose earlier life may not have quite ended.
async fn storage(dir: &Path) -> Storage {
    let begun = Instant::now();
    loop {
        match Storage::open(dir, CLUSTER, SERVICE_NODE, wal::Config::small()) {
            Ok(storage) => return storage,
            Err(wal::OpenError::Locked { .. }) if begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A server that pings for ever and believes what it is told; as primary its backup is always
/// filled at once.
struct Citizen {
    peers: Peers<ViewWire, Request>,
    pinger: Pinger,
    view: View,
    call: u64,
    began: Instant,
    refused: Vec<String>,
}

impl Citizen {
    fn new(network: &Arc<dyn Network>, service: &Addr, node: u16) -> Self {
        let network = Arc::clone(network);
        let peers = calls(network, CLUSTER, Some(NodeId(node)), service.clone(), node.into());
        let pinger = Pinger::new(NodeId(node), format!("host{node}"), Vec::new());
        let (view, began) = (View::default(), Instant::now());
        Self { peers, pinger, view, call: 0, began, refused: Vec::new() }
    }

    fn now(&self) -> Time {
        Time::ZERO.plus(self.began.elapsed())
    }

    /// Makes the call that is due, if any, and waits for its answer for as long as a pinger does.
    async fn turn(&mut self) {
        let Some(request) = self.pinger.due(self.now(), self.view.number, true, false) else {
            return;
        };
        self.call += 1;
        let call = CallId(self.call);
        self.pinger.called(call);
        let answer = self.peers.call(SERVICE_NODE, request);
        match timeout(viewservice::PING_INTERVAL, answer).await {
            Ok(Ok(reply)) => match self.pinger.heard(self.now(), call, reply) {
                News::Viewed(view) if view.number > self.view.number => self.view = view,
                News::Refused(refused) => self.refused.push(refused.to_string()),
                _ => {}
            },
            _ => self.pinger.failed(self.now(), call),
        }
    }
}

impl Citizen {
    /// These two ping for so long.
    async fn turns(&mut self, other: &mut Self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.turn().await;
            other.turn().await;
            sleep(Duration::from_millis(7)).await;
        }
    }
}

/// All of them ping until `done` says so of what a bystander sees.
async fn until(
    client: &ViewClient,
    servers: &mut [&mut Citizen],
    done: impl Fn(&Status) -> bool,
) -> View {
    let begun = Instant::now();
    loop {
        for server in servers.iter_mut() {
            server.turn().await;
        }
        if let Ok(status) = client.status().await
            && done(&status)
        {
            assert_eq!(client.get().await.expect("it answers"), status.view);
            return status.view;
        }
        assert!(begun.elapsed() < PATIENCE, "it never came to that: {:?}", client.status().await);
        sleep(Duration::from_millis(5)).await;
    }
}

/// The view, and whether it is acknowledged.
fn nodes(status: &Status) -> (u64, u16, u16, bool) {
    let view = &status.view;
    let node = |server: &Option<Server>| server.as_ref().map_or(0, |it| it.member.node.0);
    (view.number.0, node(&view.primary), node(&view.backup), status.acknowledged)
}

#[tokio::test]
async fn s8_1_16_every_connection_is_counted_and_a_killed_service_answers_no_one() {
    let network: Arc<dyn Network> = Arc::new(Tcp);
    let service = open(Arc::clone(&network), &Addr::any(), Storage::memory()).await;
    let (addr, counters) = (service.addr.clone(), Arc::clone(&service.counters));
    let taken = || counters.snapshot()["accepted"];
    assert_eq!(taken(), 0);
    let client = ViewClient::new(Arc::clone(&network), CLUSTER, addr.clone());
    let mut first = Citizen::new(&network, &addr, 1);
    let mut second = Citizen::new(&network, &addr, 2);
    let view =
        until(&client, &mut [&mut first, &mut second], |it| nodes(it) == (2, 1, 2, true)).await;
    assert_eq!(taken(), 3, "a bystander and two servers, one connection each");
    until(&client, &mut [&mut first, &mut second], |it| it.view == view).await;
    assert_eq!(taken(), 3, "and no more for more calls");
    for _ in 0..5 {
        let stranger = ViewClient::new(Arc::clone(&network), CLUSTER, addr.clone());
        stranger.status().await.expect("it answers");
    }
    assert_eq!(taken(), 8);

    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    service.stop().await.expect("its log is in memory");
    let join = Request::Join(Join { node: NodeId(1) });
    // The first call may find out that the connection is gone; from then on there is none.
    let asked = Instant::now();
    let first_error = first.peers.call(SERVICE_NODE, join.clone()).await.expect_err("nobody");
    let second_error = first.peers.call(SERVICE_NODE, join).await.expect_err("nobody");
    assert!(!matches!(first_error, CallError::Late), "{first_error}");
    assert!(matches!(second_error, CallError::Down(_)), "{second_error}");
    let took = asked.elapsed();
    drop((first, second, client));
    let begun = Instant::now();
    while tasks.num_alive_tasks() > 0 && begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(tasks.num_alive_tasks(), 0, "of {before} tasks none is left");
    assert_eq!(counters.snapshot()["open"], 0);
    let figure = format!(
        "8 connections counted; killed: two calls failed within {} ms, no task of {before} left",
        took.as_millis() + 1
    );
    Scenario { seeds: 1, events: 8, acknowledged: 2, figure }
        .write("s8_1_16_every_connection_is_counted_and_a_killed_service_answers_no_one");
}

/// Killed without a word and opened again in its directory, behind the same address: the view, its
/// acknowledgement and the issued numbers are there.
#[tokio::test]
async fn a_service_that_is_killed_keeps_its_word() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("view");
    Storage::init(&path, CLUSTER, SERVICE_NODE, &wal::Config::small()).expect("it is new");
    let network: Arc<dyn Network> = Arc::new(Memory::new());
    let service = open(Arc::clone(&network), &Addr::any(), storage(&path).await).await;
    let addr = service.addr.clone();
    let client = ViewClient::new(Arc::clone(&network), CLUSTER, addr.clone());
    let mut first = Citizen::new(&network, &addr, 1);
    let mut second = Citizen::new(&network, &addr, 2);
    until(&client, &mut [&mut first, &mut second], |it| nodes(it) == (2, 1, 2, true)).await;
    let before = client.status().await.expect("it answers");
    // As with kill -9: nothing of it is told to end well.
    drop(service);
    let service = open(Arc::clone(&network), &addr, storage(&path).await).await;
    let back = |it: &Status| it.servers.iter().all(|server| server.pinged == Some(ViewNum(2)));
    until(&client, &mut [&mut first, &mut second], back).await;
    let after = client.status().await.expect("it answers");
    assert_eq!((after.view, after.issued), (before.view, before.issued));
    assert!(after.adopted && after.acknowledged);
    service.stop().await.expect("its log is sound");
    let Err(error) = Storage::open(&path, CLUSTER + 1, SERVICE_NODE, wal::Config::small()) else {
        panic!("it belongs to another installation");
    };
    assert!(error.to_string().contains("belongs to"), "{error}");
}

/// The power fails ten times, for longer or shorter; nobody who lives ever loses his place.
#[tokio::test(start_paused = true)]
async fn a_service_that_was_away_costs_no_needless_change() {
    let disk = SimDisk::new();
    let config = wal::Config { inline: true, ..wal::Config::small() };
    let cluster = wal::ClusterId(u128::from(CLUSTER));
    wal::init(&disk, cluster, SERVICE_NODE, &config).expect("it is new");
    let storage = || {
        Storage::on(Arc::new(disk.clone()), CLUSTER, SERVICE_NODE, config).expect("a sound disk")
    };
    let network: Arc<dyn Network> = Arc::new(Memory::new());
    let mut service = open(Arc::clone(&network), &Addr::any(), storage()).await;
    let addr = service.addr.clone();
    let client = ViewClient::new(Arc::clone(&network), CLUSTER, addr.clone());
    let mut first = Citizen::new(&network, &addr, 1);
    let mut second = Citizen::new(&network, &addr, 2);
    until(&client, &mut [&mut first, &mut second], |it| nodes(it) == (2, 1, 2, true)).await;
    let before = client.status().await.expect("it answers");
    for life in 1..=10 {
        disk.crash(life);
        drop(service);
        first.turns(&mut second, Duration::from_millis(137 * life * life)).await;
        service = open(Arc::clone(&network), &addr, storage()).await;
        // Long enough for everybody to be taken for dead.
        first.turns(&mut second, Duration::from_secs(3)).await;
        let after = client.status().await.expect("it answers");
        assert_eq!((after.view, after.issued), (before.view.clone(), before.issued), "{life}");
        assert!(after.adopted && after.acknowledged && after.stuck.is_none());
    }
    // A real death is noticed all the same.
    until(&client, &mut [&mut second], |it| nodes(it) == (3, 2, 0, true)).await;
    assert!(first.refused.is_empty() && second.refused.is_empty());
    service.stop().await.expect("its log is sound");
}

/// Every way in of the service, over a connection of each kind: a server speaks for itself only.
#[tokio::test]
async fn a_connection_speaks_for_its_own_node_only() {
    let network: Arc<dyn Network> = Arc::new(Memory::new());
    let service = open(Arc::clone(&network), &Addr::any(), Storage::memory()).await;
    for (node, proven) in [(None, false), (Some(NodeId(2)), false), (Some(NodeId(1)), true)] {
        let hello = Hello { cluster: CLUSTER, node, service: SERVICE.to_owned() };
        let mut stream = network.connect(&service.addr).await.expect("it listens");
        net::hello::greet(&mut stream, &hello).await.expect("everybody may look");
        let (line, _hang_up) = Line::new(stream, BOUNDS);
        let wire = ViewWire::open(line);
        let call =
            |request| wire.call(context_until(std::time::Instant::now() + PATIENCE), request);
        let joined = call(Request::Join(Join { node: NodeId(1) })).await.expect("it answers");
        assert_eq!(matches!(joined, Reply::Joined(Ok(_))), proven, "{node:?}: {joined:?}");
        let member = Member { node: NodeId(1), incarnation: Incarnation(1) };
        let server = Server { member, addr: "here".to_owned() };
        let view = ViewNum(0);
        let ping = Ping { server, view, installed: false, heir: Vec::new(), lost_backup: false };
        let pong = call(Request::Ping(ping)).await.expect("it answers");
        assert_eq!(matches!(pong, Reply::Pong(Ok(_))), proven, "{node:?}: {pong:?}");
        let number = u64::from(proven);
        let Reply::View(view) = call(Request::Get).await.expect("it answers") else {
            panic!("no view");
        };
        assert_eq!(view.number, ViewNum(number));
    }
    let counted: BTreeMap<&str, u64> = service.counters.snapshot();
    assert_eq!(counted["panics"] + counted["malformed"], 0);
    service.stop().await.expect("its log is in memory");
}
