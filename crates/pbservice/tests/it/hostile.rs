//! What comes from outside and is no honest request: it is refused with a reason, and nobody but
//! its sender notices.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use net::{
    Bounds, CallError, Calls, Connection, Hello, Line, Memory, Network, Peers, PeersConfig,
    Refusal, RpcError, Wire,
    codec::frames::{request_frame, request_of},
    hello,
    limits::{CLIENT_FRAME, PEER_FRAME},
};
use pbservice::{
    Change, Duty, Item, MAX_KEY, MAX_VALUE, Rebuff, Refused, RequestNo, Seq, SessionId,
    client::{Answered, Call, PbWire},
    config::BATCH_ITEMS,
    message::{Forward, Forwarded, Submit},
    server::{PEER_SERVICE, SERVICE},
    service::{PbPeerClient, PbRequest},
};
use protocol::NodeId;
use tarpc::context::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use viewservice::{Incarnation, Member, ViewNum};

use crate::shell::{CLUSTER, Shells, b, until};

/// A pair, and a client that must go on undisturbed.
struct Scene {
    network: Arc<Memory>,
    shells: Shells,
    bystander: pbservice::Client,
    told: usize,
}

impl Scene {
    async fn new() -> Self {
        let network = Arc::new(Memory::new());
        let shells = Shells::pair(network.clone()).await;
        let mut bystander = shells.client(1);
        bystander.put(b("k"), b("")).await.expect("put");
        Self { network, shells, bystander, told: 0 }
    }

    /// Nothing that happened so far did any harm.
    async fn is_unharmed(&mut self) {
        self.bystander.append(b("k"), b("x")).await.expect("append");
        self.told += 1;
        let all = b(&"x".repeat(self.told));
        assert_eq!(self.bystander.get(b("k")).await, Ok(Some(all)));
        for (me, duty) in [(1, Duty::Paired), (2, Duty::Backup)] {
            assert_eq!(self.shells.status(me).await.duty, duty);
            let counters = self.shells.running[&me].counters.snapshot();
            assert_eq!((counters["panics"], counters["decoder_panics"]), (0, 0));
        }
    }

    fn hello(&self, node: Option<u16>, service: &str) -> Hello {
        Hello { cluster: CLUSTER, node: node.map(NodeId), service: service.to_owned() }
    }

    async fn greeted(&self, me: u16, node: Option<u16>, service: &str) -> Connection {
        let addr = &self.shells.running[&me].addr;
        let mut stream = self.network.connect(addr).await.expect("it listens");
        hello::greet(&mut stream, &self.hello(node, service)).await.expect("it is polite");
        stream
    }

    /// Sends bytes to a server, which must hang up and count them under this reason.
    async fn attack(&mut self, service: &str, bytes: &[u8], reason: &'static str) {
        let before = self.shells.running[&1].counters.snapshot()[reason];
        let mut stream = self.greeted(1, Some(2), service).await;
        // The server may hang up before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        until(reason, async || self.shells.running[&1].counters.snapshot()[reason] == before + 1)
            .await;
        self.is_unharmed().await;
    }

    /// Connections of `node` to both servers.
    fn primary(&self, node: Option<u16>) -> Peers<Peer, Forward> {
        let addr = |me: u16| (NodeId(me), self.shells.running[&me].addr.clone());
        let config = PeersConfig {
            hello: self.hello(node, PEER_SERVICE),
            addrs: [addr(1), addr(2)].into(),
            bounds: Bounds::PEER,
            patience: |_| Duration::from_secs(5),
            seed: 1,
        };
        Peers::new(self.network.clone(), config)
    }
}

/// What a primary asks, from anybody.
struct Peer(PbPeerClient);

