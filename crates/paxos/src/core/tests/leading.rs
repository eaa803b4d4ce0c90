//! What a new leader is bound to, and what it may claim.

use super::*;
use crate::{Accepted, Forward, Outcome};

/// P2c: a value started here must not overtake the one that an earlier quorum may have chosen.
/// Both ways in are tried, before the leader has come round to proposing what it is bound to.
#[test]
fn p2c_a_started_value_never_overtakes_a_bound_one() {
    let mut node = Node::new(Mode::Explicit);
    node.ask(None, Request::Start(Slot(5), Bytes::from_static(b"mine")));
    node.lead(vec![report(5, ballot(1, N3), "theirs")]);
    assert_eq!(node.proposals(), [(Slot(5), value("theirs"))], "the own start came too early");

    let mut node = Node::new(Mode::Explicit);
    let ballot = node.campaign();
    let accepted = vec![report(5, super::ballot(1, N3), "theirs")];
    let promise = Promise { ballot, settled: Slot(0), accepted, more: None };
    node.reply(N2, |r| matches!(r, Request::Prepare(_)), promise);
    let forward = Forward { slot: Slot(5), value: value("mine") };
    assert_eq!(node.ask(Some(N3), Request::Forward(forward)), None, "it waits for the outcome");
    let asker = node.tickets;
    node.wake(Duration::ZERO);
    assert_eq!(node.proposals(), [(Slot(5), value("theirs"))], "the forward came too early");
    let accepted = Accepted { ballot, slot: Slot(5), settled: Slot(0) };
    node.reply(N2, |r| matches!(r, Request::Accept(_)), accepted);
    let outcome = Outcome::Chosen(Slot(5), value("theirs"));
    assert_eq!(node.answer_to(asker), Some(outcome.into()), "and hears what was chosen");
}

/// P2c: a vote far ahead of what the first acceptor to answer has settled binds as any other. The
/// second answer may say that almost everything before it is settled.
#[test]
fn p2c_a_vote_far_ahead_of_a_lagging_acceptor_binds() {
    let mut node = Node::new(Mode::Append);
    let ballot = node.campaign();
    // Its own answer came first: node 1 itself has settled nothing. Now node 2's, in two pages.
    let far = 100_000;
    let page = Promise {
        ballot,
        settled: Slot(0),
        accepted: vec![report(far, super::ballot(1, N3), "chosen")],
        more: Some(Slot(far + 1)),
    };
    node.reply(N2, |r| matches!(r, Request::Prepare(_)), page);
    let page = Promise { ballot, settled: Slot(far - 1), accepted: Vec::new(), more: None };
    node.reply(N2, |r| matches!(r, Request::Prepare(_)), page);
    node.wake(Duration::ZERO);
    let proposals = node.proposals();
    assert_eq!(proposals, [(Slot(far - 1), Value::Noop), (Slot(far), value("chosen"))]);
}
