//! Many seeds, each in a process of its own, and going after planted bugs with them.

use std::{
    ops::Range,
    path::PathBuf,
    process::{Command, ExitCode, Output},
};

/// The planted bugs that this level goes after, each caught by some seed below [`HUNTED`].
pub(crate) const BUGS: [&str; 5] = [
    "speak-before-sync",
    "deposed-leader-reads",
    "retries-under-a-new-number",
    "ballot-reused-after-restart",
    "snapshot-forgets-sessions",
];

/// Seeds after which a bug counts as escaped.
const HUNTED: u64 = 40;

/// `A..B`.
pub(crate) fn seeds(range: &str) -> Option<Range<u64>> {
    let (first, end) = range.split_once("..")?;
    Some(first.parse().ok()?..end.parse().ok()?)
}

/// Where the trace of a seed goes if nothing else is said: into the folder that is built in.
pub(crate) fn trace_file(seed: u64) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let built = own.ancestors().nth(2).map_or_else(std::env::temp_dir, PathBuf::from);
    built.join("virtual").join(format!("seed-{seed}.trace"))
}

/// One seed in a process of its own.
fn seed(seed: u64, more: &[&str]) -> std::io::Result<Output> {
    let own = std::env::current_exe()?;
    Command::new(own).args(["--seed", &seed.to_string()]).args(more).output()
}

/// What a process said, line by line.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs seeds until one fails.
pub(crate) fn run(range: Range<u64>) -> ExitCode {
    for number in range {
        match seed(number, &[]) {
            Ok(output) if output.status.success() => print!("{}", said(&output)),
            Ok(output) => {
                print!("{}", said(&output));
                eprint!("{}", String::from_utf8_lossy(&output.stderr));
                println!(
                    "seed {number} fails; replay: cargo xtask virtual --seed {number} --trace"
                );
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("cannot start a process: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Goes after one planted bug.
pub(crate) fn hunt(name: &str) -> ExitCode {
    if !protocol::planted::is(name) {
        let variable = protocol::planted::VARIABLE;
        eprintln!("{name} is asleep: it needs the feature `planted` and {variable}");
        return ExitCode::from(2);
    }
    for number in 0..HUNTED {
        match seed(number, &[]) {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let said = said(&output);
                let errors = String::from_utf8_lossy(&output.stderr).into_owned();
                let why = said.lines().next().or_else(|| errors.lines().next()).unwrap_or("");
                let by = why.split_once(" fails ").map_or("a panic", |(_, why)| why);
                println!("caught by the whole stack: {by} after {} seeds", number + 1);
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("cannot start a process: {error}");
                return ExitCode::from(2);
            }
        }
    }
    println!("{name} escaped {HUNTED} seeds");
    ExitCode::SUCCESS
}
