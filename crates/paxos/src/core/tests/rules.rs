//! The acceptor's and the leader's rules, by their names in the paper.

use super::*;
use crate::{Accepted, Ignored};

/// PMS 2.2, P1a: an acceptor accepts a proposal unless it has promised a higher ballot.
#[test]
fn p1a_accepts_at_the_promise_and_above_but_not_below() {
    let mut node = Node::new(Mode::Append);
    promised(node.ask(Some(N3), prepare(ballot(5, N3))));
    let nack = refused(node.ask(Some(N2), accept(ballot(5, N2), 0, "low")));
    assert_eq!(nack.promised, ballot(5, N3));
    for round in [5, 6] {
        let at = ballot(round, N3);
        let voted = Accepted { ballot: at, slot: Slot(round), settled: Slot(0) };
        assert_eq!(node.ask(Some(N3), accept(at, round, "v")), Some(voted.into()));
    }
    assert_eq!(node.core().ledger().promised(), ballot(6, N3), "a vote is a promise");
}

/// PMS 2.2, P1b: a promise is given unless a higher one was; giving it again changes nothing.
#[test]
fn p1b_promises_rise_and_repeat_but_never_fall() {
    let mut node = Node::new(Mode::Append);
    promised(node.ask(Some(N2), prepare(ballot(5, N2))));
    let records = node.records.len();
    promised(node.ask(Some(N2), prepare(ballot(5, N2))));
    assert_eq!(node.records.len(), records, "a repeated promise writes nothing");
    assert_eq!(refused(node.ask(Some(N3), prepare(ballot(4, N3)))).promised, ballot(5, N2));
    promised(node.ask(Some(N3), prepare(ballot(5, N3))));
}

/// PMS 2.2, phase 1b: the promise reports the highest-numbered vote of each slot.
#[test]
fn p1b_a_promise_reports_the_latest_votes() {
    let mut node = Node::new(Mode::Append);
    node.ask(Some(N2), accept(ballot(1, N2), 3, "old"));
    node.ask(Some(N3), accept(ballot(2, N3), 3, "new"));
    let promise = promised(node.ask(Some(N2), prepare(ballot(3, N2))));
    assert_eq!(promise.accepted, [report(3, ballot(2, N3), "new")]);
}

/// PMS 2.2, P2c: of all votes reported for a slot, the one with the highest ballot is proposed,
/// in whatever order the reports come.
#[test]
fn p2c_the_highest_vote_binds() {
    for swapped in [false, true] {
        let mut node = Node::new(Mode::Append);
        let own = if swapped { (ballot(2, N3), "new") } else { (ballot(1, N2), "old") };
        let other = if swapped { (ballot(1, N2), "old") } else { (ballot(2, N3), "new") };
        node.ask(Some(own.0.node), accept(own.0, 0, own.1));
        node.lead(vec![report(0, other.0, other.1)]);
        assert_eq!(node.proposals(), [(Slot(0), value("new"))]);
    }
}

/// PMS 3: a new leader proposes no-ops in the gaps of a log; named slots it leaves open.
#[test]
fn pms3_gaps_are_filled_in_a_log_only() {
    let accepted = || vec![report(0, ballot(1, N3), "a"), report(2, ballot(1, N3), "c")];
    let (a, c) = ((Slot(0), value("a")), (Slot(2), value("c")));
    // Two at a time: the third waits until the first is chosen.
    let mut node = Node::new(Mode::Append);
    let ballot = node.lead(accepted());
    assert_eq!(node.proposals(), [a.clone(), (Slot(1), Value::Noop)]);
    let voted = Accepted { ballot, slot: Slot(0), settled: Slot(0) };
    node.reply(N2, |r| matches!(r, Request::Accept(_)), voted);
    node.wake(Duration::ZERO);
    assert_eq!(node.proposals().last(), Some(&c));
    let mut node = Node::new(Mode::Explicit);
    node.lead(accepted());
    assert_eq!(node.proposals(), [a, c]);
}

