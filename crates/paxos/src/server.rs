//! The shell: a node's service and its calls to the others. No decision is made here.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use net::{
    Addr, Ask, Bounds, Inbox, Lane, Lanes, Life, Line, Mount, Network, Peers, PeersConfig,
    RpcError, Running, Server, Wire, drive, hello::Hello, inbox, limits,
};
use protocol::{Log, Lsn, NodeId, codec};
use tarpc::{context::Context, server::Serve};

use crate::{
    Accept, Accepted, Beat, Config, ConfigError, Fetch, Fetched, Forward, Heartbeat, Nack, Outcome,
    Output, Paxos, Prepare, Probe, Promise, Pulse, Record, Reply, Request, Slot,
    record::MAX_RECORD,
    service::{Peer, PeerClient},
};

/// Under this name a group's peers talk: votes and values.
pub const BULK: &str = "paxos";
/// Under this name they talk when it is small and urgent: heartbeats, probes, elections.
pub const CONTROL: &str = "paxos-control";

/// How records look in the log: a version byte, then the record.
const RECORD_VERSION: u8 = 1;

/// A record that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a version of this crate that is not known here.
    #[error("a record of version {0}; this program reads version {RECORD_VERSION}")]
    Version(u8),
    /// Its bytes mean nothing.
    #[error(transparent)]
    Malformed(#[from] codec::Malformed),
}

/// Adds the bytes of a record to `into`.
///
/// # Panics
///
/// If it is larger than [`MAX_RECORD`]; the limits of a slot's value lie below.
pub fn encode_record(record: &Record, into: &mut Vec<u8>) {
    into.push(RECORD_VERSION);
    codec::encode_into(record, MAX_RECORD, into).expect("a slot's value is within its limit");
}

/// The record that these bytes mean.
///
/// # Errors
///
/// If they mean none.
pub fn decode_record(bytes: &[u8]) -> Result<Record, RecordError> {
    match bytes.split_first() {
        Some((&RECORD_VERSION, record)) => Ok(codec::decode(record, MAX_RECORD)?),
        Some((&version, _)) => Err(RecordError::Version(version)),
        None => Err(RecordError::Version(0)),
    }
}

/// Answers peers by asking the core behind `door`.
#[derive(Clone)]
struct Handlers<D> {
    door: D,
    peer: Option<NodeId>,
}

impl<D: Ask<Request, Reply>> Handlers<D> {
    async fn ask(self, request: Request) -> Reply {
        self.door.ask(self.peer, request).await
    }
}

/// A core that answers a request with a reply of another kind is our bug.
fn wrong(reply: &Reply) -> ! {
    panic!("the core answered with a reply of the wrong kind: {reply:?}")
}

impl<D: Ask<Request, Reply>> Peer for Handlers<D> {
    async fn prepare(self, _: Context, prepare: Prepare) -> Result<Promise, Nack> {
        match self.ask(Request::Prepare(prepare)).await {
            Reply::Promise(promise) => Ok(promise),
            Reply::Nack(nack) => Err(nack),
            other => wrong(&other),
        }
    }

    async fn accept(self, _: Context, accept: Accept) -> Result<Accepted, Nack> {
        match self.ask(Request::Accept(accept)).await {
            Reply::Accepted(accepted) => Ok(accepted),
            Reply::Nack(nack) => Err(nack),
            other => wrong(&other),
        }
    }

    async fn heartbeat(self, _: Context, heartbeat: Heartbeat) -> Result<Beat, Nack> {
        match self.ask(Request::Heartbeat(heartbeat)).await {
            Reply::Beat(beat) => Ok(beat),
            Reply::Nack(nack) => Err(nack),
            other => wrong(&other),
        }
    }

    async fn probe(self, _: Context, probe: Probe) -> Pulse {
        match self.ask(Request::Probe(probe)).await {
            Reply::Pulse(pulse) => pulse,
            other => wrong(&other),
        }
    }

    async fn fetch(self, _: Context, fetch: Fetch) -> Fetched {
        match self.ask(Request::Fetch(fetch)).await {
            Reply::Fetched(fetched) => fetched,
            other => wrong(&other),
        }
    }

    async fn forward(self, _: Context, forward: Forward) -> Outcome {
        match self.ask(Request::Forward(forward)).await {
            Reply::Outcome(outcome) => outcome,
            other => wrong(&other),
        }
    }
}

/// Serves the peers of a group on `server`: members only, on both lanes.
pub fn mount<D: Ask<Request, Reply>>(server: Server, members: &[NodeId], door: D) -> Server {
    let service = || {
        let door = door.clone();
        Mount::tarpc(Bounds::PEER, move |hello: &Hello| {
            let handlers = Handlers { door: door.clone(), peer: hello.node }.serve();
            move |context, request| handlers.clone().serve(context, request)
        })
        .members(members.iter().copied())
    };
    server.mount(BULK, service()).mount(CONTROL, service())
}

/// A peer's service, from the caller's side.
pub struct PeerWire(PeerClient);

