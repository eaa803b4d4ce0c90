//! `synod bench`: a closed loop of logical clients over few connections.
//!
//! Only answers that say *done* count; an answer that says anything else is an error and is
//! counted as one. The processor time of the servers is read from the system, so that the cost of
//! an operation is known and not guessed.

use std::{
    cell::RefCell,
    path::Path,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kvpaxos::{Client, Connections};
use net::Tcp;
use protocol::Rng;
use serde_json::json;

use crate::{
    cli::{self, Format, Mix, StoreKind},
    failure::{Exit, Failure},
    print,
    processes::Processes,
    store,
};

/// Requests under way on one connection, at most: a server refuses more.
const PER_CONNECTION: usize = 64;

/// What happened in one stretch of time.
#[derive(Default)]
struct Tally {
    /// Nanoseconds of each operation that was done.
    latencies: Vec<u64>,
    errors: u64,
    first_error: Option<String>,
}

struct Shared {
    tally: RefCell<Tally>,
    until: Instant,
}

/// Runs the bench that the flags describe.
///
/// # Errors
///
/// If the store cannot be started or reached, or every operation failed.
pub async fn run(flags: &cli::Bench, (store, format): (StoreKind, Format)) -> Result<(), Failure> {
    if store == StoreKind::Pb {
        return Err(store::lacks("bench"));
    }
    let mut own = None;
    let dir = tempfile::Builder::new().prefix("synod-bench-").tempdir()?;
    let peers = match &flags.peers {
        Some(peers) => peers.clone(),
        None => {
            let mut processes = Processes::new(dir.path(), 3, flags.cluster)?;
            processes.start_all()?;
            let peers = processes.peers.clone();
            own = Some(processes);
            peers
        }
    };
    let connect =
        |seed| Connections::new(Arc::new(Tcp), flags.cluster, peers.0.clone(), flags.seed ^ seed);
    ready(&connect(0)).await?;
    let count = flags.connections.unwrap_or(flags.clients.div_ceil(PER_CONNECTION)).max(1);
    let connections: Vec<Connections> = (0..count as u64).map(connect).collect();
    let ids = own.as_ref().map(Processes::ids).unwrap_or_default();
    if matches!(flags.mix, Mix::Get | Mix::Mixed) {
        fill(flags, &connections).await?;
    }
    let report = tokio::task::LocalSet::new().run_until(measure(flags, connections, &ids)).await;
    drop(own);
    report.print(flags, format)?;
    match report.tally.first_error {
        Some(why) if report.tally.latencies.is_empty() => Err(Failure::new(
            Exit::Failed,
            format!("no operation was done; the first error: {why}"),
        )),
        _ => Ok(()),
    }
}

/// Waits until the store answers.
async fn ready(connections: &Connections) -> Result<(), Failure> {
    let mut client = Client::new(connections.clone(), 7);
    client.budget = Duration::from_secs(20);
    client.get(Bytes::from_static(b"?")).await?;
    Ok(())
}

/// Writes every key once, so that a get finds something.
async fn fill(flags: &cli::Bench, connections: &[Connections]) -> Result<(), Failure> {
    let fillers = PER_CONNECTION as u64;
    let fill = |filler: u64| {
        let mut client = Client::new(connections[0].clone(), filler);
        let value = Bytes::from(vec![b'v'; flags.size]);
        let keys = flags.keys;
        async move {
            for number in (filler..keys).step_by(fillers as usize) {
                client.put(key(number), value.clone()).await?;
            }
            Ok::<(), kvpaxos::Error>(())
        }
    };
    let local = tokio::task::LocalSet::new();
    let tasks: Vec<_> = (0..fillers).map(|filler| local.spawn_local(fill(filler))).collect();
    local.await;
    for task in tasks {
        task.await.map_err(|error| Failure::new(Exit::Failed, error))??;
    }
    Ok(())
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("key-{number:08}"))
}

struct Report {
    tally: Tally,
    seconds: f64,
    /// Processor seconds of all servers, if they are ours to look at.
    server: Option<f64>,
    client: f64,
}

