//! Three nodes of Synod beside three nodes of etcd: one machine, one disk, one load loop.
//!
//! Each measurement starts its servers afresh in new folders side by side, writes every key once,
//! warms up, and measures. The two sides take turns within each cell of the table, so what is
//! compared was measured seconds apart. Servers are processes of their own and end with their
//! owner here, however it ends.

mod etcd;
mod grpc;
mod load;
mod synod;

use std::{
    os::unix::process::parent_id,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use load::{Load, Measured, Op};
use peers::rounds::{ratio, summary};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// The clients of both sides share it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often a measurement is begun again if something around it failed.
const TRIES: usize = 3;

/// What to measure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    ops: Vec<Op>,
    clients: Vec<usize>,
    size: usize,
    keys: u64,
    rounds: usize,
    warmup: f64,
    seconds: f64,
    /// `synod` or `etcd`, to measure that side alone.
    only: Option<String>,
    /// Where the programs are.
    synod: PathBuf,
    etcd: Option<PathBuf>,
}

fn main() -> std::process::ExitCode {
    peers::finish(run())
}

fn run() -> Result<()> {
    let (plan, file) = peers::arguments::<Plan>()?;
    // Beside the file of figures: system folders for temporary files may lie in memory.
    let home = file.parent().filter(|home| home.is_dir()).context("the file's folder is there")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let figures = local.block_on(&runtime, async {
        tokio::select! {
            rows = every_cell(&plan, home) => rows,
            name = told_to_stop() => bail!("stopped by {}", name?),
        }
    })?;
    peers::deliver(&file, &figures)
}

async fn told_to_stop() -> Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let asker = parent_id();
    let abandoned = async {
        /// How often it is looked whether whoever asked for this is still there.
        const LOOK: Duration = Duration::from_millis(500);
        while parent_id() == asker {
            tokio::time::sleep(LOOK).await;
        }
    };
    Ok(tokio::select! {
        () = abandoned => "the end of whoever asked",
        _ = interrupt.recv() => "an interrupt",
        _ = terminate.recv() => "a termination",
        _ = hangup.recv() => "a terminal that went away",
    })
}

async fn every_cell(plan: &Plan, home: &Path) -> Result<Value> {
    let wanted = |side: &str| plan.only.as_deref().is_none_or(|only| only == side);
    let mut rows = Vec::new();
    for op in &plan.ops {
        for clients in &plan.clients {
            let load = Load {
                op: *op,
                clients: *clients,
                size: plan.size,
                keys: plan.keys,
                warmup: Duration::from_secs_f64(plan.warmup),
                time: Duration::from_secs_f64(plan.seconds),
            };
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for round in 0..plan.rounds {
                // Who begins changes from round to round.
                for side in [round % 2, (round + 1) % 2] {
                    match side {
                        0 if wanted("synod") => {
                            ours.push(insisted("synod", plan, load, home).await?)
                        }
                        1 if wanted("etcd") => {
                            theirs.push(insisted("etcd", plan, load, home).await?)
                        }
                        _ => {}
                    }
                }
            }
            rows.push(row(load, &ours, &theirs));
        }
    }
    Ok(json!({ "rows": rows }))
}

/// One measurement; begun again if it failed, since a port may be taken by somebody in between.
async fn insisted(side: &str, plan: &Plan, load: Load, home: &Path) -> Result<Measured> {
    let mut tried = 0;
    loop {
        tried += 1;
        let measured = match side {
            "synod" => synod::measured(&plan.synod, load, home).await,
            _ => {
                let program = plan.etcd.as_deref().context("the plan names no etcd")?;
                etcd::measured(program, load, home).await
            }
        };
        match measured {
            Ok(measured) => {
                eprintln!("{side:>6} {load}: {measured}");
                return Ok(measured);
            }
            Err(error) if tried < TRIES => eprintln!("{side:>6} {load}: once more: {error:#}"),
            Err(error) => return Err(error.context(format!("{side}, {load}"))),
        }
    }
}

fn row(load: Load, ours: &[Measured], theirs: &[Measured]) -> Value {
    let rates = |side: &[Measured]| side.iter().map(|m| m.per_second).collect::<Vec<_>>();
    let both = !ours.is_empty() && !theirs.is_empty();
    json!({
        "op": load.op.word(), "clients": load.clients,
        "synod": quantities(ours), "etcd": quantities(theirs),
        "ratio": both.then(|| ratio(&rates(ours), &rates(theirs))),
    })
}

/// Each quantity over the rounds.
fn quantities(side: &[Measured]) -> Option<Map<String, Value>> {
    let every: [(&str, fn(&Measured) -> f64); 6] = [
        ("per_second", |m| m.per_second),
        ("p50_ms", |m| m.p50_ms),
        ("p99_ms", |m| m.p99_ms),
        ("server_us", |m| m.server_us),
        ("client_us", |m| m.client_us),
        ("errors", |m| m.errors as f64),
    ];
    let over = |of: fn(&Measured) -> f64| summary(&side.iter().map(of).collect::<Vec<_>>());
    (!side.is_empty())
        .then(|| every.map(|(name, of)| (name.to_owned(), over(of))).into_iter().collect())
}
