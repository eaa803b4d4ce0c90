//! What a client does about silence, redirects and expired sessions.

use bytes::Bytes;
use protocol::NodeId;

use crate::{
    agreement::Refused,
    clerk::{Clerk, Heard, Next, Try},
    machine::Coded,
    sessions::{ClientId, Command, RequestNo, Response},
    suite::{Length, Text},
};

fn clerk() -> Clerk {
    Clerk::new((1..=3).map(NodeId).collect(), 1)
}

fn said(response: &Response<Length>) -> Heard {
    Heard::Done(response.to_bytes())
}

fn again(next: Next) -> Try {
    match next {
        Next::Try(attempt) => attempt,
        other => panic!("{other:?} is no further try"),
    }
}

/// The number and session under which a command is sent; `None` for a registration.
fn number(attempt: &Try) -> Option<(u64, u64)> {
    match Command::<Text>::decode(&attempt.bytes).expect("a command") {
        Command::Register | Command::Bare(_) => None,
        Command::Do { client, request, .. } => Some((client.0, request.0)),
    }
}

/// A clerk that has a session, and its first command on the way as number 1.
fn registered() -> (Clerk, Try) {
    let mut clerk = clerk();
    let first = clerk.submit(Bytes::from_static(b"a"));
    assert_eq!(number(&first), None, "a new client registers first");
    let attempt = again(clerk.heard(said(&Response::Registered(ClientId(7)))));
    assert_eq!(number(&attempt), Some((7, 1)));
    (clerk, attempt)
}

#[test]
fn a_redirect_is_followed_at_once_and_a_redirect_to_nowhere_is_not() {
    let (mut clerk, attempt) = registered();
    let leader = (1..=3).map(NodeId).find(|node| *node != attempt.to).expect("another");
    let next = again(clerk.heard(Heard::Refused(Refused::NotLeading(Some(leader)))));
    assert_eq!((next.to, number(&next)), (leader, Some((7, 1))));
    let next = again(clerk.heard(Heard::Refused(Refused::NotLeading(Some(NodeId(99))))));
    assert_ne!(next.to, leader, "it asks somebody else");
    let here = next.to;
    let next = again(clerk.heard(Heard::Refused(Refused::NotLeading(Some(here)))));
    assert_ne!(next.to, here, "who names itself and refuses is of no help");
    assert!(!clerk.exposed());
}

#[test]
fn busy_waits_and_asks_the_same_again() {
    let (mut clerk, attempt) = registered();
    let next = again(clerk.heard(Heard::Refused(Refused::Busy)));
    assert_eq!((next.to, &next.bytes), (attempt.to, &attempt.bytes));
    assert!(!next.after.is_zero());
    assert!(!clerk.exposed());
}

#[test]
fn silence_repeats_the_same_number_at_another_server() {
    let (mut clerk, attempt) = registered();
    let mut to = attempt.to;
    for heard in [Heard::Silence, Heard::Refused(Refused::Unknown), Heard::Unreachable] {
        let next = again(clerk.heard(heard));
        assert_ne!(next.to, to);
        assert_eq!(next.bytes, attempt.bytes);
        to = next.to;
    }
    assert!(clerk.exposed());
    let done = clerk.heard(said(&Response::Done(Length(3))));
    assert_eq!(done, Next::Done(Length(3).to_bytes()));
}

#[test]
fn pauses_grow_and_stay_bounded() {
    let (mut clerk, _) = registered();
    let pauses: Vec<_> = (0..20).map(|_| again(clerk.heard(Heard::Unreachable)).after).collect();
    assert!(pauses[0].as_millis() <= 5);
    assert!(pauses[19].as_millis() >= 100);
    assert!(pauses.iter().all(|pause| pause.as_millis() <= 200));
}

#[test]
fn expired_before_exposure_registers_anew_and_goes_on() {
    let (mut clerk, _) = registered();
    let next = again(clerk.heard(said(&Response::Expired)));
    assert_eq!(number(&next), None);
    let next = again(clerk.heard(said(&Response::Registered(ClientId(8)))));
    assert_eq!(number(&next), Some((8, 1)));
}

/// An earlier try may have had its effect: under a new name it could have it twice.
#[test]
fn expired_after_exposure_is_unknown() {
    let (mut clerk, _) = registered();
    again(clerk.heard(Heard::Silence));
    assert_eq!(clerk.heard(said(&Response::Expired)), Next::Unknown);
    let next = clerk.submit(Bytes::from_static(b"b"));
    assert_eq!(number(&next), None, "and the next command begins a new session");
}