async fn measure(flags: &cli::Bench, connections: Vec<Connections>, ids: &[u32]) -> Report {
    let start = Instant::now();
    let until = start + Duration::from_secs(flags.warmup + flags.seconds);
    let shared = Rc::new(Shared { tally: RefCell::default(), until });
    let mut tasks = Vec::new();
    for number in 0..flags.clients {
        let connections = connections[number % connections.len()].clone();
        let client = Client::new(connections, flags.seed ^ (number as u64 * 7919));
        let rng = Rng::new(flags.seed).fork(number as u64);
        tasks.push(tokio::task::spawn_local(one_client(
            client,
            rng,
            flags.clone(),
            Rc::clone(&shared),
        )));
    }
    tokio::time::sleep(Duration::from_secs(flags.warmup)).await;
    shared.tally.take();
    let (began, server, client) = (Instant::now(), cpu(ids), cpu(&[std::process::id()]));
    for second in 1..=flags.seconds {
        let at = began + Duration::from_secs(second);
        tokio::time::sleep_until(at.into()).await;
        let tally = shared.tally.borrow();
        eprintln!("{second:>4} s  {:>9} done  {:>5} errors", tally.latencies.len(), tally.errors);
    }
    let seconds = began.elapsed().as_secs_f64();
    let tally = shared.tally.take();
    let server = (!ids.is_empty()).then(|| cpu(ids) - server);
    let client = cpu(&[std::process::id()]) - client;
    for task in tasks {
        // Its last operation is not counted; it ends by itself.
        let _ = task.await;
    }
    Report { tally, seconds, server, client }
}

async fn one_client(mut client: Client, mut rng: Rng, flags: cli::Bench, shared: Rc<Shared>) {
    let value = Bytes::from(vec![b'v'; flags.size]);
    let mut turn = 0_u64;
    while Instant::now() < shared.until {
        let key = key(rng.below(flags.keys));
        turn += 1;
        let began = Instant::now();
        let done = match flags.mix {
            Mix::Get => client.get(key).await.map(|_| ()),
            Mix::Mixed if turn.is_multiple_of(2) => client.get(key).await.map(|_| ()),
            Mix::Put | Mix::Mixed => client.put(key, value.clone()).await.map(|_| ()),
            Mix::Append => client.append(key, value.clone()).await.map(|_| ()),
        };
        let took = began.elapsed().as_nanos() as u64;
        let mut tally = shared.tally.borrow_mut();
        match done {
            Ok(()) => tally.latencies.push(took),
            Err(error) => {
                tally.errors += 1;
                tally.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

impl Report {
    fn print(&self, flags: &cli::Bench, format: Format) -> Result<(), Failure> {
        let mut sorted = self.tally.latencies.clone();
        sorted.sort_unstable();
        let at = |share: f64| {
            let place = (sorted.len() as f64 * share) as usize;
            sorted.get(place.min(sorted.len().saturating_sub(1))).map_or(0.0, |n| *n as f64 / 1e6)
        };
        let done = sorted.len() as f64;
        let rate = done / self.seconds;
        let per_op = |seconds: f64| if done > 0.0 { seconds * 1e6 / done } else { 0.0 };
        let mix = format!("{:?}", flags.mix).to_lowercase();
        let server = self.server.map(per_op);
        match format {
            Format::Json => print::json(&json!({
                "verdict": if sorted.is_empty() { "fail" } else { "pass" },
                "seed": flags.seed, "ops": sorted.len(), "unknown": self.tally.errors,
                "max_unavailable_ms": at(1.0), "checks": {},
                "mix": mix, "clients": flags.clients, "size": flags.size, "keys": flags.keys,
                "per_second": rate, "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99),
                "max_ms": at(1.0), "server_cpu_us_per_op": server,
                "client_cpu_us_per_op": per_op(self.client),
            })),
            Format::Table | Format::Plain => {
                print::line(format!(
                    "{mix}: {rate:.0}/s with {} clients of {} bytes; p50 {:.2} ms, p90 {:.2}, p99 {:.2}, max {:.2}; {} errors",
                    flags.clients,
                    flags.size,
                    at(0.5),
                    at(0.9),
                    at(0.99),
                    at(1.0),
                    self.tally.errors
                ))?;
                let server = server.map_or("unknown".to_owned(), |us| format!("{us:.1} us"));
                print::line(format!(
                    "processor time per operation: servers {server}, client {:.1} us",
                    per_op(self.client)
                ))
            }
        }
    }
}

/// Processor seconds that these processes have used, threads included.
fn cpu(ids: &[u32]) -> f64 {
    /// Ticks a second in the files of `/proc`: fixed at 100 on Linux whatever the kernel's own.
    const TICKS: f64 = 100.0;
    let of = |id: &u32| -> Option<f64> {
        let stat = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"));
        let stat = stat.ok()?;
        // The name in parentheses may hold anything; numbers start behind the last one.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system): (f64, f64) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + system) / TICKS)
    };
    ids.iter().filter_map(of).sum()
}
