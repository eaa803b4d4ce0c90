//! The table once more, as a child would write it: lists, looked through from the front. It shares
//! no code with the table but the nouns, so that both can only agree by being right.

mod asked;
mod ways;

use std::time::Duration;

use crate::{
    Acquire, Birth, Command, Discipline, Grant, MAX_TERM, MAX_WANTS, Mode, Name, News, Owner,
    Patience, Refusal, Release, Reply, RequestNo, Rule, Terms, Ticket, Token, Unsound, Why,
    table::Trouble,
};

#[derive(Clone, PartialEq)]
enum Life {
    Active,
    Shrinking,
    Pinned,
    Dead(Refusal),
}

struct Ask {
    number: RequestNo,
    /// `None` while it waits.
    answer: Option<Reply>,
    arrival: u64,
    /// What it wants, how it would hold that, and whether it had some of it when it came.
    wants: Vec<(Name, Mode, bool)>,
}

struct One {
    owner: Owner,
    birth: Birth,
    terms: Terms,
    life: Life,
    held: Vec<Grant>,
    asks: Vec<Ask>,
    /// Of each lane, the one that was begun first first.
    floors: Vec<RequestNo>,
}

impl One {
    fn hold(&self, name: &Name) -> Option<&Grant> {
        self.held.iter().find(|hold| hold.name == *name)
    }

    fn waits(&self) -> impl Iterator<Item = &Ask> {
        self.asks.iter().filter(|ask| ask.answer.is_none())
    }
}

/// The naive table.
pub(super) struct Model {
    rule: Rule,
    owners: Vec<One>,
    opened: u64,
    arrivals: u64,
    quiet: Vec<(Name, Duration)>,
    pub(super) troubles: Vec<Trouble>,
    /// What the table says that it granted by this command: only its tokens are taken from there.
    told: Vec<(Ticket, Vec<Grant>)>,
    news: Vec<News>,
}

type Answer = Result<Reply, Refusal>;