impl Wire<Forward, Result<Forwarded, Rebuff>> for Peer {
    fn open(line: Line) -> Self {
        Self(PbPeerClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(
        &self,
        context: Context,
        forward: Forward,
    ) -> Result<Result<Forwarded, Rebuff>, RpcError> {
        self.0.forward(context, forward).await
    }
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).expect("small").to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test(start_paused = true)]
async fn garbage_costs_its_sender_a_connection_and_nobody_anything() {
    let mut scene = Scene::new().await;
    for (service, limit) in [(SERVICE, CLIENT_FRAME), (PEER_SERVICE, PEER_FRAME)] {
        scene.attack(service, &framed(b"nonsense"), "malformed").await;
        scene.attack(service, &framed(&[0xFF; 4096]), "malformed").await;
        scene.attack(service, &framed(&[]), "malformed").await;
        let announced = u32::try_from(limit + 1).expect("it fits").to_be_bytes();
        scene.attack(service, &announced, "oversize").await;
        scene.attack(service, &u32::MAX.to_be_bytes(), "oversize").await;
        scene.attack(service, &[0, 0, 1], "truncated").await;
    }
    // Every part of an honest request is none.
    let change = Change::Put(b("key"), b("value"));
    let submit = Submit { session: SessionId(1), number: RequestNo(1), change };
    let honest = request_frame(1, PbRequest::Submit { submit }).expect("small");
    for cut in 5..honest.len() {
        assert!(request_of::<PbRequest>(&framed(&honest[4..cut])).is_err(), "cut at {cut}");
    }
    scene.attack(SERVICE, &framed(&honest[4..honest.len() - 1]), "malformed").await;
    // Whoever does not even greet.
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0xFF; 64]] {
        let addr = scene.shells.running[&1].addr.clone();
        let mut stream = scene.network.connect(&addr).await.expect("it listens");
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        scene.is_unharmed().await;
    }
    scene.shells.stop_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_beyond_its_limits_is_refused_and_nothing_happens() {
    let mut scene = Scene::new().await;
    let config = PeersConfig {
        hello: scene.hello(None, SERVICE),
        addrs: [(NodeId(1), scene.shells.running[&1].addr.clone())].into(),
        bounds: Bounds::CLIENT,
        patience: |_: &Call| Duration::from_secs(5),
        seed: 1,
    };
    let peers = Peers::<PbWire, Call>::new(scene.network.clone(), config);
    let sized = |size: usize| Bytes::from(vec![b'x'; size]);
    let before = scene.shells.status(1).await;
    for change in [
        Change::Put(sized(MAX_KEY + 1), b("v")),
        Change::Put(b("k"), sized(MAX_VALUE + 1)),
        Change::Put(b("k"), sized(3 << 20)),
        Change::Append(sized(MAX_KEY + 1), b("v")),
        Change::Append(b("k"), sized(MAX_VALUE + 1)),
        Change::Delete(sized(MAX_KEY + 1)),
    ] {
        // A client would not have sent it. Session 1 is the bystander's.
        let submit = Submit { session: SessionId(1), number: RequestNo(1_000), change };
        let heard = peers.call(NodeId(1), Call::Submit(submit)).await;
        assert!(matches!(heard, Ok(Answered::Client(Err(Refused::TooLarge)))), "{heard:?}");
    }
    // More than a frame never leaves.
    let change = Change::Put(b("k"), sized(CLIENT_FRAME));
    let submit = Submit { session: SessionId(1), number: RequestNo(1_000), change };
    let heard = peers.call(NodeId(1), Call::Submit(submit)).await;
    assert!(matches!(heard, Err(CallError::TooBig)), "{heard:?}");
    // Nor does a session that was never given out do anything.
    let change = Change::Put(b("k"), b("v"));
    let submit = Submit { session: SessionId(77), number: RequestNo(1), change };
    let heard = peers.call(NodeId(1), Call::Submit(submit)).await;
    assert!(matches!(heard, Ok(Answered::Client(Err(Refused::Expired)))), "{heard:?}");
    let after = scene.shells.status(1).await;
    assert_eq!((after.bytes, after.sessions), (before.bytes, before.sessions));
    scene.is_unharmed().await;
    scene.shells.stop_all().await;
}

