//! Each request at most once, in a table that is bounded and travels in the snapshot.

use bytes::Bytes;

use crate::{
    machine::StateMachine,
    sessions::{ClientId, Command, RequestNo, Response, Sessions},
    suite::{Length, Tape, Text},
};

fn text(word: &str) -> Text {
    Text(Bytes::copy_from_slice(word.as_bytes()))
}

fn register(sessions: &mut Sessions<Tape>) -> ClientId {
    match sessions.apply(Command::Register) {
        Response::Registered(client) => client,
        other => panic!("{other:?}"),
    }
}

fn perform(
    sessions: &mut Sessions<Tape>,
    client: ClientId,
    request: u64,
    word: &str,
) -> Response<Length> {
    let request = RequestNo(request);
    sessions.apply(Command::Do { client, request, command: text(word) })
}

fn restored(sessions: &Sessions<Tape>) -> Sessions<Tape> {
    let image = Bytes::from(sessions.freeze().write());
    StateMachine::restore(&image).expect("an image")
}

#[test]
fn a_repeated_request_is_answered_from_memory() {
    let mut sessions = Sessions::new(Tape::default());
    let (one, other) = (register(&mut sessions), register(&mut sessions));
    assert_eq!(perform(&mut sessions, one, 1, "a"), Response::Done(Length(1)));
    assert_eq!(perform(&mut sessions, other, 1, "b"), Response::Done(Length(2)));
    assert_eq!(perform(&mut sessions, one, 1, "a"), Response::Done(Length(1)));
    assert_eq!(sessions.machine().0, ["a", "b"]);
}

/// Identity is by number, not by content.
#[test]
fn equal_contents_under_two_numbers_are_two_requests() {
    let mut sessions = Sessions::new(Tape::default());
    let one = register(&mut sessions);
    perform(&mut sessions, one, 1, "a");
    assert_eq!(perform(&mut sessions, one, 2, "a"), Response::Done(Length(2)));
}

#[test]
fn an_older_request_is_stale_and_does_nothing() {
    let mut sessions = Sessions::new(Tape::default());
    let one = register(&mut sessions);
    perform(&mut sessions, one, 5, "a");
    assert_eq!(perform(&mut sessions, one, 4, "b"), Response::Stale);
    // The number 0 is nobody's: a new session has done nothing yet.
    let other = register(&mut sessions);
    assert_eq!(perform(&mut sessions, other, 0, "b"), Response::Stale);
    assert_eq!(sessions.machine().0, ["a"]);
}

#[test]
fn who_is_not_remembered_hears_expired_and_has_no_effect() {
    let mut sessions = Sessions::new(Tape::default());
    for stranger in [0, 1, u64::MAX] {
        assert_eq!(perform(&mut sessions, ClientId(stranger), 1, "a"), Response::Expired);
    }
    assert!(sessions.machine().0.is_empty());
    assert!(sessions.is_empty());
}

#[test]
fn the_table_holds_its_limit_and_not_one_more() {
    const LIMIT: usize = 10;
    let mut sessions = Sessions::with_limit(Tape::default(), LIMIT);
    let clients: Vec<ClientId> = (0..LIMIT - 1).map(|_| register(&mut sessions)).collect();
    assert_eq!(sessions.len(), LIMIT - 1);
    register(&mut sessions);
    assert_eq!(sessions.len(), LIMIT);
    assert!(matches!(perform(&mut sessions, clients[0], 1, "a"), Response::Done(_)));
    register(&mut sessions);
    assert_eq!(sessions.len(), LIMIT, "one more than the limit");
    // The first was just used; the second was silent longest.
    assert!(matches!(perform(&mut sessions, clients[0], 2, "b"), Response::Done(_)));
    assert_eq!(perform(&mut sessions, clients[1], 1, "c"), Response::Expired);
    assert!(matches!(perform(&mut sessions, clients[2], 1, "d"), Response::Done(_)));
}

/// A name is never given twice: a request of the one that was forgotten must not meet the session
/// of another.
#[test]
fn a_forgotten_name_is_never_given_again() {
    let mut sessions = Sessions::with_limit(Tape::default(), 2);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        assert!(seen.insert(register(&mut sessions)), "a name was given twice");
        sessions = restored(&sessions);
    }
}

/// What was silent longest is decided by the order of the log alone, before and after a snapshot.
#[test]
fn eviction_is_the_same_on_every_replica() {
    let mut one = Sessions::with_limit(Tape::default(), 5);
    let mut other = Sessions::with_limit(Tape::default(), 5);
    let mut rng = protocol::Rng::new(7);
    let mut names = 0;
    for step in 0..2000u64 {
        let command = if rng.chance(200) {
            names += 1;
            Command::Register
        } else {
            let client = ClientId(rng.range(names - names.min(7), names + 1));
            Command::Do { client, request: RequestNo(rng.below(step + 1)), command: text("x") }
        };
        assert_eq!(one.apply(command.clone()), other.apply(command), "step {step}");
        if rng.chance(50) {
            other = restored(&other);
        }
    }
    assert_eq!(one.freeze().write(), other.freeze().write());
}

#[test]
fn the_table_and_its_answers_travel_in_the_snapshot() {
    let mut sessions = Sessions::with_limit(Tape::default(), 3);
    let one = register(&mut sessions);
    perform(&mut sessions, one, 9, "a");
    let fresh = register(&mut sessions);
    let mut restored = restored(&sessions);
    assert_eq!(perform(&mut restored, one, 9, "a"), Response::Done(Length(1)));
    assert_eq!(perform(&mut restored, one, 8, "a"), Response::Stale);
    assert_eq!(perform(&mut restored, fresh, 1, "b"), Response::Done(Length(2)));
    assert_eq!(restored.machine().0, ["a", "b"]);
}

/// One answer per client is kept: the next request of a client frees the one before.
#[test]
fn memory_is_one_answer_per_client() {
    let mut sessions = Sessions::new(Tape::default());
    let one = register(&mut sessions);
    perform(&mut sessions, one, 1, "");
    let size = sessions.freeze().write().len();
    for request in 2..100 {
        perform(&mut sessions, one, request, "");
    }
    // Each of the 98 further commands costs the tape the four bytes of its length.
    assert_eq!(sessions.freeze().write().len(), size + 98 * 4);
}
