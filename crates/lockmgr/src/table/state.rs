//! What must not be lost: owners, locks, queues, tokens. Knows no time.

use std::collections::{BTreeMap, VecDeque};

use protocol::planted;
use serde::{Deserialize, Serialize};

use super::{
    Names,
    lock::{Hold, Lock},
    owner::{Phase, Request, Standing, Waiting},
};
use crate::{
    Birth, Command, Discipline, Full, MAX_GIVEN_BACK, MAX_OWNERS, MAX_REQUESTS, MAX_TERM, Name,
    News, Owner, Policy, Refusal, Release, Reply, Terms, Ticket, Unsound,
};

/// The last so many deadlocks and wounds are remembered for whoever asks why.
pub const MAX_RECENT: usize = 64;

/// Something that went badly for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Trouble {
    /// For whom.
    pub owner: Owner,
    /// What.
    pub refusal: Refusal,
}

/// Everything that must not be lost. The same commands in the same order make the same state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State<P: Policy> {
    pub(super) policy: P,
    /// Whether grants carry tokens.
    pub(super) fenced: bool,
    pub(super) opened: u64,
    pub(super) arrivals: u64,
    pub(super) tokens: u64,
    pub(super) locks: BTreeMap<Name, Lock>,
    pub(super) owners: BTreeMap<Owner, Standing>,
    /// How many requests wait.
    pub(super) waiting: usize,
    /// How many names are held, wanted or kept quiet, each once for each hold and each request.
    pub(super) places: usize,
    pub(super) recent: VecDeque<Trouble>,
}

impl<P: Policy> State<P> {
    pub(super) fn new(policy: P, fenced: bool) -> Self {
        Self {
            policy,
            fenced,
            opened: 0,
            arrivals: 0,
            tokens: 0,
            locks: BTreeMap::new(),
            owners: BTreeMap::new(),
            waiting: 0,
            places: 0,
            recent: VecDeque::new(),
        }
    }

    /// Who yields.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// Applies one command. Total: whatever a command says, the answer is a reply.
    pub fn apply(&mut self, command: Command, news: &mut Vec<News>) -> Reply {
        let reply = match command {
            Command::Open(terms) => self.open(terms),
            Command::Enter { owner, birth, terms } => self.enter(owner, birth, terms),
            Command::Acquire(acquire) => self.acquire(acquire, news),
            Command::Release(release) => self.release(&release, news),
            Command::Cancel { ticket, why } => Ok(self.cancel(ticket, why, news)),
            Command::Pin(owner) => self.pin(owner),
            Command::Leave(owner) => Ok(self.leave(owner, Refusal::Cancelled, news)),
            Command::Expire(owners) => Ok(self.expire(&owners, news)),
            Command::Reopen(name) => Ok(self.reopen(name, news)),
        };
        reply.unwrap_or_else(Reply::Refused)
    }

    fn open(&mut self, terms: Terms) -> Result<Reply, Refusal> {
        // Whoever brought a session's name along keeps it.
        while self.owners.contains_key(&Owner::session(self.opened + 1)) {
            self.opened += 1;
        }
        let owner = Owner::session(self.opened + 1);
        self.admit(owner, Birth(self.opened + 1), terms)?;
        self.opened += 1;
        Ok(Reply::Opened(owner))
    }

    fn enter(&mut self, owner: Owner, birth: Birth, terms: Terms) -> Result<Reply, Refusal> {
        if !self.owners.contains_key(&owner) {
            self.admit(owner, birth, terms)?;
        }
        Ok(Reply::Done)
    }

    fn admit(&mut self, owner: Owner, birth: Birth, terms: Terms) -> Result<(), Refusal> {
        if terms.lease.is_some_and(|lease| lease.is_zero() || lease > MAX_TERM)
            || terms.delay > MAX_TERM
        {
            return Err(Refusal::Unsound(Unsound::Term));
        }
        if self.owners.len() >= MAX_OWNERS {
            return Err(Refusal::Full(Full::Owners));
        }
        self.owners.insert(owner, Standing::new(birth, terms));
        Ok(())
    }

    fn release(&mut self, release: &Release, news: &mut Vec<News>) -> Result<Reply, Refusal> {
        let Release { ticket, floor, name, token } = release;
        let owner = ticket.owner;
        if !self.owners.contains_key(&owner) && planted::is("expired-owner-releases") {
            let others = self.locks.get(name).into_iter().flat_map(Lock::holders);
            for (other, _) in others.collect::<Vec<_>>() {
                self.let_go(other, name);
            }
            self.pass(Names::from([name.clone()]), news);
            return Ok(Reply::Released);
        }
        if !name.is_sound() {
            return Err(Refusal::Unsound(Unsound::Name));
        }
        if let Some(before) =
            self.seen_before(*ticket, *floor, MAX_REQUESTS + MAX_GIVEN_BACK, news)?
        {
            return Ok(before);
        }
        if let Phase::Aborted(refusal) = &self.owners[&owner].phase {
            return Err(refusal.clone());
        }
        let hold = self.locks.get(name).and_then(|lock| lock.hold_of(owner));
        let theirs = hold.is_some_and(|hold| token.is_none() || hold.token == *token);
        let wanted = |waiting: &Waiting| waiting.wants.iter().any(|(it, ..)| it == name);
        let waits = self.waiting > 0 && self.waits_of(owner).any(|(_, waiting)| wanted(waiting));
        let taking = self.waits_of(owner).map(|(_, waiting)| waiting.wants[0].0.clone()).next();
        let standing = self.owners.get_mut(&owner).expect("seen above");
        let refusal = if !theirs || standing.phase == Phase::Pinned {
            Some(Refusal::NotHeld(name.clone()))
        } else {
            // It stands before others because of what it holds; and a transaction that waits would
            // take something after it has given something back.
            let two_phase = standing.terms.discipline == Discipline::TwoPhase;
            waits.then(|| name.clone()).or(taking.filter(|_| two_phase)).map(Refusal::Waits)
        };
        if let Some(refusal) = refusal {
            let reply = Reply::Refused(refusal);
            standing.requests.insert(ticket.request, Request::Over(reply.clone()));
            return Ok(reply);
        }
        if standing.terms.discipline == Discipline::TwoPhase {
            standing.phase = Phase::Shrinking;
        }
        standing.requests.insert(ticket.request, Request::Over(Reply::Released));
        self.let_go(owner, name);
        self.pass(Names::from([name.clone()]), news);
        Ok(Reply::Released)
    }

