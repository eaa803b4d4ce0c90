//! Acceptance 8.1-15: the shipped service among honest servers in bad weather, judged after every
//! decision by an independent model.

use sim::Scenario;
use viewservice::suite::{Walked, walk};

/// Steps of one walk.
const STEPS: u32 = 1_000;

/// Walks. One of them alone: `SYNOD_WALK=17 cargo test -p viewservice --test it s8_1_15`.
const SEEDS: u64 = 1_000;

#[test]
fn s8_1_15_a_thousand_random_steps_keep_every_rule() {
    let one: Option<u64> = std::env::var("SYNOD_WALK").ok().and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(0..SEEDS, |seed| seed..seed + 1);
    let (mut all, mut stuck) = (Walked::default(), 0);
    for seed in seeds.clone() {
        let walked = walk(seed, STEPS).unwrap_or_else(|broken| {
            panic!(
                "seed {seed}: {broken}\n\
                 replay it with: SYNOD_WALK={seed} cargo test -p viewservice --test it s8_1_15"
            )
        });
        all.pings += walked.pings;
        all.views += walked.views;
        all.successions += walked.successions;
        all.heirs += walked.heirs;
        all.lives += walked.lives;
        all.restarts += walked.restarts;
        all.writes += walked.writes;
        stuck += u64::from(walked.stuck);
    }
    println!("{all:?}, {stuck} stuck");
    let figure = format!(
        "{STEPS} steps each; {} views, {} of them with another primary and {} with its heir, over \
         {} lives of servers and {} of the service; {stuck} walks ended rightly stuck",
        all.views, all.successions, all.heirs, all.lives, all.restarts
    );
    if one.is_none() {
        // A walk in which nothing happens proves nothing.
        assert!(all.successions > 2 * SEEDS && all.heirs > SEEDS / 4 && stuck < SEEDS / 2);
        Scenario { seeds: SEEDS, events: all.pings, acknowledged: all.writes, figure }
            .write("s8_1_15_a_thousand_random_steps_keep_every_rule");
    }
}
