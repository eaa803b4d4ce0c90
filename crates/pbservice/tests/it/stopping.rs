//! What ends leaves nothing behind, and tells whoever must know.

use std::{sync::Arc, time::Duration};

use net::{Addr, Memory, Network, Tcp};
use pbservice::{Client, Config, Ended, Error, Home, Node, OpenError, Request, Storage};
use protocol::NodeId;
use tokio::runtime::Handle;
use viewservice::Role;

use crate::shell::{CLUSTER, Shells, b, label, until};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Killed and stopped servers alike: no task, no socket, no client that waits for ever.
async fn nothing_is_left(network: Arc<dyn Network>) {
    let before = tasks();
    for _ in 0..2 {
        let mut shells = Shells::pair(Arc::clone(&network)).await;
        shells.start(3).await;
        let mut client = shells.client(1);
        client.put(b("k"), b("v")).await.expect("put");
        let addrs: Vec<Addr> = shells.running.values().map(|node| node.addr.clone()).collect();
        let doors: Vec<_> = shells.running.values().map(|node| node.door.clone()).collect();
        shells.kill(1);
        shells.stop_all().await;
        for door in doors {
            until("the core is gone", async || door.request(None, Request::Status).await.is_err())
                .await;
        }
        for addr in &addrs {
            until("the door is shut", async || network.connect(addr).await.is_err()).await;
        }
        client.budget = Duration::from_millis(300);
        let error = client.put(b("k"), b("w")).await.expect_err("nobody is there");
        assert!(matches!(error, Error::Unreachable(_) | Error::Unknown), "{error}");
        drop((client, shells));
        until("no task is left", async || tasks() == before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_on_the_memory_network() {
    nothing_is_left(Arc::new(Memory::new())).await;
}

#[tokio::test]
async fn nothing_is_left_on_real_sockets() {
    nothing_is_left(Arc::new(Tcp)).await;
}

/// A second server under a name that is taken changes nothing while the first one lives; when the
/// first one is silent, the second takes over the name, and the first one ends when it hears that.
#[tokio::test(start_paused = true)]
async fn of_two_servers_under_one_name_the_later_life_wins() {
    let mut shells = Shells::pair(Arc::new(Memory::new())).await;
    shells.start(3).await;
    let mut client = shells.client(1);
    client.put(b("k"), b("v")).await.expect("put");
    let before = shells.views().await.view;
    let double = shells.open(2, "double", Storage::memory(9)).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.append(b("k"), b("+")).await.expect("append");
    }
    assert_eq!(shells.views().await.view, before, "the name is taken");
    let Ok(pbservice::Reply::Status(status)) = double.door.request(None, Request::Status).await
    else {
        panic!("it lives, and waits for the name")
    };
    assert_eq!(status.member, None);

    // The first one is not heard for a while. The name is given away, and it hears of it.
    shells.weather.isolate(&label(2));
    until("the second has the name", async || {
        let views = shells.views().await;
        views.servers.iter().any(|it| it.server.addr == double.addr.as_str())
    })
    .await;
    shells.weather.rejoin(&label(2));
    let ended = shells.running[&2].ended().await;
    let Ended::Superseded(by) = &ended else { panic!("{ended}") };
    assert_eq!(by.node, NodeId(2));
    assert_eq!(
        ended.to_string(),
        format!("{by} has taken over the name of this server, whose time is over")
    );
    let network = shells.network("anybody");
    let addr = shells.running[&2].addr.clone();
    until("its door is shut", async || network.connect(&addr).await.is_err()).await;
    // It says so as often as it is asked, and can still be stopped.
    assert!(matches!(shells.running[&2].ended().await, Ended::Superseded(_)));
    shells.running.remove(&2).expect("it was there").stop().await.expect("it has no log");

    let view = shells.becomes("there is a backup", |view| view.backup.is_some()).await;
    assert_eq!(view.role(view.member_of(NodeId(1)).expect("n1")), Role::Primary);
    assert_eq!(client.get(b("k")).await, Ok(Some(b(&format!("v{}", "+".repeat(20))))));
    double.stop().await.expect("it has no log");
    shells.stop_all().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_one_is_refused_at_once() {
    let shells = Shells::new(Arc::new(Memory::new())).await;
    let home = |addr: &Addr| Home {
        network: shells.network("n"),
        cluster: CLUSTER,
        addr: addr.clone(),
        view: shells.view.clone(),
        storage: Storage::memory(1),
    };
    let refused = async |config: Config, addr: &Addr| match Node::open(config, home(addr)).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    };
    let error = refused(Config::new(NodeId(0), ""), &Addr::any()).await;
    assert!(matches!(error, OpenError::Name(NodeId(0))), "{error}");
    let error = refused(Config::new(NodeId(1), "a".repeat(257)), &Addr::any()).await;
    assert!(matches!(error, OpenError::TooLong(257)), "{error}");
    let error = refused(Config::new(NodeId(1), ""), &shells.view).await;
    assert!(matches!(error, OpenError::Listen { .. }), "{error}");
}

/// A server that hears nobody answers nobody: there is no primary but by a view.
#[tokio::test(start_paused = true)]
async fn without_a_view_service_no_server_serves() {
    let mut shells = Shells::new(Arc::new(Memory::new())).await;
    shells.service = None;
    shells.start(1).await;
    let connections = shells.connections("c");
    let mut client = Client::new(connections, 1);
    client.budget = Duration::from_secs(2);
    let error = client.put(b("k"), b("v")).await.expect_err("nobody serves");
    let Error::Unreachable(why) = &error else { panic!("{error}") };
    assert!(why.starts_with(": the view service: not connected"), "{why}");
    shells.stop_all().await;
}
