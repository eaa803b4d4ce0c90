//! The table: at most once, and never a name twice.

use std::collections::BTreeSet;

use super::{b, wants};
use crate::{
    change::{Change, Done, RequestNo, SessionId},
    item::Item,
    sessions::{Admission, MAX_SESSIONS},
    state::{Outcome, State},
};

fn open(state: &mut State) -> SessionId {
    let evict = state.sessions().to_evict();
    match state.apply(&Item::Open { evict }) {
        Outcome::Opened(session) => session,
        other => panic!("{other:?}"),
    }
}

fn admit(state: &State, session: u64, number: u64) -> Admission {
    state.admit(SessionId(session), RequestNo(number))
}

#[test]
fn a_request_is_fresh_once_then_a_repetition_then_late() {
    let mut state = State::fresh();
    assert_eq!(admit(&state, 1, 1), Admission::Expired);
    open(&mut state);
    assert_eq!(admit(&state, 1, 1), Admission::Fresh);
    state.apply(&wants(1, 1, Change::Delete(b("k"))));
    assert_eq!(admit(&state, 1, 1), Admission::Repeat(Done::Deleted(false)));
    // A number may be left out: its errand was given up.
    state.apply(&wants(1, 3, Change::Put(b("k"), b("v"))));
    assert_eq!(admit(&state, 1, 3), Admission::Repeat(Done::Written));
    for late in [0, 1, 2] {
        assert_eq!(admit(&state, 1, late), Admission::Late);
    }
    assert_eq!(admit(&state, 1, 4), Admission::Fresh);
    assert_eq!(admit(&state, 2, 1), Admission::Expired);
}

#[test]
fn when_the_table_is_full_the_least_recently_used_goes_and_no_name_comes_again() {
    let mut state = State::fresh();
    let mut names = BTreeSet::new();
    for _ in 0..MAX_SESSIONS {
        assert!(names.insert(open(&mut state)));
    }
    assert_eq!(state.sessions().len(), MAX_SESSIONS);
    // The oldest shows that it lives, so the next oldest goes.
    state.apply(&wants(1, 1, Change::Put(b("k"), b("v"))));
    for _ in 0..3 {
        assert!(names.insert(open(&mut state)), "a name was given out twice");
        assert_eq!(state.sessions().len(), MAX_SESSIONS);
    }
    assert_eq!(admit(&state, 1, 1), Admission::Repeat(Done::Written));
    for gone in 2..=4 {
        assert_eq!(admit(&state, gone, 1), Admission::Expired);
    }
    assert_eq!(admit(&state, 5, 1), Admission::Fresh);
    // What comes late under a forgotten name brings it back to nobody.
    state.apply(&wants(2, 9, Change::Put(b("k"), b("w"))));
    assert_eq!(admit(&state, 2, 9), Admission::Expired);
    assert_eq!(state.sessions().len(), MAX_SESSIONS);
}

/// A backup does not choose: it forgets whom its primary names, be it the one used last, and nobody
/// if nobody is named.
#[test]
fn who_is_forgotten_stands_in_the_stream() {
    let mut state = State::fresh();
    for _ in 0..3 {
        open(&mut state);
    }
    state.apply(&wants(2, 1, Change::Put(b("k"), b("v"))));
    assert_eq!(
        state.apply(&Item::Open { evict: Some(SessionId(2)) }),
        Outcome::Opened(SessionId(4))
    );
    assert_eq!(admit(&state, 2, 1), Admission::Expired);
    assert_eq!(state.apply(&Item::Open { evict: None }), Outcome::Opened(SessionId(5)));
    assert_eq!(
        state.apply(&Item::Open { evict: Some(SessionId(2)) }),
        Outcome::Opened(SessionId(6))
    );
    for known in [1, 3, 4, 5, 6] {
        assert_eq!(admit(&state, known, 1), Admission::Fresh, "{known}");
    }
    assert_eq!(state.sessions().len(), 5);
}
