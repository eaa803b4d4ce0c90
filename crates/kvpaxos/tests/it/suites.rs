//! One call for each implementation of a seam.

use bytes::Bytes;
use kvpaxos::{Command, Cursor, Expect, Question, Show, Store, Version};
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

fn queries() -> Vec<Question> {
    let keys = ["k", "j", "", "i", "never written"].map(|k| Bytes::from_static(k.as_bytes()));
    let scan = |show| Question::Scan { prefix: Bytes::new(), from: Cursor::START, show };
    let mut all: Vec<Question> = keys.iter().cloned().map(Question::Get).collect();
    all.extend([Question::GetMany(keys.to_vec()), scan(Show::Keys), scan(Show::Values)]);
    all
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
