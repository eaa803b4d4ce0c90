//! For whoever asks: who holds, who waits, who is in whose way, and what went wrong lately.

use std::{ops::Bound, time::Duration};

use protocol::Time;
use serde::{Deserialize, Serialize};

use super::{Table, Trouble, lock::Lock};
use crate::{Mode, Name, Owner, Policy, Ticket, Token};

/// One view shows at most so many names, and as many owners; of each name as many holders and
/// waiters.
pub const MAX_SHOWN: usize = 256;

/// One waiter shows at most so many that are in its way.
const MAX_BLOCKERS: usize = 8;

/// Who holds a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Who.
    pub owner: Owner,
    /// How.
    pub mode: Mode,
    /// By which token.
    pub token: Option<Token>,
}

/// Who waits for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Which request.
    pub ticket: Ticket,
    /// How it will hold the name.
    pub mode: Mode,
    /// How long it has waited.
    pub waited: Duration,
    /// Who is in its way, a few of them.
    pub behind: Vec<Owner>,
}

/// One name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockView {
    /// Which.
    pub name: Name,
    /// Who holds it.
    pub holders: Vec<Held>,
    /// Who waits for it, the first first.
    pub queue: Vec<Wanted>,
    /// Whether it is kept from everybody because its last owner was taken for dead.
    pub quiet: bool,
}

/// One owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerView {
    /// Who.
    pub owner: Owner,
    /// How much of its lease is left, if it has one.
    pub lease: Option<Duration>,
    /// How many names it holds.
    pub holds: usize,
    /// How many of its requests wait.
    pub waits: usize,
}

/// A part of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The names in order.
    pub locks: Vec<LockView>,
    /// The owners of all that is shown.
    pub owners: Vec<OwnerView>,
    /// Whether there are more names: ask again from the last one.
    pub more: bool,
    /// The last deadlocks and wounds, the oldest first.
    pub recent: Vec<Trouble>,
    /// How many names there are in all.
    pub names: usize,
    /// How many requests wait in all.
    pub waiting: usize,
}

impl<P: Policy> Table<P> {
    /// What is to be seen behind the name `after`, or from the first one on.
    #[must_use]
    pub fn view(&self, now: Time, after: Option<&Name>) -> View {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut range = self.state.locks.range::<Name, _>((from, Bound::Unbounded));
        let shown = range.by_ref().take(MAX_SHOWN);
        let locks: Vec<_> = shown.map(|(name, lock)| self.show(now, name, lock)).collect();
        let mut owners: Vec<Owner> = locks.iter().flat_map(who).collect();
        owners.sort_unstable();
        owners.dedup();
        owners.truncate(MAX_SHOWN);
        View {
            owners: owners.into_iter().filter_map(|owner| self.show_owner(now, owner)).collect(),
            locks,
            more: range.next().is_some(),
            recent: self.state.recent().cloned().collect(),
            names: self.state.locks.len(),
            waiting: self.state.waiting,
        }
    }

    /// One name, if anybody holds it, wants it or is kept from it.
    #[must_use]
    pub fn look(&self, now: Time, name: &Name) -> Option<LockView> {
        self.state.locks.get(name).map(|lock| self.show(now, name, lock))
    }

    /// One owner, if it is known.
    #[must_use]
    pub fn show_owner(&self, now: Time, owner: Owner) -> Option<OwnerView> {
        let standing = self.state.owners.get(&owner)?;
        let lease = self.lease_end(owner).map(|end| end.since(now));
        let waits = self.state.waits_of(owner).count();
        Some(OwnerView { owner, lease, holds: standing.held.len(), waits })
    }

    fn show(&self, now: Time, name: &Name, lock: &Lock) -> LockView {
        let holders = lock.holders().take(MAX_SHOWN);
        let queue = lock.queue.iter().take(MAX_SHOWN).map(|(place, entry)| {
            let ticket = entry.ticket;
            let mode = lock.together(ticket.owner, entry.mode);
            let blockers = lock.blockers(ticket.owner, mode, *place).take(MAX_BLOCKERS);
            let behind = blockers.map(|blocker| blocker.party.owner).collect();
            Wanted { ticket, mode, waited: self.clocks.waited(ticket, now), behind }
        });
        LockView {
            name: name.clone(),
            holders: holders
                .map(|(owner, hold)| Held { owner, mode: hold.mode, token: hold.token })
                .collect(),
            queue: queue.collect(),
            quiet: lock.quiet.is_some(),
        }
    }
}

fn who(lock: &LockView) -> impl Iterator<Item = Owner> {
    let holders = lock.holders.iter().map(|held| held.owner);
    holders.chain(lock.queue.iter().map(|wanted| wanted.ticket.owner))
}
