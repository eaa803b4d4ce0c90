//! What a client does about silence and refusals: the same request again, under the same number,
//! until it is answered; a sign of life in time; and what to believe of its locks meanwhile. Pure:
//! no socket, no clock.

use std::{collections::BTreeMap, time::Duration};

use protocol::{Rng, Time};

use crate::{
    Acquire, Grant, Name, Owner, Patience, Refusal, Release, RequestNo, Ticket, Token, Want,
    message::{Answer, Refused, Renewed, Request},
};

/// How long to wait before the next try, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The service answered.
    Answer(Answer),
    /// The service refused.
    Refused(Refused),
    /// No connection: certainly nothing was sent.
    Unreachable,
    /// Sent, and not answered: anything may have happened.
    Silence,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that was wanted is held.
    Granted(Vec<Grant>),
    /// It was given back.
    Released,
    /// It is not so, and certainly so.
    Refused(Refusal),
    /// It may have happened, and nobody will ever tell.
    Unknown,
}

/// What to do about a request now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the same again, after this pause.
    Again(Duration),
    /// It is over.
    Over(Outcome),
}

/// Why a session no longer has what it had, or must not count on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The session is gone, with everything it had.
    #[error("{0}")]
    Session(Refusal),
    /// It goes on, but these names are not its own any more.
    #[error("{} not held any more", names(.0))]
    Names(Vec<Name>),
    /// Nobody has answered for as long as the lease lasts: others may have the locks by now. A
    /// later answer may still say that nothing was lost.
    #[error(
        "the lock service has been silent for longer than the lease: others may have the locks"
    )]
    Silent,
}

fn names(names: &[Name]) -> String {
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!("{list} {}", if names.len() == 1 { "is" } else { "are" })
}

/// A request that is not over.
#[derive(Clone, Debug)]
struct Errand {
    request: Request,
    names: Vec<Name>,
    /// Whether it was sent and may have arrived.
    exposed: bool,
    /// Whether a call is under way.
    asking: bool,
    pause: Duration,
}

/// A name that is held, as far as is known.
#[derive(Clone, Copy, Debug)]
struct Held {
    token: Option<Token>,
    /// When that was heard.
    since: Time,
}

/// One session, from its client's side. It may have many requests under way.
#[derive(Clone, Debug)]
pub struct Clerk {
    owner: Owner,
    lease: Option<Duration>,
    /// Surely alive until then: what was answered was asked a lease before that, or later.
    alive: Time,
    renew_at: Time,
    renewing: bool,
    number: RequestNo,
    /// What an earlier client of the session may still ask about.
    floor: Option<RequestNo>,
    errands: BTreeMap<RequestNo, Errand>,
    held: BTreeMap<Name, Held>,
    losses: Vec<Loss>,
    gone: bool,
    silent: bool,
    pause: Duration,
    rng: Rng,
}

impl Clerk {
    /// The client of `owner`, which was heard to live when asked at `asked`.
    #[must_use]
    pub fn new(owner: Owner, lease: Option<Duration>, asked: Time, seed: u64) -> Self {
        let mut clerk = Self {
            owner,
            lease,
            alive: asked,
            renew_at: asked,
            renewing: false,
            number: RequestNo(0),
            floor: None,
            errands: BTreeMap::new(),
            held: BTreeMap::new(),
            losses: Vec::new(),
            gone: false,
            silent: false,
            pause: BACKOFF.0,
            rng: Rng::new(seed),
        };
        clerk.lives(asked);
        clerk
    }

    /// The same for a session that has had another client: its own numbers begin with `first`, and
    /// those from `floor` on may be the other's, and not over yet.
    #[must_use]
    pub fn after_another(self, floor: RequestNo, first: RequestNo) -> Self {
        Self { floor: Some(floor), number: RequestNo(first.0.saturating_sub(1)), ..self }
    }

    /// Which session.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// How long its lease is.
    #[must_use]
    pub fn lease(&self) -> Option<Duration> {
        self.lease
    }

