//! Bytes that mean harm: they cost their sender one connection, and nobody else anything.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use net::{
    Addr, Bounds, CallError, Connection, Memory, Network, Server, Tcp, context_until, hello,
    limits::{FRAME_TIME, MAX_DEADLINE},
};
use tarpc::{ClientMessage, Request as Call};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::toy::{self, CLUSTER, Reply, Request, SERVER, Served, ToyPeers};

struct Scene {
    network: Arc<Memory>,
    served: Served,
    /// Calls beside the attack, all the time.
    bystander: ToyPeers,
}

impl Scene {
    async fn new(bounds: Bounds) -> Self {
        let network = Arc::new(Memory::new());
        let server = Server::new(CLUSTER, SERVER).mount("toy", toy::mount(bounds));
        let served = toy::serve_with(&*network, &Addr::any(), server).await;
        let bystander = toy::peers(network.clone(), &served.addr);
        toy::echo(&bystander, "before").await;
        Self { network, served, bystander }
    }

    async fn greeted(&self) -> Connection {
        let mut stream = self.network.connect(&self.served.addr).await.unwrap();
        hello::greet(&mut stream, &toy::hello()).await.unwrap();
        stream
    }

    /// Sends `bytes` on a new connection and ends it; the server must close it for `reason`.
    async fn attack(&self, bytes: &[u8], reason: &str) {
        let before = self.served.count(reason);
        let mut stream = self.greeted().await;
        // The server may hang up before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        self.served.counts(reason, before + 1).await;
        toy::echo(&self.bystander, "still here").await;
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(toy::panics(&self.served), 0, "no bytes may make a task panic");
        }
    }
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

/// An honest request's frame.
fn request(message: toy::ToyRequest) -> Vec<u8> {
    let context = context_until(std::time::Instant::now() + Duration::from_secs(5));
    let call = ClientMessage::Request(Call { context, id: 1, message });
    framed(&protocol::codec::encode(&call, 1 << 20).unwrap())
}

#[tokio::test]
async fn garbage_is_malformed() {
    let scene = Scene::new(Bounds::CLIENT).await;
    scene.attack(&framed(b""), "malformed").await;
    scene.attack(&framed(&[0xff; 100]), "malformed").await;
    let mut trailing = request(toy::ToyRequest::WhoAmI {});
    trailing[3] += 1;
    trailing.push(0);
    scene.attack(&trailing, "malformed").await;
    // Every single byte of an honest request replaced; whatever it then means, nobody else suffers.
    let honest = request(toy::ToyRequest::Echo { bytes: Bytes::from_static(b"text") });
    for at in 4..honest.len() {
        for byte in [0x00, 0x7f, 0xfb, 0xfc, 0xfd, 0xff] {
            let mut bytes = honest.clone();
            bytes[at] = byte;
            let mut stream = scene.greeted().await;
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
    toy::echo(&scene.bystander, "still here").await;
}

#[tokio::test]
async fn a_frame_cut_anywhere_is_truncated() {
    let scene = Scene::new(Bounds::CLIENT).await;
    let whole = request(toy::ToyRequest::WhoAmI {});
    for cut in 1..whole.len() {
        scene.attack(&whole[..cut], "truncated").await;
    }
}

#[tokio::test]
async fn an_announced_length_beyond_the_limit_is_oversize() {
    let bounds = Bounds { frame: 1000, ..Bounds::CLIENT };
    let scene = Scene::new(bounds).await;
    scene.attack(&1001u32.to_be_bytes(), "oversize").await;
    scene.attack(&u32::MAX.to_be_bytes(), "oversize").await;
    scene.attack(&1000u32.to_be_bytes(), "truncated").await;
    scene.attack(&999u32.to_be_bytes(), "truncated").await;
}

#[tokio::test]
async fn a_length_inside_a_message_is_not_believed() {
    let scene = Scene::new(Bounds::CLIENT).await;
    let mut lying = request(toy::ToyRequest::Echo { bytes: Bytes::from_static(b"text") });
    let last = lying.len();
    // The byte string's own length: a varint of eight bytes saying 2^63.
    lying.truncate(last - 5);
    lying.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0x80]);
    let lying = framed(&lying[4..]);
    scene.attack(&lying, "malformed").await;
}

