//! The figures of the table of locks on this machine: how many locks change hands in memory and
//! durably, how long a hand-over and a search take, and what many locks weigh. The lock server is a
//! process of its own, on real TCP and a real disk.
//!
//! ```text
//! cargo run --release -p lockmgr --example figures [--small] [table|served|handover]
//! ```
//!
//! The table goes to standard output, what happens meanwhile to standard error. `--small` is for
//! seeing that it works; its figures mean nothing.

mod process;
mod served;
mod table;

use std::{error::Error, process::ExitCode, time::Duration};

/// Whatever went wrong, in words.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much of everything.
#[derive(Clone, Copy)]
struct Scale {
    /// Locks taken and given back in memory.
    pairs: usize,
    /// Locks held at once, and requests waiting at once.
    held: usize,
    waiting: usize,
    /// Circles found.
    circles: usize,
    /// Seconds of each load on a server.
    seconds: u64,
    /// Locks handed over by a server.
    handovers: usize,
    /// Circles found by a server.
    rounds: usize,
}

const WHOLE: Scale = Scale {
    pairs: 1_000_000,
    held: 100_000,
    waiting: 10_000,
    circles: 1_000,
    seconds: 3,
    handovers: 1_000,
    rounds: 20,
};
const SMALL: Scale = Scale {
    pairs: 10_000,
    held: 1_000,
    waiting: 100,
    circles: 10,
    seconds: 1,
    handovers: 20,
    rounds: 2,
};

/// One line of the table.
struct Row {
    what: String,
    figure: String,
    target: &'static str,
}

impl Row {
    fn new(what: impl Into<String>, figure: impl Into<String>, target: &'static str) -> Self {
        Self { what: what.into(), figure: figure.into(), target }
    }
}

fn per_second(count: usize, took: Duration) -> String {
    let rate = count as f64 / took.as_secs_f64().max(1e-9);
    if rate >= 1e6 { format!("{:.2} M/s", rate / 1e6) } else { format!("{:.1} k/s", rate / 1e3) }
}

fn us(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}

async fn measure(scale: Scale, wanted: &[&str]) -> Outcome<Vec<Row>> {
    let wants = |name: &str| wanted.is_empty() || wanted.contains(&name);
    let mut rows = Vec::new();
    if wants("table") {
        rows.extend(table::measure(scale)?);
    }
    if wants("served") {
        rows.extend(served::measure(scale).await?);
    }
    if wants("handover") {
        rows.extend(served::handover(scale).await?);
    }
    Ok(rows)
}

fn run(words: &[&str]) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let ["child", home] = words {
        return runtime.block_on(process::live(home));
    }
    let (mut scale, mut wanted) = (WHOLE, Vec::new());
    for word in words {
        match *word {
            "--small" => scale = SMALL,
            "table" | "served" | "handover" => wanted.push(*word),
            other => return Err(format!("what is {other}?").into()),
        }
    }
    let rows = runtime.block_on(measure(scale, &wanted))?;
    println!("| quantity | measured | target |\n|---|---|---|");
    for Row { what, figure, target } in rows {
        println!("| {what} | {figure} | {target} |");
    }
    Ok(())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}
