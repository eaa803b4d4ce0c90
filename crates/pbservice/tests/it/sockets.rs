//! Scenarios on real sockets. What they assert about time, they assert of a median or of what is
//! many times longer than it takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use net::{Addr, Bounds, Calls, Hello, Network, Peers, PeersConfig, Tcp};
use pbservice::{
    Refused,
    client::{Answered, Call, PbWire},
    message::{Answer, Get},
    server::SERVICE,
};
use protocol::NodeId;
use sim::Scenario;

use crate::{
    ledger::Ledger,
    shell::{CLUSTER, Shells, VIEW, b, until},
};

/// A connection of somebody who waits longer than any client would, and asks only `n1`.
fn patient(network: Arc<dyn Network>, addr: &Addr) -> Peers<PbWire, Call> {
    let hello = Hello { cluster: CLUSTER, node: None, service: SERVICE.to_owned() };
    let addrs = [(NodeId(1), addr.clone())].into();
    let patience = |_: &Call| Duration::from_secs(10);
    Peers::new(network, PeersConfig { hello, addrs, bounds: Bounds::CLIENT, patience, seed: 1 })
}

#[tokio::test]
async fn timing_s8_2_04_the_backup_takes_over() {
    const ROUNDS: usize = 5;
    let mut took = Vec::new();
    let mut acknowledged = 0;
    for _ in 0..ROUNDS {
        let mut shells = Shells::pair(Arc::new(Tcp)).await;
        let mut client = shells.client(1);
        for number in 0..20 {
            client.put(b(&format!("k{number}")), b("v")).await.expect("put");
            client.append(b("log"), b(&format!("{number};"))).await.expect("append");
            acknowledged += 2;
        }
        shells.kill(1);
        let began = Instant::now();
        let view = shells.is(2, None).await;
        took.push(began.elapsed());
        assert_eq!(view.number.0, 3, "one step after the pair's view");
        for number in 0..20 {
            assert_eq!(client.get(b(&format!("k{number}"))).await, Ok(Some(b("v"))));
        }
        let log: String = (0..20).map(|number| format!("{number};")).collect();
        assert_eq!(client.get(b("log")).await, Ok(Some(b(&log))));
        client.append(b("log"), b("on")).await.expect("it serves alone");
        shells.stop_all().await;
    }
    took.sort_unstable();
    let median = took[ROUNDS / 2];
    assert!(median < Duration::from_millis(1000), "ten intervals; it took {median:?}");
    let figure = format!("the backup is primary after {} ms, in the median", median.as_millis());
    let scenario = Scenario { seeds: ROUNDS as u64, events: 0, acknowledged, figure };
    scenario.write("timing_s8_2_04_the_backup_takes_over");
}

#[tokio::test]
async fn s8_2_07_a_get_delayed_to_the_old_primary_is_not_stale() {
    let mut shells = Shells::pair(Arc::new(Tcp)).await;
    let ledger = Ledger::new();
    let mut one = ledger.witness(shells.client(1));
    let mut two = ledger.witness(shells.client(2));
    let key = b("k");
    one.put(&key, &b("1")).await.expect("put");
    let late = patient(shells.network("late"), &shells.running[&1].addr);
    let ask = |key| Call::Get(Get { key });
    // It is connected before the path becomes slow.
    let before = late.call(NodeId(1), ask(key.clone())).await;
    assert!(matches!(before, Ok(Answered::Client(Ok(Answer::Value(Some(_)))))), "{before:?}");
    for client in ["c1", "late"] {
        shells.weather.delay(client, "n1", Duration::from_secs(4));
    }
    // S1 still reaches its backup, its clients are slow, and the view service does not hear it.
    shells.weather.cut("n1", VIEW);
    shells.weather.cut(VIEW, "n1");
    let began = Instant::now();
    let asked = tokio::spawn(late.call(NodeId(1), ask(key.clone())));
    let delayed = {
        let key = key.clone();
        tokio::spawn(async move { (one.get(&key).await, one) })
    };
    shells.is(2, None).await;
    two.put(&key, &b("111")).await.expect("the new primary serves");
    // A client that was served by the old primary goes elsewhere after one try, and may have been
    // served before the change.
    let (seen, mut one) = delayed.await.expect("no panic");
    assert!(matches!(&seen, Ok(Some(value)) if value == "1" || value == "111"), "{seen:?}");
    assert_eq!(one.get(&key).await, Ok(Some(b("111"))));
    // One that waits for the old primary, whatever it takes, hears that it is no primary.
    let heard = asked.await.expect("no panic");
    let took = began.elapsed();
    match heard {
        Ok(Answered::Client(Err(Refused::NotPrimary(_) | Refused::Interrupted))) => {}
        other => panic!("the old primary said {other:?}"),
    }
    assert!(took > Duration::from_secs(4), "it arrived behind the change: {took:?}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    // The old primary found out by asking its backup, since nobody else could tell it.
    let fenced = shells.status(1).await;
    assert_eq!((fenced.view.number.0, fenced.duty), (2, pbservice::Duty::Fenced));
    shells.weather.clear();
    until("the old primary waits to be needed", async || shells.status(1).await.view.number.0 > 2)
        .await;
    ledger.judge();
    let figure = format!("the late get was refused after {} ms", took.as_millis());
    Scenario { seeds: 1, events: 0, acknowledged: ledger.answered().0, figure }
        .write("s8_2_07_a_get_delayed_to_the_old_primary_is_not_stale");
    shells.stop_all().await;
}

#[tokio::test]
async fn s8_2_25_saturating_clients_starve_no_ping() {
    const CLIENTS: u64 = 10;
    const TIME: Duration = Duration::from_secs(10);
    let mut shells = Shells::pair(Arc::new(Tcp)).await;
    let before = shells.views().await.view;
    let ledger = Ledger::new();
    let end = tokio::time::Instant::now() + TIME;
    let connections = shells.connections("clients");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = pbservice::Client::new(connections.clone(), number);
            let mut witness = ledger.witness(client);
            tokio::spawn(async move {
                // A key of its own, and one of all.
                let (own, all) = (b(&format!("own {number}")), b("all"));
                let mut step = 0_u64;
                while tokio::time::Instant::now() < end {
                    let value = b(&format!("{number}.{step}"));
                    witness.put(&own, &value).await.expect("put");
                    assert_eq!(witness.get(&own).await, Ok(Some(value.clone())));
                    if step.is_multiple_of(8) {
                        witness.put(&all, &value).await.expect("put");
                        witness.get(&all).await.expect("get");
                    }
                    step += 1;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
    assert_eq!(shells.views().await.view, before, "nobody was taken for dead");
    let (acknowledged, longest) = ledger.answered();
    assert!(acknowledged > 10 * CLIENTS, "{acknowledged}");
    ledger.judge();
    let figure = format!(
        "{CLIENTS} clients without a pause for {} s, the longest wait {} ms, no view change",
        TIME.as_secs(),
        longest.as_millis()
    );
    Scenario { seeds: 1, events: 0, acknowledged, figure }
        .write("s8_2_25_saturating_clients_starve_no_ping");
    shells.stop_all().await;
}
