//! Acceptance 8.10-1, 6 to 10 and 13, in virtual time.

use std::collections::BTreeSet;

use lockmgr::{
    Acquire, Birth, Command, Mode, Name, News, Owner, Patience, Refusal, Reply, RequestNo, Rule,
    Table, Terms, Ticket, Want,
    policy::{RULES, SEARCH_AFTER},
    suite::{AT_ANY_TIME, Home, Memory, PATIENCE, Scene},
};
use protocol::Rng;
use sim::Scenario;

use crate::trial::Trial;

use Mode::{IX, S, X};

fn memory(rule: Rule) -> Box<dyn Home> {
    Box::new(Memory::new(Table::volatile(rule)))
}

fn scene<const N: usize>(rule: Rule) -> (Scene, [Owner; N]) {
    let mut scene = Scene::new(memory(rule));
    let owners = [(); N].map(|()| scene.session());
    (scene, owners)
}

fn record(name: &str, events: u64, figure: &str) {
    Scenario { seeds: 1, events, acknowledged: 0, figure: figure.into() }.write(name);
}

/// These checks of the suite, which every home passes, with tokens and without.
fn checks(name: &str, wanted: &[&str], figure: &str) {
    for wanted in wanted {
        let (_, check) =
            AT_ANY_TIME.into_iter().find(|(name, _)| name == wanted).expect("a check of the suite");
        check(&mut memory);
        check(&mut |rule| Box::new(Memory::new(Table::fenced(rule))));
    }
    record(name, 2 * wanted.len() as u64, figure);
}

#[test]
fn s8_10_01_the_truth_table_of_lock_and_unlock() {
    let wanted = ["two names are locked and unlocked"];
    checks("s8_10_01_the_truth_table_of_lock_and_unlock", &wanted, "two names, two owners");
}

#[test]
fn s8_10_06_sharing_blocking_upgrades_and_release() {
    let wanted = [
        "readers share, writers do not",
        "readers behind a writer come together",
        "a sole holder gets more at once",
        "who has something comes first",
        "given back and taken again",
    ];
    let figure = "five checks, on a table with tokens and on one without";
    checks("s8_10_06_sharing_blocking_upgrades_and_release", &wanted, figure);
}

#[test]
fn s8_10_09_a_lock_after_an_unlock_aborts() {
    let wanted = ["a transaction takes, then gives"];
    let figure = "everything is free at once, and it hears why until it leaves";
    checks("s8_10_09_a_lock_after_an_unlock_aborts", &wanted, figure);
}

#[test]
fn s8_10_10_an_aborted_waiter_gets_nothing_and_the_next_one_does() {
    let wanted = ["taken back, and never granted", "nobody overtakes"];
    let name = "s8_10_10_an_aborted_waiter_gets_nothing_and_the_next_one_does";
    checks(name, &wanted, "also a reader behind a writer that gave up");
}

const WITHOUT_TIMEOUTS: [Rule; 4] = [Rule::WoundWait, Rule::WaitDie, Rule::NoWait, Rule::Detect];

#[test]
fn s8_10_07_deadlocks_of_all_kinds_end_without_timeouts() {
    let kinds = [
        ("read-write", vec![("x", S), ("y", X)], vec![("y", S), ("x", X)]),
        ("write-write", vec![("x", X), ("y", X)], vec![("y", X), ("x", X)]),
        ("double upgrade", vec![("x", S), ("x", X)], vec![("x", S), ("x", X)]),
    ];
    let mut figures = Vec::new();
    let mut events = 0;
    for rule in WITHOUT_TIMEOUTS {
        let mut again = Vec::new();
        for (kind, one, other) in &kinds {
            let trial = Trial::new(rule, &[one.clone(), other.clone()]).run();
            assert!(trial.again_in_all() > 0, "{rule}, {kind}: they met");
            again.push(trial.again_in_all().to_string());
            events += trial.commands;
        }
        figures.push(format!("{rule} {}", again.join(" and ")));
    }
    let figure = format!("both finish; begun again: {}", figures.join(", "));
    record("s8_10_07_deadlocks_of_all_kinds_end_without_timeouts", events, &figure);
}

#[test]
fn s8_10_07_each_policy_can_be_chosen() {
    let figure = RULES.map(|rule| rule.to_string()).join(", ");
    checks("s8_10_07_each_policy_can_be_chosen", &["a circle ends, by each policy"], &figure);
}

