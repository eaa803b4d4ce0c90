//! The pure core beside `omnipaxos`: one thread, no network, no disk.
//!
//! All replicas of a group live in one thread. The harness hands the leader a window of entries
//! and then lets replicas take turns, each delivering what it has to say by value, until nobody
//! says anything more; then comes the next window. An entry counts once every replica knows it
//! decided. What counts is the processor time of the thread, so that other programs of a busy
//! machine matter little. Groups are short-lived (some hundred thousand entries) and neither side
//! trims its log; making a group, electing its leader and dropping it are not timed. The allocator
//! is the system's, told to keep what is freed: else the first touch of every page would count,
//! which a log that is trimmed and lives long does not pay.

mod group;
mod omni;
mod synod;

use std::{
    os::unix::process::CommandExt,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;
use group::{Cell, Group, Measured};
use peers::{
    processor,
    rounds::{ratio, summary},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What to measure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    cells: Vec<Cell>,
    rounds: usize,
    /// Of each side, in each round, of each cell.
    seconds: f64,
    /// `synod` or `omnipaxos`, to measure that side alone.
    only: Option<String>,
}

/// How the system's allocator is told to give nothing back, and to take nothing page by page.
const KEEP: [(&str, &str); 2] =
    [("MALLOC_TRIM_THRESHOLD_", "1000000000000"), ("MALLOC_MMAP_THRESHOLD_", "1000000000000")];

fn main() -> std::process::ExitCode {
    peers::finish(every_cell())
}

fn every_cell() -> Result<()> {
    if KEEP.iter().any(|(name, _)| std::env::var_os(name).is_none()) {
        let mut again = Command::new(std::env::current_exe()?);
        return Err(again.args(std::env::args_os().skip(1)).envs(KEEP).exec().into());
    }
    let (plan, file) = peers::arguments::<Plan>()?;
    let time = Duration::from_secs_f64(plan.seconds);
    let wanted = |side: &str| plan.only.as_deref().is_none_or(|only| only == side);
    let mut rows = Vec::new();
    for cell in &plan.cells {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            // Who begins changes from round to round.
            for side in [round % 2, (round + 1) % 2] {
                match side {
                    0 if wanted("synod") => ours.push(measure::<synod::Replicas>(cell, time)),
                    1 if wanted("omnipaxos") && cell.numbers() => {
                        theirs.push(measure::<omni::Replicas<u64>>(cell, time));
                    }
                    1 if wanted("omnipaxos") => {
                        theirs.push(measure::<omni::Replicas<Vec<u8>>>(cell, time));
                    }
                    _ => {}
                }
            }
        }
        let row = row(cell, &ours, &theirs);
        eprintln!("{}", line(cell, &row));
        rows.push(row);
    }
    peers::deliver(&file, &json!({ "rows": rows }))
}

/// Groups one after another until `time` has been spent on entries.
fn measure<G: Group>(cell: &Cell, time: Duration) -> Measured {
    let mut all = Measured::default();
    // The first fills caches and the allocator, and is not counted.
    run::<G>(cell, time / 4);
    while all.took < time {
        all.add(&run::<G>(cell, time - all.took));
    }
    all
}

/// One group's life: as many entries as it may hold, or as fit into `time`.
fn run<G: Group>(cell: &Cell, time: Duration) -> Measured {
    /// So seldom is the clock looked at, in entries.
    const LOOK: u64 = 256;
    let mut group = G::elected(cell);
    let most = cell.most();
    let said = group.messages();
    let (begun, worked) = (Instant::now(), processor::thread());
    let (mut proposed, mut look) = (0, LOOK);
    while proposed < most {
        group.propose(cell.window);
        group.carry();
        proposed += cell.window as u64;
        if proposed >= look {
            look = proposed + LOOK;
            if begun.elapsed() >= time {
                break;
            }
        }
    }
    group.settle();
    let took = processor::thread() - worked;
    assert_eq!(group.decided(), proposed, "not everything that was proposed is known everywhere");
    Measured { entries: proposed, messages: group.messages() - said, took }
}

fn row(cell: &Cell, ours: &[Measured], theirs: &[Measured]) -> Value {
    let rates = |side: &[Measured]| side.iter().map(Measured::rate).collect::<Vec<_>>();
    let side = |side: &[Measured]| {
        let said: Vec<f64> = side.iter().map(Measured::messages_each).collect();
        (!side.is_empty()).then(
            || json!({ "per_second": summary(&rates(side)), "messages_per_entry": summary(&said) }),
        )
    };
    let both = !ours.is_empty() && !theirs.is_empty();
    json!({
        "replicas": cell.replicas, "window": cell.window, "batch": cell.batch,
        "size": cell.size, "bytes": cell.bytes, "all_know": cell.all_know,
        "synod": side(ours), "omnipaxos": side(theirs),
        "ratio": both.then(|| ratio(&rates(ours), &rates(theirs))),
    })
}

/// One row for whoever waits.
fn line(cell: &Cell, row: &Value) -> String {
    let rate = |side: &str| row[side]["per_second"]["median"].as_f64().unwrap_or(0.0) / 1e6;
    format!(
        "{cell}: synod {:.3} M/s, omnipaxos {:.3} M/s, ratio {:.2}",
        rate("synod"),
        rate("omnipaxos"),
        row["ratio"]["median"].as_f64().unwrap_or(f64::NAN),
    )
}
