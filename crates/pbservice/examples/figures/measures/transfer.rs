//! A large store goes over to a new backup while a client goes on writing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pbservice::Client;
use protocol::Rng;
use tokio::task::JoinSet;

use super::{Times, key, ratio, us, value};
use crate::{Outcome, Row, Scale, processes::Store};

/// Clients that fill the store.
const FILLERS: usize = 32;

const ALONE: usize = 0;
const DURING: usize = 1;
const PAIRED: usize = 2;
const OVER: usize = 3;

pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Row>> {
    eprintln!("transfer: {} values are put", scale.values);
    let store = Store::new()?;
    let one = store.server(1)?;
    let primary = store.becomes(|view| view.primary.is_some()).await?.primary;
    let primary = primary.ok_or("somebody is primary")?.member.node;
    let mut fillers = JoinSet::new();
    for filler in 0..FILLERS {
        let client = store.client(filler as u64);
        fillers.spawn(fill(client, filler, scale.values));
    }
    while let Some(filled) = fillers.join_next().await {
        filled??;
    }
    let held = store.connections.status(primary).await?.server.bytes;
    eprintln!("transfer: {} MiB go over", held >> 20);

    let phase = Arc::new(AtomicUsize::new(ALONE));
    let writer = tokio::spawn(write(store.client(99), scale.values, Arc::clone(&phase)));
    let quiet = Duration::from_secs(scale.quiet);
    tokio::time::sleep(quiet).await;
    let two = store.server(2)?;
    let began = loop {
        if store.connections.view().await?.backup.is_some() {
            break Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    phase.store(DURING, Relaxed);
    store.becomes(|view| view.backup.is_some()).await?;
    let took = began.elapsed();
    phase.store(PAIRED, Relaxed);
    tokio::time::sleep(quiet).await;
    phase.store(OVER, Relaxed);
    let times = writer.await??.map(Times::of);
    drop((one, two));

    let rate = held as f64 / f64::from(1 << 20) / took.as_secs_f64();
    let size = held >> 20;
    let words = |times: &Times| {
        format!("p50 {}, p99 {} of {}", us(times.median()), us(times.p99()), times.0.len())
    };
    let over = ratio(times[DURING].p99(), times[PAIRED].p99());
    let over_alone = ratio(times[DURING].p99(), times[ALONE].p99());
    Ok(vec![
        Row::new(
            format!("a store of {size} MiB to a new backup"),
            format!("{rate:.0} MiB/s, {:.1} s", took.as_secs_f64()),
            "",
        ),
        Row::new("puts meanwhile, 1 client", words(&times[DURING]), ""),
        Row::new("puts of a quiet pair", words(&times[PAIRED]), ""),
        Row::new("puts of a quiet primary without a backup", words(&times[ALONE]), ""),
        Row::new(
            "p99 of puts meanwhile over a quiet pair's (over a lone primary's)",
            format!("{over:.2} ({over_alone:.2})"),
            "<= 3",
        ),
    ])
}

/// Every so-many-th value of the store.
async fn fill(mut client: Client, first: usize, values: usize) -> Outcome<()> {
    for number in (first..values).step_by(FILLERS) {
        client.put(key(number), value()).await?;
    }
    Ok(())
}

/// Writes without a pause, and how long each took, by phase.
async fn write(
    mut client: Client,
    values: usize,
    phase: Arc<AtomicUsize>,
) -> Outcome<[Vec<Duration>; 3]> {
    let mut times = [const { Vec::new() }; 3];
    let mut rng = Rng::new(1);
    loop {
        let began = Instant::now();
        client.put(key(rng.below(values as u64) as usize), value()).await?;
        // What began in one phase and ended in the next belongs to the next: it waited there.
        match phase.load(Relaxed) {
            OVER => return Ok(times),
            phase => times[phase].push(began.elapsed()),
        }
    }
}
