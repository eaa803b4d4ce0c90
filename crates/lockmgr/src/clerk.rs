//! What a client does about silence and refusals: the same request again, under the same number,
//! until it is answered; a sign of life in time; and what to believe of its locks meanwhile. Pure:
//! no socket, no clock.

mod words;

use std::{collections::BTreeMap, time::Duration};

use protocol::{Rng, Time};

use crate::{
    Acquire, Full, Grant, Name, Owner, Patience, Refusal, Release, RequestNo, Ticket, Token, Want,
    message::{Answer, Refused, Renewed, Request},
};

pub use words::{Heard, Loss, Next, Outcome};

/// How long to wait before the next try, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// A request that is not over.
#[derive(Clone, Debug)]
struct Errand {
    request: Request,
    names: Vec<Name>,
    /// Whether it was sent and may have arrived.
    exposed: bool,
    /// Whether a call is under way.
    asking: bool,
    /// An acquire whose time is up: it is taken back.
    cancelled: bool,
    /// Nobody waits for it any more: what it brings must be given back.
    orphan: bool,
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
    number: RequestNo,
    errands: BTreeMap<RequestNo, Errand>,
    held: BTreeMap<Name, Held>,
    /// What was lost for sure.
    lost: Option<Loss>,
    gone: bool,
    /// Whether it was noticed that nobody answers.
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
            number: RequestNo(0),
            errands: BTreeMap::new(),
            held: BTreeMap::new(),
            lost: None,
            gone: false,
            silent: false,
            pause: BACKOFF.0,
            rng: Rng::new(seed),
        };
        clerk.lives(asked);
        clerk
    }

    /// The same for one more client of a session: its own numbers begin with `first`, which lies in
    /// a lane of its own.
    #[must_use]
    pub fn beside_others(self, first: RequestNo) -> Self {
        Self { number: RequestNo(first.0.saturating_sub(1)), ..self }
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

    /// By which token a name is surely held. Nothing if it was lost, or may be.
    #[must_use]
    pub fn token(&self, now: Time, name: &Name) -> Option<Token> {
        if self.is_silent(now) {
            return None;
        }
        self.held.get(name)?.token
    }

    /// What was lost for sure, all of it; or that it may be, since nobody answers.
    #[must_use]
    pub fn loss(&self, now: Time) -> Option<Loss> {
        let silent = (!self.gone && self.is_silent(now)).then_some(Loss::Silent);
        self.lost.clone().or(silent)
    }

    /// Whether nobody has answered for as long as the lease lasts.
    #[must_use]
    pub fn is_silent(&self, now: Time) -> bool {
        self.lease.is_some() && now >= self.alive
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
        // What an errand says of this stays as it is, so that asking again is nothing new.
        let floor = self.errands.keys().next().copied().unwrap_or(number);
        let request = request(Ticket { owner: self.owner, request: number }, floor);
        let errand = Errand {
            request,
            names,
            exposed: false,
            asking: false,
            cancelled: false,
            orphan: false,
            pause: BACKOFF.0,
        };
        self.errands.insert(number, errand);
        number
    }

    /// Whether something about one of these names is still being given back, for which nobody
    /// waits: until that is done, a new request would be about the same lock.
    pub fn is_settling<'a>(&self, mut names: impl Iterator<Item = &'a Name>) -> bool {
        let orphans = || self.errands.values().filter(|errand| errand.orphan);
        names.any(|name| orphans().any(|errand| errand.names.contains(name)))
    }

    /// What to send for a request now. `None` if it is over, or the session is.
    pub fn request(&mut self, number: RequestNo) -> Option<Request> {
        let errand = self.errands.get_mut(&number)?;
        if errand.orphan && self.gone {
            return None;
        }
        errand.asking = true;
        Some(match &errand.request {
            Request::Acquire(acquire) if errand.cancelled => Request::Cancel(acquire.ticket),
            request => request.clone(),
        })
    }

    /// A request's time is up: an acquire is taken back from now on, a release is still tried.
    /// Returns whether anything is left to be done; if not, it certainly never arrived.
    pub fn cancel(&mut self, number: RequestNo) -> bool {
        let Some(errand) = self.errands.get_mut(&number) else { return false };
        if !errand.exposed && !errand.asking {
            self.errands.remove(&number);
            return false;
        }
        (errand.cancelled, errand.exposed) = (true, true);
        true
    }

    /// Nobody waits for a request any more. Returns whether anything is left to be done: whatever
    /// it brings is given back, and a release goes on until it is done.
    pub fn abandon(&mut self, number: RequestNo) -> bool {
        let left = self.cancel(number);
        if let Some(errand) = self.errands.get_mut(&number) {
            errand.orphan = true;
        }
        left
    }

    /// What a call for a request led to, made at `asked`.
    pub fn heard(&mut self, now: Time, asked: Time, number: RequestNo, heard: Heard) -> Next {
        let Some(errand) = self.errands.get_mut(&number) else {
            return Next::Over(Outcome::Unknown);
        };
        errand.asking = false;
        let (orphan, cancelled) = (errand.orphan, errand.cancelled);
        let outcome = match (heard, &errand.request) {
            (Heard::Answer(Answer::Granted(grants)), Request::Acquire(_)) => {
                self.lives(asked);
                let fresh = self.hold(now, &grants);
                if orphan {
                    self.errands.remove(&number);
                    return Next::Back(fresh.into_iter().map(|one| self.give_back(one)).collect());
                }
                Outcome::Granted(grants)
            }
            (Heard::Answer(Answer::Done), Request::Acquire(_)) if cancelled => {
                self.lives(asked);
                Outcome::Refused(Refusal::Cancelled)
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

    /// Takes note of what is held now. Returns what was not held before.
    fn hold(&mut self, now: Time, grants: &[Grant]) -> Vec<Grant> {
        let mut fresh = Vec::new();
        for grant in grants {
            let held = Held { token: grant.token, since: now };
            if self.held.insert(grant.name.clone(), held).is_none() {
                fresh.push(grant.clone());
            }
        }
        fresh
    }

    /// Begins to give back what nobody waits for.
    fn give_back(&mut self, grant: Grant) -> RequestNo {
        let number = self.release(grant.name, grant.token);
        let errand = self.errands.get_mut(&number).expect("it has just begun");
        (errand.orphan, errand.exposed) = (true, true);
        number
    }

    fn refused(&mut self, number: RequestNo, refusal: Refusal) -> Outcome {
        match &refusal {
            Refusal::Unknown(_) => self.end(refusal.clone()),
            Refusal::Wounded { .. } => self.lose(self.held.keys().cloned().collect()),
            // Another client of the session has said that this number is over; or there was no room
            // to note that a request is taken back which has not come yet. It may still come, and
            // then the next request's floor takes it back.
            Refusal::Late(_) | Refusal::Full(Full::Requests) if self.exposed(number) => {
                return Outcome::Unknown;
            }
            Refusal::NotHeld(name) => self.not_held(number, name),
            _ => {}
        }
        Outcome::Refused(refusal)
    }

    /// A release was refused: the name is not held by the token that it named, if it named one.
    fn not_held(&mut self, number: RequestNo, name: &Name) {
        let asked = self.errands.get(&number).and_then(|errand| match &errand.request {
            Request::Release(release) => release.token,
            _ => None,
        });
        let held = self.held.get(name).and_then(|held| held.token);
        if asked.is_none() || asked == held {
            self.held.remove(name);
        }
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

    /// When to look at [`due`](Self::due) again. `None` if there is nothing more to be done, ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let ticks = self.lease.is_some() && !self.gone;
        let silence = (!self.silent).then_some(self.alive);
        ticks.then(|| silence.map_or(self.renew_at, |silence| silence.min(self.renew_at)))
    }

    /// The sign of life to send now, if it is time: a third of the lease after the last one that
    /// was heard.
    pub fn due(&mut self, now: Time) -> Option<Request> {
        self.silent = self.is_silent(now);
        let due = self.lease.is_some() && !self.gone && now >= self.renew_at;
        due.then(|| self.renew())
    }

    /// A sign of life, at once.
    #[must_use]
    pub fn renew(&self) -> Request {
        Request::Renew(self.owner)
    }

    /// A sign of life is not answered for long: time for another one, beside it.
    pub fn unheard(&mut self, now: Time) {
        self.renew_at = now.plus(self.rng.between(self.pause / 2, self.pause));
        self.pause = (self.pause * 2).min(BACKOFF.1);
    }

    /// What a sign of life led to, sent at `asked`.
    pub fn renewed(&mut self, now: Time, asked: Time, heard: &Heard) {
        match heard {
            Heard::Answer(Answer::Renewed(renewed)) => {
                self.lease = renewed.lease;
                self.pause = BACKOFF.0;
                self.lives(asked);
                self.compare(asked, renewed);
            }
            Heard::Refused(Refused::Table(refusal)) => self.end(refusal.clone()),
            _ => self.unheard(now),
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
        if names.is_empty() {
            return;
        }
        self.lost = Some(match self.lost.take() {
            Some(Loss::Names(mut before)) => {
                before.extend(names);
                Loss::Names(before)
            }
            Some(all @ Loss::Session(_)) => all,
            Some(Loss::Silent) | None => Loss::Names(names),
        });
    }

    fn end(&mut self, refusal: Refusal) {
        self.held.clear();
        if !self.gone {
            self.gone = true;
            self.lost = Some(Loss::Session(refusal));
        }
    }
}
