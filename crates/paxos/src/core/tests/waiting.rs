//! Nobody waits for ever, and nobody asks without pause.

use super::*;
use crate::{Fetch, Fetched, Forward, Heartbeat, Outcome, Why};

fn fetches(node: &Node) -> usize {
    node.sent.iter().filter(|(_, _, asked)| matches!(asked, Request::Fetch(_))).count()
}

/// A page that brings nothing new is not asked for again at once, however full it is.
#[test]
fn a_fruitless_fetch_is_not_repeated_at_once() {
    let mut node = Node::new(Mode::Append);
    let chosen = Watermark { low: Slot(0), upto: Slot(5), runs: Vec::new() };
    let beat = Heartbeat { ballot: ballot(1, N2), chosen, check: 0, done: Vec::new() };
    node.ask(Some(N2), Request::Heartbeat(beat));
    node.wake(Duration::ZERO);
    node.wake(Duration::from_millis(10));
    let page = Fetched {
        chosen: vec![(Slot(3), value("later"))],
        settled: Slot(0),
        floor: Slot(0),
        snapshot: None,
    };
    for _ in 0..50 {
        let (to, call, asked) = node.sent.last().cloned().expect("it asked");
        if matches!(asked, Request::Fetch(Fetch { .. })) {
            node.desk.reply(node.now, to, call, page.clone().into());
            node.drain();
        }
        node.wake(Duration::ZERO);
    }
    assert!(fetches(&node) <= 3, "{} fetches in no time", fetches(&node));
}

/// A start that waits must not cut the own campaign short: slow disks need their time to promise.
#[test]
fn a_pending_start_does_not_hurry_the_own_campaign() {
    let mut node = Node::new(Mode::Explicit);
    node.ask(None, Request::Start(Slot(0), Bytes::from_static(b"v")));
    node.campaign();
    for _ in 0..40 {
        node.wake(Duration::from_millis(10));
    }
    let gave_up = |o: &Output| matches!(o, Output::Role { why: Why::GaveUp, .. });
    assert!(!node.outputs.iter().any(gave_up), "it gave up before a slow disk could answer");
}

/// What everybody is done with is not waited for any more: not by peers, not by the leader.
#[test]
fn whoever_waits_for_a_forgotten_slot_is_told() {
    let mut node = Node::new(Mode::Explicit);
    node.lead(Vec::new());
    let forward = Forward { slot: Slot(4), value: value("v") };
    assert_eq!(node.ask(Some(N2), Request::Forward(forward)), None);
    let asker = node.tickets;
    assert_eq!(node.core().status().undecided, 1);
    let at = node.core().role().ballot().expect("it leads");
    node.wake(Duration::from_millis(100));
    let done = vec![(N1, Slot(9)), (N2, Slot(9)), (N3, Slot(9))];
    let (check, settled) = (0, Slot(0));
    let beat = crate::Beat { ballot: at, check, settled, disk_healthy: true, done };
    node.reply(N2, |r| matches!(r, Request::Heartbeat(_)), beat);
    assert_eq!(node.answer_to(asker), Some(Outcome::Forgotten(Slot(9)).into()));
    assert_eq!(node.core().status().undecided, 0, "nothing is left open below the floor");
}

/// A deposed leader does not follow itself when its own late words come round.
#[test]
fn nobody_follows_himself() {
    let mut node = Node::new(Mode::Append);
    let old = node.lead(Vec::new());
    node.wake(Duration::from_millis(100));
    let nack = Nack { promised: ballot(9, N3), settled: Slot(0), chosen: None };
    node.reply(N2, |r| matches!(r, Request::Heartbeat(_)), nack);
    assert!(!node.core().leads());
    node.ask(Some(N1), accept(old, 0, "late"));
    assert_eq!(node.core().leader(), None);
}
