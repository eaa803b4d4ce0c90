//! The service on sockets, and sessions of the shipped kind.

use std::{path::Path, sync::Arc, time::Duration};

use lockmgr::{
    Connections, Error, Home, Loss, Mode, Refusal, Service, Session, Storage, Terms, Want,
    core::Config,
};
use net::{Addr, Tcp};
use tokio::time::{Instant, sleep, timeout};

const CLUSTER: u64 = 7;

/// How long anything may take on a busy machine before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(20);

async fn open(dir: &Path, addr: &Addr) -> Service {
    let begun = Instant::now();
    let storage = loop {
        match Storage::open(dir, CLUSTER, wal::Config::small()) {
            Ok(storage) => break storage,
            // Its earlier life has not quite ended.
            Err(wal::OpenError::Locked { .. }) if begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    let home = Home { network: Arc::new(Tcp), cluster: CLUSTER, addr: addr.clone(), storage };
    Service::open(Config::default(), home).await.expect("it opens")
}

async fn session(addr: &Addr, lease: Duration) -> Session {
    let connections = Connections::new(Arc::new(Tcp), CLUSTER, addr.clone(), 1);
    Session::open(connections, Terms::session(lease), PATIENCE, 1).await.expect("a session")
}

fn want(name: &str) -> Vec<Want> {
    vec![Want::new(name, Mode::X)]
}

/// A service dies and comes back on its directory while one holds and one waits.
#[tokio::test]
async fn sessions_outlive_the_service() {
    let dir = tempfile::tempdir().expect("a directory");
    Storage::init(dir.path(), CLUSTER, &wal::Config::small()).expect("made");
    let service = open(dir.path(), &Addr::from("127.0.0.1:0")).await;
    let addr = service.addr.clone();
    let holder = session(&addr, PATIENCE).await;
    let waiter = session(&addr, PATIENCE).await;
    let first = holder.acquire(want("k"), PATIENCE).await.expect("free")[0].token;
    let refused = waiter.try_acquire(want("k")).await;
    assert!(matches!(refused, Err(Error::Refused(Refusal::Taken { .. }))), "{refused:?}");
    let waiting = tokio::spawn(async move {
        let granted = waiter.acquire(want("k"), PATIENCE).await;
        (waiter, granted)
    });
    let look = Connections::new(Arc::new(Tcp), CLUSTER, addr.clone(), 2);
    timeout(PATIENCE, async {
        while look.view(None, PATIENCE).await.expect("it answers").waiting == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it waits at last");
    service.stop().await.expect("a sound log");
    let service = open(dir.path(), &addr).await;
    assert_eq!(holder.token(&"k".into()), first);
    holder.release("k".into(), first).await.expect("it was held all the time");
    let (waiter, granted) = waiting.await.expect("no panic");
    let second = granted.expect("its turn")[0].token;
    assert!(second > first, "{second:?} after {first:?}");
    let seen = look.look("k".into(), PATIENCE).await.expect("it answers").expect("it is held");
    assert_eq!(seen.holders[0].owner, waiter.owner());
    assert!(matches!(
        holder.release("k".into(), first).await,
        Err(Error::Refused(Refusal::NotHeld(_)))
    ));
    waiter.close().await.expect("it ends");
    assert_eq!(look.look("k".into(), PATIENCE).await.expect("it answers"), None);
    assert_eq!(holder.loss(), None);
    service.stop().await.expect("a sound log");
}

/// A request that nobody waits for any more takes nothing; a session that is closed elsewhere is
/// lost to its client.
#[tokio::test]
async fn what_is_dropped_takes_nothing_and_a_loss_is_told() {
    let storage = Storage::memory();
    let addr = Addr::from("127.0.0.1:0");
    let home = Home { network: Arc::new(Tcp), cluster: CLUSTER, addr, storage };
    let service = Service::open(Config::default(), home).await.expect("it opens");
    let addr = service.addr.clone();
    let [holder, other] =
        [session(&addr, PATIENCE).await, session(&addr, Duration::from_secs(3)).await];
    let token = holder.acquire(want("k"), PATIENCE).await.expect("free")[0].token;
    let dropped = timeout(Duration::from_millis(100), other.acquire(want("k"), PATIENCE)).await;
    assert!(dropped.is_err(), "it waits");
    holder.release("k".into(), token).await.expect("held");
    holder.acquire(want("k"), PATIENCE).await.expect("nobody has it for nothing");

    let grants = other.acquire(want("l"), PATIENCE).await.expect("free");
    let connections = Connections::new(Arc::new(Tcp), CLUSTER, addr.clone(), 2);
    let owner = other.owner();
    let adopted = Session::adopt(connections, owner, PATIENCE, 2).await.expect("known");
    adopted.release("l".into(), grants[0].token).await.expect("one session, two clients");
    let loss = timeout(PATIENCE, other.lost()).await.expect("told by a renewal");
    assert_eq!(loss, Loss::Names(vec!["l".into()]));
    // Neither takes the other's requests for over.
    other.acquire(want("o"), PATIENCE).await.expect("free");
    adopted.acquire(want("n"), PATIENCE).await.expect("free");
    other.release("o".into(), None).await.expect("held");
    adopted.close().await.expect("it ends");
    timeout(PATIENCE, async {
        while !matches!(other.loss(), Some(Loss::Session(_))) {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("told at last");
    let gone = other.acquire(want("m"), PATIENCE).await;
    assert_eq!(gone, Err(Error::Refused(Refusal::Unknown(owner))));
    service.stop().await.expect("no disk, no trouble");
}
