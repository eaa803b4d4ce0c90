//! When leases, waits and delays end. All of it may be lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use protocol::Time;

use super::state::State;
use crate::{Name, Owner, Patience, Policy, Ticket};

/// What time can bring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Alarm {
    /// A request has waited as long as it would.
    Wait(Ticket),
    /// A request has waited so long that it looks for a circle.
    Search(Ticket),
    /// A delay is over.
    Quiet(Name),
}

/// The times of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lease {
    end: Time,
    /// Where its alarm stands: never later than its end.
    rings: Time,
}

/// The times of one request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waits {
    since: Time,
    until: Time,
    search: Option<Time>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Clocks {
    /// When to look at each lease, in order. That may be before its end, since it is prolonged far
    /// more often than it ends.
    endings: BTreeSet<(Time, Owner)>,
    /// Every other time that stands below, in order.
    alarms: BTreeSet<(Time, Alarm)>,
    leases: BTreeMap<Owner, Lease>,
    waits: BTreeMap<Ticket, Waits>,
    quiet: BTreeMap<Name, Time>,
}

impl Clocks {
    /// Everything begins `now`.
    pub(super) fn starting<P: Policy>(state: &State<P>, now: Time) -> Self {
        let mut clocks = Self::default();
        for owner in state.owners() {
            clocks.enter(state, owner, now);
        }
        for ticket in state.waiting() {
            clocks.wait(state, ticket, now);
        }
        for name in state.quiet_names() {
            clocks.hush(state, name, now);
        }
        clocks
    }

    pub(super) fn next(&self) -> Option<Time> {
        let ending = self.endings.first().map(|(at, _)| *at);
        let alarm = self.alarms.first().map(|(at, _)| *at);
        ending.into_iter().chain(alarm).min()
    }

    /// Whether a lease is over that nobody has ended yet.
    pub(super) fn is_late(&self, now: Time) -> bool {
        let due = self.endings.iter().take_while(|(at, _)| *at <= now);
        due.filter_map(|(_, owner)| self.leases.get(owner)).any(|lease| lease.end <= now)
    }

    /// Takes out all whose leases are over.
    pub(super) fn late(&mut self, now: Time) -> Vec<Owner> {
        let mut late = Vec::new();
        while let Some(&(at, owner)) = self.endings.first().filter(|(at, _)| *at <= now) {
            self.endings.remove(&(at, owner));
            let lease = self.leases.get_mut(&owner).expect("each has a lease");
            if lease.end <= now {
                self.leases.remove(&owner);
                late.push(owner);
                continue;
            }
            // It was prolonged meanwhile.
            lease.rings = lease.end;
            self.endings.insert((lease.end, owner));
        }
        late
    }

    /// Takes out what else is due, if it still means something.
    pub(super) fn ring(&mut self, now: Time) -> Option<Alarm> {
        while self.alarms.first().is_some_and(|(at, _)| *at <= now) {
            let (at, alarm) = self.alarms.pop_first().expect("there is one");
            let real = match &alarm {
                Alarm::Wait(ticket) => self.waits.get(ticket).map(|waits| waits.until),
                Alarm::Search(ticket) => self.waits.get(ticket).and_then(|waits| waits.search),
                Alarm::Quiet(name) => self.quiet.get(name).copied(),
            };
            match real {
                Some(end) if end <= now => {
                    if let Alarm::Quiet(name) = &alarm {
                        self.quiet.remove(name);
                    }
                    return Some(alarm);
                }
                Some(end) if end > at => _ = self.alarms.insert((end, alarm)),
                _ => {}
            }
        }
        None
    }

    pub(super) fn enter<P: Policy>(&mut self, state: &State<P>, owner: Owner, now: Time) {
        let Some(lease) = state.lease_of(owner) else { return };
        let end = now.plus(lease);
        match self.leases.get_mut(&owner) {
            Some(lease) => lease.end = end,
            None => {
                self.leases.insert(owner, Lease { end, rings: end });
                self.endings.insert((end, owner));
            }
        }
    }

