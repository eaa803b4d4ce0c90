//! Calls through our network beside bare tarpc: same codec, same socket options, same echo.
//!
//! Ours is what nodes use: a server that greets, admits and limits, and connections that are kept
//! up. Bare tarpc is its own server and client on a framed socket, one task for each request, as
//! its documentation shows. Server and client are two threads of one process, each with a
//! current-thread runtime.

mod bare;
mod ours;

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use peers::{
    processor,
    rounds::{at, ratio, summary},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// As in a node.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What to measure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    in_flight: Vec<usize>,
    sizes: Vec<usize>,
    rounds: usize,
    seconds: f64,
    /// `net` or `tarpc`, to measure that alone.
    only: Option<String>,
}

/// One cell of the table.
#[derive(Clone, Copy)]
struct Cell {
    in_flight: usize,
    size: usize,
    time: Duration,
}

/// What came of it.
struct Measured {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    /// Processor time of both sides for one call.
    cpu_us: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, p50_us, p99_us, cpu_us } = self;
        write!(f, "{per_second:.0}/s, p50 {p50_us:.0} us, p99 {p99_us:.0} us, {cpu_us:.2} us each")
    }
}

/// The service that both serve.
#[tarpc::service]
trait Echo {
    /// Says what it is told.
    async fn echo(bytes: Bytes) -> Bytes;
}

#[derive(Clone)]
struct Parrot;

impl Echo for Parrot {
    async fn echo(self, _: tarpc::context::Context, bytes: Bytes) -> Bytes {
        bytes
    }
}

fn main() -> std::process::ExitCode {
    peers::finish(run())
}

fn run() -> Result<()> {
    let (plan, file) = peers::arguments::<Plan>()?;
    let wanted = |side: &str| plan.only.as_deref().is_none_or(|only| only == side);
    let time = Duration::from_secs_f64(plan.seconds);
    let mut rows = Vec::new();
    for size in &plan.sizes {
        for in_flight in &plan.in_flight {
            let cell = Cell { in_flight: *in_flight, size: *size, time };
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for round in 0..plan.rounds {
                // Who begins changes from round to round.
                for side in [round % 2, (round + 1) % 2] {
                    let (name, measured) = match side {
                        0 if wanted("net") => ("net", ours::measured(cell)?),
                        1 if wanted("tarpc") => ("tarpc", bare::measured(cell)?),
                        _ => continue,
                    };
                    eprintln!("{name:>5} {in_flight} in flight of {size} B: {measured}");
                    if side == 0 { &mut ours } else { &mut theirs }.push(measured);
                }
            }
            rows.push(row(cell, &ours, &theirs));
        }
    }
    peers::deliver(&file, &json!({ "rows": rows }))
}

fn row(cell: Cell, ours: &[Measured], theirs: &[Measured]) -> Value {
    let rates = |side: &[Measured]| side.iter().map(|m| m.per_second).collect::<Vec<_>>();
    let side = |side: &[Measured]| {
        let over = |of: fn(&Measured) -> f64| summary(&side.iter().map(of).collect::<Vec<_>>());
        (!side.is_empty()).then(|| {
            json!({
                "per_second": over(|m| m.per_second), "p50_us": over(|m| m.p50_us),
                "p99_us": over(|m| m.p99_us), "cpu_us": over(|m| m.cpu_us),
            })
        })
    };
    let both = !ours.is_empty() && !theirs.is_empty();
    json!({
        "in_flight": cell.in_flight, "size": cell.size,
        "net": side(ours), "tarpc": side(theirs),
        "ratio": both.then(|| ratio(&rates(ours), &rates(theirs))),
    })
}

/// A runtime as a node has one.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Keeps so many calls in flight, first unmeasured, then measured.
async fn measured<F>(cell: Cell, call: impl Fn(Bytes) -> F) -> Result<Measured>
where
    F: Future<Output = Result<Bytes>>,
{
    let payload = Bytes::from(vec![7; cell.size]);
    let one = || {
        let (sent, answer) = (Instant::now(), call(payload.clone()));
        async move {
            let bytes = answer.await?;
            anyhow::ensure!(bytes.len() == cell.size, "an echo of another size");
            anyhow::Ok(sent.elapsed().as_nanos() as u64)
        }
    };
    let mut calls: FuturesUnordered<_> = (0..cell.in_flight).map(|_| one()).collect();
    let warm = Instant::now();
    while warm.elapsed() < cell.time / 4 {
        calls.next().await.transpose()?;
        calls.push(one());
    }
    let (begun, used) = (Instant::now(), processor::own());
    let mut nanoseconds = Vec::new();
    while begun.elapsed() < cell.time {
        nanoseconds.extend(calls.next().await.transpose()?);
        calls.push(one());
    }
    let (seconds, used) = (begun.elapsed().as_secs_f64(), processor::own() - used);
    let done = nanoseconds.len() as f64;
    Ok(Measured {
        per_second: done / seconds,
        p50_us: at(0.5, &mut nanoseconds) as f64 / 1e3,
        p99_us: at(0.99, &mut nanoseconds) as f64 / 1e3,
        cpu_us: used.as_secs_f64() * 1e6 / done,
    })
}
