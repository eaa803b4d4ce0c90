//! The figures of a pair on this machine: what a put costs beside a bare call, how long a primary's
//! death is felt, how fast a state goes over and what clients feel of it, and what an append
//! weighs. Every server is a process of its own, on real TCP.
//!
//! ```text
//! cargo run --release -p pbservice --example figures [--small] [put|failover|transfer|wire]
//! ```
//!
//! The table goes to standard output, what happens meanwhile to standard error. `--small` is for
//! seeing that it works; its figures mean nothing.

mod echo;
mod measures;
mod processes;
mod relay;

use std::{error::Error, process::ExitCode};

/// Whatever went wrong, in words.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much of everything.
#[derive(Clone, Copy)]
struct Scale {
    /// Puts and calls in one round.
    puts: usize,
    /// Rounds, taking turns.
    rounds: usize,
    /// Primaries killed.
    kills: usize,
    /// Values of 256 bytes in the store that is transferred.
    values: usize,
    /// Seconds of each quiet phase beside a transfer.
    quiet: u64,
    /// Appends to a large value.
    appends: u64,
}

const WHOLE: Scale =
    Scale { puts: 4_000, rounds: 5, kills: 40, values: 1_000_000, quiet: 5, appends: 200 };
const SMALL: Scale =
    Scale { puts: 200, rounds: 2, kills: 2, values: 20_000, quiet: 1, appends: 20 };

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

async fn measure(scale: Scale, wanted: &[&str]) -> Outcome<Vec<Row>> {
    let wants = |name: &str| wanted.is_empty() || wanted.contains(&name);
    let mut rows = Vec::new();
    if wants("put") {
        rows.extend(measures::put::measure(scale, false).await?);
        rows.extend(measures::put::measure(scale, true).await?);
    }
    if wants("failover") {
        rows.extend(measures::failover::measure(scale).await?);
    }
    if wants("transfer") {
        rows.extend(measures::transfer::measure(scale).await?);
    }
    if wants("wire") {
        rows.extend(measures::wire::measure(scale).await?);
    }
    Ok(rows)
}

fn run(words: &[&str]) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let ["child", role @ ..] = words {
        return runtime.block_on(processes::live(role));
    }
    let (mut scale, mut wanted) = (WHOLE, Vec::new());
    for word in words {
        match *word {
            "--small" => scale = SMALL,
            "put" | "failover" | "transfer" | "wire" => wanted.push(*word),
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
