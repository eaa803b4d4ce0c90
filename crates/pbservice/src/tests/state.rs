//! The rule of the transfer: operations between pieces, in any order, give the whole.

use bytes::Bytes;
use protocol::Rng;

use super::{b, replay, seeds, wants};
use crate::{
    change::{Change, Done, MAX_VALUE, SessionId},
    item::{Item, PIECE},
    state::{Covered, Outcome, State},
};

/// What a primary might sequence next: few keys and sessions, so that they meet.
fn chance(rng: &mut Rng, state: &State) -> Item {
    let (opened, _) = state.sessions().counters();
    if opened == 0 || rng.chance(100) {
        // Now and then somebody must go for it, whoever it is.
        let known = state.sessions().len() > 3;
        let evict = known.then(|| SessionId(1 + rng.below(opened)));
        return Item::Open { evict };
    }
    let key = Bytes::from(vec![b'a' + rng.below(6) as u8; rng.below(3) as usize]);
    let value = Bytes::from(vec![b'A' + rng.below(26) as u8; rng.below(9) as usize]);
    let change = match rng.below(3) {
        0 => Change::Put(key, value),
        1 => Change::Append(key, value),
        _ => Change::Delete(key),
    };
    wants(1 + rng.below(opened), rng.below(50), change)
}

/// A walk with tiny pieces over a state that goes on changing, at random places.
fn travel(seed: u64) -> usize {
    let which = replay(seed, "operations_between_the_pieces");
    let mut rng = Rng::new(seed);
    let mut source = State::fresh();
    for _ in 0..rng.below(60) {
        let item = chance(&mut rng, &source);
        source.apply(&item);
    }
    // What somebody had before is of no use, and in nobody's way.
    let mut target = if rng.chance(500) { State::nothing() } else { half_of_something(&mut rng) };
    let (bytes, rows) = (1 + rng.below(40) as usize, 1 + rng.below(3) as usize);
    target.apply(&source.begin());
    let (mut covered, mut pieces) = (Covered::nothing(), 0);
    while covered != Covered::Whole {
        assert!(!target.is_whole());
        for _ in 0..rng.below(4) {
            let item = chance(&mut rng, &source);
            let (here, there) = (source.apply(&item), target.apply(&item));
            let known = there == here || there == Outcome::Nothing;
            assert!(known, "{which}: {item:?} came to {here:?} and {there:?}");
        }
        let (piece, next) = source.piece_of(&covered, bytes, rows);
        assert!(piece.fits());
        target.apply(&piece);
        (covered, pieces) = (next, pieces + 1);
        assert_eq!(target.covered(), &covered, "{which}");
    }
    assert_eq!(target, source, "{which}");
    for _ in 0..10 {
        let item = chance(&mut rng, &source);
        assert_eq!(source.apply(&item), target.apply(&item), "{which}");
    }
    assert_eq!(target, source, "{which}");
    assert_eq!(target.digest(), source.digest(), "{which}");
    pieces
}

/// A transfer that was cut somewhere.
fn half_of_something(rng: &mut Rng) -> State {
    let (mut other, mut half) = (State::fresh(), State::nothing());
    for _ in 0..30 {
        let item = chance(rng, &other);
        other.apply(&item);
    }
    half.apply(&other.begin());
    let (piece, _) = other.piece_of(&Covered::nothing(), 20, 1);
    half.apply(&piece);
    half
}

#[test]
fn operations_between_the_pieces_reach_the_other_side_once() {
    let pieces: usize = seeds(2_000).map(travel).sum();
    assert!(pieces > 10_000 || std::env::var("SEED").is_ok(), "only {pieces} pieces");
}

