//! One call for each implementation of a seam.

use bytes::Bytes;
use kvpaxos::{Command, Expect, Store, Version, command::Get};
use paxosrsm::{ClientId, RequestNo, Sessions, sessions, suite};

fn commands() -> Vec<Command> {
    let b = |text: &'static str| Bytes::from_static(text.as_bytes());
    vec![
        Command::Put(b("k"), b("a")),
        Command::Append(b("k"), b("b")),
        Command::PutMany(vec![(b("i"), b("1")), (b("j"), b("2")), (b("i"), b("3"))]),
        Command::Put(b("j"), b("same size")),
        Command::Put(b("j"), b("same-size")),
        Command::Cas(b("k"), Expect::Value(b("ab")), b("c")),
        Command::Cas(b("k"), Expect::Version(Version(1)), b("d")),
        Command::Delete(b("j")),
        Command::Cas(b("j"), Expect::Absent, b("")),
        Command::Append(b("j"), b("tail")),
        Command::Put(b(""), b("")),
    ]
}

fn queries() -> Vec<Get> {
    ["k", "j", "", "never written"].map(|key| Get(Bytes::from_static(key.as_bytes()))).into()
}

#[test]
fn a_store_is_a_state_machine() {
    suite::machine(Store::default, &commands(), &queries());
}

#[test]
fn a_store_in_its_coat_is_a_state_machine() {
    let mut all = vec![sessions::Command::Register, sessions::Command::Register];
    for (number, command) in (1..).zip(commands()) {
        let client = ClientId(1 + number % 2);
        let request = sessions::Command::Do { client, request: RequestNo(number), command };
        all.extend([request.clone(), request]);
    }
    suite::machine(|| Sessions::new(Store::default()), &all, &queries());
}