    /// By which token a name is held, as far as is known.
    #[must_use]
    pub fn token(&self, name: &Name) -> Option<Token> {
        self.held.get(name)?.token
    }

    /// What was lost since this was asked last.
    pub fn losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    /// Whether the session is over for good.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether a request that was given up may have been done.
    #[must_use]
    pub fn exposed(&self, number: RequestNo) -> bool {
        self.errands.get(&number).is_some_and(|errand| errand.exposed)
    }

    /// Begins to ask for locks.
    pub fn acquire(&mut self, wants: Vec<Want>, patience: Patience) -> RequestNo {
        let names = wants.iter().map(|want| want.name.clone()).collect();
        self.begin(names, |ticket, floor| {
            Request::Acquire(Acquire { ticket, floor, wants, patience })
        })
    }

    /// Begins to give a lock back.
    pub fn release(&mut self, name: Name, token: Option<Token>) -> RequestNo {
        self.begin(vec![name.clone()], |ticket, floor| {
            Request::Release(Release { ticket, floor, name, token })
        })
    }

    fn begin(
        &mut self,
        names: Vec<Name>,
        request: impl FnOnce(Ticket, RequestNo) -> Request,
    ) -> RequestNo {
        self.number.0 += 1;
        let number = self.number;
        let oldest = self.errands.keys().next().copied().unwrap_or(number);
        // What an errand says of this stays as it is, so that asking again is nothing new.
        let floor = self.floor.map_or(oldest, |floor| floor.min(oldest));
        let request = request(Ticket { owner: self.owner, request: number }, floor);
        let errand = Errand { request, names, exposed: false, asking: false, pause: BACKOFF.0 };
        self.errands.insert(number, errand);
        number
    }

    /// What to send for a request now. `None` if it is over.
    pub fn request(&mut self, number: RequestNo) -> Option<Request> {
        let errand = self.errands.get_mut(&number)?;
        errand.asking = true;
        Some(errand.request.clone())
    }

    /// A request is asked about no longer. What to send so that it does not wait either.
    pub fn give_up(&mut self, number: RequestNo) -> Option<Request> {
        let errand = self.errands.remove(&number)?;
        let waits =
            matches!(errand.request, Request::Acquire(_)) && (errand.exposed || errand.asking);
        waits.then_some(Request::Cancel(Ticket { owner: self.owner, request: number }))
    }

    /// What a call for a request led to, made at `asked`.
    pub fn heard(&mut self, now: Time, asked: Time, number: RequestNo, heard: Heard) -> Next {
        let Some(errand) = self.errands.get_mut(&number) else {
            return Next::Over(Outcome::Unknown);
        };
        errand.asking = false;
        let outcome = match (heard, &errand.request) {
            (Heard::Answer(Answer::Granted(grants)), Request::Acquire(_)) => {
                self.lives(asked);
                for Grant { name, token, .. } in &grants {
                    self.held.insert(name.clone(), Held { token: *token, since: now });
                }
                Outcome::Granted(grants)
            }
            (Heard::Answer(Answer::Waiting), Request::Acquire(_)) => {
                errand.exposed = true;
                errand.pause = BACKOFF.0;
                self.lives(asked);
                return Next::Again(BACKOFF.0);
            }
            (Heard::Answer(Answer::Done), Request::Release(release)) => {
                self.held.remove(&release.name);
                self.lives(asked);
                Outcome::Released
            }
            (Heard::Refused(Refused::Table(refusal)), _) => self.refused(number, refusal),
            (Heard::Refused(Refused::Busy) | Heard::Unreachable, _) => return self.again(number),
            // Silence, or an answer of another kind than the question: it says nothing.
            (Heard::Refused(Refused::Interrupted) | Heard::Silence | Heard::Answer(_), _) => {
                errand.exposed = true;
                return self.again(number);
            }
        };
        self.errands.remove(&number);
        Next::Over(outcome)
    }

