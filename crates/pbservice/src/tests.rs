//! The rules of the parts that know nothing of servers: the state, the table, the clerk.

use bytes::Bytes;

use crate::{
    change::{Change, RequestNo, SessionId},
    item::Item,
};

mod clerk;
mod sessions;
mod state;

fn b(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The seeds of a random test; one only, if `SEED` names it.
pub(crate) fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    given.map_or(0..count, |seed: u64| seed..seed + 1)
}

/// How to see one seed of `test` again.
pub(crate) fn replay(seed: u64, test: &str) -> String {
    format!("seed {seed}; replay: SEED={seed} cargo test -p pbservice --lib {test}")
}

/// A request that was not done before.
fn wants(session: u64, number: u64, change: Change) -> Item {
    Item::Do { session: SessionId(session), number: RequestNo(number), change }
}
