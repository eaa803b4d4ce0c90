//! What clients with a workload do next, and how a history's words are the store's.

use bytes::Bytes;
use histcheck::Action;
use pbservice::Change;
use sim::Io;

use super::{Clients, Node};

/// The longest of the large values, in bytes: a few of them, and a state travels in many pieces.
const LARGE: u64 = 60_000;

impl Clients {
    /// The next operation of `client`. Values are unique; keys of even number are only ever
    /// appended to, so that each append can be found again at the end.
    pub(super) fn choose(&mut self, client: usize, io: &mut Io<Node>) -> Action {
        let number = self.next_operation + 1;
        let which = io.rng.below(self.shape.keys);
        let key = format!("k{which}").into_bytes();
        if self.clients[client].done || io.rng.chance(self.shape.reads) {
            return Action::Get { key };
        }
        if which.is_multiple_of(2) {
            return Action::Append { key, value: format!("[{number}]").into_bytes() };
        }
        let mut value = format!("v{number}.").into_bytes();
        if io.rng.chance(self.shape.large) {
            value.resize(value.len() + io.rng.below(LARGE) as usize, b'x');
        }
        match io.rng.below(8) {
            0..=4 => Action::Put { key, value },
            5 => Action::Append { key, value: format!("[{number}]").into_bytes() },
            _ => Action::Delete { key },
        }
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

/// The store's change for an action; `None` for one that only looks.
///
/// # Panics
///
/// If it is an action that this store does not have.
pub(super) fn change(action: &Action) -> Option<Change> {
    let bytes = |text: &[u8]| Bytes::copy_from_slice(text);
    Some(match action {
        Action::Put { key, value } => Change::Put(bytes(key), bytes(value)),
        Action::Append { key, value } => Change::Append(bytes(key), bytes(value)),
        Action::Delete { key } => Change::Delete(bytes(key)),
        Action::Get { .. } => return None,
        Action::Cas { .. } | Action::Txn { .. } => panic!("this store knows no {action:?}"),
    })
}
