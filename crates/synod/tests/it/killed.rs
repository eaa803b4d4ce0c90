//! A lock server under kill -9, and what its clients and their resources see of that.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use lockmgr::{Connections, Error, Mode, Refusal, Session, Terms, Want};
use net::{Addr, Tcp};
use sim::register::Scenario;

use crate::{locks::Server, tool::PATIENCE};

/// What a lock protects, and checks tokens by.
#[derive(Default)]
struct Resource {
    newest: u64,
    inside: Option<u64>,
    visits: u64,
}

/// What the clients of the killed server saw.
#[derive(Default)]
struct Seen {
    resources: BTreeMap<String, Resource>,
    /// Every token ever given, and for what.
    tokens: BTreeMap<u64, String>,
    unknown: u64,
}

impl Seen {
    /// Whoever was granted the name goes in.
    fn enter(&mut self, name: &str, token: u64) {
        let before = self.tokens.insert(token, name.to_owned());
        assert_eq!(before, None, "token {token} of {name} was given twice");
        let resource = self.resources.entry(name.to_owned()).or_default();
        assert_eq!(resource.inside, None, "{name}: {token} goes in where another is");
        assert!(token > resource.newest, "{name}: token {token} after {}", resource.newest);
        resource.newest = token;
        resource.inside = Some(token);
        resource.visits += 1;
    }

    fn leave(&mut self, name: &str, token: u64) {
        let resource = self.resources.get_mut(name).expect("it was entered");
        assert_eq!(resource.inside.take(), Some(token), "{name}: somebody came in meanwhile");
    }
}

const LEASE: Duration = Duration::from_secs(20);

async fn session(addr: &str, lease: Duration, seed: u64) -> Session {
    let connections = Connections::new(Arc::new(Tcp), 1, Addr::from(addr), seed);
    Session::open(connections, Terms::session(lease), PATIENCE, seed).await.expect("a session")
}

async fn client(addr: String, seed: u64, until: Instant, seen: Rc<RefCell<Seen>>) {
    let mut session = session(&addr, LEASE, seed).await;
    let mut rng = protocol::Rng::new(seed);
    while Instant::now() < until {
        let name = format!("k{}", rng.below(8));
        let wants = vec![Want::new(&name[..], Mode::X)];
        match session.acquire(wants, Duration::from_secs(5)).await {
            Ok(grants) => {
                let token = grants[0].token.expect("a durable table gives tokens");
                seen.borrow_mut().enter(&name, token.0);
                tokio::time::sleep(Duration::from_millis(rng.below(3))).await;
                seen.borrow_mut().leave(&name, token.0);
                session.release(name[..].into(), Some(token)).await.expect("it was held");
            }
            Err(Error::Refused(Refusal::TimedOut)) => {}
            Err(Error::Unknown | Error::Unreachable(_)) => {
                // It may hold the name; that ends with the session.
                seen.borrow_mut().unknown += 1;
                session = self::session(&addr, LEASE, seed).await;
            }
            Err(other) => panic!("client {seed}: {other}"),
        }
    }
    session.close().await.expect("it ends");
}

/// The server is killed again and again under 64 clients. Nobody goes in where another is, no token
/// is given twice or behind a larger one, who speaks keeps its lock, and who fell silent keeps it
/// for its whole lease.
#[test]
fn s8_10_14_a_lock_server_is_killed_under_64_clients() {
    const CLIENTS: u64 = 64;
    const KILLS: u64 = 6;
    let name = "s8_10_14_a_lock_server_is_killed_under_64_clients";
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::new(dir.path());
    let addr = server.addr.clone();
    let seen = Rc::new(RefCell::new(Seen::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let begun = Instant::now();
    local.block_on(&runtime, async {
        let keeper = session(&addr, LEASE, 1_000).await;
        let kept = keeper.try_acquire(vec![Want::new("kept", Mode::X)]).await.expect("free");
        let end = Instant::now() + Duration::from_millis(700 * (KILLS + 2));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| tokio::task::spawn_local(client(addr.clone(), seed, end, Rc::clone(&seen))))
            .collect();
        // Somebody takes a lock and is never heard of again.
        let lease = Duration::from_secs(4);
        let silent = session(&addr, lease, 1_001).await;
        let spoke = Instant::now();
        let old = silent.try_acquire(vec![Want::new("silent", Mode::X)]).await.expect("free");
        drop(silent);
        let successor = session(&addr, LEASE, 1_002).await;
        let waiting = tokio::task::spawn_local(async move {
            let wants = vec![Want::new("silent", Mode::X)];
            let granted = successor.acquire(wants, PATIENCE).await;
            (Instant::now(), granted, successor)
        });
        for _ in 0..KILLS {
            tokio::time::sleep(Duration::from_millis(700)).await;
            server.kill();
            server.start();
        }
        for client in clients {
            client.await.expect("nothing was broken");
        }
        let (when, granted, _successor) = waiting.await.expect("no panic");
        let new = granted.expect("it gets it when the lease is over");
        assert!(when - spoke >= lease, "the lease was cut to {:?}", when - spoke);
        assert!(new[0].token > old[0].token, "{new:?} after {old:?}");
        assert_eq!(keeper.loss(), None, "who speaks loses nothing");
        let held = keeper.renew().await.expect("it lives").holds;
        assert_eq!(held, kept, "by the same token as before all of it");
        keeper.release("kept".into(), kept[0].token).await.expect("held throughout");
    });
    let seen = seen.borrow();
    let visits: u64 = seen.resources.values().map(|resource| resource.visits).sum();
    assert!(visits > 200, "only {visits} visits in {:?}", begun.elapsed());
    assert_eq!(seen.tokens.len() as u64, visits, "each grant has its own token");
    let figure = format!(
        "{KILLS} kills, {visits} locks taken by {CLIENTS} clients, {} not known",
        seen.unknown
    );
    println!("{figure}");
    Scenario { seeds: 1, events: KILLS, acknowledged: visits, figure }.write(name);
}
