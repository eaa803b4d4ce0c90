//! The checks that the world makes of itself and of its cores, on cores made to fail them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use protocol::{Core, Effects, Event, Lsn, NodeId, Time, Word};

use super::Told;
use crate::{Fault, Io, Plan, Subject, View, WATCHDOG, World, world::Record};

/// What the cores of these tests must not look at: it differs from core to core.
static BORN: AtomicU64 = AtomicU64::new(0);

/// How a core is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fails {
    /// It does not.
    Not,
    /// It answers with something that it was not told.
    Leaks,
    /// What is declared harmless counts twice if it comes twice.
    Counts,
}

/// Adds up what it is told.
#[derive(Debug)]
struct Adder {
    fails: Fails,
    own: u64,
    sum: u64,
}

impl Core for Adder {
    type Request = u64;
    type Reply = Told;
    type Record = u64;
    type Output = ();

    fn step(&mut self, _: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        let Event::Request { caller, request } = event else { return };
        match self.fails {
            Fails::Counts => self.sum += request,
            Fails::Leaks | Fails::Not => self.sum = self.sum.max(request),
        }
        if request > 0 {
            fx.send(NodeId(1 + (request % 3) as u16), request / 2);
        }
        let leak = if self.fails == Fails::Leaks { self.own } else { 0 };
        fx.answer(caller, Told(self.sum + leak));
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

struct Adding {
    fails: Fails,
    asked: u64,
    stuck: bool,
}

impl Subject for Adding {
    type Core = Adder;

    fn recover(&mut self, _: NodeId, _: u64, _: Vec<Record<Adder>>) -> Adder {
        Adder { fails: self.fails, own: BORN.fetch_add(1, Ordering::Relaxed), sum: 0 }
    }

    fn twin(&self, _: NodeId, _: u64, _: Vec<Record<Adder>>) -> Option<Adder> {
        Some(Adder { fails: self.fails, own: BORN.fetch_add(1, Ordering::Relaxed), sum: 0 })
    }

    fn harmless(&self, _: &u64) -> bool {
        true
    }

    fn lasting(&self, core: &Adder) -> String {
        core.sum.to_string()
    }

    fn describe(&self, _: NodeId, core: &Adder) -> String {
        format!("an adder at {}", core.sum)
    }

    fn waits(&self, _: Time) -> Vec<String> {
        vec!["somebody for the end".into()]
    }

    fn output(&mut self, _: NodeId, (): (), _: &mut Io<Adder>) {}

    fn answer(&mut self, _: u64, _: Told, _: &mut Io<Adder>) {}

    fn tick(&mut self, _: u64, io: &mut Io<Adder>) {
        self.asked += 1;
        if self.asked < 2000 {
            io.request(Duration::ZERO, NodeId(1 + (self.asked % 3) as u16), 1, self.asked);
            io.timer(Duration::from_millis(1), 0);
        }
    }

    fn witness(&mut self, _: NodeId, _: &Word<Adder>, _: &[(Lsn, u64)]) -> Result<(), String> {
        Ok(())
    }

    fn check(&mut self, _: NodeId, _: &View<'_, Adder>) -> Result<(), String> {
        Ok(())
    }

    fn at_rest(&self, _: &View<'_, Adder>) -> Result<(), String> {
        if self.stuck { Err("it never is".into()) } else { Ok(()) }
    }
}

fn world(seed: u64, fails: Fails, stuck: bool) -> World<Adding> {
    let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let mut plan = Plan::calm(seed, Duration::from_secs(2));
    // Each life may have a twin: so there are many.
    for at in (20..1900).step_by(20) {
        let (at, node) =
            (Time::ZERO.plus(Duration::from_millis(at)), NodeId(1 + (at / 20 % 3) as u16));
        plan.faults.push((at, Fault::Crash(node)));
        plan.faults.push((at, Fault::Restart(node)));
    }
    World::new(Adding { fails, asked: 0, stuck }, &nodes, plan)
}

/// How many of twenty seeds find something, and what.
fn found(fails: Fails) -> (usize, String) {
    let ended = (0..20).filter_map(|seed| world(seed, fails, false).run(WATCHDOG).err());
    let whats: Vec<String> = ended.map(|trouble| trouble.what).collect();
    (whats.len(), whats.first().cloned().unwrap_or_default())
}

#[test]
fn h_05_a_core_that_is_not_determined_is_found() {
    assert_eq!(found(Fails::Not).0, 0, "a sound core is left alone");
    let (times, what) = found(Fails::Leaks);
    assert!(times >= 15 && what.contains("H-05 determinism"), "{times}: {what}");
    let figure = format!("{times} of 20 seeds find a core that leaks");
    crate::Scenario { seeds: 40, figure, ..crate::Scenario::default() }
        .write("h_05_a_core_that_is_not_determined_is_found");
}

#[test]
fn h_05_a_repeated_request_that_does_something_is_found() {
    let (times, what) = found(Fails::Counts);
    assert!(times >= 10 && what.contains("H-05 repeated"), "{times}: {what}");
    let figure = format!("{times} of 20 seeds find a request that counts twice");
    crate::Scenario { seeds: 20, figure, ..crate::Scenario::default() }
        .write("h_05_a_repeated_request_that_does_something_is_found");
}

#[test]
fn h_08_a_world_that_never_rests_is_stopped_with_everybodys_state() {
    let mut world = world(1, Fails::Not, true);
    let trouble = world.run(Duration::MAX).expect_err("it never rests");
    assert!(trouble.at.since(Time::ZERO) <= WATCHDOG + Duration::from_secs(3), "{}", trouble.at);
    for wanted in ["never came to rest", "an adder at", "records durable", "somebody for the end"] {
        assert!(trouble.what.contains(wanted), "{wanted} is not in:\n{}", trouble.what);
    }
    let figure = format!("stopped at {}", trouble.at);
    crate::Scenario { seeds: 1, events: world.events, figure, ..crate::Scenario::default() }
        .write("h_08_a_world_that_never_rests_is_stopped_with_everybodys_state");
}

/// A hundred requests in one instant are a crowd; a million without any time passing are a loop.
#[test]
fn h_08_a_world_whose_time_stands_still_is_stopped() {
    struct Loop(Adding);
    impl Subject for Loop {
        type Core = Adder;
        fn recover(&mut self, node: NodeId, seed: u64, records: Vec<Record<Adder>>) -> Adder {
            self.0.recover(node, seed, records)
        }
        fn output(&mut self, _: NodeId, (): (), _: &mut Io<Adder>) {}
        fn answer(&mut self, _: u64, _: Told, _: &mut Io<Adder>) {}
        fn tick(&mut self, _: u64, io: &mut Io<Adder>) {
            io.timer(Duration::ZERO, 0);
        }
        fn witness(&mut self, _: NodeId, _: &Word<Adder>, _: &[(Lsn, u64)]) -> Result<(), String> {
            Ok(())
        }
        fn check(&mut self, _: NodeId, _: &View<'_, Adder>) -> Result<(), String> {
            Ok(())
        }
        fn at_rest(&self, _: &View<'_, Adder>) -> Result<(), String> {
            Ok(())
        }
    }
    let adding = Adding { fails: Fails::Not, asked: 0, stuck: false };
    let mut world = World::new(Loop(adding), &[NodeId(1)], Plan::calm(1, Duration::from_secs(1)));
    let trouble = world.run(WATCHDOG).expect_err("time stands still");
    assert!(trouble.what.starts_with("time stands still"), "{}", trouble.what);
    crate::Scenario { seeds: 1, events: world.events, ..crate::Scenario::default() }
        .write("h_08_a_world_whose_time_stands_still_is_stopped");
}
