//! Forwards that no primary would send, from whoever stole a primary's name: they are refused
//! whole, whatever is in them.

use protocol::Rng;

use super::*;
use crate::{
    MAX_KEY, MAX_VALUE,
    change::Done,
    config::{BATCH_BYTES, BATCH_ITEMS},
    item::{PIECE, PIECE_ROWS, Row},
    state::Covered,
    tests::{replay, seeds},
};

fn sized(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

fn done(change: Change) -> Item {
    Item::Do { session: SessionId(1), number: RequestNo(1), change }
}

fn row(session: u64) -> Row {
    let (session, number) = (SessionId(session), RequestNo(1));
    Row { session, number, done: Done::Written, used: session.0 }
}

/// The backup of view 2 that has so many items: the beginning, no keys, no sessions, and what follows.
fn backup_at(places: usize) -> Trial {
    let mut trial = Trial::new(life(2));
    trial.told(view(2, &[life(1), life(2)]));
    let begin = Item::Begin { opened: 0, uses: 0 };
    let keys = Item::Keys { pairs: Vec::new(), upto: None };
    let sessions = Item::Sessions { rows: Vec::new(), upto: None };
    let all = [begin, keys, sessions, Item::Open { evict: None }];
    for (place, item) in (1..).zip(all).take(places) {
        assert_eq!(trial.takes(place, vec![item]), Ok(Seq(place)));
    }
    trial
}

#[test]
fn absurd_places_are_refused() {
    let mut backup = backup();
    for first in [0, u64::MAX, u64::MAX - 1] {
        let two = vec![Item::Probe, Item::Probe];
        assert_eq!(backup.takes(first, two), Err(Rebuff::Malformed), "{first}");
    }
    assert_eq!(backup.takes(u64::MAX, vec![]), Err(Rebuff::Malformed));
    assert_eq!(backup.takes(u64::MAX - 9, vec![Item::Probe]), Ok(Seq(4)), "a gap, no more");
    assert_eq!(backup.ignored(), [Ignored::Gap]);
    assert_eq!(backup.takes(5, vec![Item::Probe]), Ok(Seq(5)));
}

#[test]
fn a_stream_begins_with_the_beginning_of_a_state() {
    let mut backup = backup();
    let keys = Item::Keys { pairs: Vec::new(), upto: None };
    for items in [vec![], vec![Item::Probe], vec![keys], vec![Item::Open { evict: None }]] {
        assert_eq!(backup.takes(1, items.clone()), Err(Rebuff::Malformed), "{items:?}");
    }
}

/// The parts of a state in another order than they are cut in: there would be a hole in it that
/// nobody sees, or a part of it twice.
#[test]
fn pieces_out_of_their_order_are_refused() {
    let keys = |keys: &[&str], upto: Option<&str>| Item::Keys {
        pairs: keys.iter().map(|key| (b(key), b("v"))).collect(),
        upto: upto.map(b),
    };
    let rows = |sessions: &[u64], upto: Option<u64>| Item::Sessions {
        rows: sessions.iter().copied().map(row).collect(),
        upto: upto.map(SessionId),
    };
    let begin = || Item::Begin { opened: 9, uses: 9 };
    let steps = [
        // First the keys, in order, from the first to below where the piece ends.
        (begin(), vec![keys(&[], None), rows(&[], None), Item::Probe]),
        (
            keys(&["b", "d"], Some("m")),
            vec![
                begin(),
                rows(&[1], None),
                keys(&["d", "b"], Some("m")),
                keys(&["b", "b"], Some("m")),
                keys(&["b", "m"], Some("m")),
                keys(&[], Some("")),
            ],
        ),
        // Each piece from where the last one ended.
        (
            keys(&["m", "p"], None),
            vec![
                begin(),
                rows(&[1], None),
                keys(&["b", "d"], Some("m")),
                keys(&["l", "p"], None),
                keys(&[], Some("m")),
            ],
        ),
        // Then the sessions, in the same way.
        (
            rows(&[1, 2], Some(5)),
            vec![
                begin(),
                keys(&["q"], None),
                rows(&[2, 1], Some(5)),
                rows(&[2, 2], Some(5)),
                rows(&[2, 5], Some(5)),
                rows(&[], Some(0)),
            ],
        ),
        (rows(&[5], None), vec![begin(), rows(&[4], None), rows(&[], Some(5)), keys(&[], None)]),
        // Whoever has everything gets no piece any more.
        (Item::Probe, vec![begin(), keys(&[], None), rows(&[], None)]),
    ];
    let mut backup = backup_at(0);
    for (place, (right, wrong)) in (1..).zip(steps) {
        let before = backup.core().state().clone();
        for piece in wrong {
            assert_eq!(
                backup.takes(place, vec![piece.clone()]),
                Err(Rebuff::Malformed),
                "{piece:?}"
            );
            assert_eq!(backup.core().state(), &before, "{piece:?}: nothing has changed");
        }
        assert_eq!(backup.takes(place, vec![right.clone()]), Ok(Seq(place)), "{right:?}");
    }
    assert!(backup.core().state().is_whole());
    assert_eq!((backup.core().state().len(), backup.core().state().sessions().len()), (4, 3));
}

#[test]
fn everything_has_a_limit_that_is_kept_to_the_byte() {
    let pair = |key, value| (sized(key), sized(value));
    let keys = |pairs| Item::Keys { pairs, upto: None };
    let rows = |count: u64| Item::Sessions { rows: (1..=count).map(row).collect(), upto: None };
    let many = |count| vec![Item::Probe; count];
    // Probes that fill a forward to the last byte before the last item.
    let full = BATCH_BYTES / Item::Probe.bytes();
    assert!(full > BATCH_ITEMS, "so many never stand in one forward");
    let half = done(Change::Put(b("k"), sized(BATCH_BYTES / 2)));
    let just = BATCH_BYTES - half.bytes() - Item::Probe.bytes();
    let rest = |bytes: usize| done(Change::Put(b("k"), sized(bytes - 1)));
    // Where in the stream it may stand.
    let (begin, piece, table, whole) = (0, 1, 2, 4);
    for (at, what, good, bad) in [
        (whole, "items", many(BATCH_ITEMS), many(BATCH_ITEMS + 1)),
        (
            whole,
            "bytes before the last item",
            vec![half.clone(), rest(just - 1), done(Change::Put(b("k"), sized(MAX_VALUE)))],
            vec![half, rest(just), Item::Probe],
        ),
        (
            whole,
            "a key",
            vec![done(Change::Put(sized(MAX_KEY), b("v")))],
            vec![done(Change::Put(sized(MAX_KEY + 1), b("v")))],
        ),
        (
            whole,
            "a value",
            vec![done(Change::Append(b("k"), sized(MAX_VALUE)))],
            vec![done(Change::Append(b("k"), sized(MAX_VALUE + 1)))],
        ),
        (
            whole,
            "a key that is deleted",
            vec![done(Change::Delete(sized(MAX_KEY)))],
            vec![done(Change::Delete(sized(MAX_KEY + 1)))],
        ),
        (
            piece,
            "a pair of a piece",
            vec![keys(vec![pair(MAX_KEY, MAX_VALUE)])],
            vec![keys(vec![pair(MAX_KEY, MAX_VALUE + 1)])],
        ),
        (
            piece,
            "the bytes of a piece before its last pair",
            vec![keys(vec![pair(1, PIECE - 18), pair(2, MAX_VALUE)])],
            vec![keys(vec![pair(1, PIECE - 17), pair(2, 1)])],
        ),
        (table, "rows", vec![rows(PIECE_ROWS as u64)], vec![rows(PIECE_ROWS as u64 + 1)]),
        (
            begin,
            "uses",
            vec![Item::Begin { opened: 1, uses: u64::MAX / 2 }],
            vec![Item::Begin { opened: 1, uses: u64::MAX / 2 + 1 }],
        ),
        (
            begin,
            "openings",
            vec![Item::Begin { opened: u64::MAX / 2, uses: 1 }],
            vec![Item::Begin { opened: u64::MAX, uses: 1 }],
        ),
    ] {
        let mut backup = backup_at(at);
        let (before, next) = (backup.core().state().clone(), at as u64 + 1);
        assert_eq!(backup.takes(next, bad), Err(Rebuff::Malformed), "{what}");
        assert_eq!(backup.core().state(), &before, "{what}: nothing has changed");
        let upto = Seq(at as u64 + good.len() as u64);
        assert_eq!(backup.takes(next, good), Ok(upto), "{what}");
    }
}

#[test]
fn one_bad_item_spoils_the_whole_forward() {
    let mut backup = backup();
    let bad = done(Change::Put(sized(MAX_KEY + 1), b("v")));
    let items = vec![done(put("k", "v")), bad, done(put("k", "w"))];
    assert_eq!(backup.takes(5, items), Err(Rebuff::Malformed));
    assert_eq!(backup.core().state().get(b"k"), None);
    assert_eq!(backup.core().places().0, Seq(4));
}

/// Any forward at all: it may be taken or refused, and the server goes on.
#[test]
fn nonsense_from_a_primary_ends_nobody() {
    for seed in seeds(300) {
        let mut rng = Rng::new(seed);
        let which = replay(seed, "nonsense_from_a_primary_ends_nobody");
        let mut backup = Trial::new(life(2));
        backup.told(view(2, &[life(1), life(2)]));
        for _ in 0..40 {
            let (next, covered) = (backup.core().places().0.0 + 1, backup.core().state().clone());
            let near = next.saturating_sub(2) + rng.below(5);
            let first = [near, next, 1, rng.next_u64()][rng.below(4) as usize];
            let items = (0..rng.below(5)).map(|_| nonsense(&mut rng)).collect();
            match backup.takes(first, items) {
                Ok(_) => {}
                Err(Rebuff::Malformed) => assert_eq!(backup.core().state(), &covered, "{which}"),
                Err(other) => panic!("{which}: {other:?}"),
            }
        }
        // Its own primary can still give it the state, in a new view.
        backup.told(view(3, &[life(1), life(2)]));
        assert_eq!(backup.core().state().covered(), &Covered::nothing(), "{which}");
    }
}

fn nonsense(rng: &mut Rng) -> Item {
    let number = |rng: &mut Rng| [0, 1, 2, u64::MAX / 2, u64::MAX][rng.below(5) as usize];
    let key = |rng: &mut Rng| sized(rng.below(4) as usize);
    match rng.below(7) {
        0 => Item::Probe,
        1 => Item::Open { evict: rng.chance(500).then(|| SessionId(number(rng))) },
        2 => Item::Begin { opened: number(rng), uses: number(rng) },
        3 => {
            let pairs = (0..rng.below(4)).map(|_| (key(rng), key(rng))).collect();
            Item::Keys { pairs, upto: rng.chance(500).then(|| key(rng)) }
        }
        4 => {
            let row = |rng: &mut Rng| Row {
                session: SessionId(number(rng)),
                number: RequestNo(number(rng)),
                done: Done::Written,
                used: number(rng),
            };
            let rows = (0..rng.below(4)).map(|_| row(rng)).collect();
            Item::Sessions { rows, upto: rng.chance(500).then(|| SessionId(number(rng))) }
        }
        _ => {
            let (session, number) = (SessionId(number(rng)), RequestNo(number(rng)));
            let change = match rng.below(3) {
                0 => Change::Put(key(rng), key(rng)),
                1 => Change::Append(key(rng), key(rng)),
                _ => Change::Delete(key(rng)),
            };
            Item::Do { session, number, change }
        }
    }
}
