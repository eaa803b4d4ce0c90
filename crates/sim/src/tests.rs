//! The simulator on a core of a few lines: it must notice what it is there to notice.

mod selfchecks;

use std::time::Duration;

use protocol::{Caller, Core, Effects, Event, Free, Lsn, NodeId, Time, Word};

use crate::{Fault, Io, Plan, Subject, View, World, shrink, world::Record};

/// Counts up when asked, and tells everybody; `hasty` ones answer before they have saved.
struct Counter {
    me: NodeId,
    peers: Vec<NodeId>,
    count: u64,
    hasty: bool,
    due: bool,
}

#[derive(Clone, Debug)]
enum Ask {
    Count,
    Hear(u64),
}

#[derive(Clone, Debug)]
struct Told(u64);
impl Free for Told {
    const WHY: &'static str = "a lie, told to be caught";
}

impl Core for Counter {
    type Request = Ask;
    type Reply = Told;
    type Record = u64;
    type Output = u64;

    fn step(&mut self, _: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        let woken = !self.due || matches!(event, Event::Wake);
        assert!(woken, "the first event of every life is to be woken");
        match event {
            Event::Request { caller, request: Ask::Count } => {
                self.count += 1;
                fx.save(self.count);
                for peer in self.peers.iter().filter(|peer| **peer != self.me) {
                    fx.send(*peer, Ask::Hear(self.count));
                }
                self.reply(caller, fx);
            }
            Event::Request { caller, request: Ask::Hear(count) } => {
                self.count = self.count.max(count);
                fx.save(self.count);
                self.reply(caller, fx);
            }
            Event::Wake => self.due = false,
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.due.then_some(Time::ZERO)
    }
}

impl Counter {
    fn reply(&self, caller: Caller, fx: &mut Effects<Self>) {
        if self.hasty {
            fx.answer_free(caller, Told(self.count));
        } else {
            fx.answer(caller, Told(self.count));
        }
    }
}

struct Counting {
    nodes: Vec<NodeId>,
    hasty: bool,
    answered: u64,
    asked: u64,
}

impl Subject for Counting {
    type Core = Counter;

    fn recover(&mut self, node: NodeId, _: u64, records: Vec<Record<Counter>>) -> Counter {
        let count = records.last().map_or(0, |(_, count)| *count);
        Counter { me: node, peers: self.nodes.clone(), count, hasty: self.hasty, due: true }
    }

    fn output(&mut self, _: NodeId, _: u64, _: &mut Io<Counter>) {}

    fn answer(&mut self, _: u64, _: Told, _: &mut Io<Counter>) {
        self.answered += 1;
    }

    fn tick(&mut self, _: u64, io: &mut Io<Counter>) {
        if self.asked < 200 {
            self.asked += 1;
            let node = self.nodes[io.rng.below(self.nodes.len() as u64) as usize];
            io.request(Duration::ZERO, node, self.asked, Ask::Count);
            io.timer(Duration::from_millis(5), 0);
        }
    }

    fn witness(
        &mut self,
        node: NodeId,
        word: &Word<Counter>,
        durable: &[(Lsn, u64)],
    ) -> Result<(), String> {
        match word {
            Word::Answer { reply: Told(count), .. }
                if durable.last().is_none_or(|(_, saved)| saved < count) =>
            {
                Err(format!("{node} spoke before it saved"))
            }
            _ => Ok(()),
        }
    }

    fn check(&mut self, _: NodeId, _: &View<'_, Counter>) -> Result<(), String> {
        Ok(())
    }

    fn at_rest(&self, _: &View<'_, Counter>) -> Result<(), String> {
        if self.asked == 200 { Ok(()) } else { Err("still counting".into()) }
    }
}

fn world(seed: u64, hasty: bool) -> World<Counting> {
    let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let plan = Plan::storm(seed, &nodes, Duration::from_secs(2));
    let subject = Counting { nodes: nodes.clone(), hasty, answered: 0, asked: 0 };
    World::new(subject, &nodes, plan)
}

#[test]
fn the_same_seed_gives_the_same_day() {
    for seed in 0..20 {
        let days: Vec<(u64, u64)> = (0..2)
            .map(|_| {
                let mut world = world(seed, false);
                world.run(Duration::from_secs(5)).expect("a sound counter survives");
                (world.hash(), world.events)
            })
            .collect();
        assert_eq!(days[0], days[1], "seed {seed}");
    }
}

#[test]
fn the_witness_stops_a_node_that_speaks_before_it_saves() {
    let trouble = world(1, true).run(Duration::from_secs(5)).expect_err("it is hasty");
    assert!(trouble.what.contains("spoke before it saved"), "{trouble:?}");
}

#[test]
fn a_bad_day_shrinks_to_what_made_it_bad() {
    let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let plan = (0..).map(|seed| Plan::storm(seed, &nodes, Duration::from_secs(9)));
    let plan = plan.into_iter().find(|plan| plan.faults.len() > 12).expect("some day is bad");
    let culprit = plan.faults[7].clone();
    let small = shrink(plan, 500, |plan| plan.faults.contains(&culprit));
    assert_eq!(small.faults, [culprit]);
}

/// What was meant for a node that stood still waits until it goes on. If it lost power instead and
/// came back, its next life must not begin with that.
#[test]
fn a_life_that_begins_within_a_pause_begins_with_its_wake() {
    let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let mut plan = Plan::calm(7, Duration::from_secs(2));
    let at = |ms| Time::ZERO.plus(Duration::from_millis(ms));
    plan.faults = vec![
        (at(100), Fault::Pause(NodeId(1), Duration::from_millis(50))),
        (at(120), Fault::Crash(NodeId(1))),
        (at(130), Fault::Restart(NodeId(1))),
    ];
    let subject = Counting { nodes: nodes.clone(), hasty: false, answered: 0, asked: 0 };
    World::new(subject, &nodes, plan)
        .run(Duration::from_secs(5))
        .expect("a sound counter survives");
}
