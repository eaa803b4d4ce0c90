//! One name: who holds it, and who waits in which order.

use std::{collections::BTreeMap, ops::Bound, time::Duration};

use protocol::planted;
use serde::{Deserialize, Serialize};

use crate::{
    Birth, Mode, Owner, Ticket, Token,
    mode::MODES,
    policy::{Order, Party},
};

/// How an owner holds a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) mode: Mode,
    pub(super) token: Option<Token>,
    pub(super) birth: Birth,
}

/// A place in a queue; the smallest is served first. All queues order the same two requests the
/// same way, but for those that want more of what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Place {
    /// It holds nothing of the name yet.
    fresh: bool,
    /// By age, or the same for all.
    age: Option<(Birth, Owner)>,
    /// Counted over the whole table.
    arrival: u64,
}

impl Place {
    pub(super) fn new(order: Order, upgrade: bool, party: Party, arrival: u64) -> Self {
        let age = (order == Order::Age).then_some((party.birth, party.owner));
        Self { fresh: !upgrade, age, arrival }
    }

    /// The how-manieth request of the table it was.
    pub(super) fn arrival(self) -> u64 {
        self.arrival
    }
}

/// A request in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) ticket: Ticket,
    pub(super) birth: Birth,
    pub(super) mode: Mode,
}

impl Entry {
    pub(super) fn party(&self) -> Party {
        Party { birth: self.birth, owner: self.ticket.owner }
    }
}

/// Who is in a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocker {
    pub(super) party: Party,
    pub(super) mode: Mode,
    pub(super) holds: bool,
}

/// One name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Lock {
    held: BTreeMap<Owner, Hold>,
    /// How many hold it in each mode: a crowd of readers is looked through only by who minds it.
    modes: [u32; MODES.len()],
    pub(super) queue: BTreeMap<Place, Entry>,
    /// Nobody gets it until this delay after an expiry is over.
    pub(super) quiet: Option<Duration>,
}

impl Lock {
    /// Nobody holds it, waits for it or is kept from it.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.queue.is_empty() && self.quiet.is_none()
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = (Owner, Hold)> {
        self.held.iter().map(|(&owner, &hold)| (owner, hold))
    }

    pub(super) fn hold_of(&self, owner: Owner) -> Option<Hold> {
        self.held.get(&owner).copied()
    }

    /// What `owner` will hold if it gets `mode` too.
    pub(super) fn together(&self, owner: Owner, mode: Mode) -> Mode {
        self.held.get(&owner).map_or(mode, |hold| hold.mode.with(mode))
    }

    /// `owner` holds it so from now on. Returns whether it held nothing before.
    pub(super) fn hold(&mut self, owner: Owner, hold: Hold) -> bool {
        let before = self.held.insert(owner, hold);
        self.modes[hold.mode as usize] += 1;
        if let Some(before) = before {
            self.modes[before.mode as usize] -= 1;
        }
        before.is_none()
    }

    pub(super) fn let_go(&mut self, owner: Owner) -> Option<Hold> {
        let hold = self.held.remove(&owner)?;
        self.modes[hold.mode as usize] -= 1;
        Some(hold)
    }

    /// Whether one more may hold it so, beside all who do.
    pub(super) fn goes_with_holders(&self, mode: Mode) -> bool {
        MODES.into_iter().all(|other| mode.goes_with(other) || self.modes[other as usize] == 0)
    }

    /// Whether there may be somebody in the queue who can have it now.
    pub(super) fn lets_somebody(&self) -> bool {
        self.quiet.is_none() && self.modes[Mode::X as usize] == 0
    }

    /// Whether no holder but `owner` itself is in the way of `mode`.
    pub(super) fn is_free_for(&self, owner: Owner, mode: Mode) -> bool {
        if self.quiet.is_some() {
            return false;
        }
        let own = self.held.get(&owner).map(|hold| hold.mode);
        if own.is_some() && planted::is("upgrade-barges") {
            return true;
        }
        MODES.into_iter().all(|other| {
            mode.goes_with(other) || self.modes[other as usize] == u32::from(own == Some(other))
        })
    }

    /// Whether `owner` holds this much already: it needs nobody's leave then, whoever waits.
    pub(super) fn has(&self, owner: Owner, mode: Mode) -> bool {
        self.held.get(&owner).is_some_and(|hold| hold.mode == mode)
    }

    /// All in the way of `owner` at `place`: first who holds it, then who comes before it.
    pub(super) fn blockers(
        &self,
        owner: Owner,
        mode: Mode,
        place: Place,
    ) -> impl Iterator<Item = Blocker> {
        self.blockers_since(None, owner, mode, place)
    }

    /// The same without those that were in the way of `since` in the same queue already.
    pub(super) fn blockers_since(
        &self,
        since: Option<Place>,
        owner: Owner,
        mode: Mode,
        place: Place,
    ) -> impl Iterator<Item = Blocker> {
        let has = self.has(owner, mode);
        let crowd = since.is_none() && !has && !self.is_free_for(owner, mode);
        let crowd = crowd.then(|| self.held.iter());
        let since = since.map_or(Bound::Unbounded, Bound::Included);
        let empty = has || matches!(since, Bound::Included(since) if since >= place);
        let queue = (!empty).then(|| self.queue.range((since, Bound::Excluded(place))));
        let holders = crowd.into_iter().flatten().map(|(&owner, hold)| {
            let party = Party { birth: hold.birth, owner };
            Blocker { party, mode: hold.mode, holds: true }
        });
        let waiters = queue.into_iter().flatten().map(|(_, entry)| Blocker {
            party: entry.party(),
            mode: entry.mode,
            holds: false,
        });
        let blind = mode == Mode::S && planted::is("shares-past-a-queued-writer");
        holders.chain(waiters).filter(move |blocker| {
            blocker.party.owner != owner
                && !mode.goes_with(blocker.mode)
                && (blocker.holds || !blind)
        })
    }

    /// All in whose way a request at `place` is, because it comes before them.
    pub(super) fn kept_back(&self, place: Place, mode: Mode) -> impl Iterator<Item = &Entry> {
        let behind = self.queue.range((Bound::Excluded(place), Bound::Unbounded));
        behind.map(|(_, entry)| entry).filter(move |entry| {
            !mode.goes_with(entry.mode) && !self.has(entry.ticket.owner, entry.mode)
        })
    }
}
