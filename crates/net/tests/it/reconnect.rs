//! Peers that go away and come back.

use std::{sync::Arc, time::Duration};

use net::{Addr, Bounds, CallError, Memory, Network, PeerStatus, Server, Tcp, Weather};
use tokio::time::Instant;

use crate::toy::{self, CLUSTER, Request, SERVER, Served};

async fn again(network: &dyn Network, addr: &Addr) -> Served {
    let server = Server::new(CLUSTER, SERVER).mount("toy", toy::mount(Bounds::CLIENT));
    toy::serve_with(network, addr, server).await
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    for network in [Arc::new(Tcp) as Arc<dyn Network>, Arc::new(Memory::new())] {
        let served = toy::serve(&*network).await;
        let addr = served.addr.clone();
        let peers = toy::peers(Arc::clone(&network), &addr);
        toy::echo(&peers, "before").await;
        served.running.stop().await.unwrap();
        assert!(toy::ask(&peers, Request::WhoAmI).await.is_err());

        let served = again(&*network, &addr).await;
        toy::echo_in_the_end(&peers).await;
        assert_eq!(served.count("accepted"), 1);
        assert_eq!(peers.status()[&SERVER], PeerStatus::Up);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_fail_at_once_while_a_peer_is_down_and_attempts_get_rarer() {
    let network = Arc::new(Memory::new());
    let door = network.listen(&Addr::any()).await.unwrap();
    let addr = door.addr();
    drop(door);
    let peers = toy::peers(network.clone(), &addr);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        let asked = Instant::now();
        assert!(matches!(toy::ask(&peers, Request::WhoAmI).await, Err(CallError::Down(None))));
        assert!(asked.elapsed() <= Duration::from_millis(1), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let PeerStatus::Down { failures, why: Some(why) } = &peers.status()[&SERVER] else {
        panic!("{:?}", peers.status());
    };
    // 20, 40, ... 640 ms, then a second each, all with jitter down to a half.
    assert!((12..=30).contains(failures), "{failures}");
    assert!(why.contains("nobody listens"), "{why}");

    let _served = again(&*network, &addr).await;
    let back = Instant::now();
    toy::echo_in_the_end(&peers).await;
    assert!(back.elapsed() <= Duration::from_secs(2), "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_on_everybody_is_not_dialled_without_pause() {
    let network = Arc::new(Memory::new());
    let mut door = network.listen(&Addr::any()).await.unwrap();
    let addr = door.addr();
    let rude = tokio::spawn(async move {
        let mut visits = 0u32;
        loop {
            let mut stream = door.accept().await.unwrap();
            visits += 1;
            if net::hello::hear(&mut stream).await.is_ok() {
                let _ = net::hello::answer(&mut stream, Ok(SERVER)).await;
            }
            if visits == 5 {
                return visits;
            }
        }
    });
    let peers = toy::peers(network, &addr);
    let begun = Instant::now();
    while !rude.is_finished() {
        assert!(toy::ask(&peers, Request::WhoAmI).await.is_err());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(10 + 20 + 40 + 80), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_cut_makes_calls_late_then_fail_fast_and_healing_brings_them_back() {
    let (weather, memory) = (Weather::new(), Arc::new(Memory::new()));
    let served = toy::serve(&weather.over(memory.clone(), "n1")).await;
    let peers = toy::peers(Arc::new(weather.over(memory, "n2")), &served.addr);
    toy::echo(&peers, "before").await;

    weather.isolate("n1");
    // The connection looks alive; three calls in a row must be late before it is given up.
    for _ in 0..3 {
        assert!(matches!(toy::ask(&peers, Request::Hang).await, Err(CallError::Late)));
    }
    assert!(matches!(peers.status()[&SERVER], PeerStatus::Down { .. }));
    // A new one cannot be made: the first attempt is waited for, the others are not.
    assert!(matches!(toy::ask(&peers, Request::WhoAmI).await, Err(CallError::Down(_))));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = Instant::now();
    assert!(matches!(toy::ask(&peers, Request::WhoAmI).await, Err(CallError::Down(_))));
    assert!(asked.elapsed() <= Duration::from_millis(1), "{:?}", asked.elapsed());
    assert_eq!(served.count("open"), 1, "the other side has not heard of the end");

    weather.rejoin("n1");
    toy::echo_in_the_end(&peers).await;
    served.counts("open", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_one_way_loses_nothing() {
    for (from, to) in [("n1", "n2"), ("n2", "n1")] {
        let (weather, memory) = (Weather::new(), Arc::new(Memory::new()));
        let served = toy::serve(&weather.over(memory.clone(), "n1")).await;
        let peers = toy::peers(Arc::new(weather.over(memory, "n2")), &served.addr);
        toy::echo(&peers, "before").await;
        weather.cut(from, to);
        let heal = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            weather.heal(from, to);
        };
        let asked = Instant::now();
        tokio::join!(toy::echo(&peers, "during"), heal);
        assert!(asked.elapsed() >= Duration::from_secs(2));
        assert_eq!(served.count("accepted"), 1);
    }
}

#[tokio::test]
async fn a_reset_is_heard_at_once() {
    let weather = Weather::new();
    let served = toy::serve(&weather.over(Arc::new(Tcp), "n1")).await;
    let peers = toy::peers(Arc::new(weather.over(Arc::new(Tcp), "n2")), &served.addr);
    toy::echo(&peers, "before").await;
    let hanging = toy::ask(&peers, Request::Hang);
    let reset = async {
        tokio::task::yield_now().await;
        weather.reset("n1", "n2");
    };
    let (hung, ()) = tokio::join!(hanging, reset);
    assert!(matches!(hung, Err(CallError::Lost)), "{hung:?}");
    toy::echo_in_the_end(&peers).await;
}

/// Behind a peer that reads nothing, a call may not even get into tarpc's hands; its deadline holds
/// all the same, and the connection is given up.
#[tokio::test(start_paused = true)]
async fn a_deadline_holds_even_for_what_could_not_be_sent() {
    let (weather, memory) = (Weather::new(), Arc::new(Memory::new()));
    let served = toy::serve(&weather.over(memory.clone(), "n1")).await;
    let peers = toy::peers(Arc::new(weather.over(memory, "n2")), &served.addr);
    toy::echo(&peers, "before").await;
    weather.cut("n2", "n1");
    let begun = Instant::now();
    for _ in 0..3 {
        let big = Request::Echo(vec![0; 1 << 20].into());
        assert!(matches!(toy::ask(&peers, big).await, Err(CallError::Late)));
    }
    assert!(begun.elapsed() < Duration::from_secs(16), "{:?}", begun.elapsed());
    weather.clear();
    toy::echo_in_the_end(&peers).await;
    assert_eq!(served.count("accepted"), 2);
}

#[tokio::test]
async fn a_peer_that_moved_is_called_where_it_is() {
    let network = Arc::new(Memory::new());
    let (old, new) = (toy::serve(&*network).await, toy::serve(&*network).await);
    let peers = toy::peers(network, &old.addr);
    toy::echo(&peers, "old").await;
    peers.set(SERVER, new.addr.clone());
    toy::echo(&peers, "new").await;
    assert_eq!((old.count("accepted"), new.count("accepted")), (1, 1));
    old.counts("open", 0).await;
    peers.remove(SERVER);
    assert!(matches!(toy::ask(&peers, Request::WhoAmI).await, Err(CallError::Down(None))));
}