    /// The lease begins anew; its alarm stays where it is and is moved when it rings.
    pub(super) fn renew<P: Policy>(&mut self, state: &State<P>, owner: Owner, now: Time) {
        if let Some(lease) = state.lease_of(owner)
            && let Some(known) = self.leases.get_mut(&owner)
        {
            known.end = now.plus(lease);
        }
    }

    /// Nobody could be heard for a while, or nobody knows for how long: everything that still runs
    /// ends no earlier than if it began now.
    pub(super) fn forgive<P: Policy>(&mut self, state: &State<P>, now: Time) {
        for owner in self.leases.keys().copied().collect::<Vec<_>>() {
            self.renew(state, owner, now);
        }
        for (&ticket, waits) in &mut self.waits {
            let Some(Patience::For(wait)) = state.patience_of(ticket) else { continue };
            self.alarms.remove(&(waits.until, Alarm::Wait(ticket)));
            waits.until = now.plus(wait);
            self.alarms.insert((waits.until, Alarm::Wait(ticket)));
        }
        for name in self.quiet.keys().cloned().collect::<Vec<_>>() {
            self.hush(state, name, now);
        }
    }

    pub(super) fn leave(&mut self, owner: Owner) {
        if let Some(lease) = self.leases.remove(&owner) {
            self.endings.remove(&(lease.rings, owner));
        }
    }

    pub(super) fn wait<P: Policy>(&mut self, state: &State<P>, ticket: Ticket, now: Time) {
        let Some(Patience::For(wait)) = state.patience_of(ticket) else { return };
        if self.waits.contains_key(&ticket) {
            return;
        }
        let until = now.plus(wait);
        let search = state.policy().search_after().map(|after| now.plus(after));
        self.waits.insert(ticket, Waits { since: now, until, search });
        self.alarms.insert((until, Alarm::Wait(ticket)));
        if let Some(search) = search {
            self.alarms.insert((search, Alarm::Search(ticket)));
        }
    }

    pub(super) fn search_again(&mut self, ticket: Ticket, now: Time) {
        if self.waits.contains_key(&ticket) {
            self.alarms.insert((now, Alarm::Search(ticket)));
        }
    }

    /// Somebody may wait for this request's owner that did not before: a request that has looked
    /// looks once more, after as long as the first time.
    pub(super) fn search_later<P: Policy>(&mut self, state: &State<P>, ticket: Ticket, now: Time) {
        if let Some(waits) = self.waits.get_mut(&ticket)
            && let Some(after) = state.policy().search_after()
            && waits.search.is_some_and(|search| search <= now)
        {
            let search = now.plus(after);
            waits.search = Some(search);
            self.alarms.insert((search, Alarm::Search(ticket)));
        }
    }

    pub(super) fn over(&mut self, ticket: Ticket) {
        if let Some(waits) = self.waits.remove(&ticket) {
            self.alarms.remove(&(waits.until, Alarm::Wait(ticket)));
            if let Some(search) = waits.search {
                self.alarms.remove(&(search, Alarm::Search(ticket)));
            }
        }
    }

    pub(super) fn hush<P: Policy>(&mut self, state: &State<P>, name: Name, now: Time) {
        if let Some(delay) = state.delay_of(&name) {
            let end = now.plus(delay);
            self.quiet.insert(name.clone(), end);
            self.alarms.insert((end, Alarm::Quiet(name)));
        }
    }

    pub(super) fn lease_end(&self, owner: Owner) -> Option<Time> {
        self.leases.get(&owner).map(|lease| lease.end)
    }

    /// How long a request has waited.
    pub(super) fn waited(&self, ticket: Ticket, now: Time) -> Duration {
        self.waits.get(&ticket).map_or(Duration::ZERO, |waits| now.since(waits.since))
    }
}
