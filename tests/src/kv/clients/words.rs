//! What a history says, in the words of the store, and back.

use bytes::Bytes;
use histcheck::{Action, Answer, Operation};
use kvpaxos::{Command, Expect, Found, Response};
use paxosrsm::Coded;

/// The same operation with its answer, decoded.
pub(super) fn answered(asked: Operation, now: u64, bytes: Bytes) -> Operation {
    if matches!(asked.action, Action::Get { .. }) {
        return match Found::decode(&bytes) {
            Some(Found::One(None)) => asked.answered(now, Answer::Value(None)),
            Some(Found::One(Some((value, version)))) => {
                asked.answered(now, Answer::Value(Some(value.to_vec()))).at_version(version.0)
            }
            other => panic!("a get is answered with what was found, and not with {other:?}"),
        };
    }
    let swap = matches!(asked.action, Action::Cas { .. });
    match Response::decode(&bytes).expect("a command is answered with a response") {
        Response::Written(version) => {
            let answer = if swap { Answer::Swapped(true) } else { Answer::Done };
            asked.answered(now, answer).at_version(version.0)
        }
        Response::Deleted(_) => asked.answered(now, Answer::Done),
        Response::Differs(_) => asked.answered(now, Answer::Swapped(false)),
        Response::TooLarge => asked.refused(now),
    }
}

/// The one key an action touches.
pub(super) fn key(action: &Action) -> &[u8] {
    match action {
        Action::Get { key }
        | Action::Put { key, .. }
        | Action::Append { key, .. }
        | Action::Delete { key }
        | Action::Cas { key, .. } => key,
        Action::Txn { .. } => &[],
    }
}

/// The store's command for an action; `None` for one that only looks.
pub(super) fn command(action: &Action) -> Option<Command> {
    let bytes = |text: &[u8]| Bytes::copy_from_slice(text);
    Some(match action {
        Action::Put { key, value } => Command::Put(bytes(key), bytes(value)),
        Action::Append { key, value } => Command::Append(bytes(key), bytes(value)),
        Action::Delete { key } => Command::Delete(bytes(key)),
        Action::Cas { key, expect, value } => {
            let expect = match expect {
                Some(value) => Expect::Value(bytes(value)),
                None => Expect::Absent,
            };
            Command::Cas(bytes(key), expect, bytes(value))
        }
        Action::Get { .. } | Action::Txn { .. } => return None,
    })
}
