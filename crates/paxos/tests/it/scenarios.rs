//! The acceptance list, part 8.3: the courses' Paxos tests and ours, in virtual time on the core.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use paxos::{Fate, Mode, Request, Slot, Told, Value};
use protocol::{NodeId, Rng};
use sim::{Climate, Fault, Plan, Scenario, World};

use crate::group::{Group, fate};

/// The seeds of a scenario's random part; one only, if `SEED` names it.
pub fn seeds(count: u64) -> Vec<u64> {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        return vec![seed];
    }
    let quick = std::env::var("SYNOD_QUICK").is_ok_and(|quick| quick == "1");
    (0..if quick { count.div_ceil(10) } else { count }).collect()
}

/// How to run one seed of a test again.
pub fn replay(seed: u64, test: &str) -> String {
    format!(
        "seed {seed}; replay: SEED={seed} cargo test -p paxos --no-default-features --test it {test}"
    )
}

/// One run of a scenario.
pub struct Trial {
    seed: u64,
    name: &'static str,
    pub world: World<Group>,
    pub rng: Rng,
    tickets: u64,
}

impl Trial {
    pub fn new(name: &'static str, seed: u64, count: u16) -> Self {
        Self::with(name, seed, Group::new(count, Mode::Explicit), Climate::calm())
    }

    pub fn with(name: &'static str, seed: u64, group: Group, climate: Climate) -> Self {
        let mut plan = Plan::calm(seed, Duration::from_secs(3600));
        plan.climate = climate;
        let mut world = group.world(plan);
        if std::env::var("SEED").is_ok() {
            world.trace();
        }
        world.start();
        Self { seed, name, world, rng: Rng::new(seed).fork(9), tickets: 1 }
    }

    pub fn fail(&self, what: &str) -> ! {
        let lines = self.world.transcript();
        for line in &lines[lines.len().saturating_sub(5000)..] {
            println!("{line}");
        }
        panic!("{}: {what}\n{}", self.name, replay(self.seed, self.name));
    }

    pub fn demand(&self, holds: bool, what: &str) {
        if !holds {
            self.fail(what);
        }
    }

    pub fn run(&mut self, millis: u64) {
        let end = self.world.now().plus(Duration::from_millis(millis));
        if let Err(trouble) = self.world.run_until(end) {
            self.fail(&format!("{trouble:?}"));
        }
    }

    pub fn ask(&mut self, node: u16, request: Request) -> u64 {
        self.tickets += 1;
        self.world.ask(NodeId(node), self.tickets, request);
        self.tickets
    }

    pub fn told(&mut self, node: u16, request: Request) -> Told {
        let ticket = self.ask(node, request);
        self.run(0);
        self.world.subject.fates.get(&ticket).cloned().expect("it was answered at once")
    }

    pub fn start(&mut self, node: u16, slot: u64, text: &str) {
        let value = Bytes::copy_from_slice(text.as_bytes());
        self.world.subject.started.insert((Slot(slot), value.clone()));
        self.ask(node, Request::Start(Slot(slot), value));
    }

    pub fn fault(&mut self, fault: &Fault) {
        self.world.fault(fault);
    }

    pub fn split(&mut self, groups: &[&[u16]]) {
        let group = |group: &&[u16]| group.iter().copied().map(NodeId).collect();
        self.fault(&Fault::Partition(groups.iter().map(group).collect()));
    }

    fn up(&self) -> Vec<u16> {
        self.world.view().cores().map(|(node, _)| node.0).collect()
    }

    /// Who knows what was chosen in `slot`.
    pub fn knows(&self, slot: u64) -> Vec<(u16, Value)> {
        let known = self.up().into_iter().filter_map(|node| match fate(&self.world, node, slot) {
            Fate::Decided(value) => Some((node, value)),
            Fate::Pending | Fate::Forgotten => None,
        });
        known.collect()
    }

    /// Waits until `count` nodes know `slot`; everybody who does must agree. What it holds.
    pub fn learn(&mut self, slot: u64, count: usize, patience: u64) -> String {
        for _ in 0..=patience / 10 {
            let known = self.knows(slot);
            if known.len() >= count {
                let values: BTreeSet<String> =
                    known.iter().map(|(_, value)| format!("{value:?}")).collect();
                self.demand(values.len() == 1, "two values in one slot");
                return values.into_iter().next().unwrap_or_default().replace('"', "");
            }
            self.run(10);
        }
        self.fail(&format!("slot {slot} is known to {:?} only", self.knows(slot)))
    }

