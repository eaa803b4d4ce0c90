//! A put by one client, in turns with a bare call of the same words.

use std::{
    fs::File,
    io::{Seek, Write},
    path::Path,
    time::Instant,
};

use pbservice::{Change, RequestNo, SessionId, message::Submit};
use tempfile::TempDir;

use super::{Times, key, ratio, us, value};
use crate::{
    Outcome, Row, Scale,
    echo::Caller,
    processes::{Process, Store},
};

/// Keys that are written over and over.
const KEYS: usize = 1_000;

pub(crate) async fn measure(scale: Scale, durable: bool) -> Outcome<Vec<Row>> {
    let kind = if durable { "durable put" } else { "put" };
    eprintln!("{kind}: {} rounds of {}", scale.rounds, scale.puts);
    // Beside this program, so on the disk that is built on.
    let beside = std::env::current_exe()?;
    let home = TempDir::new_in(beside.parent().ok_or("it lies in a folder")?)?;
    let at = durable.then(|| home.path());
    let store = Store::new()?;
    let one = Process::server(1, &store.views.addr, at, None)?;
    store.becomes(|view| view.primary.is_some()).await?;
    let two = Process::server(2, &store.views.addr, at, None)?;
    store.becomes(|view| view.backup.is_some()).await?;
    let echo = Process::echo()?;
    let (mut client, caller) = (store.client(1), Caller::new(&echo.addr));
    let (mut puts, mut calls, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=scale.rounds {
        let (mut put, mut call) = (Vec::new(), Vec::new());
        for number in 0..scale.puts {
            let began = Instant::now();
            client.put(key(number % KEYS), value()).await?;
            put.push(began.elapsed());
        }
        for number in 0..scale.puts {
            let change = Change::Put(key(number % KEYS), value());
            let (session, number) = (SessionId(1), RequestNo(number as u64));
            let began = Instant::now();
            caller.call(Submit { session, number, change }).await?;
            call.push(began.elapsed());
        }
        // The first round only warms up.
        if round > 0 {
            let (put, call) = (Times::of(put), Times::of(call));
            ratios.push(ratio(put.median(), call.median()));
            puts.extend(put.0);
            calls.extend(call.0);
        }
    }
    drop((one, two, echo));
    let (puts, calls) = (Times::of(puts), Times::of(calls));
    let times = |times: &Times| format!("p50 {}, p99 {}", us(times.median()), us(times.p99()));
    let mut rows = vec![Row::new(format!("{kind}, 1 client, 256 B"), times(&puts), "")];
    if durable {
        let syncs = syncs(home.path(), scale.puts.min(1_000))?;
        rows.push(Row::new("one write and sync of as much to the same disk", times(&syncs), ""));
    } else {
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        let all = ratio(puts.median(), calls.median());
        let figure = format!("{all:.2} ({least:.2}-{most:.2})");
        rows.push(Row::new("one bare call of the same size", times(&calls), ""));
        rows.push(Row::new("put over bare call, p50", figure, "<= 2.6"));
    }
    Ok(rows)
}

/// What the disk takes for one record, written over what was written before.
fn syncs(home: &Path, count: usize) -> Outcome<Times> {
    let record = [7; 320];
    let mut file = File::create(home.join("raw"))?;
    file.write_all(&vec![0; record.len() * count])?;
    file.sync_all()?;
    file.rewind()?;
    let mut times = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(Times::of(times))
}
