//! The slow judge: every order of every choice of unknown operations, on a plain map.

use histcheck::{Action, Answer, Operation, Outcome, Text};

/// Whether some order explains `history`, which touches one key only. Takes factorial time.
pub(crate) fn is_linearizable(history: &[Operation]) -> bool {
    let mut left: Vec<&Operation> =
        history.iter().filter(|op| op.outcome != Outcome::Fail).collect();
    explains(&mut left, None)
}

fn explains(left: &mut Vec<&Operation>, value: Option<&Text>) -> bool {
    if left.iter().all(|op| op.outcome == Outcome::Unknown) {
        return true;
    }
    (0..left.len()).any(|at| {
        let next = left[at];
        if left.iter().any(|other| precedes(other, next)) {
            return false;
        }
        let Some(after) = apply(next, value) else { return false };
        left.remove(at);
        let found = explains(left, after.as_ref());
        left.insert(at, next);
        found
    })
}

/// Only what was answered can have ended. One client's operations never overlap.
fn precedes(a: &Operation, b: &Operation) -> bool {
    let Some(finish) = a.finish.filter(|_| matches!(a.outcome, Outcome::Ok(_))) else {
        return false;
    };
    finish < b.call || finish == b.call && a.client == b.client && a.id < b.id
}

/// The value afterwards; `None` if the answer contradicts it.
fn apply(operation: &Operation, value: Option<&Text>) -> Option<Option<Text>> {
    let (after, answer) = match &operation.action {
        Action::Get { .. } => (value.cloned(), Answer::Value(value.cloned())),
        Action::Put { value, .. } => (Some(value.clone()), Answer::Done),
        Action::Append { value: more, .. } => {
            (Some([value.map_or(&[][..], Vec::as_slice), more].concat()), Answer::Done)
        }
        Action::Delete { .. } => (None, Answer::Done),
        Action::Cas { expect, value: to, .. } => {
            let swaps = value == expect.as_ref();
            (if swaps { Some(to.clone()) } else { value.cloned() }, Answer::Swapped(swaps))
        }
        Action::Txn { .. } => return None,
    };
    let agrees = operation.outcome == Outcome::Unknown || operation.outcome == Outcome::Ok(answer);
    agrees.then_some(after)
}