/// Forwards that do not come from the primary of the view, or that no primary would send.
#[tokio::test(start_paused = true)]
async fn a_forward_from_nobody_is_refused() {
    let mut scene = Scene::new().await;
    let view = scene.shells.views().await.view;
    let primary = view.primary.as_ref().expect("a pair").member;
    let place = scene.shells.status(2).await.last;
    let put = Item::Do {
        session: SessionId(1),
        number: RequestNo(1_000),
        change: Change::Put(b("k"), b("forged")),
    };
    let forged = Forward {
        view: view.number,
        from: primary,
        first: Seq(place.0 + 1),
        items: vec![put.clone()],
    };
    let n2 = NodeId(2);

    // A client is not let in; another server is, and is not believed to be the primary.
    let nobody = scene.primary(None).call(n2, forged.clone()).await;
    assert!(matches!(nobody, Err(CallError::Down(Some(Refusal::NotAMember)))), "{nobody:?}");
    let other = scene.primary(Some(3));
    let stranger = other.call(n2, forged.clone()).await.expect("it answers");
    assert_eq!(stranger, Err(Rebuff::Stranger));
    let of_its_own = Member { node: NodeId(3), incarnation: Incarnation(9) };
    let forward = Forward { from: of_its_own, ..forged.clone() };
    assert_eq!(other.call(n2, forward).await.expect("it answers"), Err(Rebuff::Stranger));
    // Under the primary's own name, but of another life or another view of it.
    let own = scene.primary(Some(1));
    let earlier = Member { incarnation: Incarnation(99), ..primary };
    let forward = Forward { from: earlier, ..forged.clone() };
    assert_eq!(own.call(n2, forward).await.expect("it answers"), Err(Rebuff::Stranger));
    let (stale, known) = (ViewNum(view.number.0 - 1), view.number);
    let forward = Forward { view: stale, ..forged.clone() };
    let heard = own.call(n2, forward).await.expect("it answers");
    assert_eq!(heard, Err(Rebuff::Stale { stale, known }));
    let forward = Forward { view: known.next(), ..forged.clone() };
    assert_eq!(own.call(n2, forward).await.expect("it answers"), Err(Rebuff::NotBackup));
    // The backup to its primary, as if it were the other way round.
    let backup = view.backup.as_ref().expect("a pair").member;
    let forward = Forward { from: backup, ..forged.clone() };
    let heard = scene.primary(Some(2)).call(NodeId(1), forward).await;
    assert_eq!(heard.expect("it answers"), Err(Rebuff::NotBackup));

    // From the primary's name, in the right place, and more than a forward may be.
    let large = |change| Item::Do { session: SessionId(1), number: RequestNo(1_000), change };
    let sized = |size: usize| Bytes::from(vec![b'x'; size]);
    for items in [
        vec![put.clone(); BATCH_ITEMS + 1],
        vec![large(Change::Put(b("k"), sized(MAX_VALUE + 1)))],
        vec![large(Change::Put(sized(MAX_KEY + 1), b("v")))],
        vec![large(Change::Put(b("k"), sized(MAX_VALUE))); 3],
        vec![Item::Keys { pairs: vec![(b("k"), sized(MAX_VALUE + 1))], upto: None }],
    ] {
        let forward = Forward { items, ..forged.clone() };
        assert_eq!(own.call(n2, forward).await.expect("it answers"), Err(Rebuff::Malformed));
    }
    let forward = Forward { first: Seq(0), ..forged.clone() };
    assert_eq!(own.call(n2, forward).await.expect("it answers"), Err(Rebuff::Malformed));
    // One that leaves out a place tells where the stream ends, and changes nothing.
    let forward = Forward { first: Seq(place.0 + 9), ..forged };
    let heard = own.call(n2, forward).await.expect("it answers").expect("it is the primary's");
    assert_eq!(heard, Forwarded { view: known, upto: scene.shells.status(2).await.last });
    scene.is_unharmed().await;
    scene.shells.stop_all().await;
}
