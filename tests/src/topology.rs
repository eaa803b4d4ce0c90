//! Kinds of random days, by name: each makes a shape and a plan of a seed.

use std::time::Duration;

use protocol::{NodeId, Rng, Time};
use sim::{Climate, Fault, Plan, Trouble};

use crate::{
    day::{self, Done, STORM},
    shape::Shape,
};

/// A kind of day.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// What it is called.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    shape: fn(u64) -> Shape,
    plan: fn(u64, &Shape) -> Plan,
}

/// Every kind. The first is what is meant when nothing is said.
pub const ALL: [Topology; 7] = [
    Topology {
        name: "storm",
        about: "everything about the day is drawn from the seed",
        shape: Shape::of_seed,
        plan: |seed, _| day::plan(seed),
    },
    Topology {
        name: "alone",
        about: "a group of one on a stormy day",
        shape: |seed| sized(seed, 1),
        plan: storm,
    },
    Topology {
        name: "three",
        about: "a group of three on a stormy day",
        shape: |seed| sized(seed, 3),
        plan: storm,
    },
    Topology {
        name: "five",
        about: "a group of five on a stormy day",
        shape: |seed| sized(seed, 5),
        plan: storm,
    },
    Topology {
        name: "power-cuts",
        about: "nodes do little but lose power, often all of them at once",
        shape: Shape::of_seed,
        plan: power_cuts,
    },
    Topology {
        name: "lossy",
        about: "nothing breaks, but every fifth message gets lost",
        shape: |seed| Shape { client_loss: 200, ..Shape::of_seed(seed) },
        plan: |seed, _| {
            let climate = Climate { loss: 200, ..Climate::calm() };
            Plan { climate, ..Plan::calm(seed, STORM) }
        },
    },
    Topology {
        name: "calm",
        about: "nothing goes wrong at all",
        shape: Shape::of_seed,
        plan: |seed, _| Plan::calm(seed, STORM),
    },
];

impl Topology {
    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|topology| topology.name == name)
    }

    /// The shape of this seed's day.
    #[must_use]
    pub fn shape(&self, seed: u64) -> Shape {
        (self.shape)(seed)
    }

    /// The plan of this seed's day.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan {
        let shape = self.shape(seed);
        let mut plan = (self.plan)(seed, &shape);
        if shape.forgetful() {
            plan.climate.duplication = 0; // See `day::plan`.
        }
        plan
    }

    /// Runs the day of this seed.
    ///
    /// # Errors
    ///
    /// The first trouble. A panic is trouble as well.
    pub fn run(&self, seed: u64) -> Result<Done, Trouble> {
        day::live(self.shape(seed), self.plan(seed), None)
    }
}

fn sized(seed: u64, replicas: u16) -> Shape {
    Shape { replicas, ..Shape::of_seed(seed) }
}

fn storm(seed: u64, shape: &Shape) -> Plan {
    Plan::storm(seed, &shape.nodes(), STORM)
}

/// A plan in which nodes do little but lose power, often all of them at once.
#[must_use]
pub fn power_cuts(seed: u64, shape: &Shape) -> Plan {
    let nodes: Vec<NodeId> = shape.nodes();
    let mut rng = Rng::new(seed).fork(0x8909);
    let mut plan = Plan::calm(seed, Duration::from_secs(3));
    plan.climate.sync.1 = Duration::from_millis(1 << rng.below(6));
    let mut at = Time::ZERO.plus(Duration::from_millis(50));
    while at < plan.storm_until {
        let up = at.plus(rng.between(Duration::from_millis(1), Duration::from_millis(60)));
        if rng.chance(200) {
            plan.faults.push((at, Fault::CrashAll));
            plan.faults.extend(nodes.iter().map(|node| (up, Fault::Restart(*node))));
        } else {
            let node = nodes[rng.below(nodes.len() as u64) as usize];
            plan.faults.push((at, Fault::Crash(node)));
            plan.faults.push((up, Fault::Restart(node)));
        }
        at = at.plus(rng.between(Duration::from_millis(5), Duration::from_millis(120)));
    }
    plan.faults.sort_by_key(|(at, _)| *at);
    plan
}
