//! What is stopped answers everybody who waits, and leaves nothing behind.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kvpaxos::{Command, Error};
use paxosrsm::{
    ClientId, Coded, RequestNo,
    message::{Reply, Request, Submit},
    sessions,
};
use protocol::NodeId;
use sim::Scenario;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::group::{Servers, b, paxos_of, three, until};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn register() -> Submit {
    Submit(sessions::Command::<Command>::Register.to_bytes())
}

#[tokio::test]
async fn timing_s8_4_08_shutdown_answers_everybody_who_waits() {
    let mut servers = three(None).await;
    servers.client(1).put(b("k"), b("v")).await.expect("put");
    let leader = servers.leader().await;
    // Nothing is decided any more, so everybody waits.
    for id in servers.addrs.clone().into_keys().filter(|id| *id != leader) {
        servers.stop(id).await;
    }
    let door = servers.running[&leader].door.clone();
    let submits: Vec<_> = (0..100)
        .map(|_| {
            let door = door.clone();
            tokio::spawn(async move { door.request(None, Request::Submit(register())).await })
        })
        .collect();
    let clients: Vec<_> = (0..20)
        .map(|seed| {
            let mut client = servers.client(seed);
            client.budget = Duration::from_millis(900);
            tokio::spawn(async move { client.put(b("k"), b("w")).await })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    // Asked behind all of them: they have reached the core.
    assert!(matches!(door.request(None, Request::Inspect).await, Ok(Reply::Status(_))));
    let waiting = submits.iter().filter(|submit| !submit.is_finished()).count();
    assert_eq!(waiting, 100);
    let began = Instant::now();
    servers.stop(leader).await;
    for submit in submits {
        assert!(submit.await.expect("no panic").is_err(), "nothing was decided");
    }
    let submits_after = began.elapsed();
    for client in clients {
        let error = client.await.expect("no panic").expect_err("nothing was decided");
        assert!(matches!(error, Error::Unknown | Error::Unreachable(_)), "{error}");
    }
    assert!(submits_after < Duration::from_secs(1), "it took {submits_after:?}");
    let figure = format!("100 pending, all refused after {} ms", submits_after.as_millis());
    let scenario = Scenario { seeds: 1, events: 120, acknowledged: 1, figure };
    scenario.write("timing_s8_4_08_shutdown_answers_everybody_who_waits");
}

#[tokio::test]
async fn timing_s8_4_16_stopping_ends_everything() {
    let before = tasks();
    let home = Some(TempDir::new().expect("a directory"));
    let network = Arc::new(net::Memory::new());
    let mut servers = Servers::new(3, network, home, paxos_of(3)).await;
    servers.snapshots_every(1000);
    for round in 0..2 {
        let mut shelves = Vec::new();
        for id in (1..=3).map(NodeId) {
            let storage = servers.storage(id);
            shelves.push(Arc::clone(&storage.snapshots));
            servers.start_on(id, storage).await;
        }
        let mut client = servers.client(round);
        for number in 0..20 {
            let value = Bytes::from(vec![7; 500]);
            client.put(b(&format!("k{number}")), value).await.expect("put");
        }
        drop(client);
        let doors: Vec<_> = servers.running.values().map(|group| group.door.clone()).collect();
        servers.stop_all().await;
        for (shelf, door) in shelves.iter().zip(doors) {
            // Only this test still holds it: the thread that wrote snapshots has ended, so the
            // directory may be opened again.
            assert_eq!(Arc::strong_count(shelf), 1, "somebody still works on snapshots");
            let mut took = Vec::new();
            for _ in 0..21 {
                let began = Instant::now();
                assert!(door.request(None, Request::Submit(register())).await.is_err());
                took.push(began.elapsed());
            }
            took.sort_unstable();
            let median = took[took.len() / 2];
            assert!(median < Duration::from_millis(100), "a stopped group fails at once");
        }
        until("no task is left", async || tasks() == before).await;
    }
    let figure = "no task and no thread left, twice; a submit afterwards fails at once".to_owned();
    let scenario = Scenario { seeds: 1, events: 2, acknowledged: 40, figure };
    scenario.write("timing_s8_4_16_stopping_ends_everything");
}

/// A request whose session another server's clients have pushed out is never run again unawares:
/// it hears *expired*, also when it comes to a stopped and restarted group.
#[tokio::test]
async fn a_repeated_request_is_answered_from_memory_after_a_restart() {
    let mut servers = three(Some(TempDir::new().expect("a directory"))).await;
    servers.client(1).put(b("k"), b("a")).await.expect("put");
    let request = |client| {
        let command = Command::Append(b("k"), b("b"));
        let (client, request) = (ClientId(client), RequestNo(2));
        Submit(sessions::Command::Do { client, request, command }.to_bytes())
    };
    for _ in 0..3 {
        let leader = servers.leader().await;
        let door = servers.running[&leader].door.clone();
        // The first client of a new group has the name 1.
        let reply = door.request(None, Request::Submit(request(1))).await.expect("it runs");
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        servers.stop_all().await;
        servers.start_all().await;
    }
    let seen = servers.client(2).get(b("k")).await.expect("get").expect("there");
    assert_eq!(seen.0, "ab", "one append, sent three times");
}
