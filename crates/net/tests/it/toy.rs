//! A service of five calls, and everything needed to serve and to call it.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use net::{
    Addr, Bounds, CallError, Calls, Counters, Hello, Line, Mount, Network, Peers, PeersConfig,
    RpcError, Running, Server, Wire,
};
use protocol::NodeId;
use tarpc::{context::Context, server::Serve};

pub const CLUSTER: u64 = 42;
pub const SERVER: NodeId = NodeId(1);
pub const CALLER: NodeId = NodeId(2);

#[tarpc::service]
pub trait Toy {
    async fn echo(bytes: Bytes) -> Bytes;
    async fn who_am_i() -> Option<NodeId>;
    async fn zeros(count: usize) -> Bytes;
    async fn hang();
    async fn blow_up();
}

#[derive(Clone)]
struct Handlers {
    peer: Option<NodeId>,
}

impl Toy for Handlers {
    async fn echo(self, _: Context, bytes: Bytes) -> Bytes {
        bytes
    }
    async fn who_am_i(self, _: Context) -> Option<NodeId> {
        self.peer
    }
    async fn zeros(self, _: Context, count: usize) -> Bytes {
        vec![0; count].into()
    }
    async fn hang(self, _: Context) {
        std::future::pending().await
    }
    async fn blow_up(self, _: Context) {
        panic!("a handler panics on purpose");
    }
}

#[derive(Clone, Debug)]
pub enum Request {
    Echo(Bytes),
    WhoAmI,
    Zeros(usize),
    Hang,
    BlowUp,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Bytes(Bytes),
    You(Option<NodeId>),
    Nothing,
}

impl Wire<Request, Reply> for ToyClient {
    fn open(line: Line) -> Self {
        Self::new(line.config(), line.transport()).spawn()
    }

    async fn call(&self, context: Context, request: Request) -> Result<Reply, RpcError> {
        match request {
            Request::Echo(bytes) => self.echo(context, bytes).await.map(Reply::Bytes),
            Request::WhoAmI => self.who_am_i(context).await.map(Reply::You),
            Request::Zeros(count) => self.zeros(context, count).await.map(Reply::Bytes),
            Request::Hang => self.hang(context).await.map(|()| Reply::Nothing),
            Request::BlowUp => self.blow_up(context).await.map(|()| Reply::Nothing),
        }
    }
}

pub type ToyPeers = Peers<ToyClient, Request>;

pub fn mount(bounds: Bounds) -> Mount {
    Mount::tarpc(bounds, |hello| {
        let toy = Handlers { peer: hello.node }.serve();
        move |context, request| toy.clone().serve(context, request)
    })
}

pub struct Served {
    pub running: Running<()>,
    pub addr: Addr,
    pub counters: Arc<Counters>,
}

impl Served {
    pub fn count(&self, name: &str) -> u64 {
        self.counters.snapshot()[name]
    }

    /// Waits until the counter has this value.
    pub async fn counts(&self, name: &str, value: u64) {
        until(name, || self.count(name) == value).await;
    }
}

pub async fn serve_with(network: &dyn Network, addr: &Addr, server: Server) -> Served {
    let listener = network.listen(addr).await.unwrap();
    let (addr, counters) = (listener.addr(), server.counters());
    Served { running: server.start(listener), addr, counters }
}

pub async fn serve(network: &dyn Network) -> Served {
    let server = Server::new(CLUSTER, SERVER).mount("toy", mount(Bounds::CLIENT));
    serve_with(network, &Addr::any(), server).await
}

pub fn hello() -> Hello {
    Hello { cluster: CLUSTER, node: Some(CALLER), service: "toy".into() }
}

pub fn peers_with(network: Arc<dyn Network>, addr: &Addr, hello: Hello) -> ToyPeers {
    Peers::new(
        network,
        PeersConfig {
            hello,
            addrs: BTreeMap::from([(SERVER, addr.clone())]),
            bounds: Bounds::CLIENT,
            patience: |request| match request {
                Request::Hang => Duration::from_millis(200),
                _ => Duration::from_secs(5),
            },
            seed: 1,
        },
    )
}

pub fn peers(network: Arc<dyn Network>, addr: &Addr) -> ToyPeers {
    peers_with(network, addr, hello())
}

pub async fn ask(peers: &ToyPeers, request: Request) -> Result<Reply, CallError> {
    peers.call(SERVER, request).await
}

/// A call that must succeed.
pub async fn echo(peers: &ToyPeers, text: &'static str) {
    let reply = ask(peers, Request::Echo(text.into())).await.unwrap();
    assert_eq!(reply, Reply::Bytes(text.into()));
}

/// Calls until one succeeds; each failure must be one that leaves hope.
pub async fn echo_in_the_end(peers: &ToyPeers) {
    let until_it_works = async {
        while ask(peers, Request::Echo("hello".into())).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until_it_works).await.expect("reachable again");
}

/// Waits for a condition; fails if it does not come true in ten seconds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), wait).await.is_err() {
        panic!("did not come true: {what}");
    }
}

pub fn panics(served: &Served) -> u64 {
    served.counters.panics.load(Relaxed)
}
