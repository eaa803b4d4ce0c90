//! Who may come in, and what the others are told.

use std::{sync::Arc, time::Duration};

use net::{
    Addr, Bounds, CallError, Connection, Hello, Memory, Mount, Network, PeerStatus, Refusal,
    Server,
    hello::{self, HelloError},
    limits::HELLO_TIME,
};
use protocol::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::toy::{self, CLUSTER, Request, SERVER, Served};

async fn served(network: &Memory) -> Served {
    let server = Server::new(CLUSTER, SERVER)
        .mount("toy", toy::mount(Bounds::CLIENT))
        .mount("members", toy::mount(Bounds::PEER).members([NodeId(1), NodeId(3)]))
        .connections(2);
    toy::serve_with(network, &Addr::any(), server).await
}

async fn greet(network: &Memory, served: &Served, hello: &Hello) -> Result<NodeId, HelloError> {
    let mut stream = network.connect(&served.addr).await.unwrap();
    hello::greet(&mut stream, hello).await
}

#[track_caller]
fn refused(result: Result<NodeId, HelloError>) -> Refusal {
    match result {
        Err(HelloError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_refusal_says_why_and_is_counted() {
    let network = Memory::new();
    let served = served(&network).await;
    let right = toy::hello();

    let wrong = Hello { cluster: 7, ..right.clone() };
    let refusal = refused(greet(&network, &served, &wrong).await);
    assert_eq!(refusal, Refusal::WrongCluster { ours: CLUSTER });

    let wrong = Hello { service: "nothing".into(), ..right.clone() };
    assert_eq!(refused(greet(&network, &served, &wrong).await), Refusal::UnknownService);

    let members = Hello { service: "members".into(), ..right.clone() };
    assert_eq!(refused(greet(&network, &served, &members).await), Refusal::NotAMember);
    let client = Hello { node: None, ..members.clone() };
    assert_eq!(refused(greet(&network, &served, &client).await), Refusal::NotAMember);
    let member = Hello { node: Some(NodeId(3)), ..members };
    assert_eq!(greet(&network, &served, &member).await.unwrap(), SERVER);

    served.counts("refused_cluster", 1).await;
    served.counts("refused_service", 1).await;
    served.counts("refused_member", 2).await;
}

#[tokio::test]
async fn another_version_is_told_ours() {
    let network = Memory::new();
    let served = served(&network).await;
    let mut stream = network.connect(&served.addr).await.unwrap();
    stream.write_all(b"SYNODnet\x00\x09\x00\x03abc").await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head[..10], b"SYNODnet\x00\x01");
    served.counts("refused_version", 1).await;
}

/// A server of the future, as our client sees it.
#[tokio::test]
async fn a_client_understands_a_server_of_another_version() {
    let network = Memory::new();
    let mut door = network.listen(&Addr::any()).await.unwrap();
    let mut stream = network.connect(&door.addr()).await.unwrap();
    let mut there = door.accept().await.unwrap();
    there.write_all(b"SYNODnet\x00\x09\x00\x01?").await.unwrap();
    let refusal = refused(hello::greet(&mut stream, &toy::hello()).await);
    assert_eq!(refusal, Refusal::WrongVersion { ours: 9 });
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_the_next_comes_in_when_one_leaves() {
    let network = Memory::new();
    let served = served(&network).await;
    let mut inside: Vec<Connection> = Vec::new();
    for _ in 0..2 {
        let mut stream = network.connect(&served.addr).await.unwrap();
        hello::greet(&mut stream, &toy::hello()).await.unwrap();
        inside.push(stream);
    }
    assert_eq!(refused(greet(&network, &served, &toy::hello()).await), Refusal::TooMany);
    served.counts("refused_too_many", 1).await;
    inside.pop();
    served.counts("open", 1).await;
    assert_eq!(greet(&network, &served, &toy::hello()).await.unwrap(), SERVER);
}

#[tokio::test]
async fn strangers_get_no_answer() {
    let network = Memory::new();
    let served = served(&network).await;
    let mut stream = network.connect(&served.addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard.is_empty());
    served.counts("foreign", 1).await;

    for bad in [&b"SYNODnet\x00\x01\x10\x01"[..], b"SYNODnet\x00\x01\x00\x02\xff\xff"] {
        let mut stream = network.connect(&served.addr).await.unwrap();
        stream.write_all(bad).await.unwrap();
        stream.read_to_end(&mut heard).await.unwrap();
        assert!(heard.is_empty());
    }
    served.counts("bad_hello", 2).await;
    let long = Hello { service: "x".repeat(65), ..toy::hello() };
    assert!(matches!(greet(&network, &served, &long).await, Err(HelloError::Io(_))));
    let longest = Hello { service: "x".repeat(64), ..toy::hello() };
    assert_eq!(refused(greet(&network, &served, &longest).await), Refusal::UnknownService);
}

#[tokio::test(start_paused = true)]
async fn he_who_says_nothing_is_shown_out() {
    let network = Memory::new();
    let served = served(&network).await;
    let mut silent = network.connect(&served.addr).await.unwrap();
    let mut slow = network.connect(&served.addr).await.unwrap();
    slow.write_all(b"SYNOD").await.unwrap();
    tokio::time::sleep(HELLO_TIME - Duration::from_millis(10)).await;
    assert_eq!((served.count("open"), served.count("slow_hello")), (2, 0));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut heard = Vec::new();
    silent.read_to_end(&mut heard).await.unwrap();
    slow.read_to_end(&mut heard).await.unwrap();
    assert!(heard.is_empty());
    assert_eq!((served.count("open"), served.count("slow_hello")), (0, 2));
}

#[tokio::test]
async fn peers_hear_the_refusal_and_people_can_see_it() {
    let network = Arc::new(Memory::new());
    let served = served(&network).await;
    let foreign = Hello { cluster: 7, ..toy::hello() };
    let peers = toy::peers_with(network, &served.addr, foreign);
    let refused = toy::ask(&peers, Request::WhoAmI).await;
    assert!(matches!(refused, Err(CallError::Down(Some(Refusal::WrongCluster { ours: CLUSTER })))));
    let PeerStatus::Down { failures: 1, why: Some(why) } = &peers.status()[&SERVER] else {
        panic!("{:?}", peers.status());
    };
    assert!(why.contains("cluster 42"), "{why}");
}

#[tokio::test]
async fn somebody_else_at_a_peers_address_is_not_that_peer() {
    let network = Arc::new(Memory::new());
    let served = toy::serve_with(
        &*network,
        &Addr::any(),
        Server::new(CLUSTER, NodeId(9)).mount("toy", toy::mount(Bounds::CLIENT)),
    )
    .await;
    let peers = toy::peers(network, &served.addr);
    assert!(matches!(toy::ask(&peers, Request::WhoAmI).await, Err(CallError::Down(None))));
}

#[tokio::test]
async fn a_raw_service_gets_the_stream_as_it_is() {
    let network = Memory::new();
    let shout = Mount::raw(|hello, mut stream| {
        Box::pin(async move {
            stream.write_all(hello.service.as_bytes()).await?;
            Ok(())
        })
    });
    let server = Server::new(CLUSTER, SERVER).mount("shout", shout);
    let served = toy::serve_with(&network, &Addr::any(), server).await;
    let mut stream = network.connect(&served.addr).await.unwrap();
    let hello = Hello { service: "shout".into(), ..toy::hello() };
    hello::greet(&mut stream, &hello).await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "shout");
    served.counts("closed", 1).await;
}
