//! One call for each implementation of a seam.

use bytes::Bytes;
use paxos::Config;
use paxosrsm::{
    ClientId, Index, RequestNo, Sessions, Solo,
    engine::{Engine, Single},
    sessions::Command,
    suite::{self, TRAILING, Tape, Text},
};
use protocol::{Lsn, NodeId};

pub(crate) fn members(count: u16) -> Vec<NodeId> {
    (1..=count).map(NodeId).collect()
}

pub(crate) fn paxos_of(
    members: &[NodeId],
) -> impl Fn(NodeId, u64, Index, Vec<(Lsn, paxos::Record)>) -> Result<paxos::Paxos, String> {
    move |me, seed, applied, records| {
        let config = Config { trailing: TRAILING, ..Config::new(me, members.to_vec()) };
        config.recover(seed, applied, records)
    }
}

#[test]
fn solo_is_an_agreement() {
    suite::agreement(&members(1), |me, seed, applied, past| -> Result<Solo, String> {
        Single(me).recover(seed, applied, past)
    });
}

#[test]
fn a_group_of_one_is_an_agreement() {
    suite::agreement(&members(1), paxos_of(&members(1)));
}

#[test]
fn a_group_of_three_is_an_agreement() {
    suite::agreement(&members(3), paxos_of(&members(3)));
}

#[test]
fn a_tape_is_a_state_machine() {
    let words = ["", "a", "b", "a", "a longer one"];
    let commands: Vec<Text> =
        words.iter().map(|word| Text(Bytes::from_static(word.as_bytes()))).collect();
    suite::machine(Tape::default, &commands, &[Text(Bytes::new())]);
}

#[test]
fn a_machine_in_its_coat_is_a_state_machine() {
    let perform = |client, request, word: &'static str| Command::Do {
        client: ClientId(client),
        request: RequestNo(request),
        command: Text(Bytes::from_static(word.as_bytes())),
    };
    let commands = [
        perform(1, 1, "too early"),
        Command::Register,
        perform(1, 1, "a"),
        Command::Register,
        perform(2, 1, "b"),
        perform(2, 1, "b"),
        Command::Register,
        perform(1, 2, "expired by the third"),
        perform(3, 9, "c"),
        perform(3, 8, "stale"),
    ];
    let fresh = || Sessions::with_limit(Tape::default(), 2);
    suite::machine(fresh, &commands, &[Text(Bytes::new())]);
}
