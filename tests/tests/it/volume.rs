//! Many days, and proof that they were worth something and can be had again.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use sim::Scenario;
use synod_tests::{
    day::{self, Done},
    rare::{Rare, Sight},
};

/// How long the days may take in all.
const BOX: Duration = Duration::from_secs(60);
/// Enough of them: the box is left early.
const ENOUGH: usize = 3000;
/// Fewer are a failure.
const FLOOR: usize = 2000;

fn quick() -> bool {
    std::env::var_os("SYNOD_QUICK").is_some()
}

fn median(days: &[Done], figure: fn(&Done) -> u64) -> u64 {
    let mut figures: Vec<u64> = days.iter().map(figure).collect();
    figures.sort_unstable();
    figures[figures.len() / 2]
}

#[test]
fn the_tower_survives_the_weather() {
    let begun = Instant::now();
    let limit = if quick() { Duration::from_secs(10) } else { BOX };
    let mut days = Vec::new();
    let mut rare = Rare::default();
    for seed in 0.. {
        if begun.elapsed() > limit || days.len() >= ENOUGH {
            break;
        }
        match day::run(seed) {
            Ok(done) => {
                rare.merge(&done.rare);
                days.push(done);
            }
            Err(trouble) => panic!(
                "seed {seed} at {}: {}: {}\nreplay: cargo xtask sim --seed {seed}",
                trouble.at, trouble.node, trouble.what
            ),
        }
    }
    let (events, acknowledged) = (median(&days, |d| d.events), median(&days, |d| d.acknowledged));
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{} days in {took:.1} s; median day {events} events, {acknowledged} acknowledged",
        days.len()
    );
    println!("{}", rare.table(&Sight::STORE));
    let figure = format!("median day {events} events, {acknowledged} acknowledged");
    let sum = |figure: fn(&Done) -> u64| days.iter().map(figure).sum();
    Scenario {
        seeds: days.len() as u64,
        events: sum(|day| day.events),
        acknowledged: sum(|day| day.acknowledged),
        figure,
    }
    .write("the_tower_survives_the_weather");
    assert!(events >= 2000 && acknowledged >= 50, "the days are worth too little");
    if !quick() {
        assert!(days.len() >= FLOOR, "only {} days in {took:.0} s", days.len());
        let missing = rare.missing(&Sight::STORE);
        assert!(missing.is_empty(), "never reached: {missing:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_day() {
    for seed in 0..20 {
        let [first, second] = [day::run(seed), day::run(seed)];
        assert_eq!(first, second, "seed {seed}");
    }
}

/// What a process leaves behind in memory, addresses above all, must not reach a core.
#[test]
fn the_same_seed_gives_the_same_day_in_another_process() {
    for seed in [1, 6, 20, 33] {
        let ran = Command::new(env!("CARGO_BIN_EXE_weather"))
            .args(["sim", "--seed", &seed.to_string()])
            .output()
            .expect("the weather can be started");
        let said = String::from_utf8_lossy(&ran.stdout);
        let theirs = said.lines().last().unwrap_or_default();
        let ours = day::run(seed).expect("a sound day").hash;
        assert_eq!(theirs, format!("fingerprint {ours:016x}"), "seed {seed}");
    }
}