#[test]
fn an_operation_behind_the_cursor_is_left_out_and_comes_in_its_piece() {
    let mut source = State::fresh();
    source.apply(&Item::Open { evict: None });
    for (number, key) in ["b", "m", "y"].into_iter().enumerate() {
        source.apply(&wants(1, number as u64 + 1, Change::Put(b(key), b("1"))));
    }
    let mut target = State::nothing();
    target.apply(&source.begin());
    let (piece, covered) = source.piece_of(&Covered::nothing(), 1, 1);
    assert_eq!(covered, Covered::Keys(b("m")));
    target.apply(&piece);
    // One before the cursor, one behind it, and one that begins to be where it stands.
    for (number, key) in ["b", "y", "m"].into_iter().enumerate() {
        let item = wants(1, number as u64 + 4, Change::Append(b(key), b("2")));
        let expected = if key == "b" { Outcome::Done(Done::Written) } else { Outcome::Nothing };
        source.apply(&item);
        assert_eq!(target.apply(&item), expected, "{key}");
    }
    assert_eq!(target.get(b"b"), Some(&b("12")));
    assert_eq!(target.get(b"m"), None);
    let mut covered = covered;
    while covered != Covered::Whole {
        let (piece, next) = source.piece_of(&covered, 1, 1);
        target.apply(&piece);
        covered = next;
    }
    assert_eq!(target, source);
}

#[test]
fn a_piece_is_bounded_by_its_bytes_and_one_pair() {
    let mut state = State::fresh();
    state.apply(&Item::Open { evict: None });
    for key in 0..400_u32 {
        let key = Bytes::from(format!("{key:04}"));
        state.apply(&wants(1, 1, Change::Put(key, Bytes::from(vec![0; 1_000]))));
    }
    let huge = Bytes::from(vec![0; MAX_VALUE]);
    state.apply(&wants(1, 2, Change::Put(b("0000"), huge)));
    let (mut covered, mut keys) = (Covered::nothing(), 0);
    while matches!(covered, Covered::Keys(_)) {
        let (piece, next) = state.piece(&covered);
        let Item::Keys { pairs, .. } = &piece else { panic!("{piece:?}") };
        let last = pairs.last().map_or(0, |(key, value)| key.len() + value.len());
        assert!(piece.bytes() - last < PIECE + 100 && piece.fits());
        keys += pairs.len();
        covered = next;
    }
    assert_eq!(keys, 400);
}

#[test]
fn bytes_are_counted_as_they_come_and_go() {
    let mut rng = Rng::new(7);
    let mut state = State::fresh();
    for _ in 0..5_000 {
        let item = chance(&mut rng, &state);
        state.apply(&item);
        let counted: usize = state.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!(state.bytes(), counted);
    }
}

#[test]
fn an_append_stops_at_the_limit_and_changes_nothing_beyond_it() {
    let mut state = State::fresh();
    state.apply(&Item::Open { evict: None });
    let almost = Bytes::from(vec![b'v'; MAX_VALUE - 1]);
    state.apply(&wants(1, 1, Change::Put(b("k"), almost)));
    for (number, tail, expected, length) in [
        (2, "vv", Done::TooLarge, MAX_VALUE - 1),
        (3, "v", Done::Written, MAX_VALUE),
        (4, "v", Done::TooLarge, MAX_VALUE),
        (5, "", Done::Written, MAX_VALUE),
    ] {
        let outcome = state.apply(&wants(1, number, Change::Append(b("k"), b(tail))));
        assert_eq!(outcome, Outcome::Done(expected), "{tail}");
        assert_eq!(state.get(b"k").map(Bytes::len), Some(length));
    }
}

#[test]
fn whoever_has_everything_takes_no_piece() {
    let mut state = State::fresh();
    state.apply(&Item::Open { evict: None });
    state.apply(&wants(1, 1, Change::Put(b("k"), b("v"))));
    let before = state.clone();
    for item in [
        Item::Begin { opened: 9, uses: 9 },
        Item::Keys { pairs: vec![(b("k"), b("other"))], upto: None },
        Item::Sessions { rows: Vec::new(), upto: None },
        Item::Probe,
    ] {
        assert_eq!(state.apply(&item), Outcome::Nothing);
        assert_eq!(state, before, "{item:?}");
    }
}