/// PMS 2.2: a value is chosen when a majority has voted for it; the same vote counts once.
#[test]
fn a_majority_of_votes_chooses() {
    let mut node = Node::new(Mode::Append);
    let ballot = node.lead(Vec::new());
    node.quick = false;
    node.ask(None, Request::Append(Bytes::from_static(b"x")));
    node.wake(Duration::ZERO);
    let voted = Accepted { ballot, slot: Slot(0), settled: Slot(0) };
    for _ in 0..2 {
        node.reply(N2, |r| matches!(r, Request::Accept(_)), voted.clone());
    }
    assert_eq!(node.core().ledger().chosen(Slot(0)), None, "one vote of three, heard twice");
    assert_eq!(node.ignored(), [Ignored::Duplicate]);
    node.sync();
    assert!(node.core().ledger().chosen(Slot(0)).is_some(), "its own vote is durable now");
}

/// PMS 2.3: what a learner hears to be chosen at one ballot it believes of votes at that ballot or
/// above, and of no others.
#[test]
fn pms2_3_a_watermark_is_believed_of_its_own_ballot_only() {
    for (voted, believed) in [(ballot(1, N3), false), (ballot(2, N2), true)] {
        let mut node = Node::new(Mode::Append);
        node.ask(Some(voted.node), accept(voted, 0, "v"));
        let chosen = Watermark { low: Slot(0), upto: Slot(1), runs: Vec::new() };
        let (check, done) = (0, Vec::new());
        let beat = crate::Heartbeat { ballot: ballot(2, N2), chosen, check, done };
        node.ask(Some(N2), Request::Heartbeat(beat));
        assert_eq!(node.core().ledger().chosen(Slot(0)).is_some(), believed);
    }
}

/// Nothing that a node has said may be forgotten: its promise and votes outlive it.
#[test]
fn the_next_life_keeps_promises_and_votes() {
    let mut node = Node::new(Mode::Append);
    node.ask(Some(N2), accept(ballot(3, N2), 1, "v"));
    promised(node.ask(Some(N3), prepare(ballot(7, N3))));
    let mut node = Node::recovered(config(Mode::Append), node.records);
    assert_eq!(node.core().ledger().promised(), ballot(7, N3));
    let promise = promised(node.ask(Some(N3), prepare(ballot(8, N3))));
    assert_eq!(promise.accepted, [report(1, ballot(3, N2), "v")]);
    assert_eq!(node.campaign(), ballot(9, N1), "and its own ballots count on from there");
}

/// PMS 2.2: a value is chosen by votes at one ballot; votes at different ballots do not add up.
#[test]
fn votes_at_different_ballots_do_not_add_up() {
    let mut node = Node::new(Mode::Append);
    node.lead(Vec::new());
    node.quick = false;
    node.ask(None, Request::Append(Bytes::from_static(b"x")));
    node.wake(Duration::ZERO);
    let voted = Accepted { ballot: ballot(0, N2), slot: Slot(0), settled: Slot(0) };
    node.reply(N2, |r| matches!(r, Request::Accept(_)), voted.clone());
    node.reply(N3, |r| matches!(r, Request::Accept(_)), voted);
    assert_eq!(node.core().ledger().chosen(Slot(0)), None);
    assert_eq!(node.ignored(), [Ignored::StaleBallot; 2]);
}

/// A broken connection to the leader is suspicious at once, and the others may notice a moment
/// later: a new leader is there long before an election timeout has passed.
#[test]
fn a_refused_probe_to_the_leader_leads_to_a_campaign_at_once() {
    let mut node = Node::new(Mode::Append);
    let leader = ballot(1, N2);
    node.ask(Some(N2), accept(leader, 0, "x"));
    node.wake(Duration::ZERO);
    let pulse = |content| Pulse { ballot: leader, content, settled: Slot(0) };
    node.reply(N2, |r| matches!(r, Request::Probe(_)), pulse(Some(leader)));
    // The next probe finds nobody: its call fails within a millisecond.
    node.wake(Duration::from_millis(80));
    node.fail(N2, |r| matches!(r, Request::Probe(_)));
    // The third node has not noticed yet at the first canvass, and has at the second.
    for content in [Some(leader), None] {
        node.wake(Duration::from_millis(150));
        node.fail(N2, |r| matches!(r, Request::Probe(_)));
        node.reply(N3, |r| matches!(r, Request::Probe(_)), pulse(content));
    }
    assert!(node.core().role().ballot().is_some(), "it campaigns 380 ms after the break at most");
}
