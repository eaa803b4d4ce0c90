//! Calls a second over TCP loopback, at several numbers of calls in flight: an echo handled in
//! place, and an echo that goes through a core and its driver.
//!
//! `cargo run --release -p net --example echo_bench [SECONDS]`

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use net::{
    Addr, Ask, Bounds, Calls, Forgetful, Hello, Inbox, Life, Line, Mount, Network, Peers,
    PeersConfig, RpcError, Server, Tcp, Wire, drive, inbox, limits::INBOX,
};
use protocol::{Core, Effects, Event, Lsn, NodeId, Time};
use tarpc::{context::Context, server::Serve};
use tokio::time::Instant;

const SERVER: NodeId = NodeId(1);
const PAYLOAD: usize = 256;

#[tarpc::service]
trait Echo {
    async fn echo(bytes: Bytes) -> Bytes;
}

#[derive(Clone)]
struct InPlace;

impl Echo for InPlace {
    async fn echo(self, _: Context, bytes: Bytes) -> Bytes {
        bytes
    }
}

#[derive(Clone)]
struct ThroughCore(Inbox<Bytes, Bytes>);

impl Echo for ThroughCore {
    async fn echo(self, _: Context, bytes: Bytes) -> Bytes {
        self.0.ask(None, bytes).await
    }
}

/// Saves what it is told and says it back.
struct Parrot;

impl Core for Parrot {
    type Request = Bytes;
    type Reply = Bytes;
    type Record = Bytes;
    type Output = ();

    fn step(&mut self, _: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        if let Event::Request { caller, request } = event {
            fx.save(request.clone());
            fx.answer(caller, request);
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

impl Wire<Bytes, Bytes> for EchoClient {
    fn open(line: Line) -> Self {
        Self::new(line.config(), line.transport()).spawn()
    }

    async fn call(&self, context: Context, bytes: Bytes) -> Result<Bytes, RpcError> {
        self.echo(context, bytes).await
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn serve(tell: mpsc::Sender<Addr>) {
    let (door, post) = inbox(INBOX);
    let in_place = Mount::tarpc(Bounds::PEER, |_| {
        move |context, request| InPlace.serve().serve(context, request)
    });
    let through_core = Mount::tarpc(Bounds::PEER, move |_| {
        let echo = ThroughCore(door.clone()).serve();
        move |context, request| echo.clone().serve(context, request)
    });
    let listener = Tcp.listen(&Addr::any()).await.expect("a free port");
    tell.send(listener.addr()).expect("the client waits");
    let server = Server::new(0, SERVER).mount("place", in_place).mount("core", through_core);
    let _running = server.start(listener);
    let life = Life {
        me: SERVER,
        core: Parrot,
        saved: Lsn(0),
        log: Forgetful::default(),
        encode: |bytes: &Bytes, into: &mut Vec<u8>| into.extend_from_slice(bytes),
        calls: net::Alone,
        post,
        output: |()| {},
    };
    drive(life).await.expect("a log that forgets cannot fail");
}

/// Calls a second, and the median of their times in microseconds.
async fn measure(
    peers: &Peers<EchoClient, Bytes>,
    in_flight: usize,
    time: Duration,
) -> (f64, u128) {
    let payload = Bytes::from(vec![7; PAYLOAD]);
    let call = || {
        let (sent, answer) = (Instant::now(), peers.call(SERVER, payload.clone()));
        async move {
            answer.await.expect("an echo");
            sent.elapsed()
        }
    };
    let mut calls: FuturesUnordered<_> = (0..in_flight).map(|_| call()).collect();
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        times.extend(calls.next().await);
        calls.push(call());
    }
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    times.sort_unstable();
    (rate, times[times.len() / 2].as_micros())
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || runtime().block_on(serve(tell)));
    let addr = told.recv().expect("the server starts");
    runtime().block_on(async move {
        for service in ["place", "core"] {
            for in_flight in [1, 16, 64, 256] {
                let config = PeersConfig {
                    hello: Hello { cluster: 0, node: None, service: service.into() },
                    addrs: BTreeMap::from([(SERVER, addr.clone())]),
                    bounds: Bounds::PEER,
                    patience: |_: &Bytes| Duration::from_secs(10),
                    seed: 1,
                };
                let peers = Peers::new(Arc::new(Tcp), config);
                let time = Duration::from_secs_f64(seconds);
                let (rate, median) = measure(&peers, in_flight, time).await;
                println!(
                    "{service:>5} {in_flight:>4} in flight {rate:>9.0} calls/s  p50 {median} us"
                );
            }
        }
    });
}