    fn refused(&mut self, number: RequestNo, refusal: Refusal) -> Outcome {
        match &refusal {
            Refusal::Unknown(_) => self.end(refusal.clone()),
            Refusal::Wounded { .. } => self.lose(self.held.keys().cloned().collect()),
            // Another client of the session has said that this number is over.
            Refusal::Late(_) if self.exposed(number) => return Outcome::Unknown,
            Refusal::NotHeld(name) => _ = self.held.remove(name),
            _ => {}
        }
        Outcome::Refused(refusal)
    }

    fn again(&mut self, number: RequestNo) -> Next {
        let errand = self.errands.get_mut(&number).expect("it was looked up");
        let pause = self.rng.between(errand.pause / 2, errand.pause);
        errand.pause = (errand.pause * 2).min(BACKOFF.1);
        Next::Again(pause)
    }

    /// The service answered something that was asked at `asked`: the lease began then, or later.
    fn lives(&mut self, asked: Time) {
        self.silent = false;
        if let Some(lease) = self.lease {
            self.alive = self.alive.max(asked.plus(lease));
            self.renew_at = self.renew_at.max(asked.plus(lease / 3));
        }
    }

    /// When to look at [`due`](Self::due) again.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let ticks = self.lease.is_some() && !self.gone;
        let next = if self.renewing { None } else { Some(self.renew_at) };
        let silence = (!self.silent).then_some(self.alive);
        ticks.then(|| next.into_iter().chain(silence).min()).flatten()
    }

    /// The sign of life to send now, if it is time: a third of the lease after the last one that
    /// was heard. Also notices when the lease may be over.
    pub fn due(&mut self, now: Time) -> Option<Request> {
        if self.gone || self.lease.is_none() {
            return None;
        }
        if now >= self.alive && !self.silent {
            self.silent = true;
            self.losses.push(Loss::Silent);
        }
        if self.renewing || now < self.renew_at {
            return None;
        }
        Some(self.renew())
    }

    /// A sign of life, at once.
    pub fn renew(&mut self) -> Request {
        self.renewing = true;
        Request::Renew(self.owner)
    }

    /// What a sign of life led to, sent at `asked`.
    pub fn renewed(&mut self, now: Time, asked: Time, heard: &Heard) {
        self.renewing = false;
        match heard {
            Heard::Answer(Answer::Renewed(renewed)) => {
                self.lease = renewed.lease;
                self.pause = BACKOFF.0;
                self.lives(asked);
                self.compare(asked, renewed);
            }
            Heard::Refused(Refused::Table(refusal)) => self.end(refusal.clone()),
            _ => {
                self.renew_at = now.plus(self.rng.between(self.pause / 2, self.pause));
                self.pause = (self.pause * 2).min(BACKOFF.1);
            }
        }
    }

    /// Whatever was held when the sign of life left, and is not in the answer, is lost; unless
    /// something about it is under way.
    fn compare(&mut self, asked: Time, renewed: &Renewed) {
        let told = |name: &Name| match renewed.holds.last() {
            Some(last) if renewed.more => *name <= last.name,
            _ => true,
        };
        let has = |name: &Name, held: &Held| {
            renewed.holds.iter().any(|grant| grant.name == *name && grant.token == held.token)
        };
        let busy = |name: &Name| self.errands.values().any(|errand| errand.names.contains(name));
        let missing = self.held.iter().filter(|(name, held)| {
            held.since < asked && told(name) && !has(name, held) && !busy(name)
        });
        let missing: Vec<Name> = missing.map(|(name, _)| name.clone()).collect();
        self.lose(missing);
    }

    fn lose(&mut self, names: Vec<Name>) {
        for name in &names {
            self.held.remove(name);
        }
        if !names.is_empty() {
            self.losses.push(Loss::Names(names));
        }
    }

    fn end(&mut self, refusal: Refusal) {
        self.held.clear();
        if !self.gone {
            self.gone = true;
            self.losses.push(Loss::Session(refusal));
        }
    }
}
