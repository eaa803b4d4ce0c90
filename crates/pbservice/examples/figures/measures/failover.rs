//! A primary is killed, again and again, while a client writes without a pause.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use protocol::Rng;

use super::{Times, key, ms, value};
use crate::{Outcome, Row, Scale, processes::Store};

pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Row>> {
    eprintln!("failover: {} kills", scale.kills);
    let store = Store::new()?;
    let mut servers = BTreeMap::new();
    for me in 1..=3 {
        servers.insert(me, store.server(me)?);
    }
    let mut client = store.client(1);
    let mut rng = Rng::new(1);
    let mut gaps = Vec::new();
    while gaps.len() < scale.kills {
        let view = store.becomes(|view| view.backup.is_some()).await?;
        let primary = view.primary.ok_or("somebody is primary")?.member.node.0;
        // At any moment between two pings.
        let until = Instant::now() + rng.between(Duration::ZERO, Duration::from_millis(300));
        let mut number = 0;
        while Instant::now() < until {
            client.put(key(number), value()).await?;
            number += 1;
        }
        let mut victim = servers.remove(&primary).ok_or("it runs")?;
        let killed = Instant::now();
        victim.kill()?;
        // An answer of the old primary may still be on its way: only one of a new view counts.
        while client.view().number <= view.number {
            client.put(key(number), value()).await?;
        }
        gaps.push(killed.elapsed());
        servers.insert(primary, store.server(primary)?);
    }
    let gaps = Times::of(gaps);
    let figure = format!(
        "p50 {}, p99 {}, max {}",
        ms(gaps.median()),
        ms(gaps.p99()),
        ms(gaps.per_mille(1000))
    );
    let what =
        format!("SIGKILL of the primary to the next acknowledged write, {} times", scale.kills);
    Ok(vec![Row::new(what, figure, "p99 <= 900 ms")])
}
