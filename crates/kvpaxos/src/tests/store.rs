//! What each command does, and what is too much.

use bytes::Bytes;
use paxosrsm::StateMachine;

use crate::{Command, Expect, Found, Get, MAX_KEY, MAX_VALUE, Response, Store, Version};

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
    assert_eq!(store.query(Get(b("k"))), Found(None));
    assert_eq!(put(&mut store, "k", "a"), written(1));
    assert_eq!(store.apply(Command::Append(b("k"), b("b"))), written(2));
    assert_eq!(store.apply(Command::Append(b("new"), b("c"))), written(3));
    assert_eq!(store.query(Get(b("k"))), Found(Some((b("ab"), Version(2)))));
    assert_eq!(store.query(Get(b("new"))), Found(Some((b("c"), Version(3)))));
    assert_eq!(put(&mut store, "k", "xy"), written(4));
    assert_eq!(store.query(Get(b("k"))), Found(Some((b("xy"), Version(4)))));
    assert_eq!(store.apply(Command::Delete(b("k"))), Response::Deleted(true));
    assert_eq!(store.apply(Command::Delete(b("k"))), Response::Deleted(false));
    assert_eq!(store.query(Get(b("k"))), Found(None));
    assert_eq!(store.len(), 1);
}

/// A value that was read does not change under the reader, whatever is written over it.
#[test]
fn what_was_read_stays_as_it_was() {
    let mut store = Store::default();
    put(&mut store, "k", "one");
    let Found(Some((read, _))) = store.query(Get(b("k"))) else { panic!("it is there") };
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
    assert_eq!(store.query(Get(b("k"))), Found(Some((b(""), Version(1)))));
    assert_eq!(cas(&mut store, "k", Expect::Absent, "x"), Response::Differs(Some(Version(1))));
    assert_eq!(cas(&mut store, "k", Expect::Value(b("")), "x"), written(2));
    assert_eq!(put(&mut store, "", "the empty key"), written(3));
    assert_eq!(store.query(Get(b(""))), Found(Some((b("the empty key"), Version(3)))));
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
    assert_eq!(store.query(Get(b("k"))), Found(Some((b("c"), Version(3)))));
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
