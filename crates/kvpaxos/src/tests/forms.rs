//! Forms in bytes: they lie in logs and snapshots, so they must stay as they are for ever.

use bytes::Bytes;
use paxosrsm::{Coded, StateMachine, suite::a_form_means_one_thing};
use protocol::Rng;

use crate::{
    Command, Cursor, Entry, Expect, Found, Page, Question, Response, Show, Store, Version,
};

pub(super) fn b(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn commands() -> Vec<Command> {
    vec![
        Command::Put(b("k"), b("value")),
        Command::Append(b(""), b("v")),
        Command::Delete(b("k")),
        Command::Cas(b("k"), Expect::Absent, b("v")),
        Command::Cas(b("k"), Expect::Value(b("w")), b("v")),
        Command::Cas(b("k"), Expect::Version(Version(0x0102)), b("")),
        Command::PutMany(vec![(b("a"), b("x")), (b("b"), b(""))]),
    ]
}

pub(super) fn questions() -> Vec<Question> {
    vec![
        Question::Get(b("k")),
        Question::GetMany(vec![b("k"), b("")]),
        Question::Scan { prefix: b("p"), from: Cursor::START, show: Show::Keys },
        Question::Scan { prefix: b(""), from: Cursor(0x0102), show: Show::Values },
    ]
}

pub(super) fn found() -> Vec<Found> {
    let entry = |value| Entry { key: b("k"), version: Version(3), value };
    vec![
        Found::One(None),
        Found::One(Some((b("v"), Version(3)))),
        Found::Many(vec![None, Some((b("v"), Version(3)))]),
        Found::Page(Page { found: vec![entry(None), entry(Some(b("v")))], next: None }),
        Found::Page(Page { found: vec![], next: Some(Cursor(7)) }),
        Found::TooMuch,
    ]
}

pub(super) fn responses() -> Vec<Response> {
    vec![
        Response::Written(Version(0x0102)),
        Response::Deleted(false),
        Response::Deleted(true),
        Response::Differs(Some(Version(9))),
        Response::Differs(None),
        Response::TooLarge,
    ]
}

/// If this fails, every log and snapshot in the world has become unreadable: add a kind instead.
#[test]
fn golden_bytes() {
    let written: Vec<String> = commands().iter().map(|it| hex(&it.to_bytes())).collect();
    let golden = [
        "00010000006b0500000076616c7565",
        "01000000000100000076",
        "02010000006b",
        "03010000006b010000007600",
        "03010000006b0100000076010100000077",
        "03010000006b00000000020201000000000000",
        "04020000000000000001000000610100000078010000006200000000",
    ];
    assert_eq!(written, golden);
    let written: Vec<String> = responses().iter().map(|it| hex(&it.to_bytes())).collect();
    let golden = [
        "000201000000000000",
        "010000000000000000",
        "010100000000000000",
        "020900000000000000",
        "030000000000000000",
        "040000000000000000",
    ];
    assert_eq!(written, golden);
    let written: Vec<String> = questions().iter().map(|it| hex(&it.to_bytes())).collect();
    let golden = [
        "00010000006b",
        "010200000000000000010000006b00000000",
        "020100000070ffffffffffffffff00",
        "0200000000020100000000000001",
    ];
    assert_eq!(written, golden);
    let written: Vec<String> = found().iter().map(|it| hex(&it.to_bytes())).collect();
    let golden = [
        "00",
        "01030000000000000076",
        "020200000000000000000103000000000000000100000076",
        "0300000000000000000200000000000000010000006b030000000000000000010000006b0300000000000000010100000076",
        "0307000000000000000000000000000000",
        "04",
    ];
    assert_eq!(written, golden);
}

/// The count of writes, the count of keys, then each key, its version and its value, in the order
/// of the row.
#[test]
fn golden_image() {
    let mut store = Store::default();
    store.apply(Command::Put(b("k"), b("v")));
    store.apply(Command::Put(b("a"), b("")));
    let number = |number: u64| hex(&number.to_le_bytes());
    let image = [
        number(2) + &number(2),
        "010000006b".to_owned() + &number(1) + "0100000076",
        "0100000061".to_owned() + &number(2) + "00000000",
    ];
    assert_eq!(hex(&store.freeze().write()), image.concat());
}

#[test]
fn every_form_means_one_thing() {
    commands().iter().for_each(|it| a_form_means_one_thing::<Command>(&it.to_bytes()));
    responses().iter().for_each(|it| a_form_means_one_thing::<Response>(&it.to_bytes()));
    questions().iter().for_each(|it| a_form_means_one_thing::<Question>(&it.to_bytes()));
    found().iter().for_each(|it| a_form_means_one_thing::<Found>(&it.to_bytes()));
}

#[test]
fn nothing_a_stranger_sends_is_worse_than_refused() {
    let mut rng = Rng::new(2);
    for _ in 0..50_000 {
        let length = rng.below(40);
        // Small bytes, so that kinds and lengths are often in range.
        let noise: Vec<u8> =
            (0..length).map(|_| (rng.next_u64() as u8) >> rng.below(9).min(7)).collect();
        let noise = Bytes::from(noise);
        again::<Command>(&noise);
        again::<Response>(&noise);
        again::<Question>(&noise);
        again::<Found>(&noise);
        // An image is sealed, so this never happens; it must be harmless all the same.
        drop(Store::restore(&noise));
    }
    assert!(Store::restore(&Bytes::from(vec![0xFF; 16])).is_none(), "a count is not believed");
}

/// What is understood is understood in one way only.
fn again<T: Coded>(noise: &Bytes) {
    if let Some(meant) = T::decode(noise) {
        assert_eq!(meant.to_bytes(), noise);
    }
}