/// A refusal says *certainly not done* of one try. After a try that may have been done it must
/// not be said of the whole.
#[test]
fn a_refusal_after_exposure_is_unknown() {
    for refused in [Refused::TooLarge, Refused::Malformed] {
        let (mut clerk, _) = registered();
        assert_eq!(clerk.heard(Heard::Refused(refused)), Next::Refused(refused));
        let (mut clerk, _) = registered();
        again(clerk.heard(Heard::Silence));
        assert_eq!(clerk.heard(Heard::Refused(refused)), Next::Unknown);
    }
}

#[test]
fn silence_on_a_registration_exposes_nothing() {
    let mut clerk = clerk();
    clerk.submit(Bytes::from_static(b"a"));
    let next = again(clerk.heard(Heard::Silence));
    assert_eq!(number(&next), None);
    assert!(!clerk.exposed());
}

#[test]
fn after_giving_up_the_next_command_has_the_next_number() {
    let (mut clerk, _) = registered();
    again(clerk.heard(Heard::Silence));
    clerk.give_up();
    assert!(!clerk.exposed());
    let next = clerk.submit(Bytes::from_static(b"b"));
    assert_eq!(number(&next), Some((7, 2)));
    // A query in between takes no number.
    clerk.give_up();
    assert!(!clerk.query(Bytes::new()).changes);
    assert_eq!(clerk.heard(Heard::Done(Bytes::new())), Next::Done(Bytes::new()));
    assert_eq!(number(&clerk.submit(Bytes::new())), Some((7, 3)));
}

#[test]
fn bytes_that_mean_nothing_are_not_taken_for_an_answer() {
    for nonsense in [&b""[..], b"\xFF", b"\x00", b"\x00\x01"] {
        let heard = || Heard::Done(Bytes::copy_from_slice(nonsense));
        let (mut clerk, _) = registered();
        assert_eq!(clerk.heard(heard()), Next::Refused(Refused::Malformed));
        let (mut clerk, _) = registered();
        again(clerk.heard(Heard::Silence));
        assert_eq!(clerk.heard(heard()), Next::Unknown, "a try may have been done");
    }
    // A name that was not asked for is nobody's.
    let (mut clerk, _) = registered();
    let next = clerk.heard(said(&Response::Registered(ClientId(9))));
    assert_eq!(next, Next::Refused(Refused::Malformed));
}

#[test]
fn a_query_is_repeated_and_never_exposes() {
    let mut clerk = clerk();
    let query = clerk.query(Bytes::from_static(b"q"));
    let next = again(clerk.heard(Heard::Silence));
    assert_eq!((next.changes, &next.bytes), (false, &query.bytes));
    assert!(!clerk.exposed());
}

#[test]
fn a_session_numbers_its_requests_from_one() {
    let (_, attempt) = registered();
    let Some(Command::Do { request, .. }) = Command::<Text>::decode(&attempt.bytes) else {
        panic!("a request")
    };
    assert_eq!(request, RequestNo(1));
}

/// A bare command is sent as it is, without a registration, and the clerk knows at its end whether
/// an earlier try may have taken effect.
#[test]
fn a_bare_command_has_no_session_and_remembers_that_it_was_repeated() {
    let mut clerk = clerk();
    let bare = Command::Bare(Text(Bytes::from_static(b"a"))).to_bytes();
    let first = clerk.bare(Bytes::from_static(b"a"));
    assert_eq!((first.bytes, first.changes), (bare.clone(), true));
    // Certainly nothing has happened so far.
    for nothing in [Heard::Unreachable, Heard::Refused(Refused::Busy)] {
        assert_eq!(again(clerk.heard(nothing)).bytes, bare);
        assert!(!clerk.exposed());
    }
    assert!(matches!(clerk.heard(said(&Response::Done(Length(1)))), Next::Done(_)));
    assert!(!clerk.exposed(), "the only try that arrived was answered");
    for silence in [Heard::Silence, Heard::Refused(Refused::Unknown)] {
        clerk.bare(Bytes::from_static(b"a"));
        assert_eq!(again(clerk.heard(silence)).bytes, bare);
        assert!(matches!(clerk.heard(said(&Response::Done(Length(1)))), Next::Done(_)));
        assert!(clerk.exposed(), "the first try may have taken effect");
    }
    // Which has no influence on what comes later.
    assert_eq!(number(&clerk.submit(Bytes::from_static(b"b"))), None);
    assert!(!clerk.exposed());
}
