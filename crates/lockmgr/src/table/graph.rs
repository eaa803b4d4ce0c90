//! Who waits for whom: read off the table, never kept beside it.
//!
//! A graph that is kept must follow every change, and one edge too few is a deadlock that nobody
//! finds. Here a request points to names, and names know their holders and their queues, so a change
//! of hands costs nothing and no edge can be overwritten by another.

use std::collections::{BTreeMap, VecDeque};

use protocol::planted;

use super::{lock::Place, state::State};
use crate::{Link, Mode, Name, Owner, Policy, Ticket, policy::Order};

/// One request waits for one owner, because of one name.
pub type Edge = Link;

/// How far each queue has been looked through for a request that goes with nothing: who stands
/// before that place has been reached.
type Looked<'a> = BTreeMap<&'a Name, Place>;

impl<P: Policy> State<P> {
    /// All that a request waits for.
    pub fn edges_of(&self, ticket: Ticket) -> Vec<Edge> {
        self.edges_since(ticket, &mut Looked::new())
    }

    /// All edges there are.
    pub fn edges(&self) -> impl Iterator<Item = Edge> {
        self.waiting().flat_map(|ticket| self.edges_of(ticket))
    }

    fn edges_since<'a>(&'a self, ticket: Ticket, looked: &mut Looked<'a>) -> Vec<Edge> {
        let mut edges = Vec::new();
        let Some(waiting) = self.waiting_of(ticket) else { return edges };
        for (name, mode, place) in &waiting.wants {
            let lock = &self.locks[name];
            let wants = lock.together(ticket.owner, *mode);
            let since = if wants == Mode::X { looked.get(name).copied() } else { None };
            let blockers = lock.blockers_since(since, ticket.owner, wants, *place);
            edges.extend(blockers.map(|blocker| Link {
                waiter: ticket,
                name: name.clone(),
                wants,
                blocker: blocker.party.owner,
                has: blocker.mode,
                holds: blocker.holds,
            }));
            if wants == Mode::X {
                let far = looked.entry(name).or_insert(*place);
                *far = (*place).max(*far);
            }
        }
        edges
    }

    /// Whether a search from this owner can find a circle that nobody else finds. Where all wait in
    /// the order in which they come, nobody waits for a newcomer that holds nothing and waits for
    /// nothing else: who comes behind it looks for itself, and who later gets something looks again.
    /// Without this each of a crowd before one name would look through all of the crowd.
    pub(super) fn may_be_waited_for(&self, owner: Owner) -> bool {
        let holds = self.owners.get(&owner).is_some_and(|standing| !standing.held.is_empty());
        holds || self.policy.order() == Order::Age || self.waits_of(owner).nth(1).is_some()
    }

    /// The shortest circle that the owner of `ticket` is part of, beginning with one of its requests:
    /// each link's blocker is the next link's waiter, the last one's blocker is the first one's
    /// waiter. An owner may wait for several things, and a request that puts itself before others
    /// may close a circle that goes on through another request of the same owner; so all of them
    /// are followed. Of any circle the last owner to join finds it, and it is enough that each looks
    /// for itself.
    pub fn circle(&self, ticket: Ticket) -> Option<Vec<Link>> {
        // By which edge each owner was reached.
        let mut came: BTreeMap<Owner, Link> = BTreeMap::new();
        let mut looked = Looked::new();
        let mut next: VecDeque<_> = self.waits_of(ticket.owner).map(|(one, _)| one).collect();
        while let Some(waiter) = next.pop_front() {
            // What was seen from where the search began leaves out whom it is about.
            let mut fresh = Looked::new();
            let own = waiter.owner == ticket.owner;
            let edges = self.edges_since(waiter, if own { &mut fresh } else { &mut looked });
            for edge in edges {
                if edge.blocker == ticket.owner {
                    return Some(way_back(ticket.owner, &came, edge));
                }
                if came.contains_key(&edge.blocker) {
                    continue;
                }
                let mut waits: Vec<_> = self.waits_of(edge.blocker).map(|(one, _)| one).collect();
                if planted::is("newer-edge-overwrites") {
                    waits = waits.pop().into_iter().collect();
                }
                next.extend(waits);
                came.insert(edge.blocker, edge);
            }
        }
        None
    }
}

/// From the edge that closed the circle back to where it began.
fn way_back(owner: Owner, came: &BTreeMap<Owner, Link>, last: Link) -> Vec<Link> {
    let mut chain = vec![last];
    while let Some(link) = chain.last().filter(|link| link.waiter.owner != owner) {
        let before = came[&link.waiter.owner].clone();
        chain.push(before);
    }
    chain.reverse();
    chain
}