    /// S2: what was chosen was started, in that slot; adds what was done to the record.
    pub fn end(self, record: &mut Scenario) {
        for (slot, value) in self.world.subject.judge.decisions() {
            let started = match (self.world.subject.mode, value) {
                (Mode::Explicit, Value::Data(bytes)) => {
                    self.world.subject.started.contains(&(slot, bytes.clone()))
                }
                (Mode::Explicit, Value::Noop) => false,
                (Mode::Append, _) => true,
            };
            self.demand(started, "S2 validity: a value that nobody started");
        }
        record.seeds += 1;
        record.events += self.world.events;
        record.acknowledged += self.world.subject.judge.chosen() as u64;
    }

    fn floor(&self, node: u16) -> u64 {
        self.world.view().core(NodeId(node)).map_or(0, |core| core.ledger().floor().0)
    }

    /// The bytes of all values that all nodes keep.
    fn kept(&self) -> usize {
        let cores = self.world.view();
        let of = |slots: &paxos::Ledger| -> usize {
            slots.entries_from(Slot(0)).map(|(_, entry)| entry.value.len()).sum()
        };
        cores.cores().map(|(_, core)| of(core.ledger())).sum()
    }
}

/// Plays `scenario` with many seeds, and writes down what was done.
pub fn play(name: &'static str, count: u16, scenario: impl Fn(&mut Trial) -> String) {
    let mut record = Scenario::default();
    for seed in seeds(100) {
        let mut trial = Trial::new(name, seed, count);
        record.figure = scenario(&mut trial);
        trial.end(&mut record);
    }
    record.write(name);
}

pub fn lossy() -> Climate {
    Climate { loss: 140, ..Climate::calm() }
}

#[test]
fn s8_3_01_single_proposer() {
    play("s8_3_01_single_proposer", 3, |trial| {
        trial.start(1, 0, "hello");
        trial.demand_value(0, 3, "hello");
        format!("decided everywhere after {}", trial.world.now())
    });
}

#[test]
fn s8_3_02_many_proposers_one_value() {
    play("s8_3_02_many_proposers_one_value", 3, |trial| {
        (1..=3).for_each(|node| trial.start(node, 1, "77"));
        trial.demand_value(1, 3, "77");
        format!("decided everywhere after {}", trial.world.now())
    });
}

#[test]
fn s8_3_03_many_proposers_different_values() {
    play("s8_3_03_many_proposers_different_values", 3, |trial| {
        (1..=3).for_each(|node| trial.start(node, 2, &format!("{}", 99 + node)));
        let value = trial.learn(2, 3, 10_000);
        format!("decided {value} everywhere after {}", trial.world.now())
    });
}

#[test]
fn s8_3_04_out_of_order() {
    play("s8_3_04_out_of_order", 3, |trial| {
        trial.start(1, 7, "700");
        trial.start(1, 6, "600");
        trial.start(2, 5, "500");
        trial.demand_value(7, 3, "700");
        trial.start(1, 4, "400");
        trial.start(2, 3, "300");
        for (slot, value) in [(6, "600"), (5, "500"), (4, "400"), (3, "300")] {
            trial.demand_value(slot, 3, value);
        }
        for node in 1..=3 {
            let told = trial.told(node, Request::Bounds);
            trial.demand(told == Told::Bounds { min: Slot(0), max: Some(Slot(7)) }, "Max is 7");
        }
        "five slots in descending order, Max 7".to_owned()
    });
}

#[test]
fn s8_3_05_deaf_peers_learn_by_their_own_proposals() {
    play("s8_3_05_deaf_peers_learn_by_their_own_proposals", 5, |trial| {
        trial.start(2, 0, "goodbye");
        trial.demand_value(0, 5, "goodbye");
        trial.fault(&Fault::Deaf(NodeId(1)));
        trial.fault(&Fault::Deaf(NodeId(5)));
        trial.run(3000);
        trial.start(2, 1, "old");
        trial.demand_value(1, 3, "old");
        trial.run(1000);
        trial.demand(trial.knows(1).len() == 3, "exactly three know");
        for (deaf, know) in [(1, 4), (5, 5)] {
            trial.start(deaf, 1, &format!("rival {deaf}"));
            trial.demand_value(1, know, "old");
            trial.run(1000);
            trial.demand(trial.knows(1).len() == know, "nobody else learned");
        }
        "3, then 4, then 5 know".to_owned()
    });
}

#[test]
fn s8_3_06_late_peer_learns_the_old_value() {
    play("s8_3_06_late_peer_learns_the_old_value", 5, |trial| {
        trial.fault(&Fault::Crash(NodeId(1)));
        trial.fault(&Fault::Crash(NodeId(5)));
        trial.start(2, 1, "111");
        trial.demand_value(1, 3, "111");
        trial.fault(&Fault::Restart(NodeId(1)));
        trial.start(1, 1, "222");
        trial.demand_value(1, 4, "111");
        "four of five report 111".to_owned()
    });
}

