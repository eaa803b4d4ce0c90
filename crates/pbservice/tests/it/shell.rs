//! A view service and servers in one process, each on its own network in one weather, and the
//! clients that use them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use net::{Addr, Network, Weather};
use pbservice::{
    Client, Config, Connections, Home, Node, Reply, Request, Status, Storage,
    config::CHECKPOINT_BYTES,
};
use protocol::NodeId;
use viewservice::{SERVICE_NODE, View, server as views};

pub const CLUSTER: u64 = 7;

/// The label of the view service in the weather.
pub const VIEW: &str = "view";

pub fn b(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The label of a server in the weather.
pub fn label(me: u16) -> String {
    format!("n{me}")
}

/// A view service, servers, and the weather between them and their clients.
pub struct Shells {
    network: Arc<dyn Network>,
    pub weather: Weather,
    /// `None` while it is away.
    pub service: Option<views::Service>,
    pub view: Addr,
    pub running: BTreeMap<u16, Node>,
    /// Bytes of a log from which on a server writes its state down again.
    pub checkpoint_bytes: usize,
}

impl Shells {
    /// A view service with nothing but its memory, and no server yet.
    pub async fn new(network: Arc<dyn Network>) -> Self {
        Self::with(network, views::Storage::memory()).await
    }

    pub async fn with(network: Arc<dyn Network>, storage: views::Storage) -> Self {
        let mut shells = Self {
            network,
            weather: Weather::new(),
            service: None,
            view: Addr::any(),
            running: BTreeMap::new(),
            checkpoint_bytes: CHECKPOINT_BYTES,
        };
        shells.start_service(storage).await;
        shells
    }

    /// The network as `label` sees it.
    pub fn network(&self, label: &str) -> Arc<dyn Network> {
        Arc::new(self.weather.over(Arc::clone(&self.network), label))
    }

    /// Starts the view service; again where it was, if it was there before.
    pub async fn start_service(&mut self, storage: views::Storage) {
        let (network, addr) = (self.network(VIEW), self.view.clone());
        let home = views::Home { network, cluster: CLUSTER, me: SERVICE_NODE, addr, storage };
        let service = views::Service::open(home).await.expect("the view service");
        self.view = service.addr.clone();
        self.service = Some(service);
    }

    /// Starts a server with nothing but its memory.
    pub async fn start(&mut self, me: u16) {
        self.start_on(me, Storage::memory(u64::from(me))).await;
    }

    pub async fn start_on(&mut self, me: u16, storage: Storage) {
        let node = self.open(me, &label(me), storage).await;
        self.running.insert(me, node);
    }

    /// A server called `me` in the weather of `label`, not among those that run.
    pub async fn open(&self, me: u16, label: &str, storage: Storage) -> Node {
        let config =
            Config { checkpoint_bytes: self.checkpoint_bytes, ..Config::new(NodeId(me), "") };
        let (network, view, addr) = (self.network(label), self.view.clone(), Addr::any());
        let home = Home { network, cluster: CLUSTER, addr, view, storage };
        Node::open(config, home).await.unwrap_or_else(|error| panic!("n{me}: {error}"))
    }

    /// Servers 1 and 2, primary and backup, and the backup has everything.
    pub async fn pair(network: Arc<dyn Network>) -> Self {
        let mut shells = Self::new(network).await;
        shells.start(1).await;
        shells.is(1, None).await;
        shells.start(2).await;
        shells.is(1, Some(2)).await;
        shells
    }

    /// Ends a server at once, in the middle of whatever it does.
    pub fn kill(&mut self, me: u16) {
        drop(self.running.remove(&me).expect("it runs"));
    }

    pub async fn stop_all(&mut self) {
        for (_, node) in std::mem::take(&mut self.running) {
            node.stop().await.expect("its log is sound");
        }
        if let Some(service) = self.service.take() {
            service.stop().await.expect("its log is sound");
        }
    }

    /// How the view service sees the world.
    pub async fn views(&self) -> viewservice::Status {
        let service = self.service.as_ref().expect("it runs");
        match service.door.request(None, viewservice::Request::Status).await {
            Ok(viewservice::Reply::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until these two are primary and backup, and the view is acknowledged.
    pub async fn is(&self, primary: u16, backup: Option<u16>) -> View {
        self.becomes(&format!("n{primary} with {backup:?}"), |view| {
            node(view, 1) == Some(primary) && node(view, 2) == backup
        })
        .await
    }

    /// Waits until the view in force is as wanted, and acknowledged.
    pub async fn becomes(&self, what: &str, wanted: impl Fn(&View) -> bool) -> View {
        let mut found = View::default();
        until(what, async || {
            let status = self.views().await;
            found = status.view;
            status.acknowledged && wanted(&found)
        })
        .await;
        found
    }

    /// How a server sees itself.
    pub async fn status(&self, me: u16) -> Status {
        match self.running[&me].door.request(None, Request::Status).await {
            Ok(Reply::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Connections of whoever is called `label` in the weather.
    pub fn connections(&self, label: &str) -> Connections {
        Connections::new(self.network(label), CLUSTER, self.view.clone(), 1)
    }

    /// A client called `c1`, `c2` and so on, with patience.
    pub fn client(&self, number: u64) -> Client {
        let mut client = Client::new(self.connections(&format!("c{number}")), number);
        client.budget = Duration::from_secs(20);
        client
    }
}

/// Who is primary (1) or backup (2) of a view.
fn node(view: &View, place: usize) -> Option<u16> {
    let server = if place == 1 { &view.primary } else { &view.backup };
    server.as_ref().map(|server| server.member.node.0)
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), wait).await.is_err() {
        panic!("it never came true: {what}");
    }
}
