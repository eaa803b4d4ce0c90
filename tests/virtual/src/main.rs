//! The whole stack in virtual time: the shipped servers and clients on hosts, links and disks that
//! a seed decides about. One process lives through one seed; see `docs/architecture.md`.
//!
//! Exit codes: 0 all is well (or a bug escaped), 1 trouble (or a bug was caught), 2 usage.

mod client;
mod disk;
mod leak;
mod log;
mod many;
mod network;
mod node;
mod story;
mod verdict;
mod weather;
mod world;

use std::{
    path::PathBuf,
    process::{self, ExitCode},
};

use leak::Leak;
use story::Story;

const USAGE: &str =
    "usage: synod-virtual --seed N [--trace [FILE]] [--leak threads|clock|addresses]
       synod-virtual --seeds A..B
       synod-virtual bugs | hunt NAME   (with SYNOD_PLANTED_BUG=NAME and the feature `planted`)
       synod-virtual busy               keeps a processor busy until its input ends";

/// What a run was asked for.
struct Asked {
    seed: u64,
    trace: Option<PathBuf>,
    leak: Option<Leak>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--seeds", range] => many::seeds(range).map_or_else(usage, many::run),
        ["bugs"] => {
            many::BUGS.iter().for_each(|name| println!("{name}"));
            ExitCode::SUCCESS
        }
        ["hunt", name] => many::hunt(name),
        ["busy"] => busy(),
        ["--seed", rest @ ..] => asked(rest).map_or_else(usage, |asked| one(&asked)),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn asked(words: &[&str]) -> Option<Asked> {
    let (seed, mut rest) = words.split_first()?;
    let mut asked = Asked { seed: seed.parse().ok()?, trace: None, leak: None };
    while let Some((word, more)) = rest.split_first() {
        rest = match (*word, more) {
            ("--leak", [name, more @ ..]) => {
                asked.leak = Some(Leak::ALL.iter().find(|(known, _)| known == name)?.1);
                more
            }
            ("--trace", [file, more @ ..]) if !file.starts_with("--") => {
                asked.trace = Some(PathBuf::from(file));
                more
            }
            ("--trace", more) => {
                asked.trace = Some(many::trace_file(asked.seed));
                more
            }
            _ => return None,
        };
    }
    Some(asked)
}

/// Lives through one seed and says what it was.
fn one(asked: &Asked) -> ExitCode {
    let Asked { seed, trace, leak } = asked;
    if let Some(folder) = trace.as_ref().and_then(|trace| trace.parent()) {
        // If it cannot be made, nor can the file.
        let _ = std::fs::create_dir_all(folder);
    }
    let story = match Story::new(trace.as_deref()) {
        Ok(story) => story,
        Err(error) => {
            eprintln!("cannot write the trace: {error}");
            return ExitCode::from(2);
        }
    };
    let ended = world::run(*seed, &story, *leak);
    if let Some(trace) = trace {
        eprintln!("trace: {}", trace.display());
    }
    let (hash, events) = story.so_far();
    print!("seed {seed} hash {hash:016x} events {events} ");
    match ended {
        Ok(done) => {
            println!("acknowledged {}", done.acknowledged);
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("fails {why}");
            eprintln!("replay: cargo xtask virtual --seed {seed} --trace");
            ExitCode::FAILURE
        }
    }
}

/// Keeps one processor busy until the other end of the input is gone, so that no busy loop
/// outlives whoever wanted it.
fn busy() -> ExitCode {
    std::thread::spawn(|| {
        // Whatever ends the input, it is over.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        process::exit(0);
    });
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    }
}
