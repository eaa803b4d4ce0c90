//! Many keys at once, and scans among changes: against a plain map.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use paxosrsm::StateMachine;
use protocol::Rng;

use crate::{
    Command, Cursor, Expect, Found, MAX_ANSWER, MAX_KEYS_PER_CALL, MAX_VALUE, Page, Question,
    Response, Show, Store, Version,
    question::{SCAN_BYTES, SCAN_KEYS},
};

fn b(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn get_many(store: &Store, keys: &[&str]) -> Found {
    store.query(Question::GetMany(keys.iter().copied().map(b).collect()))
}

fn scan(store: &Store, prefix: &str, from: Cursor, show: Show) -> Page {
    match store.query(Question::Scan { prefix: b(prefix), from, show }) {
        Found::Page(page) => page,
        other => panic!("a scan is answered with a page, and not with {other:?}"),
    }
}

#[test]
fn many_are_put_together_and_seen_together() {
    let mut store = Store::default();
    store.apply(Command::Put(b("old"), b("o")));
    let pairs = [("a", "1"), ("b", "2"), ("old", "n"), ("a", "3")];
    let pairs = pairs.iter().map(|(key, value)| (b(key), b(value))).collect();
    assert_eq!(store.apply(Command::PutMany(pairs)), Response::Written(Version(5)));
    let there = |value: &str, version| Some((b(value), Version(version)));
    let seen = get_many(&store, &["b", "nobody", "a", "old", "b"]);
    let wanted = vec![there("2", 3), None, there("3", 5), there("n", 4), there("2", 3)];
    assert_eq!(seen, Found::Many(wanted));
}

/// One pair that is too large, and none of them is written.
#[test]
fn many_are_refused_as_a_whole() {
    let mut store = Store::default();
    let large = Bytes::from(vec![0; MAX_VALUE + 1]);
    let command = Command::PutMany(vec![(b("a"), b("1")), (b("b"), large)]);
    assert_eq!(store.apply(command), Response::TooLarge);
    assert_eq!(store.apply(Command::PutMany(Vec::new())), Response::TooLarge);
    assert!(store.is_empty());
    assert_eq!(store.apply(Command::Put(b("a"), b("1"))), Response::Written(Version(1)));
}

#[test]
fn an_answer_of_many_has_a_limit() {
    let mut store = Store::default();
    let third = Bytes::from(vec![7; MAX_ANSWER / 3]);
    for key in ["a", "b", "c"] {
        store.apply(Command::Put(b(key), third.clone()));
    }
    store.apply(Command::Put(b("d"), b("")));
    assert!(matches!(get_many(&store, &["a", "b", "c", "d"]), Found::Many(all) if all.len() == 4));
    store.apply(Command::Put(b("d"), b("x")));
    assert_eq!(get_many(&store, &["a", "b", "c", "d"]), Found::TooMuch);
}

#[test]
fn a_page_is_bounded_in_keys_looked_at_and_in_bytes() {
    let mut store = Store::default();
    let count = 3 * SCAN_KEYS / MAX_KEYS_PER_CALL;
    for batch in 0..count {
        let key = |n: usize| (b(&format!("{}{batch}.{n}", ["x", "y"][n % 2])), b("v"));
        store.apply(Command::PutMany((0..MAX_KEYS_PER_CALL).map(key).collect()));
    }
    let page = scan(&store, "", Cursor::START, Show::Keys);
    assert_eq!(page.found.len(), SCAN_KEYS);
    assert!(page.found.iter().all(|entry| entry.value.is_none()));
    assert_eq!(scan(&store, "x", Cursor::START, Show::Keys).found.len(), SCAN_KEYS / 2);
    let page = scan(&store, "z", Cursor::START, Show::Keys);
    assert_eq!((page.found.len(), page.next), (0, Some(Cursor(2 * SCAN_KEYS as u64))));
    let page = scan(&store, "z", Cursor(SCAN_KEYS as u64), Show::Keys);
    assert_eq!((page.found.len(), page.next), (0, None));
    assert_eq!(scan(&store, "", Cursor(0), Show::Keys), Page::default());
    // Values: the one that fills the page is its last.
    for n in 0..4 {
        store.apply(Command::Put(b(&format!("l{n}")), Bytes::from(vec![0; SCAN_BYTES / 2])));
    }
    let page = scan(&store, "l", Cursor::START, Show::Values);
    let keys: Vec<_> = page.found.iter().map(|entry| entry.key.clone()).collect();
    assert_eq!(keys, [b("l3"), b("l2")]);
    assert_eq!(scan(&store, "l", Cursor::START, Show::Keys).found.len(), 4);
}

/// A random change, made to a store and to a plain map, which must agree on what came of it.
fn change(store: &mut Store, model: &mut BTreeMap<Bytes, Bytes>, rng: &mut Rng, keys: u64) {
    let key = |rng: &mut Rng| b(&format!("k{}", rng.below(keys)));
    let mut value = rng.next_u64().to_string().into_bytes();
    value.resize(4000, b'.'); // So that a few hundred of them fill a page.
    let value = Bytes::from(value);
    let one = key(rng);
    match rng.below(8) {
        0 | 1 => {
            let there = store.apply(Command::Delete(one.clone()));
            assert_eq!(there, Response::Deleted(model.remove(&one).is_some()));
        }
        2 => {
            let said = store.apply(Command::Cas(one.clone(), Expect::Absent, value.clone()));
            let absent = !model.contains_key(&one);
            assert_eq!(matches!(said, Response::Written(_)), absent);
            model.entry(one).or_insert(value);
        }
        3 | 4 => {
            let pairs: Vec<_> = (0..=rng.below(5)).map(|_| (key(rng), value.clone())).collect();
            store.apply(Command::PutMany(pairs.clone()));
            model.extend(pairs);
        }
        _ => {
            store.apply(Command::Put(one.clone(), value.clone()));
            model.insert(one, value);
        }
    }
}

/// A key that is there all the while is found, whatever else comes and goes, whether or not the
/// next page comes from a store that was restored from a snapshot of the first.
#[test]
fn a_scan_misses_nothing_that_was_there_all_the_while() {
    let (mut repeated, mut pages) = (0, 0);
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let (mut store, mut model) = (Store::default(), BTreeMap::new());
        let keys = 1 + rng.below(2_000);
        for _ in 0..keys {
            change(&mut store, &mut model, &mut rng, keys);
        }
        let mut all_the_while: BTreeSet<Bytes> = model.keys().cloned().collect();
        let mut found = BTreeSet::new();
        let mut from = Some(Cursor::START);
        while let Some(cursor) = from {
            let page = scan(&store, "k", cursor, Show::Values);
            for entry in page.found {
                assert_eq!(model.get(&entry.key), entry.value.as_ref(), "seed {seed}: a value");
                repeated += u64::from(!found.insert(entry.key));
            }
            pages += 1;
            assert!(page.next < Some(cursor), "seed {seed}: a scan must come to an end");
            from = page.next;
            for _ in 0..rng.below(300) {
                change(&mut store, &mut model, &mut rng, keys);
                all_the_while.retain(|key| model.contains_key(key));
            }
            if rng.chance(300) {
                store = Store::restore(&Bytes::from(store.freeze().write())).expect("an image");
            }
        }
        let missed: Vec<_> = all_the_while.difference(&found).collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?} was there all the while");
        let wanted: BTreeMap<_, _> = model.iter().collect();
        let image = Bytes::from(store.freeze().write());
        let restored = Store::restore(&image).expect("an image");
        assert!(
            wanted.iter().all(|(key, value)| restored.get(key).is_some_and(|it| it.0 == *value))
        );
        assert_eq!(restored.freeze().write(), image, "seed {seed}: the row is kept");
    }
    assert!(pages > 100 && repeated > 0, "{pages} pages, {repeated} repeated: too easy");
}