impl Model {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            owners: Vec::new(),
            opened: 0,
            arrivals: 0,
            quiet: Vec::new(),
            troubles: Vec::new(),
            told: Vec::new(),
            news: Vec::new(),
        }
    }

    /// What a command does, and what is told.
    pub(super) fn apply(
        &mut self,
        command: &Command,
        told: Vec<(Ticket, Vec<Grant>)>,
    ) -> (Reply, Vec<News>) {
        self.told = told;
        let reply = match command {
            Command::Open(terms) => self.open(*terms),
            Command::Enter { owner, birth, terms } => self.enter(*owner, *birth, *terms),
            Command::Acquire(acquire) => self.acquire(acquire),
            Command::Release(release) => self.release(release),
            Command::Cancel { ticket, why } => Ok(self.cancel(*ticket, why)),
            Command::Pin(owner) => self.pin(*owner),
            Command::Leave(owner) => Ok(self.leave(*owner, &Refusal::Cancelled)),
            Command::Expire(owners) => Ok(self.expire(owners)),
            Command::Reopen(name) => {
                self.quiet.retain(|(quiet, _)| quiet != name);
                Ok(Reply::Done)
            }
        };
        self.settle();
        let mut reply = reply.unwrap_or_else(Reply::Refused);
        if let Command::Acquire(Acquire { ticket, .. }) = command {
            self.own_outcome(*ticket, &mut reply);
        }
        (reply, std::mem::take(&mut self.news))
    }

    /// What came of a request at once is its answer, and no news.
    fn own_outcome(&mut self, own: Ticket, reply: &mut Reply) {
        if *reply != Reply::Waiting {
            return;
        }
        let answer = self.ask(own).and_then(|ask| ask.answer.clone());
        let of_own = |one: &News| match one {
            News::Granted(ticket, _) | News::Refused(ticket, _) => *ticket == own,
            News::Lost(..) => false,
        };
        if let Some(answer) = answer {
            self.news.retain(|one| !of_own(one));
            *reply = answer;
        }
    }

    fn place(&self, owner: Owner) -> Option<usize> {
        self.owners.iter().position(|one| one.owner == owner)
    }

    fn one(&mut self, owner: Owner) -> Result<&mut One, Refusal> {
        let at = self.place(owner).ok_or(Refusal::Unknown(owner))?;
        Ok(&mut self.owners[at])
    }

    fn ask(&self, ticket: Ticket) -> Option<&Ask> {
        let one = &self.owners[self.place(ticket.owner)?];
        one.asks.iter().find(|ask| ask.number == ticket.request)
    }

    fn open(&mut self, terms: Terms) -> Answer {
        let number = self.opened + 1;
        let owner = Owner::session(number);
        self.enter(owner, Birth(number), terms)?;
        self.opened = number;
        Ok(Reply::Opened(owner))
    }

    fn enter(&mut self, owner: Owner, birth: Birth, terms: Terms) -> Answer {
        if self.place(owner).is_none() {
            let lease = terms.lease.unwrap_or(MAX_TERM);
            if lease.is_zero() || lease > MAX_TERM || terms.delay > MAX_TERM {
                return Err(Refusal::Unsound(Unsound::Term));
            }
            let (held, asks, floors) = (Vec::new(), Vec::new(), vec![RequestNo(0)]);
            self.owners.push(One { owner, birth, terms, life: Life::Active, held, asks, floors });
        }
        Ok(Reply::Done)
    }

    fn acquire(&mut self, acquire: &Acquire) -> Answer {
        let Acquire { ticket, floor, patience, .. } = acquire;
        let before = self.before(*ticket, *floor);
        let one = self.one(ticket.owner)?;
        match &one.life {
            Life::Dead(refusal) => return Err(refusal.clone()),
            Life::Shrinking if before == Ok(None) => {
                let refusal = Refusal::Shrinking(ticket.owner);
                self.abort(ticket.owner, &refusal);
                return Err(refusal);
            }
            Life::Pinned if before == Ok(None) => return Err(Refusal::Shrinking(ticket.owner)),
            _ => {}
        }
        if let Some(before) = before? {
            return Ok(before);
        }
        let sound = self.sound(acquire);
        self.arrivals += 1;
        let arrival = self.arrivals;
        let one = self.one(ticket.owner)?;
        let wants = acquire.wants.iter().map(|want| match one.hold(&want.name) {
            Some(hold) => (want.name.clone(), want.mode.with(hold.mode), true),
            None => (want.name.clone(), want.mode, false),
        });
        let wants = wants.collect();
        one.asks.push(Ask { number: ticket.request, answer: None, arrival, wants });
        one.asks.sort_by_key(|ask| ask.number);
        if let Err(refusal) = sound {
            self.answer(*ticket, Reply::Refused(refusal.clone()));
            return Err(refusal);
        }
        if *patience == Patience::Try {
            let refusal = self.why_not_at_once(*ticket);
            let reply = refusal.map_or(Reply::Waiting, Reply::Refused);
            if reply != Reply::Waiting {
                self.answer(*ticket, reply.clone());
            }
            return Ok(reply);
        }
        self.meet(*ticket);
        Ok(Reply::Waiting)
    }

    fn sound(&mut self, acquire: &Acquire) -> Result<(), Refusal> {
        let Acquire { ticket, wants, patience, .. } = acquire;
        if wants.is_empty() || wants.len() > MAX_WANTS {
            return Err(Refusal::Unsound(Unsound::Wants));
        }
        if matches!(patience, Patience::For(wait) if *wait > MAX_TERM) {
            return Err(Refusal::Unsound(Unsound::Term));
        }
        for (at, want) in wants.iter().enumerate() {
            if !want.name.is_sound() {
                return Err(Refusal::Unsound(Unsound::Name));
            }
            if wants[..at].iter().any(|other| other.name == want.name) {
                return Err(Refusal::Unsound(Unsound::Wants));
            }
        }
        let one = self.one(ticket.owner)?;
        let wanted = |name: &Name| wants.iter().any(|want| want.name == *name);
        let mut twice = one.waits().flat_map(|ask| &ask.wants).filter(|(name, ..)| wanted(name));
        twice.next().map_or(Ok(()), |(name, ..)| Err(Refusal::Waits(name.clone())))
    }

    fn answer(&mut self, ticket: Ticket, reply: Reply) {
        let one = self.one(ticket.owner).expect("it asked");
        let ask = one.asks.iter_mut().find(|ask| ask.number == ticket.request);
        ask.expect("it asked").answer = Some(reply);
    }

    fn refuse(&mut self, ticket: Ticket, refusal: &Refusal) {
        self.answer(ticket, Reply::Refused(refusal.clone()));
        self.news.push(News::Refused(ticket, refusal.clone()));
    }

    /// All requests that wait.
    pub(super) fn waiting(&self) -> Vec<Ticket> {
        let owners = self.owners.iter();
        let waits = owners.flat_map(|one| {
            one.waits().map(|ask| Ticket { owner: one.owner, request: ask.number })
        });
        waits.collect()
    }

    fn release(&mut self, release: &Release) -> Answer {
        let Release { ticket, floor, name, token } = release;
        if !name.is_sound() {
            return Err(Refusal::Unsound(Unsound::Name));
        }
        if let Some(before) = self.before(*ticket, *floor)? {
            return Ok(before);
        }
        let one = self.one(ticket.owner)?;
        if let Life::Dead(refusal) = &one.life {
            return Err(refusal.clone());
        }
        let hold = one.hold(name).filter(|hold| token.is_none() || hold.token == *token);
        let waits = one.waits().any(|ask| ask.wants.iter().any(|(it, ..)| it == name));
        let first = one.waits().min_by_key(|ask| ask.number).map(|ask| ask.wants[0].0.clone());
        let reply = if hold.is_none() || one.life == Life::Pinned {
            Reply::Refused(Refusal::NotHeld(name.clone()))
        } else if waits {
            Reply::Refused(Refusal::Waits(name.clone()))
        } else if let (Discipline::TwoPhase, Some(first)) = (one.terms.discipline, first) {
            Reply::Refused(Refusal::Waits(first))
        } else {
            one.held.retain(|hold| hold.name != *name);
            if one.terms.discipline == Discipline::TwoPhase {
                one.life = Life::Shrinking;
            }
            Reply::Released
        };
        let (number, wants) = (ticket.request, Vec::new());
        one.asks.push(Ask { number, answer: Some(reply.clone()), arrival: 0, wants });
        one.asks.sort_by_key(|ask| ask.number);
        Ok(reply)
    }

    fn cancel(&mut self, ticket: Ticket, why: &Why) -> Reply {
        let Some(ask) = self.ask(ticket) else { return self.never(ticket, why) };
        if let Some(answer) = &ask.answer {
            return answer.clone();
        }
        match why {
            Why::Asked => self.refuse(ticket, &Refusal::Cancelled),
            Why::TimedOut => self.refuse(ticket, &Refusal::TimedOut),
            Why::Deadlock(chain) => {
                let refusal = Refusal::Deadlock(chain.clone());
                let trouble = Trouble { owner: ticket.owner, refusal: refusal.clone() };
                self.troubles.push(trouble);
                let one = self.one(ticket.owner).expect("it waits");
                match one.terms.discipline {
                    Discipline::Free => self.refuse(ticket, &refusal),
                    Discipline::TwoPhase => self.abort(ticket.owner, &refusal),
                }
            }
        }
        Reply::Done
    }

    fn pin(&mut self, owner: Owner) -> Answer {
        let one = self.one(owner)?;
        if let Life::Dead(refusal) = &one.life {
            return Err(refusal.clone());
        }
        if let Some(ask) = one.waits().min_by_key(|ask| ask.number) {
            return Err(Refusal::Waits(ask.wants[0].0.clone()));
        }
        one.life = Life::Pinned;
        Ok(Reply::Done)
    }

    fn leave(&mut self, owner: Owner, refusal: &Refusal) -> Reply {
        if let Some(at) = self.place(owner) {
            self.strip(owner, refusal);
            self.owners.remove(at);
        }
        Reply::Done
    }

    fn expire(&mut self, owners: &[Owner]) -> Reply {
        for &owner in owners {
            let Ok(one) = self.one(owner) else { continue };
            if one.life == Life::Pinned {
                continue;
            }
            let delay = one.terms.delay;
            let names: Vec<_> = one.held.iter().map(|hold| hold.name.clone()).collect();
            for name in names.into_iter().filter(|_| !delay.is_zero()) {
                match self.quiet.iter_mut().find(|(it, _)| *it == name) {
                    Some((_, rest)) => *rest = delay.max(*rest),
                    None => self.quiet.push((name, delay)),
                }
            }
            self.news.push(News::Lost(owner, Refusal::Unknown(owner)));
            self.leave(owner, &Refusal::Unknown(owner));
        }
        Reply::Done
    }

    /// What there is: owners, and for each what it holds, by name, and whether it cannot yield.
    pub(super) fn standing(&self) -> Vec<(Owner, Vec<Grant>, bool)> {
        let standing = self.owners.iter().map(|one| {
            let mut held = one.held.clone();
            held.sort_by(|a, b| a.name.cmp(&b.name));
            (one.owner, held, one.life == Life::Pinned)
        });
        let mut standing: Vec<_> = standing.collect();
        standing.sort_by_key(|(owner, ..)| *owner);
        standing
    }

    /// Names held or wanted, each once for each request.
    pub(super) fn places(&self) -> usize {
        let of = |one: &One| one.held.len() + one.waits().map(|ask| ask.wants.len()).sum::<usize>();
        self.owners.iter().map(of).sum::<usize>() + self.quiet.len()
    }

    /// Whether `one` is older than `other`, both known.
    pub(super) fn older(&self, one: Owner, other: Owner) -> bool {
        self.is_older(one, other)
    }

    /// Whether a name rests.
    pub(super) fn is_quiet(&self, name: &Name) -> bool {
        self.quiet.iter().any(|(it, _)| it == name)
    }

    /// The largest token held.
    pub(super) fn largest(&self) -> Option<Token> {
        self.owners.iter().flat_map(|one| &one.held).filter_map(|hold| hold.token).max()
    }
}

/// What was granted by this command, and not before.
pub(super) fn told(command: &Command, reply: &Reply, news: &[News]) -> Vec<(Ticket, Vec<Grant>)> {
    let own = match (command, reply) {
        (Command::Acquire(acquire), Reply::Granted(grants)) => {
            Some((acquire.ticket, grants.clone()))
        }
        _ => None,
    };
    let others = news.iter().filter_map(|one| match one {
        News::Granted(ticket, grants) => Some((*ticket, grants.clone())),
        News::Refused(..) | News::Lost(..) => None,
    });
    own.into_iter().chain(others).collect()
}
