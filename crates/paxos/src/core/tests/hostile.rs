//! Bytes from a socket may say anything: no panic, no endless loop, no promise in another's name.

use super::*;
use crate::{Beat, Fetched, Forward, Heartbeat, Ignored, Outcome};

const ENDS: [u64; 6] = [0, 1, 1 << 48, 1 << 62, u64::MAX - 1, u64::MAX];

fn watermark(number: u64) -> Watermark {
    let slot = Slot(number);
    Watermark { low: slot, upto: slot, runs: vec![(Slot(0), slot), (slot, slot), (slot, Slot(0))] }
}

/// Everything a peer can ask, with numbers from the ends of their types.
fn requests(number: u64) -> Vec<Request> {
    let (at, slot) = (ballot(number, N2), Slot(number));
    let (chosen, done) = (watermark(number), vec![(N1, slot), (N2, slot), (N3, slot)]);
    let huge = Value::Data(Bytes::from(vec![0; 5 << 20]));
    vec![
        Request::Prepare(Prepare { ballot: at, from: slot }),
        Request::Prepare(Prepare { ballot: ballot(7, N1), from: slot }),
        Request::Accept(Accept { ballot: at, slot, value: value("x"), chosen: chosen.clone() }),
        Request::Accept(Accept { ballot: at, slot, value: huge, chosen: chosen.clone() }),
        Request::Heartbeat(Heartbeat { ballot: at, chosen, check: number, done }),
        Request::Fetch(crate::Fetch { from: slot }),
        Request::Forward(Forward { slot, value: value("x") }),
    ]
}

fn replies(number: u64) -> Vec<Reply> {
    let (at, slot) = (ballot(number, N2), Slot(number));
    let settled = slot;
    let done = vec![(N2, slot)];
    let accepted = vec![report(number, at, "x")];
    vec![
        Promise { ballot: at, settled, accepted: accepted.clone(), more: None }.into(),
        Promise { ballot: at, settled: Slot(0), accepted, more: Some(slot) }.into(),
        crate::Accepted { ballot: at, slot, settled }.into(),
        Beat { ballot: at, check: number, settled, disk_healthy: false, done }.into(),
        Nack { promised: Ballot::NONE, settled, chosen: Some((slot, value("x"))) }.into(),
        Nack { promised: at, settled, chosen: None }.into(),
        Pulse { ballot: at, content: Some(at), settled }.into(),
        Fetched { chosen: vec![(slot, value("x"))], settled, floor: slot, snapshot: Some(slot) }
            .into(),
        Outcome::Chosen(slot, value("x")).into(),
        Outcome::Forgotten(slot).into(),
    ]
}

#[test]
fn numbers_from_the_ends_of_their_types_do_no_harm() {
    for mode in [Mode::Append, Mode::Explicit] {
        for number in ENDS {
            for leads in [false, true] {
                let mut node = Node::new(mode);
                if leads {
                    node.lead(vec![report(3, ballot(1, N3), "x")]);
                }
                for request in requests(number) {
                    node.ask(Some(N2), request);
                }
                for reply in replies(number) {
                    let call = node.sent.last().map_or(CallId(1), |(_, call, _)| *call);
                    node.desk.reply(node.now, N2, call, reply);
                    node.drain();
                }
                for _ in 0..20 {
                    node.wake(Duration::from_millis(100));
                }
                node.ask(None, Request::Start(Slot(number), Bytes::new()));
                node.ask(None, Request::Done(Slot(number)));
                node.ask(None, Request::Fate(Slot(number)));
                node.wake(Duration::from_millis(100));
            }
        }
    }
}

/// S4: a ballot belongs to one node. A prepare, accept or heartbeat in another's name is not heard.
#[test]
fn nobody_speaks_in_anothers_name() {
    let mut node = Node::new(Mode::Append);
    assert_eq!(node.ask(Some(N2), prepare(ballot(9, N1))), None);
    assert_eq!(node.ask(Some(N2), accept(ballot(9, N3), 0, "x")), None);
    assert_eq!(node.ask(None, prepare(ballot(9, N3))), None);
    assert_eq!(node.ignored(), [Ignored::Absurd; 3]);
    assert_eq!(node.core().ledger().promised(), Ballot::NONE);
}

/// A promise whose pages never end is not asked for more, and ends no campaign of the others.
#[test]
fn pages_that_lead_nowhere_are_not_followed() {
    let mut node = Node::new(Mode::Append);
    let ballot = node.campaign();
    let asked = node.sent.len();
    for more in [Slot(0), Slot(7)] {
        let page = Promise { ballot, settled: Slot(0), accepted: Vec::new(), more: Some(more) };
        node.reply(N2, |r| matches!(r, Request::Prepare(_)), page.clone());
    }
    assert!(node.sent.len() <= asked + 1, "an empty page was followed for ever");
    let promise = Promise { ballot, settled: Slot(0), accepted: Vec::new(), more: None };
    node.reply(N3, |r| matches!(r, Request::Prepare(_)), promise);
    assert!(node.core().leads());
}

/// A vote so far out that a log could never be filled up to it: the node does not lead, and does
/// not try to remember a desert.
#[test]
fn a_desert_is_not_filled() {
    let mut node = Node::new(Mode::Append);
    let ballot = node.campaign();
    let accepted = vec![report(1 << 60, super::ballot(1, N3), "x")];
    let promise = Promise { ballot, settled: Slot(0), accepted, more: None };
    node.reply(N2, |r| matches!(r, Request::Prepare(_)), promise);
    assert!(!node.core().leads() && node.core().role().ballot().is_none());
}

/// The network may repeat a page; one copy is followed, or the pages under way would double with
/// each repetition.
#[test]
fn a_repeated_page_is_followed_once() {
    let mut node = Node::new(Mode::Explicit);
    let ballot = node.campaign();
    let call =
        node.sent.iter().rfind(|(to, _, asked)| *to == N2 && matches!(asked, Request::Prepare(_)));
    let (call, asked) = (call.expect("it was asked").1, node.sent.len());
    let accepted = vec![report(3, super::ballot(1, N3), "x")];
    let page = Promise { ballot, settled: Slot(0), accepted, more: Some(Slot(4)) };
    for _ in 0..3 {
        node.desk.reply(node.now, N2, call, page.clone().into());
        node.drain();
    }
    assert_eq!(node.sent.len(), asked + 1, "one next page was asked for");
    assert_eq!(node.ignored(), [Ignored::Duplicate; 2]);
}
