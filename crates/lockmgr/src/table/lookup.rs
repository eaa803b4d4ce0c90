//! What can be read off the state.

use std::time::Duration;

use super::{
    owner::{Phase, Request, Waiting},
    state::{State, Trouble},
};
use crate::{Grant, Link, Name, Owner, Patience, Policy, Terms, Ticket, policy::Party};

impl<P: Policy> State<P> {
    /// Whether grants carry tokens.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// The largest token given so far.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// For the planted bug of a home that forgets how far its tokens have come.
    pub(crate) fn rewind_tokens(&mut self) {
        self.tokens = 0;
    }

    /// The last deadlocks and wounds, the oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &Trouble> {
        self.recent.iter()
    }

    /// What will be kept from everybody for a while when these owners expire.
    pub(super) fn will_be_quiet(&self, owners: &[Owner]) -> Vec<Name> {
        let known = owners.iter().filter_map(|owner| self.owners.get(owner));
        let rests = known.filter(|standing| !standing.terms.delay.is_zero());
        rests.flat_map(|standing| &standing.held).cloned().collect()
    }

    /// The terms of an owner, if it is known.
    pub fn terms_of(&self, owner: Owner) -> Option<Terms> {
        self.owners.get(&owner).map(|standing| standing.terms)
    }

    /// How long the lease of an owner is, if it is known and its lease can end: what is prepared
    /// waits for others' decision, however long that takes.
    pub(super) fn lease_of(&self, owner: Owner) -> Option<Duration> {
        let standing = self.owners.get(&owner)?;
        standing.terms.lease.filter(|_| standing.phase != Phase::Pinned)
    }

    pub(super) fn party(&self, owner: Owner) -> Party {
        Party { birth: self.owners[&owner].birth, owner }
    }

    pub(super) fn waiting_of(&self, ticket: Ticket) -> Option<&Waiting> {
        match self.owners.get(&ticket.owner)?.requests.get(&ticket.request)? {
            Request::Waits(waiting) => Some(waiting),
            Request::Over(_) => None,
        }
    }

    pub(super) fn patience_of(&self, ticket: Ticket) -> Option<Patience> {
        self.waiting_of(ticket).map(|waiting| waiting.patience)
    }

    /// All owners.
    pub fn owners(&self) -> impl Iterator<Item = Owner> {
        self.owners.keys().copied()
    }

    pub(super) fn waits_of(&self, owner: Owner) -> impl Iterator<Item = (Ticket, &Waiting)> {
        let requests = self.owners.get(&owner).into_iter().flat_map(|one| &one.requests);
        requests.filter_map(move |(&request, what)| match what {
            Request::Waits(waiting) => Some((Ticket { owner, request }, waiting)),
            Request::Over(_) => None,
        })
    }

    /// How many names are held, wanted or kept quiet, each once for each hold and each request.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places
    }

    /// All requests that wait.
    pub fn waiting(&self) -> impl Iterator<Item = Ticket> {
        self.owners().flat_map(|owner| self.waits_of(owner).map(|(ticket, _)| ticket))
    }

    pub(super) fn quiet_names(&self) -> impl Iterator<Item = Name> {
        let quiet = self.locks.iter().filter(|(_, lock)| lock.quiet.is_some());
        quiet.map(|(name, _)| name.clone())
    }

    pub(super) fn delay_of(&self, name: &Name) -> Option<Duration> {
        self.locks.get(name)?.quiet
    }

    /// What an owner holds, by name.
    pub fn held_by(&self, owner: Owner) -> impl Iterator<Item = Grant> {
        let names = self.owners.get(&owner).into_iter().flat_map(|standing| &standing.held);
        names.map(move |name| {
            let hold = self.locks[name].hold_of(owner).expect("both tables say so");
            Grant { name: name.clone(), mode: hold.mode, token: hold.token }
        })
    }

    /// The youngest on a chain: who has lost least by starting again.
    pub(super) fn youngest(&self, chain: &[Link]) -> Ticket {
        let waiters = chain.iter().map(|link| link.waiter);
        waiters.max_by_key(|ticket| self.party(ticket.owner)).expect("a chain has links")
    }
}