/// A hundred owners, each with a name of its own; fifty want the name of another.
#[test]
fn s8_10_07_a_graph_of_a_hundred_nodes_and_fifty_edges_is_exact() {
    let mut events = 0;
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut home = Memory::new(Table::volatile(Rule::TimeoutOnly));
        let owner = |at: u64| Owner { client: 7, number: at + 1 };
        let request = |at: u64, number, name: u64| {
            Command::Acquire(Acquire {
                ticket: Ticket { owner: owner(at), request: RequestNo(number) },
                floor: RequestNo(0),
                wants: vec![Want::new(name.to_string().as_str(), X)],
                patience: Patience::For(PATIENCE),
            })
        };
        for at in 0..100 {
            let terms = Terms::TRANSACTION;
            home.apply(Command::Enter { owner: owner(at), birth: Birth(at), terms });
            assert!(matches!(home.apply(request(at, 0, at)), Reply::Granted(_)));
        }
        let mut edges: BTreeSet<(u64, u64)> = BTreeSet::new();
        while edges.len() < 50 {
            let (from, to) = (rng.below(100), rng.below(100));
            // One name, one waiter: then there are as many edges as requests.
            if from != to && edges.iter().all(|(_, other)| *other != to) {
                edges.insert((from, to));
                let number = edges.len() as u64;
                assert_eq!(home.apply(request(from, number, to)), Reply::Waiting);
            }
        }
        let seen = |home: &Memory| -> BTreeSet<(u64, u64)> {
            let edges = home.table().state().edges();
            let all: Vec<_> =
                edges.map(|edge| (edge.waiter.owner.number - 1, edge.blocker.number - 1)).collect();
            let set = BTreeSet::from_iter(all.iter().copied());
            assert_eq!(all.len(), set.len(), "no edge twice");
            set
        };
        assert_eq!(seen(&home), edges, "seed {seed}");
        for at in 0..100 {
            home.apply(Command::Leave(owner(at)));
            edges.retain(|(from, to)| *from != at && *to != at);
            assert_eq!(seen(&home), edges, "seed {seed}, when {at} has left");
        }
        events += 100 + 50 + 100;
    }
    let figure = "20 graphs, exact in every step until all have left".to_owned();
    Scenario { seeds: 20, events, acknowledged: 0, figure }
        .write("s8_10_07_a_graph_of_a_hundred_nodes_and_fifty_edges_is_exact");
}

/// Whoever joins the circle last, and however long it is.
#[test]
fn s8_10_07_the_youngest_of_a_circle_is_its_victim() {
    let mut events = 0;
    for length in 2..=8 {
        for last in 0..length {
            let mut scene = Scene::new(memory(Rule::Detect));
            let owners: Vec<_> = (0..length).map(|_| scene.session()).collect();
            let names: Vec<_> = (0..length).map(|at| at.to_string()).collect();
            for (owner, name) in owners.iter().zip(&names) {
                scene.take(*owner, name, X);
            }
            let mut tickets = vec![None; length];
            for at in (1..=length).map(|it| (last + it) % length) {
                tickets[at] = Some(scene.queue(owners[at], &names[(at + 1) % length], X));
                scene.home.pass(SEARCH_AFTER / 2);
            }
            scene.home.pass(SEARCH_AFTER);
            let news = scene.home.news();
            let [News::Refused(victim, Refusal::Deadlock(chain))] = &news[..] else {
                panic!("{length} owners, {last} comes last: {news:?}");
            };
            assert_eq!((Some(*victim), chain.len()), (tickets[length - 1], length));
            events += 1 + 2 * length as u64;
        }
    }
    let figure = "circles of two to eight, whoever joins last";
    record("s8_10_07_the_youngest_of_a_circle_is_its_victim", events, figure);
}

#[test]
fn s8_10_08_ten_transactions_with_ten_locks_each_in_the_same_order() {
    const NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let program = NAMES.map(|name| (name, X)).to_vec();
    let (mut figures, mut events) = (Vec::new(), 0);
    for rule in RULES {
        let trial = Trial::new(rule, &vec![program.clone(); 10]).run();
        if matches!(rule, Rule::Detect | Rule::TimeoutOnly) {
            assert_eq!(trial.again_in_all(), 0, "one order, no circle");
        }
        figures.push(format!("{rule} {}", trial.again_in_all()));
        events += trial.commands;
    }
    let figure = format!("all finish; begun again: {}", figures.join(", "));
    record("s8_10_08_ten_transactions_with_ten_locks_each_in_the_same_order", events, &figure);
}

/// Readers come and go for ever, and there is never a moment without one. With queues in the order
/// of arrival a writer waits only for those that were there before it: whoever had the name or
/// stood in the queue. So it has the name when the last of these is gone.
#[test]
fn s8_10_10_a_writer_under_a_stream_of_readers() {
    let (mut scene, [writer]) = scene(Rule::Detect);
    let readers: Vec<_> = (0..100).map(|_| scene.session()).collect();
    let before = 10;
    for reader in &readers[..before] {
        scene.take(*reader, "k", S);
    }
    let waits = scene.queue(writer, "k", X);
    let mut others = 0;
    for (gone, next) in readers.iter().zip(&readers[before..]) {
        // The next one is there before the last one goes.
        scene.queue(*next, "k", S);
        scene.leave(*gone);
        match &scene.granted()[..] {
            [] => others += 1,
            granted => {
                assert_eq!(granted, [waits], "the writer, and no reader before it");
                break;
            }
        }
    }
    assert_eq!((others + 1, scene.holders("k")), (before, vec![(writer, X)]));
    let figure = "ten readers were there before it, and it waited for these ten only";
    record("s8_10_10_a_writer_under_a_stream_of_readers", 100, figure);
}

