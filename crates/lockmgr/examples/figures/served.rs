//! The lock server, over TCP on loopback: how many locks change hands, how fast one does, and how
//! long a circle lasts.

use std::{
    fs::File,
    io::{Seek, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use lockmgr::{
    Mode, Name, Refusal, Terms, Want,
    client::{Connections, Error, Session},
};
use net::Tcp;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    Outcome, Row, Scale, per_second,
    process::{CLUSTER, Process},
    us,
};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clients that are at it at once.
const CLIENTS: [usize; 3] = [1, 64, 256];

/// What one acquire or release writes, about, beside the log's own header.
const RECORD: usize = 128;

/// A folder on the disk that is built on, which is hardly one in memory.
fn folder() -> Outcome<TempDir> {
    let beside = std::env::current_exe()?;
    Ok(TempDir::new_in(beside.parent().ok_or("it lies in a folder")?)?)
}

fn connections(server: &Process, seed: u64) -> Connections {
    Connections::new(Arc::new(Tcp), CLUSTER, server.addr.clone(), seed)
}

async fn session(connections: &Connections, seed: u64) -> Outcome<Session> {
    let terms = Terms::session(Duration::from_secs(30));
    Ok(Session::open(connections.clone(), terms, PATIENCE, seed).await?)
}

fn wants(name: &str) -> Vec<Want> {
    vec![Want::new(name, Mode::X)]
}

/// Each client takes its own lock and gives it back, over and over; over four connections.
async fn rate(server: &Process, clients: usize, length: Duration) -> Outcome<f64> {
    let ways: Vec<_> = (0..4).map(|seed| connections(server, seed)).collect();
    let mut all = JoinSet::new();
    let mut sessions = Vec::new();
    for client in 0..clients {
        sessions.push(session(&ways[client % ways.len()], client as u64).await?);
    }
    let began = Instant::now();
    for (client, session) in sessions.into_iter().enumerate() {
        all.spawn(async move {
            let name = format!("lock{client}");
            let mut pairs = 0_u64;
            while began.elapsed() < length {
                session.acquire(wants(&name), PATIENCE).await?;
                session.release(Name::from(&name[..]), None).await?;
                pairs += 1;
            }
            session.close().await?;
            Ok::<_, Error>(pairs)
        });
    }
    let mut pairs = 0;
    while let Some(one) = all.join_next().await {
        pairs += one??;
    }
    Ok(pairs as f64 / began.elapsed().as_secs_f64())
}

/// Writes of one record into a file that is there already, each followed by a sync.
fn raw_syncs(folder: &Path, length: Duration) -> Outcome<f64> {
    let mut file = File::create(folder.join("raw"))?;
    file.write_all(&vec![0; 1 << 20])?;
    file.sync_all()?;
    let (began, mut count) = (Instant::now(), 0_u64);
    while began.elapsed() < length {
        file.seek(std::io::SeekFrom::Start(count * RECORD as u64 % (1 << 19)))?;
        file.write_all(&[7; RECORD])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

pub(crate) async fn measure(scale: Scale) -> Outcome<Vec<Row>> {
    let length = Duration::from_secs(scale.seconds);
    let home = folder()?;
    let durable = Process::start(Some(&home.path().join("locks")))?;
    let memory = Process::start(None)?;
    let mut rows = Vec::new();
    let shown = |rate: f64| per_second(rate as usize, Duration::from_secs(1));
    for clients in CLIENTS {
        eprintln!("served: {clients} clients");
        let raw = raw_syncs(home.path(), length / 2)?;
        let kept = rate(&durable, clients, length).await?;
        let volatile = rate(&memory, clients, length).await?;
        rows.push(Row::new(
            format!("acquire and release, {clients} clients, each its own name"),
            format!(
                "durable {}, in memory {}; raw syncs {}: {:.2} durable changes for each",
                shown(kept),
                shown(volatile),
                shown(raw),
                2.0 * kept / raw
            ),
            "",
        ));
    }
    Ok(rows)
}

/// Two that want one name: from the release until the other has it.
pub(crate) async fn handover(scale: Scale) -> Outcome<Vec<Row>> {
    let home = folder()?;
    let mut rows = Vec::new();
    for durable in [true, false] {
        let at = home.path().join("locks");
        let server = Process::start(durable.then_some(&*at))?;
        let (one, two) = (connections(&server, 1), connections(&server, 2));
        let mut sessions = (Arc::new(session(&one, 1).await?), Arc::new(session(&two, 2).await?));
        sessions.0.acquire(wants("k"), PATIENCE).await?;
        let mut times = Vec::new();
        for _ in 0..scale.handovers {
            let waiter = Arc::clone(&sessions.1);
            let waits = tokio::spawn(async move {
                waiter.acquire(wants("k"), PATIENCE).await.map(|_| Instant::now())
            });
            // Until it stands in the queue.
            while one.look(Name::from("k"), PATIENCE).await?.is_none_or(|it| it.queue.is_empty()) {
                tokio::task::yield_now().await;
            }
            let began = Instant::now();
            sessions.0.release(Name::from("k"), None).await?;
            times.push(waits.await??.duration_since(began));
            sessions = (sessions.1, sessions.0);
        }
        times.sort_unstable();
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        let kind = if durable { "durable" } else { "in memory" };
        rows.push(Row::new(
            format!("hand-over, {kind}: from the release until the next one has it"),
            format!("p50 {}, p99 {} of {}", us(p50), us(p99), times.len()),
            "",
        ));
        if durable {
            for length in [2, 4, 8] {
                rows.push(circle(&one, length, scale.rounds).await?);
            }
        }
    }
    Ok(rows)
}

/// From the request that closes a circle until its youngest hears of it.
async fn circle(way: &Connections, length: usize, rounds: usize) -> Outcome<Row> {
    let mut times = Vec::new();
    for round in 0..rounds {
        let mut sessions = Vec::new();
        for at in 0..length {
            let session = session(way, at as u64).await?;
            session.acquire(wants(&format!("circle{round}.{at}")), PATIENCE).await?;
            sessions.push(Arc::new(session));
        }
        let mut waiting = JoinSet::new();
        for (at, session) in sessions.iter().enumerate() {
            let session = Arc::clone(session);
            let name = format!("circle{round}.{}", (at + 1) % length);
            if at + 1 == length {
                // The others wait by now.
                for other in 1..length {
                    let name = Name::from(&format!("circle{round}.{other}")[..]);
                    while way
                        .look(name.clone(), PATIENCE)
                        .await?
                        .is_none_or(|it| it.queue.is_empty())
                    {
                        tokio::task::yield_now().await;
                    }
                }
            }
            let began = Instant::now();
            waiting.spawn(async move {
                let answer = session.acquire(wants(&name), PATIENCE).await;
                (began.elapsed(), answer)
            });
        }
        let found = waiting.join_next().await.ok_or("somebody hears of it")??;
        // Whoever is freed by that hears of a lock at about the same time.
        let mut heard = vec![found];
        while !heard.iter().any(|(_, answer)| is_deadlock(answer)) {
            heard.push(waiting.join_next().await.ok_or("nobody heard of a deadlock")??);
        }
        let victim = heard.iter().find(|(_, answer)| is_deadlock(answer));
        times.push(victim.map(|(took, _)| *took).ok_or("found above")?);
        waiting.abort_all();
        for session in sessions {
            // Held by an aborted task until that is gone; then its lease would end it.
            if let Some(session) = Arc::into_inner(session) {
                session.close().await?;
            }
        }
    }
    times.sort_unstable();
    let (p50, most) = (times[times.len() / 2], times[times.len() - 1]);
    Ok(Row::new(
        format!("a circle of {length} through the durable server"),
        format!("p50 {}, max {}, 20 ms of it before anybody looks", us(p50), us(most)),
        "",
    ))
}

fn is_deadlock<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Refused(Refusal::Deadlock(_))))
}
