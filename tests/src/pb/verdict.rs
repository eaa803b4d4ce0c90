//! The end of the day: is what clients heard and what servers hold one story?

use bytes::Bytes;
use pbservice::State;
use sim::World;
use viewservice::SERVICE_NODE;

use super::{Node, Pair};
use crate::verdict::{linearizable, tokens};

/// The state of the primary of the view in force; nothing if it is not up, or was never any.
#[must_use]
pub fn state(world: &World<Pair>) -> Option<State> {
    let view = world.view();
    let Some(Node::Service(service)) = view.core(SERVICE_NODE) else { return None };
    let primary = service.view().primary.as_ref()?.member;
    match view.core(primary.node) {
        Some(Node::Server(server)) if server.member() == Some(primary) => {
            Some(server.state().clone())
        }
        _ => None,
    }
}

/// Everything at once: each append once, and one honest map could have given every answer.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn judge(world: &World<Pair>) -> Result<(), String> {
    let record = world.subject.clients.record();
    if !world.subject.lost(&world.view())
        && let Some(state) = state(world)
    {
        let value = |key: &[u8]| state.get(key).cloned().unwrap_or_else(Bytes::new);
        tokens(&record, value)?;
    }
    linearizable(&record)
}
