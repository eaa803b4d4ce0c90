//! What clients may expect of servers, on both networks.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use net::{Memory, Network, Tcp, Weather};
use pbservice::{Client, Duty, Error, MAX_KEY, MAX_VALUE};
use protocol::Rng;
use tokio::time::Instant;

use crate::{
    ledger::{Ledger, Witness},
    shell::{Shells, VIEW, b, until},
};

/// Everything one client can do, and what it hears.
async fn a_client_is_served(client: &mut Client) {
    assert_eq!(client.get(b("k")).await, Ok(None));
    client.put(b("k"), b("a")).await.expect("put");
    client.append(b("k"), b("b")).await.expect("append");
    assert_eq!(client.get(b("k")).await, Ok(Some(b("ab"))));
    assert_eq!(client.delete(b("k")).await, Ok(true));
    assert_eq!(client.delete(b("k")).await, Ok(false));
    assert_eq!(client.get(b("k")).await, Ok(None));
    client.append(b("new"), b("from nothing")).await.expect("append");
    assert_eq!(client.get(b("new")).await, Ok(Some(b("from nothing"))));
    client.put(b("kept"), b("for later")).await.expect("put");
    let sized = |size: usize| Bytes::from(vec![b'x'; size]);
    client.put(sized(MAX_KEY), sized(MAX_VALUE)).await.expect("both at their limit");
    assert_eq!(client.get(sized(MAX_KEY)).await.expect("get").map(|it| it.len()), Some(MAX_VALUE));
    assert_eq!(client.append(sized(MAX_KEY), b("x")).await, Err(Error::TooLarge));
    assert_eq!(client.put(sized(MAX_KEY + 1), b("v")).await, Err(Error::TooLarge));
    assert_eq!(client.put(b("k"), sized(MAX_VALUE + 1)).await, Err(Error::TooLarge));
    assert_eq!(client.get(sized(MAX_KEY + 1)).await, Err(Error::TooLarge));
}

/// Alone, then with a backup, then with what was the backup: the same answers.
async fn three_servers_one_after_the_other(network: Arc<dyn Network>) {
    let mut shells = Shells::new(network).await;
    let mut early = shells.client(1);
    early.budget = Duration::from_millis(100);
    let error = early.put(b("k"), b("v")).await.expect_err("there is no server");
    assert_eq!(
        error.to_string(),
        "it did not happen: no primary could be reached in time: there is no primary yet"
    );
    shells.start(1).await;
    shells.is(1, None).await;
    let mut client = shells.client(2);
    a_client_is_served(&mut client).await;
    shells.start(2).await;
    shells.is(1, Some(2)).await;
    assert_eq!(client.delete(b("new")).await, Ok(true));
    a_client_is_served(&mut shells.client(3)).await;
    shells.start(3).await;
    shells.kill(1);
    shells.is(2, Some(3)).await;
    assert_eq!(client.get(b("kept")).await, Ok(Some(b("for later"))));
    assert_eq!(client.delete(b("new")).await, Ok(true));
    a_client_is_served(&mut client).await;
    let (primary, backup) = (shells.status(2).await, shells.status(3).await);
    assert_eq!((primary.duty, backup.duty), (Duty::Paired, Duty::Backup));
    assert_eq!((primary.keys, primary.bytes), (backup.keys, backup.bytes));
    assert_eq!(primary.sessions, backup.sessions);
    shells.stop_all().await;
}

#[tokio::test(start_paused = true)]
async fn servers_serve_on_the_memory_network() {
    three_servers_one_after_the_other(Arc::new(Memory::new())).await;
}

#[tokio::test]
async fn servers_serve_on_real_sockets() {
    three_servers_one_after_the_other(Arc::new(Tcp)).await;
}