impl Wire<Request, Reply> for PeerWire {
    fn open(line: Line) -> Self {
        Self(PeerClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(&self, context: Context, request: Request) -> Result<Reply, RpcError> {
        fn either<T>(result: Result<T, Nack>, ok: fn(T) -> Reply) -> Reply {
            result.map_or_else(Reply::Nack, ok)
        }
        let peer = &self.0;
        Ok(match request {
            Request::Prepare(m) => either(peer.prepare(context, m).await?, Reply::Promise),
            Request::Accept(m) => either(peer.accept(context, m).await?, Reply::Accepted),
            Request::Heartbeat(m) => either(peer.heartbeat(context, m).await?, Reply::Beat),
            Request::Probe(m) => Reply::Pulse(peer.probe(context, m).await?),
            Request::Fetch(m) => Reply::Fetched(peer.fetch(context, m).await?),
            Request::Forward(m) => Reply::Outcome(peer.forward(context, m).await?),
            local => panic!("a local request was sent to a peer: {local:?}"),
        })
    }
}

/// How the others of a group are reached.
pub type Calls = Lanes<Peers<PeerWire, Request>, Request>;

/// Which of the two connections a request takes.
fn lane(request: &Request) -> Lane {
    match request {
        Request::Prepare(_) | Request::Heartbeat(_) | Request::Probe(_) => Lane::Control,
        _ => Lane::Bulk,
    }
}

/// How long an answer is waited for. Votes wait for a disk, and disks stall.
fn patience(request: &Request) -> Duration {
    match request {
        Request::Probe(_) => Duration::from_millis(150),
        Request::Heartbeat(_) => Duration::from_millis(300),
        Request::Prepare(_) => Duration::from_millis(600),
        Request::Forward(_) => Duration::from_secs(1),
        _ => Duration::from_secs(2),
    }
}

/// Calls to the other members, who are at `addrs`.
pub fn calls(
    network: &Arc<dyn Network>,
    cluster: u64,
    me: NodeId,
    addrs: &BTreeMap<NodeId, Addr>,
    seed: u64,
) -> Calls {
    let peers = |service: &str, seed| {
        let hello = Hello { cluster, node: Some(me), service: service.to_owned() };
        let mut addrs = addrs.clone();
        addrs.remove(&me);
        let config = PeersConfig { hello, addrs, bounds: Bounds::PEER, patience, seed };
        Peers::new(Arc::clone(network), config)
    };
    Lanes { control: peers(CONTROL, seed), bulk: peers(BULK, seed ^ 1), choose: lane }
}

/// Where a stand-alone node lives.
pub struct Home<L> {
    /// How others are reached.
    pub network: Arc<dyn Network>,
    /// The number that every node of this installation shares.
    pub cluster: u64,
    /// Every member and where it listens.
    pub addrs: BTreeMap<NodeId, Addr>,
    /// Where records go.
    pub log: L,
    /// What the log kept of earlier lives, in order: the number of the first record, and all.
    pub kept: (Lsn, Vec<Vec<u8>>),
    /// Differs from life to life.
    pub seed: u64,
}

/// Why a node could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its knobs cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A record of its past cannot be read.
    #[error("the log holds a record that cannot be read: {0}")]
    Record(#[from] RecordError),
    /// Its address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
}

/// A node of a group by itself, for programs that take this crate alone. Ask it through its inbox:
/// the local requests of [`Request`] are its two doors.
pub struct Node {
    /// The way in.
    pub inbox: Inbox<Request, Reply>,
    /// Where it listens.
    pub addr: Addr,
    driver: Running<io::Result<()>>,
    server: Running<()>,
}

impl Node {
    /// Opens a node: recovers it from what its log kept, serves its peers, and drives it. Outputs
    /// go to `output`, in order; it must not block.
    ///
    /// # Errors
    ///
    /// If the knobs cannot work, the past cannot be read, or the address cannot be listened on.
    pub async fn open<L: Log + Send + 'static>(
        config: Config,
        home: Home<L>,
        applied: Slot,
        output: impl FnMut(Output) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let Home { network, cluster, addrs, log, kept: (first, records), seed } = home;
        let me = config.me;
        let mut past = Vec::with_capacity(records.len());
        for (lsn, record) in (first.0..).zip(&records) {
            past.push((Lsn(lsn), decode_record(record)?));
        }
        let saved = past.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        let members = config.members.clone();
        let core = Paxos::recover(config, seed, applied, past)?;
        let (inbox, post) = inbox(limits::INBOX);
        let calls = calls(&network, cluster, me, &addrs, seed);
        let at = addrs.get(&me).cloned().unwrap_or_else(Addr::any);
        let listener = network.listen(&at).await?;
        let addr = listener.addr();
        let server = mount(Server::new(cluster, me), &members, inbox.clone()).start(listener);
        let stop = post.stopper();
        let life = Life { me, core, saved, log, encode: encode_record, calls, post, output };
        let driver = Running::spawn(stop, net::abort_on_panic("a paxos node", drive(life)));
        Ok(Self { inbox, addr, driver, server })
    }

    /// Stops the node and waits until nothing of it is left.
    ///
    /// # Errors
    ///
    /// If its log failed.
    pub async fn stop(self) -> io::Result<()> {
        let stopped = self.server.stop().await;
        debug_assert!(stopped.is_ok(), "a server's own task does not panic");
        self.driver.stop().await.unwrap_or(Ok(()))
    }
}
