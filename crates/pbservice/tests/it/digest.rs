//! What is equal has equal digests, and what is not has not.

use pbservice::{Change, Item, RequestNo, SessionId, State, state::Covered};

use crate::shell::b;

fn wants(session: u64, number: u64, change: Change) -> Item {
    Item::Do { session: SessionId(session), number: RequestNo(number), change }
}

/// A state to which all this has happened.
fn after(items: &[Item]) -> State {
    let mut state = State::fresh();
    for item in items {
        state.apply(item);
    }
    state
}

/// A copy that came in pieces.
fn travelled(state: &State) -> State {
    let mut copy = State::nothing();
    copy.apply(&state.begin());
    let mut covered = Covered::nothing();
    while covered != Covered::Whole {
        let (piece, next) = state.piece(&covered);
        copy.apply(&piece);
        covered = next;
    }
    copy
}

#[test]
fn a_state_that_travelled_has_the_digest_of_its_source_and_any_other_has_not() {
    let open = || Item::Open { evict: None };
    let put = |value: &str| Change::Put(b("k"), b(value));
    let base = vec![open(), open(), wants(1, 1, put("v")), wants(2, 1, Change::Delete(b("none")))];
    let state = after(&base);
    assert_eq!(travelled(&state), state);
    assert_eq!(travelled(&state).digest(), state.digest());
    let others: [&[Item]; 5] = [
        // Another value, another number of a session, one session more, and nothing but a probe.
        &[open(), open(), wants(1, 1, put("w")), wants(2, 1, Change::Delete(b("none")))],
        &[open(), open(), wants(1, 2, put("v")), wants(2, 1, Change::Delete(b("none")))],
        &[&base[..], &[open()]].concat(),
        &base[..3],
        &[Item::Probe],
    ];
    for other in others {
        assert_ne!(after(other).digest(), state.digest(), "{other:?}");
    }
    assert_eq!(after(&[&base[..], &[Item::Probe]].concat()).digest(), state.digest());
    // Part of a state is not the state.
    let mut part = State::nothing();
    part.apply(&state.begin());
    part.apply(&state.piece(&Covered::nothing()).0);
    assert_ne!(part.digest(), state.digest());
}
