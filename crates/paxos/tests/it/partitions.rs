//! The acceptance list, part 8.3: partitions.

use paxos::Mode;
use sim::{Fault, Scenario};

use crate::{
    group::Group,
    scenarios::{Trial, lossy, play, seeds},
};

#[test]
fn s8_3_16_partition_decides_nothing() {
    play("s8_3_16_partition_decides_nothing", 5, |trial| {
        let before = trial.rng.below(700);
        trial.run(before);
        trial.split(&[&[1, 3], &[2, 4], &[5]]);
        trial.start(2, 1, "111");
        trial.run(3000);
        trial.demand(trial.world.subject.judge.chosen() == 0, "no majority, no decision");
        "nothing decided in 3 s".to_owned()
    });
}

#[test]
fn s8_3_17_majority_decides_and_rivals_learn() {
    play("s8_3_17_majority_decides_and_rivals_learn", 5, |trial| {
        trial.split(&[&[1, 3], &[2, 4], &[5]]);
        trial.start(2, 1, "111");
        trial.run(1000);
        trial.split(&[&[2, 3, 4], &[1], &[5]]);
        trial.demand_value(1, 3, "111");
        trial.start(1, 1, "1000");
        trial.start(5, 1, "1004");
        trial.run(500);
        trial.demand(trial.knows(1).len() == 3, "the rivals know nothing");
        trial.fault(&Fault::Heal);
        let healed = trial.world.now();
        trial.demand_value(1, 5, "111");
        format!("all know {:?} after healing", trial.world.now().since(healed))
    });
}

fn switching(trial: &mut Trial, rounds: u64, everybody: bool) {
    for round in 0..rounds {
        trial.split(&[&[1, 2, 3], &[4, 5]]);
        let majority: Vec<String> = (1..=3).map(|node| format!("{round}-{node}")).collect();
        for node in 1..=5 {
            if everybody || node == 1 || node == 4 {
                trial.start(node, round, &format!("{round}-{node}"));
            }
        }
        let value = trial.learn(round, 3, 20_000);
        trial.demand(majority.contains(&value), "the majority's value");
        trial.demand(trial.knows(round).len() <= 3, "at most three know before the switch");
        trial.split(&[&[1, 2], &[3, 4, 5]]);
        trial.learn(round, 5, 20_000);
    }
}

#[test]
fn s8_3_18_one_peer_switches_sides() {
    let name = "s8_3_18_one_peer_switches_sides";
    let mut record = Scenario::default();
    for seed in seeds(100) {
        let mut trial = Trial::new(name, seed, 5);
        switching(&mut trial, 20, false);
        trial.end(&mut record);
    }
    for seed in seeds(100) {
        let mut trial = Trial::with(name, seed, Group::new(5, Mode::Explicit), lossy());
        switching(&mut trial, 20, true);
        record.figure = format!("20 rounds; lossy ones in {}", trial.world.now());
        trial.end(&mut record);
    }
    record.write(name);
}
