//! Who gets a lock, who waits, and who must yield.

use super::{
    Names,
    lock::{Blocker, Entry, Hold, Lock, Place},
    owner::{Phase, Request, Waiting},
    state::State,
};
use crate::{
    Acquire, Full, Grant, MAX_HOLDS, MAX_REMEMBERED, MAX_REQUESTS, MAX_TERM, MAX_WAITING,
    MAX_WANTS, Mode, Name, News, Owner, Patience, Policy, Refusal, Reply, Ticket, Token, Unsound,
    Want,
    mode::MODES,
    policy::{Order, Verdict},
};

/// What stands before a place in a queue.
#[derive(Clone, Copy, Default)]
struct Ahead([bool; MODES.len()]);

impl Ahead {
    fn add(&mut self, mode: Mode) {
        self.0[mode as usize] = true;
    }

    fn lets(&self, mode: Mode) -> bool {
        MODES.into_iter().all(|ahead| !self.0[ahead as usize] || mode.goes_with(ahead))
    }

    fn lets_nobody(&self) -> bool {
        self.0[Mode::X as usize]
    }
}

impl<P: Policy> State<P> {
    pub(super) fn acquire(
        &mut self,
        acquire: Acquire,
        news: &mut Vec<News>,
    ) -> Result<Reply, Refusal> {
        let Acquire { ticket, floor, wants, patience } = acquire;
        let before = self.seen_before(ticket, floor, MAX_REQUESTS, news);
        let owner = ticket.owner;
        match self.owners.get(&owner).map(|standing| &standing.phase) {
            Some(Phase::Aborted(refusal)) => return Err(refusal.clone()),
            Some(Phase::Shrinking) if matches!(before, Ok(None)) => {
                let refusal = Refusal::Shrinking(owner);
                let freed = self.abort(owner, &refusal, news);
                self.pass(freed, news);
                return Err(refusal);
            }
            Some(Phase::Pinned) if matches!(before, Ok(None)) => {
                return Err(Refusal::Shrinking(owner));
            }
            _ => {}
        }
        if let Some(before) = before? {
            return Ok(before);
        }
        if let Err(refusal) = self.check(owner, &wants, patience) {
            // An answer like any other: the same request may still be under way a second time.
            self.over(ticket, Reply::Refused(refusal.clone()));
            return Err(refusal);
        }
        self.arrivals += 1;
        let wants = self.placed(owner, wants);
        let kept = self.first_in_the_way(owner, &wants);
        // Who gets it at once may still be in the way of some that wait already, and that the
        // policy does not let wait for it.
        let aside = self.kept_back_by(owner, &wants).into_iter().next();
        let refusal = match (kept, aside) {
            (None, None) => {
                let room = self.room_for(owner, &wants, false);
                let reply = match room {
                    Ok(()) => return Ok(Reply::Granted(self.give(ticket, &wants))),
                    Err(full) => Reply::Refused(full),
                };
                self.over(ticket, reply.clone());
                return Ok(reply);
            }
            (Some((name, Some(blocker))), _) => Refusal::Taken { name, by: blocker.party.owner },
            (Some((name, None)), _) => Refusal::Quiet(name),
            (None, Some((name, other, _))) => Refusal::Taken { name, by: other.owner },
        };
        let room = self.room_for(owner, &wants, true);
        let refusal = if patience == Patience::Try { Some(refusal) } else { room.err() };
        if let Some(refusal) = refusal {
            let reply = Reply::Refused(refusal);
            self.over(ticket, reply.clone());
            return Ok(reply);
        }
        self.queue(ticket, Waiting { wants, patience });
        let told = news.len();
        self.meet(ticket, news);
        Ok(self.outcome(ticket, told, news))
    }

    /// What came of a request within its own command, taken from the news if it stands there.
    fn outcome(&self, ticket: Ticket, told: usize, news: &mut Vec<News>) -> Reply {
        match &self.owners[&ticket.owner].requests[&ticket.request] {
            Request::Waits(_) => Reply::Waiting,
            Request::Over(reply) => {
                let own = |one: &News| match one {
                    News::Granted(other, _) | News::Refused(other, _) => *other == ticket,
                    News::Lost(..) => false,
                };
                let later = news.split_off(told);
                news.extend(later.into_iter().filter(|one| !own(one)));
                reply.clone()
            }
        }
    }

