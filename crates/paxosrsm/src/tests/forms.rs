//! Forms in bytes: they lie in logs and snapshots, so they must stay as they are for ever.

use bytes::Bytes;
use protocol::Rng;

use crate::{
    agreement::Index,
    engine::{Engine, Single},
    machine::{Coded, Reader, StateMachine, fingerprint, put_bytes},
    sessions::{ClientId, Command, RequestNo, Response, Sessions},
    solo::Line,
    suite::{Length, Tape, Text, a_form_means_one_thing},
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn text(word: &'static str) -> Text {
    Text(Bytes::from_static(word.as_bytes()))
}

/// If this fails, every log and snapshot in the world has become unreadable: add a version
/// instead.
#[test]
fn golden_bytes() {
    let client = ClientId(0x0102);
    let request = RequestNo(3);
    let commands = [
        Command::Register,
        Command::Do { client, request, command: text("hi") },
        Command::Bare(text("hi")),
    ];
    assert_eq!(hex(&commands[0].to_bytes()), "00");
    assert_eq!(hex(&commands[1].to_bytes()), "01020100000000000003000000000000006869");
    assert_eq!(hex(&commands[2].to_bytes()), "026869");
    let responses: Vec<String> = [
        Response::Registered(client),
        Response::Done(Length(5)),
        Response::Expired,
        Response::Stale,
        Response::Malformed,
    ]
    .iter()
    .map(|response: &Response<Length>| hex(&response.to_bytes()))
    .collect();
    assert_eq!(responses, ["000201000000000000", "010500000000000000", "02", "03", "04"]);

    let mut sessions = Sessions::with_limit(Tape::default(), 4);
    sessions.apply(Command::Register);
    sessions.apply(Command::Register);
    let (client, request) = (ClientId(1), RequestNo(1));
    sessions.apply(Command::Do { client, request, command: text("hi") });
    let number = |number: u64| hex(&number.to_le_bytes());
    let image = [
        number(3) + &number(4) + &number(2),
        number(2) + &number(0) + "00000000",
        number(1) + &number(1) + "08000000" + &number(1),
        number(1) + "020000006869",
    ];
    assert_eq!(hex(&sessions.freeze().write()), image.concat());
}

#[test]
fn golden_lines_of_a_group_of_one() {
    let written = |line: &Line| {
        let mut bytes = Vec::new();
        Single::encode()(line, &mut bytes);
        assert_eq!(&Single::decode(&bytes).expect("a line"), line);
        hex(&bytes)
    };
    assert_eq!(written(&Line::Command(Index(5), Bytes::from_static(b"hi"))), "0005026869");
    assert_eq!(written(&Line::Floor(Index(300))), "01fb2c01");
}

/// The fingerprint is part of every snapshot, and compared between replicas of two versions.
#[test]
fn golden_fingerprints() {
    let of = |bytes: &[u8]| fingerprint(7, bytes);
    let all = [of(b""), of(b"a"), of(b"12345678"), of(b"0123456789abcdef0123456789abcdef!")];
    assert_eq!(all.map(|each| format!("{each:016x}")), GOLDEN);
}

const GOLDEN: [&str; 4] =
    ["99db5685c9d648b0", "3ca9463484358c8f", "29954068b51342b6", "c5cd88442ad99c1d"];

#[test]
fn every_form_means_one_thing() {
    let client = ClientId(u64::MAX);
    let request = RequestNo(0);
    let named = Command::Do { client, request, command: text("") };
    for command in [Command::Register, named, Command::Bare(text(""))] {
        a_form_means_one_thing::<Command<Text>>(&command.to_bytes());
    }
    for response in [
        Response::Registered(client),
        Response::Done(Length(0)),
        Response::Expired,
        Response::Stale,
        Response::Malformed,
    ] {
        a_form_means_one_thing::<Response<Length>>(&response.to_bytes());
    }
}

#[test]
fn nothing_a_stranger_sends_is_worse_than_refused() {
    let mut rng = Rng::new(1);
    for _ in 0..20_000 {
        let length = rng.below(40);
        let mut noise: Vec<u8> = (0..length).map(|_| rng.next_u64() as u8).collect();
        if let Some(kind) = noise.first_mut() {
            *kind %= 6; // Most first bytes would be refused at once.
        }
        let noise = Bytes::from(noise);
        if let Some(command) = Command::<Text>::decode(&noise) {
            assert_eq!(command.to_bytes(), noise);
        }
        if let Some(response) = Response::<Length>::decode(&noise) {
            assert_eq!(response.to_bytes(), noise);
        }
        // An image is sealed, so this never happens; it must be harmless all the same.
        drop(Sessions::<Tape>::restore(&noise));
        drop(Single::decode(&noise));
    }
}

/// A count that a stranger wrote is not believed: nothing is reserved for it.
#[test]
fn a_huge_count_is_refused_when_the_bytes_end() {
    let mut image = Vec::new();
    for number in [1, 1, 1, u64::MAX] {
        image.extend_from_slice(&u64::to_le_bytes(number));
    }
    assert!(Sessions::<Tape>::restore(&Bytes::from(image)).is_none());
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, b"abc");
    bytes[0] = 4;
    assert_eq!(Reader::new(&Bytes::from(bytes)).bytes(), None);
    assert_eq!(Reader::new(&Bytes::from_static(&[255; 4])).bytes(), None);
}
