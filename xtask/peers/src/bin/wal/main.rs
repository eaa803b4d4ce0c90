//! Our log beside the raw disk: what a record costs that is reported durable.
//!
//! A writer appends one record, waits until it is durable, and appends the next. Writers share one
//! log, as the parts of a node do; each has a stream of its own. The raw disk is given the best
//! case of the same work: one thread that writes the records of all writers in one piece, syncs
//! once, and begins again. It does so at the end of a growing file, and inside a file that was
//! filled with zeros before, where a sync need not change the file's size.

mod disk;
mod log;

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use peers::rounds::{ratio, summary};
use serde::Deserialize;
use serde_json::{Value, json};

/// What to measure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    writers: Vec<usize>,
    sizes: Vec<usize>,
    rounds: usize,
    seconds: f64,
    /// `wal`, `append` or `zeroed`, to measure that alone.
    only: Option<String>,
}

/// One cell of the table.
#[derive(Clone, Copy, Debug)]
struct Cell {
    writers: usize,
    size: usize,
    time: Duration,
}

/// What came of it.
struct Measured {
    /// Records reported durable.
    per_second: f64,
    syncs: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} records/s, {:.0} syncs/s", self.per_second, self.syncs)
    }
}

const SIDES: [&str; 3] = ["wal", "append", "zeroed"];

fn main() -> std::process::ExitCode {
    peers::finish(run())
}

fn run() -> Result<()> {
    let (plan, file) = peers::arguments::<Plan>()?;
    // Beside the file of figures: system folders for temporary files may lie in memory.
    let home = file.parent().filter(|home| home.is_dir()).context("the file's folder is there")?;
    let home = home.to_path_buf();
    let mut rows = Vec::new();
    for size in &plan.sizes {
        for writers in &plan.writers {
            let time = Duration::from_secs_f64(plan.seconds);
            rows.push(row(&plan, Cell { writers: *writers, size: *size, time }, &home)?);
        }
    }
    peers::deliver(&file, &json!({ "rows": rows }))
}

fn row(plan: &Plan, cell: Cell, home: &PathBuf) -> Result<Value> {
    let mut sides: [Vec<Measured>; 3] = Default::default();
    for round in 0..plan.rounds {
        // Who begins changes from round to round.
        for turn in 0..SIDES.len() {
            let side = (round + turn) % SIDES.len();
            if plan.only.as_deref().is_some_and(|only| only != SIDES[side]) {
                continue;
            }
            let measured = match side {
                0 => log::measured(cell, home)?,
                1 => disk::measured(cell, home, false)?,
                _ => disk::measured(cell, home, true)?,
            };
            eprintln!("{:>6} {} writers of {} B: {measured}", SIDES[side], cell.writers, cell.size);
            sides[side].push(measured);
        }
    }
    let rates = |side: usize| sides[side].iter().map(|m| m.per_second).collect::<Vec<_>>();
    let quantities = |side: usize| {
        let syncs: Vec<f64> = sides[side].iter().map(|m| m.syncs).collect();
        (!syncs.is_empty())
            .then(|| json!({ "per_second": summary(&rates(side)), "syncs": summary(&syncs) }))
    };
    let over = |side: usize| {
        let both = !sides[0].is_empty() && !sides[side].is_empty();
        both.then(|| ratio(&rates(0), &rates(side)))
    };
    Ok(json!({
        "writers": cell.writers, "size": cell.size,
        "wal": quantities(0), "append": quantities(1), "zeroed": quantities(2),
        "over_append": over(1), "over_zeroed": over(2),
    }))
}
