//! Kinds of random days, by name: each makes a shape and a plan of a seed.

use std::time::Duration;

use protocol::{NodeId, Rng, Time};
use sim::{Climate, Fault, Plan, Trouble};

use crate::{
    day::{self, Done, STORM},
    pb,
    rare::Sight,
    shape::Shape,
};

/// A kind of day.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// What it is called.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    world: Of,
}

/// Of what, and how its days are made of a seed.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// A replicated store.
    Store { shape: fn(u64) -> Shape, plan: fn(u64, &Shape) -> Plan },
    /// A primary and its backup.
    Pair { shape: fn(u64) -> pb::Shape, plan: fn(u64, &pb::Shape) -> Plan },
}

/// Every kind. The first is what is meant when nothing is said.
pub const ALL: [Topology; 10] = [
    Topology {
        name: "storm",
        about: "everything about the day is drawn from the seed",
        world: Of::Store { shape: Shape::of_seed, plan: |seed, _| day::plan(seed) },
    },
    Topology {
        name: "alone",
        about: "a group of one on a stormy day",
        world: Of::Store { shape: |seed| sized(seed, 1), plan: storm },
    },
    Topology {
        name: "three",
        about: "a group of three on a stormy day",
        world: Of::Store { shape: |seed| sized(seed, 3), plan: storm },
    },
    Topology {
        name: "five",
        about: "a group of five on a stormy day",
        world: Of::Store { shape: |seed| sized(seed, 5), plan: storm },
    },
    Topology {
        name: "power-cuts",
        about: "nodes do little but lose power, often all of them at once",
        world: Of::Store {
            shape: Shape::of_seed,
            plan: |seed, shape| power_cuts(seed, &shape.nodes()),
        },
    },
    Topology {
        name: "lossy",
        about: "nothing breaks, but every fifth message gets lost",
        world: Of::Store {
            shape: |seed| Shape { client_loss: 200, ..Shape::of_seed(seed) },
            plan: |seed, _| {
                let climate = Climate { loss: 200, ..Climate::calm() };
                Plan { climate, ..Plan::calm(seed, STORM) }
            },
        },
    },
    Topology {
        name: "calm",
        about: "nothing goes wrong at all",
        world: Of::Store { shape: Shape::of_seed, plan: |seed, _| Plan::calm(seed, STORM) },
    },
    Topology {
        name: "pair",
        about: "a primary and a backup: everything about the day is drawn from the seed",
        world: Of::Pair { shape: pb::Shape::of_seed, plan: pb::day::plan },
    },
    Topology {
        name: "pair-memory",
        about: "a primary, a backup and a third, none with a disk, on a stormy day",
        world: Of::Pair {
            shape: |seed| pb::Shape { servers: 3, durable: false, ..pb::Shape::of_seed(seed) },
            plan: pb::day::plan,
        },
    },
    Topology {
        name: "pair-cuts",
        about: "a primary and a backup with disks that do little but lose power",
        world: Of::Pair {
            shape: |seed| pb::Shape { durable: true, ..pb::Shape::of_seed(seed) },
            plan: |seed, shape| {
                let mut plan = power_cuts(seed, &shape.nodes());
                // Not before there is anything to lose.
                plan.faults.retain(|(at, _)| at.since(Time::ZERO) > Duration::from_millis(300));
                plan
            },
        },
    },
];

impl Topology {
    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|topology| topology.name == name)
    }

    /// What such days should have come through, all together.
    #[must_use]
    pub fn sights(&self) -> &'static [Sight] {
        match self.world {
            Of::Store { .. } => &Sight::STORE,
            Of::Pair { .. } => &Sight::PAIR,
        }
    }

    /// The shape of this seed's day, for people.
    #[must_use]
    pub fn shape(&self, seed: u64) -> String {
        match self.world {
            Of::Store { shape, .. } => format!("{:?}", shape(seed)),
            Of::Pair { shape, .. } => format!("{:?}", shape(seed)),
        }
    }

    /// The plan of this seed's day.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan {
        match self.world {
            Of::Store { shape, plan } => {
                let shape = shape(seed);
                let mut plan = plan(seed, &shape);
                if shape.forgetful() {
                    plan.climate.duplication = 0; // See `day::plan`.
                }
                plan
            }
            Of::Pair { shape, plan } => plan(seed, &shape(seed)),
        }
    }

    /// Runs the day of this seed.
    ///
    /// # Errors
    ///
    /// The first trouble. A panic is trouble as well.
    pub fn run(&self, seed: u64) -> Result<Done, Trouble> {
        self.live(seed, self.plan(seed), None)
    }

    /// Runs a day of this seed's shape and of this plan. With `transcript`, everything that
    /// happened is put there.
    ///
    /// # Errors
    ///
    /// The first trouble. A panic is trouble as well.
    pub fn live(
        &self,
        seed: u64,
        plan: Plan,
        transcript: Option<&mut Vec<String>>,
    ) -> Result<Done, Trouble> {
        match self.world {
            Of::Store { shape, .. } => day::live(shape(seed), plan, transcript),
            Of::Pair { shape, .. } => pb::day::live(shape(seed), plan, transcript),
        }
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
pub fn power_cuts(seed: u64, nodes: &[NodeId]) -> Plan {
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