/// Young transactions come for ever. With queues by age an old one waits only for those that are
/// older and for the pinned, which are decided in bounded time: not for one of the stream.
#[test]
fn s8_10_10_an_old_transaction_under_a_stream_of_young_ones() {
    let mut home = Memory::new(Table::volatile(Rule::WoundWait));
    let mut number = 0;
    let mut ask = |home: &mut Memory, client: u64, birth: u64| {
        number += 1;
        let owner = Owner { client, number: 1 };
        home.apply(Command::Enter { owner, birth: Birth(birth), terms: Terms::TRANSACTION });
        let ticket = Ticket { owner, request: RequestNo(number) };
        let (floor, patience) = (RequestNo(0), Patience::For(PATIENCE));
        let wants = vec![Want::new("k", X)];
        let acquire = Acquire { ticket, floor, wants, patience };
        (owner, ticket, home.apply(Command::Acquire(acquire)))
    };
    let (pinned, _, reply) = ask(&mut home, 1, 500);
    assert!(matches!(reply, Reply::Granted(_)));
    assert_eq!(home.apply(Command::Pin(pinned)), Reply::Done);
    for young in 0..50 {
        assert_eq!(ask(&mut home, 100 + young, 1_000 + young).2, Reply::Waiting);
    }
    let (old, waits, reply) = ask(&mut home, 2, 10);
    assert_eq!(reply, Reply::Waiting, "it waits for the pinned one alone");
    for young in 50..100 {
        assert_eq!(ask(&mut home, 100 + young, 1_000 + young).2, Reply::Waiting);
    }
    assert_eq!(home.news(), []);
    home.apply(Command::Leave(pinned));
    let news = home.news();
    assert!(matches!(&news[..], [News::Granted(ticket, _)] if *ticket == waits), "{news:?}");
    home.apply(Command::Leave(old));
    let news = home.news();
    let [News::Granted(Ticket { owner: first, .. }, _)] = &news[..] else { panic!("{news:?}") };
    assert_eq!(first.client, 100, "then the oldest of the stream");
    let (_, _, reply) = ask(&mut home, 3, 20);
    assert!(matches!(reply, Reply::Granted(_)), "who holds it and is young does not keep it");
    let figure = "a hundred young ones in the queue, and it waited for the pinned one alone";
    record("s8_10_10_an_old_transaction_under_a_stream_of_young_ones", 104, figure);
}

/// One owner alone, anywhere in a tree of names, in any order: it never waits. Two that escalate
/// wait for each other, and only one of them is a victim.
#[test]
fn s8_10_13_escalation_never_waits_for_itself() {
    let tree = |rng: &mut Rng| -> Vec<Name> {
        let group = rng.below(2);
        let shard = format!("{group}/{}", rng.below(2));
        let key = format!("{shard}/{}", rng.below(3));
        let path = [group.to_string(), shard, key].map(|name| Name::from(name.as_str()));
        path[..1 + rng.below(3) as usize].to_vec()
    };
    let mut events = 0;
    for seed in 0..100 {
        let mut rng = Rng::new(seed);
        let rule = RULES[(seed % 5) as usize];
        let (mut scene, [alone]) = scene(rule);
        for _ in 0..60 {
            let path = tree(&mut rng);
            let mode = lockmgr::mode::MODES[rng.below(6) as usize];
            let request = scene.request(alone, &[], Patience::For(PATIENCE));
            let acquire = Acquire { wants: Want::path(&path, mode), ..request };
            let reply = scene.home.apply(Command::Acquire(acquire));
            assert!(
                matches!(reply, Reply::Granted(_)),
                "seed {seed}: {path:?} in {mode}: {reply:?}"
            );
            for above in &path[..path.len() - 1] {
                let held = scene.home.look(above).expect("it is held").holders[0].mode;
                assert!(held.covers(mode.intention()), "seed {seed}: {above} only in {held}");
            }
            events += 1;
        }
    }
    let (mut scene, [a, b]) = scene(Rule::Detect);
    for (owner, key) in [(a, "g/1"), (b, "g/2")] {
        scene.take(owner, "g", IX);
        scene.take(owner, key, X);
    }
    let first = scene.queue(a, "g", X);
    scene.home.pass(2 * SEARCH_AFTER);
    assert_eq!(scene.home.news(), [], "it waits for another, not for itself");
    let second = scene.queue(b, "g", X);
    scene.home.pass(SEARCH_AFTER);
    let news = scene.home.news();
    assert!(
        matches!(&news[..], [News::Refused(it, Refusal::Deadlock(_))] if *it == second),
        "{news:?}"
    );
    scene.leave(b);
    assert_eq!(scene.granted(), [first]);
    let figure = "100 random trees alone; two that escalate, and the younger yields".to_owned();
    Scenario { seeds: 100, events, acknowledged: 0, figure }
        .write("s8_10_13_escalation_never_waits_for_itself");
}
