//! How a scenario is played: seed after seed, the first one twice, and on record.
//!
//! The environment can ask for other seeds, for a line about each, and for the whole story; this is
//! how a soak runs a scenario over many seeds, and how a failed one is replayed.

use std::{
    fmt,
    ops::Range,
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use sim::{Scenario, Trouble};

use crate::day::{self, Done};

/// The environment variable that names other seeds than the scenario's own: `A..B`.
pub const SEEDS: &str = "SYNOD_SEEDS";

/// What one seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The scenario.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// The real time it took.
    pub took: Duration,
    /// What it was worth: events, acknowledged operations, fingerprint. Or what was wrong.
    pub ended: Result<(u64, u64, u64), String>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, seed, took, ended } = self;
        let micros = took.as_micros();
        match ended {
            Ok((events, acknowledged, hash)) => {
                write!(f, "soak {name} {seed} {micros} ok {events} {acknowledged} {hash:016x}")
            }
            Err(what) => {
                let first = what.lines().next().unwrap_or_default();
                write!(f, "soak {name} {seed} {micros} FAILED {first}")
            }
        }
    }
}

impl Line {
    /// The line that was printed, if it is one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        // The harness of tests may have begun the line.
        let (_, text) = text.split_once("soak ")?;
        let mut parts = text.splitn(5, ' ');
        let name = parts.next()?.to_owned();
        let seed = parts.next()?.parse().ok()?;
        let took = Duration::from_micros(parts.next()?.parse().ok()?);
        let ended = match (parts.next()?, parts.next().unwrap_or_default()) {
            ("ok", figures) => {
                let mut figures = figures.split(' ');
                let (events, acknowledged) = (figures.next()?, figures.next()?);
                let hash = u64::from_str_radix(figures.next()?, 16).ok()?;
                Ok((events.parse().ok()?, acknowledged.parse().ok()?, hash))
            }
            ("FAILED", what) => Err(what.to_owned()),
            _ => return None,
        };
        Some(Self { name, seed, took, ended })
    }
}

/// The one command line that plays this seed of this scenario again.
#[must_use]
pub fn replay(name: &str, seed: u64) -> String {
    format!("cargo xtask sim --scenario {name} --seed {seed}")
}

/// Seeds as they are spelled: `A..B`, the end not among them.
#[must_use]
pub fn seeds(range: &str) -> Option<Range<u64>> {
    let (first, end) = range.split_once("..")?;
    Some(first.parse().ok()?..end.parse().ok()?)
}

/// Seeds that the environment asks for.
fn asked() -> Option<Range<u64>> {
    let range = std::env::var(SEEDS).ok()?;
    Some(seeds(&range).unwrap_or_else(|| panic!("{SEEDS} is A..B, not {range:?}")))
}

/// Plays one seed. A panic is trouble as well.
fn once(
    act: &impl Fn(u64) -> Result<(Done, u64), Trouble>,
    seed: u64,
) -> Result<(Done, u64), String> {
    match panic::catch_unwind(AssertUnwindSafe(|| act(seed))) {
        Ok(Ok(_)) if day::canary(seed) => Err(day::CANARY_SONG.into()),
        Ok(Ok(ended)) => Ok(ended),
        Ok(Err(trouble)) => Err(format!("{}: {}", trouble.at, trouble.what)),
        Err(panic) => Err(format!("a panic: {}", day::words(&*panic))),
    }
}

/// Plays a scenario with each of these seeds, and records what it did under `name`. Each play ends
/// with what it was worth and a figure of its own; `figure` puts all of them into words, given in
/// rising order. The first seed is played twice: both must be the same, to the last event.
///
/// # Panics
///
/// At the first trouble, with its seed and the command that replays it.
pub fn play(
    name: &str,
    seeds: Range<u64>,
    figure: impl FnOnce(&[u64]) -> String,
    act: impl Fn(u64) -> Result<(Done, u64), Trouble>,
) {
    if let Some(seeds) = asked() {
        return soak(name, seeds, &act);
    }
    let first = seeds.start;
    let mut scenario = Scenario::default();
    let mut figures = Vec::new();
    for seed in seeds {
        let fail = |what: String| -> ! {
            panic!("{name}, seed {seed}: {what}\nreplay: {}", replay(name, seed))
        };
        let (done, own) = once(&act, seed).unwrap_or_else(|what| fail(what));
        if seed == first && once(&act, seed) != Ok((done.clone(), own)) {
            fail("H-01: the same seed was another story the second time".into());
        }
        scenario.seeds += 1;
        scenario.events += done.events;
        scenario.acknowledged += done.acknowledged;
        figures.push(own);
    }
    figures.sort_unstable();
    scenario.figure = figure(&figures);
    scenario.write(name);
}

/// Plays other seeds than the scenario's own, with a line about each, to the end.
fn soak(name: &str, seeds: Range<u64>, act: &impl Fn(u64) -> Result<(Done, u64), Trouble>) {
    let mut failed = Vec::new();
    for seed in seeds {
        let begun = Instant::now();
        let ended = once(act, seed);
        let took = begun.elapsed();
        if let Err(what) = &ended {
            failed.push((seed, what.clone()));
        }
        let ended = ended.map(|(done, _)| (done.events, done.acknowledged, done.hash));
        println!("{}", Line { name: name.to_owned(), seed, took, ended });
    }
    if let Some((seed, what)) = failed.first() {
        panic!("{name}, seed {seed}: {what}\nreplay: {}", replay(name, *seed));
    }
}