    fn check(&self, owner: Owner, wants: &[Want], patience: Patience) -> Result<(), Refusal> {
        if wants.is_empty() || wants.len() > MAX_WANTS {
            return Err(Refusal::Unsound(Unsound::Wants));
        }
        if matches!(patience, Patience::For(wait) if wait > MAX_TERM) {
            return Err(Refusal::Unsound(Unsound::Term));
        }
        let mut names = Names::new();
        for want in wants {
            if !want.name.is_sound() {
                return Err(Refusal::Unsound(Unsound::Name));
            }
            if !names.insert(want.name.clone()) {
                return Err(Refusal::Unsound(Unsound::Wants));
            }
        }
        // Few, unless the owner never says what it is done with.
        let known: usize = self.owners[&owner].requests.values().map(Request::names).sum();
        if known + wants.len() > MAX_REMEMBERED {
            return Err(Refusal::Full(Full::Requests));
        }
        for (_, waiting) in self.waits_of(owner) {
            if let Some((name, ..)) = waiting.wants.iter().find(|(name, ..)| names.contains(name)) {
                return Err(Refusal::Waits(name.clone()));
            }
        }
        Ok(())
    }

    /// Whether a table is full that this request needs: who waits stands once for each name, who need
    /// not has a place only where it had none.
    fn room_for(
        &self,
        owner: Owner,
        wants: &[(Name, Mode, Place)],
        waits: bool,
    ) -> Result<(), Refusal> {
        let held = |name: &Name| self.locks.get(name).is_some_and(|it| it.hold_of(owner).is_some());
        let places = wants.iter().filter(|(name, ..)| waits || !held(name)).count();
        if places > 0 && self.places + places > MAX_HOLDS {
            return Err(Refusal::Full(Full::Holds));
        }
        if waits && self.waiting >= MAX_WAITING {
            return Err(Refusal::Full(Full::Waiting));
        }
        Ok(())
    }

    /// What is wanted, joined with what is held, and the place it would have in each queue.
    fn placed(&self, owner: Owner, wants: Vec<Want>) -> Vec<(Name, Mode, Place)> {
        let party = self.party(owner);
        let place = |Want { name, mode }| {
            let lock = self.locks.get(&name);
            let upgrade = lock.is_some_and(|lock| lock.hold_of(owner).is_some());
            let mode = lock.map_or(mode, |lock| lock.together(owner, mode));
            (name, mode, Place::new(self.policy.order(), upgrade, party, self.arrivals))
        };
        wants.into_iter().map(place).collect()
    }

    /// The first name that cannot be had, and who is in the way; nobody, if it is only kept quiet.
    fn first_in_the_way(
        &self,
        owner: Owner,
        wants: &[(Name, Mode, Place)],
    ) -> Option<(Name, Option<Blocker>)> {
        wants.iter().find_map(|(name, mode, place)| {
            let lock = self.locks.get(name)?;
            let mode = lock.together(owner, *mode);
            let blocker = lock.blockers(owner, mode, *place).next();
            let kept =
                blocker.is_some() || !lock.has(owner, mode) && !lock.is_free_for(owner, mode);
            kept.then(|| (name.clone(), blocker))
        })
    }

    /// The owner holds all of it from now on.
    fn give(&mut self, ticket: Ticket, wants: &[(Name, Mode, Place)]) -> Vec<Grant> {
        let owner = ticket.owner;
        let birth = self.owners[&owner].birth;
        let mut grants = Vec::with_capacity(wants.len());
        for (name, mode, _) in wants {
            let lock = self.locks.entry(name.clone()).or_default();
            let mode = lock.together(owner, *mode);
            let before = lock.hold_of(owner);
            let token = match before {
                Some(hold) if hold.mode == mode => hold.token,
                _ if self.fenced => {
                    self.tokens += 1;
                    Some(Token(self.tokens))
                }
                _ => None,
            };
            if lock.hold(owner, Hold { mode, token, birth }) {
                self.places += 1;
            }
            grants.push(Grant { name: name.clone(), mode, token });
        }
        let standing = self.owners.get_mut(&owner).expect("an owner asked");
        standing.held.extend(wants.iter().map(|(name, ..)| name.clone()));
        self.over(ticket, Reply::Granted(grants.clone()));
        grants
    }

    fn over(&mut self, ticket: Ticket, reply: Reply) {
        let standing = self.owners.get_mut(&ticket.owner).expect("an owner asked");
        standing.requests.insert(ticket.request, Request::Over(reply));
    }

    fn queue(&mut self, ticket: Ticket, waiting: Waiting) {
        let birth = self.owners[&ticket.owner].birth;
        self.waiting += 1;
        self.places += waiting.wants.len();
        for (name, mode, place) in &waiting.wants {
            let entry = Entry { ticket, birth, mode: *mode };
            self.locks.entry(name.clone()).or_default().queue.insert(*place, entry);
        }
        let standing = self.owners.get_mut(&ticket.owner).expect("an owner asked");
        standing.requests.insert(ticket.request, Request::Waits(waiting));
    }

