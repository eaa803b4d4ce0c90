//! Random days, judged after every step, each repeatable from its seed.

use std::time::Duration;

use paxos::Mode;
use sim::{Plan, World};

use crate::group::{Group, judge_logs};

pub fn day(seed: u64, mode: Mode) -> World<Group> {
    let count = [1, 3, 3, 3, 5][(seed % 5) as usize];
    let mut group = Group::new(count, mode);
    group.workload = 300;
    // Every other group is jumpy: leaders change often, half-done work is taken over.
    let jumpy = (seed / 5) % 2 == 1;
    group.timeout = jumpy.then(|| Duration::from_millis(20 << (seed / 10 % 4)));
    let plan = Plan::storm(seed, &group.nodes, Duration::from_secs(4));
    group.world(plan)
}

fn days(mode: Mode, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut world = day(seed, mode);
        if let Err(trouble) = world.run(Duration::from_secs(30)) {
            panic!("seed {seed} ({mode:?}): {trouble:?}");
        }
        if mode == Mode::Append {
            judge_logs(&world);
        }
    }
}

#[test]
fn a_log_survives_the_weather() {
    days(Mode::Append, 0..2000);
}

#[test]
fn instances_survive_the_weather() {
    days(Mode::Explicit, 0..2000);
}

#[test]
fn one_seed_trace() {
    let Ok(seed) = std::env::var("SEED") else { return };
    let mode = if std::env::var("MODE").is_ok() { Mode::Explicit } else { Mode::Append };
    let mut world = day(seed.parse().unwrap(), mode);
    world.trace();
    let result = world.run(Duration::from_secs(30));
    for line in world.transcript() {
        println!("{line}");
    }
    println!("{result:?}");
}

/// Not a test of the nodes but of the days: they must be worth something.
#[test]
fn the_days_are_worth_something() {
    let mut events = Vec::new();
    let mut acknowledged = Vec::new();
    let (mut takeovers, mut elections) = (0, 0);
    for seed in 0..100 {
        let mut world = day(seed, Mode::Append);
        world.run(Duration::from_secs(30)).expect("a sound day");
        events.push(world.events);
        acknowledged.push(world.subject.acknowledged.len());
        takeovers += world.subject.judge.takeovers;
        elections += world.subject.elections;
    }
    events.sort_unstable();
    acknowledged.sort_unstable();
    println!("median: {} events, {} acknowledged", events[50], acknowledged[50]);
    println!("takeovers {takeovers}, elections {elections}");
    assert!(events[50] >= 2000 && acknowledged[50] >= 50 && takeovers > 0 && elections > 200);
}