#[tokio::test(start_paused = true)]
async fn no_deadline_does_harm() {
    let scene = Scene::new(Bounds::CLIENT).await;
    let trace = tarpc::trace::Context::default();
    for (secs, nanos) in [(0u64, 0u32), (u64::MAX, 999_999_999), (i64::MAX as u64, 0), (1 << 33, 0)]
    {
        // Request, deadline, trace context, id; the message is the last of the service's calls
        // but one, which never answers.
        let payload =
            protocol::codec::encode(&((0u8, secs, nanos), trace, 1u64, 3u8), 1024).unwrap();
        let closed = scene.served.count("closed");
        let mut stream = scene.greeted().await;
        stream.write_all(&framed(&payload)).await.unwrap();
        stream.shutdown().await.unwrap();
        let begun = Instant::now();
        // No answer; the connection ends when the request's time is up, however long he asked for.
        assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        assert!(begun.elapsed() <= MAX_DEADLINE + Duration::from_secs(1), "{:?}", begun.elapsed());
        scene.served.counts("closed", closed + 1).await;
        toy::echo_in_the_end(&scene.bystander).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_drips_is_cut_off() {
    let scene = Scene::new(Bounds::CLIENT).await;
    let whole = framed(&vec![0; 1 << 20]);
    let mut stream = scene.greeted().await;
    let begun = Instant::now();
    for drop in whole.chunks(1024) {
        if stream.write_all(drop).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(scene.served.count("slow_frame"), 1);
    let took = begun.elapsed();
    assert!(took >= FRAME_TIME && took < FRAME_TIME + Duration::from_secs(1), "{took:?}");
    toy::echo_in_the_end(&scene.bystander).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_and_a_slow_but_timely_one_are_left_alone() {
    let scene = Scene::new(Bounds::CLIENT).await;
    let mut stream = scene.greeted().await;
    for _ in 0..3 {
        tokio::time::sleep(10 * FRAME_TIME).await;
        let whole = request(toy::ToyRequest::WhoAmI {});
        let (first, rest) = whole.split_at(7);
        stream.write_all(first).await.unwrap();
        tokio::time::sleep(FRAME_TIME / 2).await;
        stream.write_all(rest).await.unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).await.unwrap();
        let mut answer = vec![0; u32::from_be_bytes(head) as usize];
        stream.read_exact(&mut answer).await.unwrap();
    }
}

#[tokio::test]
async fn a_frame_at_its_limit_passes_and_one_beyond_fails_its_call_only() {
    let bounds = Bounds { frame: 1000, ..Bounds::CLIENT };
    let scene = Scene::new(bounds).await;
    // Response: id, Ok, variant, length: one byte each, three for a length over 250.
    for (count, fits) in [(993, true), (994, true), (995, false)] {
        let result = toy::ask(&scene.bystander, Request::Zeros(count)).await;
        match result {
            Ok(Reply::Bytes(bytes)) => assert!(fits && bytes.len() == count),
            Err(CallError::Failed(why)) => assert!(!fits && why.contains("fit a frame"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(scene.served.count("accepted"), 1, "all on the same connection");
}

#[tokio::test]
async fn a_request_too_big_fails_its_call_only() {
    let scene = Scene::new(Bounds::CLIENT).await;
    let hanging = tokio::spawn({
        let peers = scene.bystander.clone();
        async move { toy::ask(&peers, Request::Hang).await }
    });
    let big = Request::Echo(vec![0; Bounds::CLIENT.frame].into());
    assert!(matches!(toy::ask(&scene.bystander, big).await, Err(CallError::TooBig)));
    toy::echo(&scene.bystander, "fits").await;
    assert!(matches!(hanging.await.unwrap(), Err(CallError::Late)), "not lost with the other one");
    assert_eq!(scene.served.count("accepted"), 1, "all on the same connection");
}

#[tokio::test]
async fn requests_beyond_the_limit_of_a_connection_are_told_so() {
    let bounds = Bounds { in_flight: 3, ..Bounds::CLIENT };
    let scene = Scene::new(bounds).await;
    // One less, just as many, one more.
    for (calls, excess) in [(2, 0), (3, 0), (4, 1)] {
        let hanging = (0..calls).map(|_| toy::ask(&scene.bystander, Request::Hang));
        let ended = futures_util::future::join_all(hanging).await;
        let throttled = |end: &&Result<Reply, CallError>| matches!(end, Err(CallError::Failed(why)) if why.contains("throttled"));
        assert_eq!(ended.iter().filter(throttled).count(), excess, "{ended:?}");
        let late = ended.iter().filter(|end| matches!(end, Err(CallError::Late))).count();
        assert_eq!(late, calls - excess, "{ended:?}");
        toy::echo_in_the_end(&scene.bystander).await;
    }
}

#[tokio::test]
async fn a_handler_that_panics_takes_its_connection_along_and_is_counted() {
    let network: Arc<dyn Network> = Arc::new(Tcp);
    let served = toy::serve(&*network).await;
    let bystander = toy::peers(Arc::clone(&network), &served.addr);
    toy::echo(&bystander, "before").await;
    let victim = toy::peers(network, &served.addr);
    let blown = toy::ask(&victim, Request::BlowUp).await;
    assert!(matches!(blown, Err(CallError::Lost)), "heard at once, not at the deadline: {blown:?}");
    served.counts("panics", 1).await;
    assert_eq!(served.count("accepted"), 2);
    toy::echo(&bystander, "still here").await;
    toy::echo_in_the_end(&victim).await;
}
