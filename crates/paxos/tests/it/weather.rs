//! Random days, judged after every step, each repeatable from its seed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use paxos::{Mode, Value, Why};
use sim::{Plan, World, shrink};

use crate::group::{Group, judge_logs};

/// How long the volume tests go on, each; they stop at whichever comes first.
const BOX: Duration = Duration::from_secs(15);
/// Most days of one mode.
const DAYS: u64 = 4000;
/// What must have happened on some day of a log: a sunny week proves nothing.
const RARE: [&str; 7] = [
    "a value was chosen by a second leader",
    "a hole was filled by a no-op",
    "a promise came in pages",
    "a nack taught an outcome",
    "a leader was stuck",
    "somebody caught up by fetching",
    "a campaign was given up",
];

fn quick() -> bool {
    std::env::var("SYNOD_QUICK").is_ok_and(|quick| quick == "1")
}

fn plan(seed: u64) -> Plan {
    Plan::storm(seed, &group(seed, Mode::Append).nodes, Duration::from_secs(4))
}

fn group(seed: u64, mode: Mode) -> Group {
    let count = [1, 3, 3, 3, 5][(seed % 5) as usize];
    let mut group = Group::new(count, mode);
    group.workload = 300;
    // Every other group is jumpy: leaders change often, half-done work is taken over.
    let jumpy = (seed / 5) % 2 == 1;
    group.timeout = jumpy.then(|| Duration::from_millis(20 << (seed / 10 % 4)));
    if seed.is_multiple_of(3) {
        // Promises in many pages, and leaders that lose patience with what they cannot fetch.
        group.tune = |config| {
            config.page_bytes = 40;
            config.stall = Duration::from_millis(8);
        };
    }
    group
}

/// The day of this seed.
pub fn day(seed: u64, mode: Mode) -> World<Group> {
    group(seed, mode).world(plan(seed))
}

fn live(world: &mut World<Group>) -> Result<(), String> {
    world.run(Duration::from_secs(30)).map_err(|trouble| format!("{trouble:?}"))?;
    if world.subject.mode == Mode::Append {
        judge_logs(world);
    }
    Ok(())
}

/// A day went wrong: the fewest faults that still do, and how to see it again.
fn report(seed: u64, mode: Mode, trouble: &str) -> ! {
    let fails =
        |plan: &Plan| group(seed, mode).world(plan.clone()).run(Duration::from_secs(30)).is_err();
    println!("seed {seed} ({mode:?}): {trouble}");
    let small = shrink(plan(seed), 60, fails);
    for (at, fault) in &small.faults {
        println!("{at:>12}  {fault:?}");
    }
    panic!(
        "seed {seed} ({mode:?}): {trouble}\n{} faults are enough, printed above; replay: \
         SEED={seed} MODE={mode:?} cargo test -p paxos --no-default-features --test it \
         one_seed_trace -- --nocapture",
        small.faults.len()
    );
}

/// What a time box of days did.
#[derive(Default)]
struct Days {
    events: Vec<u64>,
    acknowledged: Vec<usize>,
    rare: BTreeMap<&'static str, u64>,
}

fn days(mode: Mode) -> Days {
    let mut days = Days::default();
    let end = Instant::now() + if quick() { BOX / 10 } else { BOX };
    for seed in 0..DAYS {
        // A slow machine lives fewer days, but never so few that the floors mean nothing.
        if seed >= 100 && Instant::now() > end {
            break;
        }
        let mut world = day(seed, mode);
        if let Err(trouble) = live(&mut world) {
            report(seed, mode, &trouble);
        }
        let group = &world.subject;
        days.events.push(world.events);
        days.acknowledged.push(group.acknowledged.len());
        let noops = group.judge.decisions().filter(|(_, value)| **value == Value::Noop).count();
        let changes = |why| group.role_changes.iter().filter(|(_, it)| *it == why).count() as u64;
        let mut count = |what, times| *days.rare.entry(what).or_default() += times;
        count(RARE[0], group.judge.takeovers);
        count(RARE[1], noops as u64);
        count(RARE[2], group.pages);
        count(RARE[3], group.lessons);
        count(RARE[4], changes(Why::Stuck));
        count(RARE[5], group.fetched);
        count(RARE[6], changes(Why::GaveUp));
    }
    days.events.sort_unstable();
    days.acknowledged.sort_unstable();
    println!("{} days of {mode:?}: {:?}", days.events.len(), days.rare);
    days
}

#[test]
fn a_log_survives_the_weather() {
    let days = days(Mode::Append);
    let middle = days.events.len() / 2;
    let (events, acknowledged) = (days.events[middle], days.acknowledged[middle]);
    println!("median: {events} events, {acknowledged} acknowledged");
    assert!(events >= 2000 && acknowledged >= 50, "the days are not worth much");
    for what in RARE {
        assert!(days.rare.get(what).is_some_and(|times| *times > 0), "it never happened: {what}");
    }
}

#[test]
fn instances_survive_the_weather() {
    let days = days(Mode::Explicit);
    assert!(days.events[days.events.len() / 2] >= 2000, "the days are not worth much");
}

/// A core that reads a clock, or iterates a hash map, shows here.
#[test]
fn a_seed_is_the_same_day_twice() {
    for seed in 0..30 {
        for mode in [Mode::Append, Mode::Explicit] {
            let hash = || {
                let mut world = day(seed, mode);
                live(&mut world).unwrap_or_else(|trouble| report(seed, mode, &trouble));
                (world.hash(), world.events)
            };
            assert_eq!(hash(), hash(), "seed {seed} ({mode:?})");
        }
    }
}

/// Prints one day: `SEED=7 MODE=Explicit cargo test -p paxos one_seed_trace -- --nocapture`.
#[test]
fn one_seed_trace() {
    let Ok(seed) = std::env::var("SEED") else { return };
    let explicit = std::env::var("MODE").is_ok_and(|mode| mode == "Explicit");
    let mode = if explicit { Mode::Explicit } else { Mode::Append };
    let mut world = day(seed.parse().expect("a number"), mode);
    world.trace();
    let result = world.run(Duration::from_secs(30));
    for line in world.transcript() {
        println!("{line}");
    }
    println!("{result:?}");
}
