//! What clients with a workload do next: appends to some keys, everything else to the others.

use histcheck::Action;
use sim::Io;

use super::{Clients, Node};

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
        if io.rng.chance(200) {
            value.resize(value.len() + io.rng.below(600) as usize, b'x');
        }
        match io.rng.below(8) {
            0..=3 => Action::Put { key, value },
            4 => Action::Delete { key },
            _ => {
                let seen = self.clients[client].seen.get(&key);
                let expect = seen.cloned().flatten();
                Action::Cas { key, expect, value }
            }
        }
    }
}
