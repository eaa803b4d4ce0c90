//! Forms in bytes: they lie in logs and snapshots, so they must stay as they are for ever.

use bytes::Bytes;
use paxosrsm::{Coded, StateMachine, suite::a_form_means_one_thing};
use protocol::Rng;

use crate::{Command, Expect, Found, Get, Response, Store, Version};

fn b(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn commands() -> Vec<Command> {
    vec![
        Command::Put(b("k"), b("value")),
        Command::Append(b(""), b("v")),
        Command::Delete(b("k")),
        Command::Cas(b("k"), Expect::Absent, b("v")),
        Command::Cas(b("k"), Expect::Value(b("w")), b("v")),
        Command::Cas(b("k"), Expect::Version(Version(0x0102)), b("")),
    ]
}

fn responses() -> Vec<Response> {
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
    assert_eq!(hex(&Get(b("k")).to_bytes()), "010000006b");
    assert_eq!(hex(&Found(None).to_bytes()), "");
    assert_eq!(hex(&Found(Some((b("v"), Version(3)))).to_bytes()), "030000000000000076");
}

/// The count of writes, the count of keys, then each key, its version and its value, in order.
#[test]
fn golden_image() {
    let mut store = Store::default();
    store.apply(Command::Put(b("k"), b("v")));
    store.apply(Command::Put(b("a"), b("")));
    let number = |number: u64| hex(&number.to_le_bytes());
    let image = [
        number(2) + &number(2),
        "0100000061".to_owned() + &number(2) + "00000000",
        "010000006b".to_owned() + &number(1) + "0100000076",
    ];
    assert_eq!(hex(&store.freeze().write()), image.concat());
}

#[test]
fn every_form_means_one_thing() {
    commands().iter().for_each(|it| a_form_means_one_thing::<Command>(&it.to_bytes()));
    responses().iter().for_each(|it| a_form_means_one_thing::<Response>(&it.to_bytes()));
    for key in ["", "k", "a longer key"] {
        a_form_means_one_thing::<Get>(&Get(b(key)).to_bytes());
        a_form_means_one_thing::<Found>(&Found(Some((b(key), Version(7)))).to_bytes());
    }
    a_form_means_one_thing::<Found>(&Found(None).to_bytes());
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
        again::<Get>(&noise);
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