#[tokio::test(start_paused = true)]
async fn status_tells_what_a_server_is_and_has() {
    let mut shells = Shells::pair(Arc::new(Memory::new())).await;
    shells.client(1).put(b("key"), b("value")).await.expect("put");
    let connections = shells.connections("people");
    let view = connections.views().await.expect("it runs").view;
    for (server, duty) in [(&view.primary, Duty::Paired), (&view.backup, Duty::Backup)] {
        let member = server.as_ref().expect("a pair").member;
        let status = connections.status(member.node).await.expect("it runs");
        assert_eq!(status.server.member, Some(member));
        assert_eq!((status.server.duty, status.server.whole), (duty, true));
        assert_eq!((status.server.keys, status.server.bytes, status.server.sessions), (1, 8, 1));
        assert_eq!(status.server.view, view);
        assert!(status.log.is_none(), "it has no log on disk");
        assert!(status.connections > 0);
    }
    shells.stop_all().await;
}

/// The primary loses its way to everybody and lives on: who asks it is given up soon, and who
/// knows better is served; when it comes back, it is nobody's primary.
#[tokio::test(start_paused = true)]
async fn a_primary_that_hangs_is_soon_given_up() {
    let mut shells = Shells::pair(Arc::new(Memory::new())).await;
    let mut client = shells.client(1);
    client.put(b("k"), b("a")).await.expect("put");
    shells.weather.isolate("n1");
    let began = Instant::now();
    client.append(b("k"), b("b")).await.expect("the backup takes over");
    let took = began.elapsed();
    // Half a second until the view service takes it for dead, a ping until the backup hears that,
    // and a glance until the client does.
    assert!(took < Duration::from_millis(900), "it took {took:?}");
    shells.weather.rejoin("n1");
    let view = shells.is(2, Some(1)).await;
    assert_eq!(client.get(b("k")).await, Ok(Some(b("ab"))));
    assert_eq!(shells.status(1).await.view, view);
    shells.stop_all().await;
}