    fn pin(&mut self, owner: Owner) -> Result<Reply, Refusal> {
        let standing = self.owners.get_mut(&owner).ok_or(Refusal::Unknown(owner))?;
        if let Phase::Aborted(refusal) = &standing.phase {
            return Err(refusal.clone());
        }
        let waits = standing.requests.values().find_map(|request| match request {
            Request::Waits(waiting) => Some(waiting.wants[0].0.clone()),
            Request::Over(_) => None,
        });
        if let Some(name) = waits {
            return Err(Refusal::Waits(name));
        }
        standing.phase = Phase::Pinned;
        Ok(Reply::Done)
    }

    /// Takes all that an owner has. A transaction stays until it leaves, so that it hears why; a
    /// session goes on. Returns the names that others may now have.
    pub(super) fn abort(&mut self, owner: Owner, refusal: &Refusal, news: &mut Vec<News>) -> Names {
        let freed = self.strip(owner, refusal, news);
        let standing = self.owners.get_mut(&owner).expect("it was stripped");
        if standing.terms.discipline == Discipline::TwoPhase {
            standing.phase = Phase::Aborted(refusal.clone());
        }
        news.push(News::Lost(owner, refusal.clone()));
        freed
    }

    fn leave(&mut self, owner: Owner, refusal: Refusal, news: &mut Vec<News>) -> Reply {
        if self.owners.contains_key(&owner) {
            let freed = self.strip(owner, &refusal, news);
            self.owners.remove(&owner);
            self.pass(freed, news);
        }
        Reply::Done
    }

    /// First all of them lose everything, and only then is anything granted: what one of them had
    /// must not go to another whose lease is over as well.
    fn expire(&mut self, owners: &[Owner], news: &mut Vec<News>) -> Reply {
        let mut freed = Names::new();
        for &owner in owners {
            let pinned = |standing: &Standing| standing.phase == Phase::Pinned;
            if self.owners.get(&owner).is_none_or(pinned) {
                continue;
            }
            for name in self.will_be_quiet(&[owner]) {
                let delay = self.owners[&owner].terms.delay;
                let lock = self.locks.get_mut(&name).expect("it is held");
                self.places += usize::from(lock.quiet.is_none());
                lock.quiet = Some(delay.max(lock.quiet.unwrap_or_default()));
            }
            let refusal = Refusal::Unknown(owner);
            news.push(News::Lost(owner, refusal.clone()));
            freed.append(&mut self.strip(owner, &refusal, news));
            self.owners.remove(&owner);
        }
        self.pass(freed, news);
        Reply::Done
    }

    fn reopen(&mut self, name: Name, news: &mut Vec<News>) -> Reply {
        if let Some(lock) = self.locks.get_mut(&name) {
            self.places -= usize::from(lock.quiet.take().is_some());
            self.pass(Names::from([name]), news);
        }
        Reply::Done
    }

    /// Takes all holds of an owner and refuses all that it waits for. Returns the names that
    /// others may now have.
    fn strip(&mut self, owner: Owner, refusal: &Refusal, news: &mut Vec<News>) -> Names {
        let standing = self.owners.get_mut(&owner).expect("it was looked up");
        let mut freed = std::mem::take(&mut standing.held);
        let lost = !freed.is_empty();
        let mut waits = Vec::new();
        for (request, what) in &mut standing.requests {
            match what {
                Request::Waits(_) => waits.push(Ticket { owner, request: *request }),
                // What was granted is so no longer: asked again, it must not seem so.
                Request::Over(reply @ Reply::Granted(_)) if lost => {
                    *reply = Reply::Refused(refusal.clone());
                }
                Request::Over(_) => {}
            }
        }
        for name in &freed {
            let lock = self.locks.get_mut(name).expect("what is held is a lock");
            lock.let_go(owner).expect("it is held");
            self.places -= 1;
        }
        for ticket in waits {
            self.refuse(ticket, refusal.clone(), &mut freed, news);
        }
        freed
    }

    /// Takes a request out of its queues.
    pub(super) fn unqueue(&mut self, waiting: &Waiting, freed: &mut Names) {
        self.waiting -= 1;
        self.places -= waiting.wants.len();
        for (name, _, place) in &waiting.wants {
            let lock = self.locks.get_mut(name).expect("what is waited for is a lock");
            lock.queue.remove(place).expect("it stands in this queue");
            freed.insert(name.clone());
        }
    }

    /// An owner holds a name no longer.
    pub(super) fn let_go(&mut self, owner: Owner, name: &Name) -> Option<Hold> {
        let hold = self.locks.get_mut(name)?.let_go(owner)?;
        self.places -= 1;
        if let Some(standing) = self.owners.get_mut(&owner) {
            standing.held.remove(name);
        }
        Some(hold)
    }

    pub(super) fn remember(&mut self, owner: Owner, refusal: Refusal) {
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Trouble { owner, refusal });
    }
}
