//! The acceptance list, part 8.3, continued: speed of the door, figure 8, groups of one, ballots.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paxos::{Config, Mode, Paxos, Request, Slot};
use protocol::{Desk, Lsn, NodeId, Time};
use sim::{Climate, Fault, Scenario};

use crate::{
    group::Group,
    scenarios::{Trial, replay, seeds},
    weather::day,
};

/// Real time, so the figure is a percentile and the bound generous for what it measures.
#[test]
fn timing_s8_3_20_start_returns_at_once() {
    let members = (1..=5).map(NodeId).collect();
    let config = Config::explicit(NodeId(1), members);
    let core = Paxos::recover(config, 1, Slot(0), []).expect("sound knobs");
    let mut desk = Desk::new(NodeId(1), core, Lsn(0));
    desk.wake(Time(0));
    let mut took: Vec<Duration> = (0..1000)
        .map(|slot| {
            let value = Bytes::from_static(b"nobody is there to hear it");
            let before = Instant::now();
            desk.request(Time(slot), slot, None, Request::Start(Slot(slot), value));
            desk.request(Time(slot), slot + 5000, None, Request::Fate(Slot(slot)));
            before.elapsed()
        })
        .collect();
    took.sort_unstable();
    let answers = std::iter::from_fn(|| desk.next_word()).count() as u64;
    assert_eq!(answers, 2000, "each is answered in its own step, with all peers gone");
    assert!(took[990] < Duration::from_millis(1), "99 of 100 took up to {:?}", took[990]);
    let figure = format!("99th percentile of start and status together: {:?}", took[990]);
    Scenario { seeds: 1, events: 2000, acknowledged: answers, figure }
        .write("timing_s8_3_20_start_returns_at_once");
}

/// Rounds of: the leader proposes, then is cut off or loses power before it may have told anybody.
fn figure_8(trial: &mut Trial, rounds: u64) {
    for round in 0..rounds {
        let leader =
            trial.world.view().cores().find(|(_, core)| core.leads()).map(|(node, _)| node);
        if let Some(node) = leader {
            trial.world.subject.proposed.insert(Bytes::from(format!("r{round}")));
            trial.ask(node.0, Request::Append(Bytes::from(format!("r{round}"))));
        }
        let pause = if trial.rng.chance(100) { trial.rng.below(500) } else { trial.rng.below(13) };
        trial.run(pause);
        if let Some(node) = leader {
            if trial.rng.chance(500) {
                trial.fault(&Fault::Crash(node));
            } else {
                for other in (1..=5).map(NodeId) {
                    trial.fault(&Fault::Cut(node, other));
                    trial.fault(&Fault::Cut(other, node));
                }
            }
        }
        let up = trial.world.view().cores().count();
        if up < 3 || trial.rng.chance(300) {
            let node = NodeId(1 + trial.rng.below(5) as u16);
            trial.fault(&Fault::Restart(node));
            (1..=5).for_each(|node| {
                if up < 3 {
                    trial.fault(&Fault::Restart(NodeId(node)))
                }
            });
        }
        if trial.rng.chance(400) {
            trial.fault(&Fault::Heal);
        }
        let pause = trial.rng.below(300);
        trial.run(pause);
    }
    trial.world.calm();
    trial.run(10_000);
    let settled: Vec<Slot> =
        trial.world.view().cores().map(|(_, core)| core.ledger().settled()).collect();
    trial.demand(settled.iter().all(|slot| *slot == settled[0]), "all agree after healing");
}

fn jumpy() -> Group {
    let mut group = Group::new(5, Mode::Append);
    group.timeout = Some(Duration::from_millis(60));
    group
}

#[test]
fn s8_3_22_figure_8() {
    let name = "s8_3_22_figure_8";
    let mut record = Scenario::default();
    let mut takeovers = 0;
    let far = (Duration::from_micros(40), Duration::from_millis(30));
    let reordering = Climate { delay: far, stragglers: 60, duplication: 50, ..Climate::calm() };
    for climate in [Climate::calm(), reordering] {
        for seed in seeds(100) {
            let rounds = if seed == 0 { 1000 } else { 50 };
            let mut trial = Trial::with(name, seed, jumpy(), climate.clone());
            figure_8(&mut trial, rounds);
            takeovers += trial.world.subject.judge.takeovers;
            trial.end(&mut record);
        }
    }
    assert!(takeovers > 0 || record.seeds < 100, "no value of an earlier leader was taken over");
    record.figure =
        format!("{takeovers} values begun by one leader and chosen by another, none replaced");
    record.write(name);
}

#[test]
fn s8_3_29_group_of_one() {
    let name = "s8_3_29_group_of_one";
    let mut trial = Trial::with(name, 0, Group::new(1, Mode::Append), Climate::calm());
    trial.run(100);
    for number in 0..100 {
        let records = trial.world.durable(NodeId(1));
        let command = Bytes::from(format!("c{number}"));
        trial.world.subject.proposed.insert(command.clone());
        trial.ask(1, Request::Append(command));
        trial.run(2);
        trial.demand(trial.world.durable(NodeId(1)) == records + 1, "one record each");
        let chosen = trial.world.subject.judge.chosen();
        trial.demand(chosen == number + 1, "each command is decided in one local step");
    }
    trial.demand(trial.world.messages == 0, "nobody else is asked");
    let mut record =
        Scenario { figure: "100 commands, 100 records, 0 messages".into(), ..Scenario::default() };
    trial.end(&mut record);
    record.write(name);
}

/// S2 and S4 on bad days with restarts; the judge knows each ballot's life.
#[test]
fn s8_3_30_only_what_was_proposed_and_no_ballot_twice() {
    let name = "s8_3_30_only_what_was_proposed_and_no_ballot_twice";
    let mut record = Scenario::default();
    let (mut crashes, mut elections) = (0, 0);
    for seed in seeds(100) {
        let mut world = day(seed, Mode::Explicit);
        if let Err(trouble) = world.run(Duration::from_secs(30)) {
            panic!("{name}: {trouble:?}\n{}", replay(seed, name));
        }
        for (slot, value) in world.subject.judge.decisions() {
            let paxos::Value::Data(bytes) = value else {
                panic!("a no-op\n{}", replay(seed, name))
            };
            let started = world.subject.started.contains(&(slot, bytes.clone()));
            assert!(started, "{value:?} in {slot}\n{}", replay(seed, name));
        }
        crashes += world.crashes;
        elections += world.subject.elections;
        record.seeds += 1;
        record.events += world.events;
        record.acknowledged += world.subject.judge.chosen() as u64;
    }
    record.figure = format!("{crashes} crashes, {elections} elections, no ballot used twice");
    record.write(name);
}