/// While the view service is away nothing changes, and those who know each other go on.
#[tokio::test(start_paused = true)]
async fn a_pair_serves_without_the_view_service() {
    let mut shells = Shells::pair(Arc::new(Memory::new())).await;
    let mut client = shells.client(1);
    client.put(b("k"), b("a")).await.expect("put");
    let before = shells.views().await.view;
    shells.weather.isolate(VIEW);
    for _ in 0..20 {
        client.append(b("k"), b("b")).await.expect("append");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    shells.weather.rejoin(VIEW);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(shells.views().await.view, before, "nobody was missed");
    assert_eq!(client.get(b("k")).await, Ok(Some(b(&format!("a{}", "b".repeat(20))))));
    shells.stop_all().await;
}

/// The two servers are cut off from each other, and from nobody else: the primary goes on without
/// its backup, which is tried again now and then, and has everything when the cut is over.
#[tokio::test(start_paused = true)]
async fn a_pair_cut_in_two_goes_on_and_is_a_pair_again() {
    let mut shells = Shells::pair(Arc::new(Memory::new())).await;
    let mut client = shells.client(1);
    client.put(b("k"), b("a")).await.expect("put");
    for (from, to) in [("n1", "n2"), ("n2", "n1")] {
        shells.weather.cut(from, to);
    }
    let began = Instant::now();
    client.append(b("k"), b("b")).await.expect("the primary is left");
    let took = began.elapsed();
    assert!(took < Duration::from_millis(2500), "it took {took:?}");
    let first = shells.views().await.view.number.0;
    let mut longest = Duration::ZERO;
    for _ in 0..200 {
        let began = Instant::now();
        client.append(b("k"), b("+")).await.expect("append");
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A backup that has not begun to receive anything holds nobody up.
    assert!(longest < Duration::from_millis(100), "one took {longest:?}");
    let views = shells.views().await.view.number.0 - first;
    assert!(views < 20, "{views} views in twenty seconds");
    shells.weather.clear();
    shells.is(1, Some(2)).await;
    shells.kill(1);
    assert_eq!(client.get(b("k")).await, Ok(Some(b(&format!("ab{}", "+".repeat(200))))));
    shells.stop_all().await;
}

/// A transfer is cut off in the middle, for a moment and for long. Nothing is lost, and the backup
/// has everything in the end.
#[tokio::test(start_paused = true)]
async fn a_transfer_cut_half_way_is_finished_later() {
    let mut shells = Shells::new(Arc::new(Memory::new())).await;
    shells.start(1).await;
    shells.is(1, None).await;
    let mut client = shells.client(1);
    let value = Bytes::from(vec![7; 100 << 10]);
    for number in 0..100 {
        client.put(b(&format!("k{number:02}")), value.clone()).await.expect("put");
    }
    // Slow enough to be met on its way.
    for (from, to) in [("n1", "n2"), ("n2", "n1")] {
        shells.weather.delay(from, to, Duration::from_millis(5));
    }
    shells.start(2).await;
    for outage in [200, 5_000] {
        until("the transfer has begun", async || {
            let status = shells.status(2).await;
            assert!(!status.whole, "it was done before it could be cut");
            status.keys > 5
        })
        .await;
        for cut in [Weather::cut, Weather::heal] {
            cut(&shells.weather, "n1", "n2");
            client.append(b("log"), b("x")).await.expect("the primary may serve alone");
            tokio::time::sleep(Duration::from_millis(outage)).await;
        }
    }
    shells.is(1, Some(2)).await;
    let (primary, backup) = (shells.status(1).await, shells.status(2).await);
    assert_eq!((primary.keys, primary.bytes), (backup.keys, backup.bytes));
    shells.kill(1);
    assert_eq!(client.get(b("log")).await, Ok(Some(b("xxxx"))));
    assert_eq!(client.get(b("k99")).await, Ok(Some(value)));
    shells.stop_all().await;
}

/// Three clients at work while one server after the other is lost and comes back empty.
#[tokio::test(start_paused = true)]
async fn what_clients_hear_through_crash_after_crash_is_linearizable() {
    let mut shells = Shells::new(Arc::new(Memory::new())).await;
    for me in 1..=3 {
        shells.start(me).await;
    }
    shells.becomes("there is a backup", |view| view.backup.is_some()).await;
    let ledger = Ledger::new();
    let until = Instant::now() + Duration::from_secs(20);
    let clients: Vec<_> = (1..=3)
        .map(|number| {
            let witness = ledger.witness(shells.client(number));
            tokio::spawn(works(witness, number, until))
        })
        .collect();
    let mut rng = Rng::new(11);
    while Instant::now() < until {
        let all: Vec<u16> = shells.running.keys().copied().collect();
        let victim = all[rng.below(all.len() as u64) as usize];
        shells.kill(victim);
        tokio::time::sleep(Duration::from_secs(1)).await;
        shells.start(victim).await;
        // Whoever loses both servers with the state before a third one has it has lost the state.
        shells.becomes("there is a backup", |view| view.backup.is_some()).await;
        tokio::time::sleep(Duration::from_millis(rng.below(1000))).await;
    }
    for client in clients {
        client.await.expect("no panic");
    }
    let (answered, longest) = ledger.answered();
    assert!(answered > 1_000, "{answered} answers");
    assert!(longest < Duration::from_secs(5), "one took {longest:?}");
    ledger.judge();
    assert!(shells.views().await.view.number.0 > 8, "views changed");
    shells.stop_all().await;
}

async fn works(mut witness: Witness, number: u64, until: Instant) {
    let mut rng = Rng::new(number);
    for step in 0.. {
        if Instant::now() >= until {
            return;
        }
        let key = b(&format!("k{}", rng.below(3)));
        let value = b(&format!("{number}.{step};"));
        // A budget of seconds is enough for whatever happens here.
        match rng.below(10) {
            0 => witness.put(&key, &value).await.expect("put"),
            1 => drop(witness.delete(&key).await.expect("delete")),
            2..=5 => witness.append(&key, &value).await.expect("append"),
            _ => drop(witness.get(&key).await.expect("get")),
        }
        tokio::time::sleep(Duration::from_millis(rng.below(20))).await;
    }
}
