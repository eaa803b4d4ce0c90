//! Days from seeds, from the command line: run them, replay one, and go after planted bugs.
//!
//! Exit codes: 0 all is well (or a bug escaped), 1 trouble (or a bug was caught), 2 usage.

use std::{
    ops::Range,
    panic,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use sim::{Trouble, shrink};
use synod_tests::{
    day::Done,
    digest,
    hunt::{BUGS, hunt},
    play::{self, Line, replay, seeds},
    rare::Rare,
    soak::Soak,
    topology::{ALL, Topology},
    trace,
};

const USAGE: &str = "usage: weather list
       weather sim [--scenario NAME] [--seeds A..B | --seed N [--trace] | --minutes M]
       weather soak [--scenario NAME] [--seeds A..B] [--minutes M] [--jobs N] [--folder DIR]
                    [--it PROGRAM]
       weather days NAME A..B
       weather digest SEED
       weather bugs
       weather hunt NAME     (with SYNOD_PLANTED_BUG=NAME and the feature `planted`)";

/// How long a bug is hunted before it counts as escaped.
const HUNT: Duration = Duration::from_secs(45);
/// Days run when nothing else is said.
const SEEDS: Range<u64> = 0..1000;
/// Days run to make a bad day smaller.
const SHRINK_TRIES: usize = 300;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["bugs"] => {
            BUGS.iter().for_each(|(name, _)| println!("{name}"));
            ExitCode::SUCCESS
        }
        ["list"] => {
            ALL.iter().for_each(|it| println!("{:<12} {}", it.name, it.about));
            ExitCode::SUCCESS
        }
        ["hunt", name] => go_hunting(name),
        ["digest", seed] => seed.parse().map_or_else(
            |_| usage(),
            |seed| {
                println!("{}", digest::of_image(seed));
                ExitCode::SUCCESS
            },
        ),
        ["days", name, range] => match (Topology::named(name), seeds(range)) {
            (Some(topology), Some(range)) => all_days(topology, range),
            _ => usage(),
        },
        ["soak", flags @ ..] => soak(flags),
        ["sim", "--it", program, "--scenario", name, "--seed", seed, rest @ ..] => {
            scripted(program, name, seed, rest)
        }
        ["sim", flags @ ..] => Wanted::of(flags).map_or_else(usage, |wanted| wanted.run()),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// What `sim` is asked for.
struct Wanted {
    topology: Topology,
    seeds: Range<u64>,
    limit: Option<Duration>,
    trace: bool,
}

impl Wanted {
    fn of(flags: &[&str]) -> Option<Self> {
        let mut wanted = Self { topology: ALL[0], seeds: SEEDS, limit: None, trace: false };
        let mut flags = flags.iter();
        while let Some(flag) = flags.next() {
            match *flag {
                "--trace" => wanted.trace = true,
                "--scenario" => wanted.topology = Topology::named(flags.next()?)?,
                "--seeds" => wanted.seeds = seeds(flags.next()?)?,
                "--seed" => {
                    let seed: u64 = flags.next()?.parse().ok()?;
                    wanted.seeds = seed..seed + 1;
                }
                "--minutes" => {
                    let minutes: u64 = flags.next()?.parse().ok()?;
                    wanted.limit = Some(Duration::from_secs(60 * minutes));
                    wanted.seeds = 0..u64::MAX;
                }
                _ => return None,
            }
        }
        (!wanted.trace || wanted.seeds.end - wanted.seeds.start == 1).then_some(wanted)
    }

    fn run(self) -> ExitCode {
        quiet();
        if self.trace {
            return whole_story(self.topology, self.seeds.start);
        }
        self.days()
    }

    /// Runs days until one is bad or all are done.
    fn days(self) -> ExitCode {
        let begun = Instant::now();
        let mut sum = Vec::new();
        let mut rare = Rare::default();
        for seed in self.seeds {
            if self.limit.is_some_and(|limit| begun.elapsed() > limit) {
                break;
            }
            match self.topology.run(seed) {
                Ok(done) => {
                    rare.merge(&done.rare);
                    sum.push(done);
                }
                Err(trouble) => {
                    report(self.topology, seed, &trouble);
                    return ExitCode::FAILURE;
                }
            }
        }
        summary(&sum, &rare.table(self.topology.sights()), begun.elapsed());
        ExitCode::SUCCESS
    }
}

fn summary(days: &[Done], rare: &str, took: Duration) {
    let median = |figure: fn(&Done) -> u64| {
        let mut figures: Vec<u64> = days.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    let total = |figure: fn(&Done) -> u64| days.iter().map(figure).sum::<u64>();
    let hours = days.iter().map(|day| day.passed.as_secs_f64()).sum::<f64>() / 3600.0;
    println!(
        "{} days, {hours:.1} simulated hours, {} events, {} crashes in {:.1} s",
        days.len(),
        total(|day| day.events),
        total(|day| day.crashes),
        took.as_secs_f64()
    );
    println!(
        "median day: {} events, {} operations acknowledged",
        median(|day| day.events),
        median(|day| day.acknowledged)
    );
    print!("{rare}");
    if let [day] = days {
        println!("fingerprint {:016x}", day.hash);
    }
}

/// Says what was bad about a day, and which few of its events made it so.
fn report(topology: Topology, seed: u64, trouble: &Trouble) {
    println!("seed {seed} fails at {}: {}: {}", trouble.at, trouble.node, trouble.what);
    let kind = |what: &str| what.split(':').next().unwrap_or_default().to_owned();
    let fails = |plan: &sim::Plan| {
        let ended = topology.live(seed, plan.clone(), None);
        ended.is_err_and(|other| kind(&other.what) == kind(&trouble.what))
    };
    let small = shrink(topology.plan(seed), SHRINK_TRIES, fails);
    println!("{}", topology.shape(seed));
    println!("{:?}", small.climate);
    println!("it fails the same way with these faults alone:");
    for (at, fault) in &small.faults {
        println!("{:>12}  {fault:?}", at.to_string());
    }
    println!("replay: {}", replay(topology.name, seed));
}

/// Runs one day and prints everything that happened.
fn whole_story(topology: Topology, seed: u64) -> ExitCode {
    let mut transcript = Vec::new();
    let ended = topology.live(seed, topology.plan(seed), Some(&mut transcript));
    for line in transcript {
        println!("{line}");
    }
    match ended {
        Ok(done) => {
            println!("fingerprint {:016x}", done.hash);
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            println!("seed {seed} fails at {}: {}: {}", trouble.at, trouble.node, trouble.what);
            ExitCode::FAILURE
        }
    }
}

/// Many scenarios over many seeds.
fn soak(flags: &[&str]) -> ExitCode {
    let Some(soak) = std::env::current_exe().ok().and_then(|me| Soak::of(flags, me)) else {
        return usage();
    };
    let (text, well) = soak.run();
    print!("{text}");
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One seed of a scenario with a script, which lies in another program.
fn scripted(program: &str, name: &str, seed: &str, rest: &[&str]) -> ExitCode {
    let Ok(seed) = seed.parse::<u64>() else { return usage() };
    let story = match rest {
        [] => None,
        ["--trace"] => Some(std::env::temp_dir().join(format!("{name}-{seed}.trace"))),
        _ => return usage(),
    };
    let mut run = Command::new(program);
    run.args(["--nocapture", name]).env(play::SEEDS, format!("{seed}..{}", seed + 1));
    if let Some(story) = &story {
        // Stories are added to.
        let _ = std::fs::remove_file(story);
        run.env(trace::VARIABLE, story);
    }
    let well = run.status().is_ok_and(|status| status.success());
    if let Some(story) = story {
        println!("story: {}", story.display());
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs all of these days, with a line about each.
fn all_days(topology: Topology, seeds: Range<u64>) -> ExitCode {
    quiet();
    let mut failed = false;
    for seed in seeds {
        let begun = Instant::now();
        let ended = topology.run(seed);
        let took = begun.elapsed();
        failed |= ended.is_err();
        let ended = ended
            .map(|done| (done.events, done.acknowledged, done.hash))
            .map_err(|trouble| format!("{}: {}", trouble.at, trouble.what));
        println!("{}", Line { name: topology.name.into(), seed, took, ended });
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Goes after one planted bug.
fn go_hunting(name: &str) -> ExitCode {
    let Some((_, hunter)) = BUGS.iter().find(|(bug, _)| *bug == name) else {
        eprintln!("no bug of that name is planted");
        return ExitCode::from(2);
    };
    if !protocol::planted::is(name) {
        eprintln!(
            "{name} is asleep: it needs the feature `planted` and {}",
            protocol::planted::VARIABLE
        );
        return ExitCode::from(2);
    }
    quiet();
    let begun = Instant::now();
    let Some(caught) = hunt(*hunter, HUNT) else {
        println!("{name} escaped");
        return ExitCode::SUCCESS;
    };
    let seconds = begun.elapsed().as_secs_f64();
    println!("caught by {} after {} seeds, {seconds:.1} seconds", caught.by, caught.seeds);
    ExitCode::FAILURE
}

/// A panic is trouble like any other; it is reported as such.
fn quiet() {
    panic::set_hook(Box::new(|_| {}));
}
