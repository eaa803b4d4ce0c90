//! Random lives of the table beside the naive one.

use std::time::{Duration, Instant};

use lockmgr::suite::{Walked, random};

/// Commands of one life.
const COMMANDS: usize = 600;

/// So many lives at least, and more while there is time.
const SEEDS: u64 = 200;
const BUDGET: Duration = Duration::from_secs(4);

#[test]
fn every_life_is_the_naive_one() {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let begun = Instant::now();
    let mut all = Walked::default();
    let seeds = given.map_or(0..=u64::MAX, |seed: u64| seed..=seed);
    let mut lives = 0;
    for seed in seeds.take_while(|seed| *seed < SEEDS || begun.elapsed() < BUDGET) {
        let walked = random(seed, COMMANDS).unwrap_or_else(|what| {
            panic!(
                "seed {seed}: {what}; replay: SEED={seed} cargo test -p lockmgr --test it \
                 every_life_is_the_naive_one"
            )
        });
        lives += 1;
        all.commands += walked.commands;
        all.grants += walked.grants;
        all.waits += walked.waits;
        all.circles += walked.circles;
        all.wounds += walked.wounds;
        all.expiries += walked.expiries;
    }
    println!("{lives} lives: {all:?}");
    if given.is_none() {
        assert!(all.circles > lives / 5 && all.wounds > lives && all.expiries > lives, "{all:?}");
    }
}