#[test]
fn s8_3_07_forgetting_needs_everybody() {
    play("s8_3_07_forgetting_needs_everybody", 6, |trial| {
        for slot in [0, 1, 2, 6, 7] {
            trial.start((slot % 6) as u16 + 1, slot, &format!("v{slot}"));
            trial.learn(slot, 6, 10_000);
        }
        for node in 1..=6 {
            trial.demand((1..=6).all(|node| trial.floor(node) == 0), "Min is 0 until all are done");
            trial.ask(node, Request::Done(Slot(0)));
            if node < 6 {
                trial.ask(node, Request::Done(Slot(1)));
            }
            trial.run(200);
        }
        (1..=6).for_each(|node| trial.start(node, 7 + u64::from(node), "poke"));
        let asked = trial.world.now();
        while (1..=6).any(|node| trial.floor(node) != 1) {
            trial.demand(
                trial.world.now().since(asked) < Duration::from_secs(12),
                "Min is 1 in 12 s",
            );
            trial.run(10);
        }
        trial.run(1000);
        trial.demand((1..=6).all(|node| trial.floor(node) == 1), "Min stays exactly 1");
        "Min 1 everywhere".to_owned()
    });
}

#[test]
fn s8_3_10_forgetting_frees_memory() {
    let name = "s8_3_10_forgetting_frees_memory";
    let mut record = Scenario::default();
    for seed in seeds(10) {
        let mut trial = Trial::new(name, seed, 3);
        let big = "x".repeat(1_000_000);
        (0..10).for_each(|slot| trial.start(slot as u16 % 3 + 1, slot, &big));
        (0..10).for_each(|slot| drop(trial.learn(slot, 3, 10_000)));
        let peak = trial.kept();
        (1..=3).for_each(|node| {
            trial.ask(node, Request::Done(Slot(10)));
        });
        (0..3).for_each(|slot| trial.start(slot as u16 + 1, 11 + slot, "tiny"));
        trial.run(3000);
        trial.demand((1..=3).all(|node| trial.floor(node) == 11), "Min is 11 everywhere in 3 s");
        trial.demand(trial.kept() < 1_000_000, "less than 1 MB is kept");
        (0..3).for_each(|slot| trial.start(2, slot, "again"));
        trial.run(1000);
        for slot in 0..3 {
            let told = trial.told(2, Request::Fate(Slot(slot)));
            trial.demand(told == Told::Fate(Fate::Forgotten), "a start below Min has no effect");
        }
        record.figure = format!("{peak} bytes at the peak, {} after", trial.kept());
        trial.end(&mut record);
    }
    record.write(name);
}

#[test]
fn s8_3_11_max_outlives_forgetting() {
    play("s8_3_11_max_outlives_forgetting", 3, |trial| {
        (0..=10).for_each(|slot| trial.start(1, slot, "v"));
        (0..=10).for_each(|slot| drop(trial.learn(slot, 3, 10_000)));
        (1..=3).for_each(|node| {
            trial.ask(node, Request::Done(Slot(10)));
        });
        trial.run(1000);
        for node in 1..=3 {
            let told = trial.told(node, Request::Bounds);
            trial.demand(told == Told::Bounds { min: Slot(11), max: Some(Slot(10)) }, "Max is 10");
        }
        "Max 10, Min 11".to_owned()
    });
}

fn many(trial: &mut Trial, slots: u64, window: u64) {
    for slot in 0..slots {
        if slot >= window {
            trial.learn(slot - window, 3, 20_000);
        }
        (1..=3).for_each(|node| trial.start(node, slot, &format!("{slot}-{node}")));
    }
    (0..slots).for_each(|slot| drop(trial.learn(slot, 3, 20_000)));
}

#[test]
fn s8_3_15_many_instances() {
    let name = "s8_3_15_many_instances";
    let mut record = Scenario::default();
    for seed in seeds(100) {
        let mut trial = Trial::new(name, seed, 3);
        many(&mut trial, 50, 5);
        trial.end(&mut record);
        let group = Group::new(3, Mode::Explicit);
        let mut trial = Trial::with(name, seed, group, lossy());
        many(&mut trial, 50, 3);
        record.figure = format!("50 slots by 3 proposers; lossy ones in {}", trial.world.now());
        trial.end(&mut record);
    }
    record.write(name);
}

impl Trial {
    /// As [`learn`](Self::learn), and the value is this one.
    pub fn demand_value(&mut self, slot: u64, count: usize, value: &str) {
        let known = self.learn(slot, count, 10_000);
        self.demand(known == value, &format!("slot {slot} holds {known}, not {value}"));
    }
}
