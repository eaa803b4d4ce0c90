//! What is stopped leaves nothing behind.

use std::{collections::BTreeMap, sync::Arc};

use net::{Addr, Network, Server, Tcp, Weather};
use protocol::NodeId;
use tokio::runtime::Handle;

use crate::{
    keeper::{self, Node},
    toy::{self, CLUSTER, Request, until},
};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn a_stopped_server_and_its_callers_leave_no_task() {
    let weather = Weather::new();
    let far = weather.over(Arc::new(Tcp), "n1");
    let near: Arc<dyn Network> = Arc::new(weather.over(Arc::new(Tcp), "n2"));
    let before = tasks();
    let served = toy::serve(&far).await;
    let callers: Vec<_> = (0..10).map(|_| toy::peers(Arc::clone(&near), &served.addr)).collect();
    for peers in &callers {
        toy::echo(peers, "hello").await;
    }
    // With calls on their way, whose connections then seem alive and are not.
    let hanging = callers.iter().map(|peers| {
        let peers = peers.clone();
        tokio::spawn(async move { toy::ask(&peers, Request::Hang).await })
    });
    let hanging: Vec<_> = hanging.collect();
    tokio::task::yield_now().await;
    weather.isolate("n2");
    let counters = Arc::clone(&served.counters);
    served.running.stop().await.unwrap();
    assert_eq!((counters.snapshot()["open"], counters.snapshot()["panics"]), (0, 0));
    for call in hanging {
        assert!(call.await.unwrap().is_err());
    }
    drop(callers);
    until("nothing is left", || tasks() == before).await;
}

#[tokio::test]
async fn peers_dropped_behind_a_cut_leave_no_task() {
    let weather = Weather::new();
    let served = toy::serve(&weather.over(Arc::new(Tcp), "n1")).await;
    let before = tasks();
    let peers = toy::peers(Arc::new(weather.over(Arc::new(Tcp), "n2")), &served.addr);
    toy::echo(&peers, "hello").await;
    weather.isolate("n2");
    let big = toy::ask(&peers, Request::Echo(vec![0; 1 << 20].into()));
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(20), big).await;
    assert!(gave_up.is_err(), "a cut connection takes nothing");
    // Another attempt hangs as well.
    let dialling = toy::peers(Arc::new(weather.over(Arc::new(Tcp), "n2")), &served.addr);
    let attempt = tokio::time::timeout(
        std::time::Duration::from_millis(20),
        toy::ask(&dialling, Request::WhoAmI),
    );
    assert!(attempt.await.is_err());
    drop((peers, dialling));
    // The server's side of the cut connection is still there: it has not heard.
    until("the callers' side is gone", || tasks() == before + 1).await;
    weather.clear();
    until("and now the server's", || tasks() == before).await;
}

#[tokio::test]
async fn a_stopped_node_leaves_no_task() {
    let before = tasks();
    let (one, two) = (NodeId(1), NodeId(2));
    let far = Node::start(two, net::Alone);
    let server = Server::new(CLUSTER, two).mount("keep", keeper::mount(&far.door));
    let served = toy::serve_with(&Tcp, &Addr::any(), server).await;
    let addrs = BTreeMap::from([(two, served.addr.clone())]);
    let near = Node::start(one, keeper::peers(Arc::new(Tcp), one, addrs));
    let answer = near.door.request(None, keeper::Request::LastOf(two)).await;
    assert_eq!(answer, Ok(keeper::Reply::Last(0)));
    near.running.stop().await.unwrap().unwrap();
    served.running.stop().await.unwrap();
    far.running.stop().await.unwrap().unwrap();
    until("nothing is left", || tasks() == before).await;
}

#[tokio::test]
async fn a_dropped_handle_ends_its_task() {
    let before = tasks();
    let served = toy::serve(&Tcp).await;
    let peers = toy::peers(Arc::new(Tcp), &served.addr);
    toy::echo(&peers, "hello").await;
    drop((served, peers));
    until("nothing is left", || tasks() == before).await;
}