    /// A request has joined its queues: the policy judges each pair that came about by it. First
    /// whether the newcomer yields, since who yields is in nobody's way; then who yields to it; and
    /// only then is anything granted.
    fn meet(&mut self, ticket: Ticket, news: &mut Vec<News>) {
        if !self.policy.judges() {
            return;
        }
        let owner = ticket.owner;
        let wants = self.waiting_of(ticket).expect("it was queued").wants.clone();
        let before = self.in_the_way_of(owner, &wants);
        let behind = self.kept_back_by(owner, &wants);
        let mut freed = Names::new();
        let dies = before.iter().find(|(.., verdict)| *verdict == Verdict::Die);
        let wounded = behind.iter().find(|(.., verdict)| *verdict == Verdict::Wound);
        if let Some((name, blocker, _)) = dies {
            let refusal = self.why_it_dies(name.clone(), blocker.party.owner);
            self.refuse(ticket, refusal, &mut freed, news);
        } else if let Some((name, other, _)) = wounded {
            let refusal = Refusal::Wounded { name: name.clone(), by: other.owner };
            self.wound(owner, refusal, &mut freed, news);
        } else {
            for (name, blocker, _) in before {
                let refusal = Refusal::Wounded { name, by: owner };
                self.wound(blocker.party.owner, refusal, &mut freed, news);
            }
            for (name, other, _) in behind {
                if self.waiting_of(other).is_some() {
                    let refusal = self.why_it_dies(name, owner);
                    self.refuse(other, refusal, &mut freed, news);
                }
            }
            if self.first_in_the_way(owner, &wants).is_none() {
                freed.extend(wants.into_iter().map(|(name, ..)| name));
            }
        }
        self.pass(freed, news);
    }

    fn why_it_dies(&self, name: Name, by: Owner) -> Refusal {
        match self.policy.order() {
            Order::Age => Refusal::Died { name, by },
            Order::Arrival => Refusal::Taken { name, by },
        }
    }

    /// Takes everything from an owner, unless it cannot yield or has yielded already.
    fn wound(&mut self, victim: Owner, refusal: Refusal, freed: &mut Names, news: &mut Vec<News>) {
        let Some(standing) = self.owners.get(&victim) else { return };
        let idle = standing.held.is_empty() && self.waits_of(victim).next().is_none();
        if idle || matches!(standing.phase, Phase::Pinned | Phase::Aborted(_)) {
            return;
        }
        self.remember(victim, refusal.clone());
        freed.append(&mut self.abort(victim, &refusal, news));
    }

    /// Who is in the way of these wants and must not be waited for.
    fn in_the_way_of(
        &self,
        owner: Owner,
        wants: &[(Name, Mode, Place)],
    ) -> Vec<(Name, Blocker, Verdict)> {
        let me = self.party(owner);
        let mut judged = Vec::new();
        for (name, mode, place) in wants {
            for blocker in self.locks[name].blockers(owner, *mode, *place) {
                match self.policy.meets(me, blocker.party) {
                    Verdict::Wait => {}
                    verdict => judged.push((name.clone(), blocker, verdict)),
                }
            }
        }
        judged
    }

    /// In whose way these wants are, of those that must not wait for them.
    fn kept_back_by(
        &self,
        owner: Owner,
        wants: &[(Name, Mode, Place)],
    ) -> Vec<(Name, Ticket, Verdict)> {
        let mut judged = Vec::new();
        if !self.policy.judges() {
            return judged;
        }
        let me = self.party(owner);
        for (name, mode, place) in wants {
            let behind =
                self.locks.get(name).into_iter().flat_map(|it| it.kept_back(*place, *mode));
            for entry in behind {
                match self.policy.meets(entry.party(), me) {
                    Verdict::Wait => {}
                    verdict => judged.push((name.clone(), entry.ticket, verdict)),
                }
            }
        }
        judged
    }

    /// Grants whatever can be granted now that something has changed about these names: each queue
    /// from its front, and nobody past a request that it does not go with.
    pub(super) fn pass(&mut self, mut changed: Names, news: &mut Vec<News>) {
        while let Some(name) = changed.pop_first() {
            while let Some((ticket, waiting)) = self.next_grantable(&name) {
                self.unqueue(&waiting, &mut changed);
                let grants = self.give(ticket, &waiting.wants);
                news.push(News::Granted(ticket, grants));
            }
            changed.remove(&name);
            if self.locks.get(&name).is_some_and(Lock::is_idle) {
                self.locks.remove(&name);
            }
        }
    }

    /// The first request in a queue that can have all it wants.
    fn next_grantable(&self, name: &Name) -> Option<(Ticket, Waiting)> {
        let lock = self.locks.get(name).filter(|lock| lock.lets_somebody())?;
        let mut ahead = Ahead::default();
        for entry in lock.queue.values() {
            let owner = entry.ticket.owner;
            let mode = lock.together(owner, entry.mode);
            if ahead.lets(mode) && lock.is_free_for(owner, mode) {
                let waiting = self.waiting_of(entry.ticket).expect("who queues waits");
                if self.first_in_the_way(owner, &waiting.wants).is_none() {
                    return Some((entry.ticket, waiting.clone()));
                }
            }
            ahead.add(mode);
            if ahead.lets_nobody() {
                break;
            }
        }
        None
    }
}
