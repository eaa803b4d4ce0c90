//! What each command does, and what is too much.

use bytes::Bytes;
use paxosrsm::{Coded, StateMachine};

use crate::{
    Command, Expect, Found, MAX_COMMAND, MAX_KEY, MAX_KEYS_PER_CALL, MAX_VALUE, Question, Response,
    Store, Version,
};

fn b(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn put(store: &mut Store, key: &'static str, value: &'static str) -> Response {
    store.apply(Command::Put(b(key), b(value)))
}

fn cas(store: &mut Store, key: &'static str, expect: Expect, value: &'static str) -> Response {
    store.apply(Command::Cas(b(key), expect, b(value)))
}

fn written(version: u64) -> Response {
    Response::Written(Version(version))
}

#[test]
fn put_append_get_delete() {
    let mut store = Store::default();
    assert_eq!(store.query(Question::Get(b("k"))), Found::One(None));
    assert_eq!(put(&mut store, "k", "a"), written(1));
    assert_eq!(store.apply(Command::Append(b("k"), b("b"))), written(2));
    assert_eq!(store.apply(Command::Append(b("new"), b("c"))), written(3));
    assert_eq!(store.query(Question::Get(b("k"))), Found::One(Some((b("ab"), Version(2)))));
    assert_eq!(store.query(Question::Get(b("new"))), Found::One(Some((b("c"), Version(3)))));
    assert_eq!(put(&mut store, "k", "xy"), written(4));
    assert_eq!(store.query(Question::Get(b("k"))), Found::One(Some((b("xy"), Version(4)))));
    assert_eq!(store.apply(Command::Delete(b("k"))), Response::Deleted(true));
    assert_eq!(store.apply(Command::Delete(b("k"))), Response::Deleted(false));
    assert_eq!(store.query(Question::Get(b("k"))), Found::One(None));
    assert_eq!(store.len(), 1);
}

/// A value that was read does not change under the reader, whatever is written over it.
#[test]
fn what_was_read_stays_as_it_was() {
    let mut store = Store::default();
    put(&mut store, "k", "one");
    let Found::One(Some((read, _))) = store.query(Question::Get(b("k"))) else {
        panic!("it is there")
    };
    let frozen = store.freeze();
    put(&mut store, "k", "two");
    store.apply(Command::Append(b("k"), b("three")));
    put(&mut store, "k", "four4444");
    assert_eq!(read, "one");
    let old = Store::restore(&Bytes::from(frozen.write())).expect("an image");
    assert_eq!(old.get(b"k"), Some(&(b("one"), Version(1))));
}

/// An empty value is a value, and no value is not an empty one.
#[test]
fn empty_is_not_absent() {
    let mut store = Store::default();
    put(&mut store, "k", "");
    assert_eq!(store.query(Question::Get(b("k"))), Found::One(Some((b(""), Version(1)))));
    assert_eq!(cas(&mut store, "k", Expect::Absent, "x"), Response::Differs(Some(Version(1))));
    assert_eq!(cas(&mut store, "k", Expect::Value(b("")), "x"), written(2));
    assert_eq!(put(&mut store, "", "the empty key"), written(3));
    assert_eq!(
        store.query(Question::Get(b(""))),
        Found::One(Some((b("the empty key"), Version(3))))
    );
}

#[test]
fn cas_by_value_by_version_and_by_absence() {
    let mut store = Store::default();
    let differs = |version: u64| Response::Differs(Some(Version(version)));
    assert_eq!(cas(&mut store, "k", Expect::Value(b("a")), "x"), Response::Differs(None));
    assert_eq!(cas(&mut store, "k", Expect::Version(Version(0)), "x"), Response::Differs(None));
    assert_eq!(cas(&mut store, "k", Expect::Absent, "a"), written(1));
    assert_eq!(cas(&mut store, "k", Expect::Absent, "x"), differs(1));
    assert_eq!(cas(&mut store, "k", Expect::Value(b("other")), "x"), differs(1));
    assert_eq!(cas(&mut store, "k", Expect::Value(b("a")), "b"), written(2));
    assert_eq!(cas(&mut store, "k", Expect::Version(Version(1)), "x"), differs(2));
    assert_eq!(cas(&mut store, "k", Expect::Version(Version(2)), "c"), written(3));
    assert_eq!(store.query(Question::Get(b("k"))), Found::One(Some((b("c"), Version(3)))));
}

/// A value that went and came back has another version: nobody is fooled by it.
#[test]
fn versions_rise_across_deletion() {
    let mut store = Store::default();
    put(&mut store, "k", "a");
    store.apply(Command::Delete(b("k")));
    let Response::Written(again) = put(&mut store, "k", "a") else { panic!("written") };
    assert!(again > Version(1));
    assert_eq!(
        cas(&mut store, "k", Expect::Version(Version(1)), "x"),
        Response::Differs(Some(again))
    );
}

#[test]
fn a_refused_command_costs_no_version() {
    let mut store = Store::default();
    put(&mut store, "k", "a");
    cas(&mut store, "k", Expect::Absent, "x");
    store.apply(Command::Put(b("k"), Bytes::from(vec![0; MAX_VALUE + 1])));
    store.apply(Command::Delete(b("absent")));
    assert_eq!(put(&mut store, "k", "b"), written(2));
}

#[test]
fn each_limit_at_one_less_at_it_and_at_one_more() {
    let sized = |size: usize| Bytes::from(vec![b'x'; size]);
    for (size, fits) in [(MAX_KEY - 1, true), (MAX_KEY, true), (MAX_KEY + 1, false)] {
        for command in [
            Command::Put(sized(size), b("v")),
            Command::Append(sized(size), b("v")),
            Command::Cas(sized(size), Expect::Absent, b("v")),
            Command::Delete(sized(size)),
        ] {
            assert_eq!(command.fits(), fits, "a key of {size}");
            let refused = Store::default().apply(command) == Response::TooLarge;
            assert_eq!(refused, !fits, "a key of {size}");
        }
    }
    for (size, fits) in [(MAX_VALUE - 1, true), (MAX_VALUE, true), (MAX_VALUE + 1, false)] {
        for command in [
            Command::Put(b("k"), sized(size)),
            Command::Append(b("k"), sized(size)),
            Command::Cas(b("k"), Expect::Absent, sized(size)),
            Command::Cas(b("k"), Expect::Value(sized(size)), b("v")),
        ] {
            assert_eq!(command.fits(), fits, "a value of {size}");
            let refused = Store::default().apply(command) == Response::TooLarge;
            assert_eq!(refused, !fits, "a value of {size}");
        }
        let mut store = Store::default();
        store.apply(Command::Put(b("k"), sized(MAX_VALUE - 10)));
        let tail = sized(size + 10 - MAX_VALUE);
        let refused = store.apply(Command::Append(b("k"), tail)) == Response::TooLarge;
        assert_eq!(refused, !fits, "an append that makes {size}");
        let length = store.get(b"k").map(|(value, _)| value.len());
        assert_eq!(length, Some(if fits { size } else { MAX_VALUE - 10 }));
    }
}

/// Two values that fit one by one may be more than one command may be.
#[test]
fn a_command_has_a_limit_as_a_whole() {
    let sized = |size: usize| Bytes::from(vec![b'x'; size]);
    let around = 14 + 1; // Kind, lengths and kind of expectation; and a key of one byte.
    for (size, fits) in [(MAX_COMMAND - 1, true), (MAX_COMMAND, true), (MAX_COMMAND + 1, false)] {
        let old = sized(MAX_VALUE / 2);
        let new = sized(size - around - old.len());
        let cas = Command::Cas(b("k"), Expect::Value(old), new);
        assert_eq!((cas.to_bytes().len(), cas.fits()), (size, fits), "a cas");
        let half = sized(MAX_VALUE / 2);
        let rest = sized(size - 9 - 16 - 2 - half.len());
        let many = Command::PutMany(vec![(b("a"), half), (b("b"), rest)]);
        assert_eq!((many.to_bytes().len(), many.fits()), (size, fits), "a put of many");
    }
    let both = Expect::Value(sized(MAX_VALUE));
    assert!(!Command::Cas(b("k"), both, sized(MAX_VALUE)).fits());
    assert!(Command::Put(sized(MAX_KEY), sized(MAX_VALUE)).to_bytes().len() <= MAX_COMMAND);
    for (count, fits) in [(0, false), (1, true)]
        .into_iter()
        .chain([(MAX_KEYS_PER_CALL, true), (MAX_KEYS_PER_CALL + 1, false)])
    {
        let pairs = vec![(b("k"), b("v")); count];
        assert_eq!(Command::PutMany(pairs.clone()).fits(), fits, "{count} pairs");
        let decoded = Command::decode(&Command::PutMany(pairs).to_bytes());
        assert_eq!(decoded.is_some(), fits, "{count} pairs");
        assert_eq!(Question::GetMany(vec![b("k"); count]).fits(), fits, "{count} keys");
    }
}
