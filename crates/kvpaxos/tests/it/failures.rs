//! What is refused, and that nothing is logged for it.

use std::sync::Arc;

use bytes::Bytes;
use kvpaxos::{
    Command, Error, Expect, MAX_KEY, MAX_VALUE, Question, Version,
    client::{Answer, Call, KvWire},
    server::SERVICE,
};
use net::{Bounds, CallError, Calls, Hello, Peers, PeersConfig};
use paxosrsm::{
    ClientId, Coded, Refused, RequestNo,
    engine::MultiPaxos,
    message::{Query, Submit},
    sessions,
};
use protocol::NodeId;
use tempfile::TempDir;

use crate::group::{CLUSTER, Servers, b, three};

/// A connection without the checks of a client.
fn raw(servers: &Servers<MultiPaxos>) -> Peers<KvWire, Call> {
    let hello = Hello { cluster: CLUSTER, node: None, service: SERVICE.to_owned() };
    let patience = |_: &Call| std::time::Duration::from_secs(2);
    let addrs = servers.addrs.clone();
    let config = PeersConfig { hello, addrs, bounds: Bounds::CLIENT, patience, seed: 1 };
    Peers::new(Arc::clone(&servers.network), config)
}

async fn submit(peers: &Peers<KvWire, Call>, to: NodeId, bytes: Bytes) -> Result<(), Refused> {
    match peers.call(to, Call::Submit(Submit(bytes))).await {
        Ok(Answer::Done(done)) => done.map(|_| ()),
        other => panic!("{other:?}"),
    }
}

fn request(command: Command) -> Bytes {
    let (client, request) = (ClientId(1), RequestNo(1));
    sessions::Command::Do { client, request, command }.to_bytes()
}

#[tokio::test]
async fn what_is_beyond_a_limit_is_refused_before_it_is_logged() {
    let servers = three(Some(TempDir::new().expect("a directory"))).await;
    servers.client(1).put(b("k"), b("v")).await.expect("put");
    let (leader, peers) = (servers.leader().await, raw(&servers));
    let batches = servers.status(leader).await.replica.agreement.batches;
    let sized = |size: usize| Bytes::from(vec![b'x'; size]);
    for command in [
        Command::Put(sized(MAX_KEY + 1), b("v")),
        Command::Put(b("k"), sized(MAX_VALUE + 1)),
        Command::Append(sized(MAX_KEY + 1), b("v")),
        Command::Cas(b("k"), Expect::Value(sized(MAX_VALUE + 1)), b("v")),
        Command::Delete(sized(MAX_KEY + 1)),
    ] {
        assert_eq!(submit(&peers, leader, request(command)).await, Err(Refused::TooLarge));
    }
    // Each value within its limit, and together more than one command may be.
    let both = Command::Cas(b("k"), Expect::Value(sized(MAX_VALUE)), sized(MAX_VALUE));
    assert_eq!(submit(&peers, leader, request(both)).await, Err(Refused::TooLarge));
    // Without a session only what is harmless the second time.
    let bare = sessions::Command::Bare(Command::Append(b("k"), b("x"))).to_bytes();
    assert_eq!(submit(&peers, leader, bare).await, Err(Refused::Malformed));
    let large = Command::Cas(b("k"), Expect::Version(Version(1)), sized(MAX_VALUE + 1));
    let bare = sessions::Command::Bare(large).to_bytes();
    assert_eq!(submit(&peers, leader, bare).await, Err(Refused::TooLarge));
    // More than a frame never leaves.
    let frame = Call::Submit(Submit(sized(5 << 20)));
    assert!(matches!(peers.call(leader, frame).await, Err(CallError::TooBig)));
    let get = Call::Get(Query(Question::Get(sized(MAX_KEY + 1)).to_bytes()));
    let refused = peers.call(leader, get).await;
    assert!(matches!(refused, Ok(Answer::Done(Err(Refused::TooLarge)))), "{refused:?}");
    // Nothing was proposed, so nothing was logged anywhere.
    assert_eq!(servers.status(leader).await.replica.agreement.batches, batches);
    // A client knows without asking; at the limit everything works.
    let mut client = servers.client(2);
    assert_eq!(client.put(sized(MAX_KEY + 1), b("v")).await, Err(Error::TooLarge));
    assert_eq!(client.get(sized(MAX_KEY + 1)).await, Err(Error::TooLarge));
    client.put(sized(MAX_KEY), sized(MAX_VALUE)).await.expect("both at their limit");
    assert_eq!(client.append(sized(MAX_KEY), b("x")).await, Err(Error::TooLarge));
    let kept = client.get(sized(MAX_KEY)).await.expect("get").expect("there");
    assert_eq!(kept.0.len(), MAX_VALUE);
}

#[tokio::test]
async fn what_means_nothing_is_refused_and_the_connection_goes_on() {
    let servers = three(Some(TempDir::new().expect("a directory"))).await;
    servers.client(1).put(b("k"), b("v")).await.expect("put");
    let (leader, peers) = (servers.leader().await, raw(&servers));
    let batches = servers.status(leader).await.replica.agreement.batches;
    let whole = request(Command::Put(b("k"), b("v")));
    for cut in 0..whole.len() {
        let refused = submit(&peers, leader, whole.slice(..cut)).await;
        // The single byte of a `Register` is none of these: a request begins with another.
        assert_eq!(refused, Err(Refused::Malformed), "cut at {cut}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(submit(&peers, leader, longer.into()).await, Err(Refused::Malformed));
    for nonsense in [&b""[..], b"\xFF", b"\x05\0\0\0abc"] {
        let call = Call::Get(Query(Bytes::copy_from_slice(nonsense)));
        let refused = peers.call(leader, call).await;
        assert!(matches!(refused, Ok(Answer::Done(Err(Refused::Malformed)))), "{refused:?}");
    }
    // Nothing was proposed, so nothing was logged anywhere.
    assert_eq!(servers.status(leader).await.replica.agreement.batches, batches);
    let counters = servers.running[&leader].counters.snapshot();
    assert_eq!(counters["panics"], 0);
    let seen = servers.client(2).get(b("k")).await.expect("get").expect("there");
    assert_eq!(seen.0, "v");
}
