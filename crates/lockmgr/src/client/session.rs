//! A session, and the task that keeps it alive.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::Time;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{Connections, Error, PAUSE, TRY};
use crate::{
    Grant, Name, Owner, Patience, Refusal, RequestNo, Terms, Token, Want,
    clerk::{Clerk, Heard, Loss, Next, Outcome},
    message::{Answer, Refused, Renewed, Request},
};

/// How long it may take to take a request back whose time is up.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What a session and its task share.
struct Shared {
    connections: Connections,
    clerk: Mutex<Clerk>,
    born: Instant,
    lost: watch::Sender<Option<Loss>>,
}

impl Shared {
    fn now(&self) -> Time {
        Time::ZERO.plus(self.born.elapsed())
    }

    fn clerk(&self) -> MutexGuard<'_, Clerk> {
        // Held for a few instructions that do not panic; were it otherwise, it is still whole.
        self.clerk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what was lost. That it *may* be lost does not hide that it is.
    fn tell(&self) {
        for loss in self.clerk().losses() {
            tracing::warn!(%loss, "a session lost something");
            self.lost.send_replace(Some(loss));
        }
    }

    async fn renew(&self, request: Request, limit: Duration) -> (Heard, Option<String>) {
        let asked = self.now();
        let call = tokio::time::timeout(limit, self.connections.ask(request));
        let (heard, why) = call.await.unwrap_or((Heard::Silence, None));
        self.clerk().renewed(self.now(), asked, &heard);
        self.tell();
        (heard, why)
    }
}

/// Gives signs of life until the session is gone.
async fn keep_alive(shared: Arc<Shared>) {
    loop {
        let (due, deadline, lease) = {
            let mut clerk = shared.clerk();
            (clerk.due(shared.now()), clerk.deadline(), clerk.lease())
        };
        shared.tell();
        match (due, deadline, lease) {
            (Some(request), _, Some(lease)) => {
                shared.renew(request, (lease / 3).min(TRY)).await;
            }
            (None, Some(at), _) => {
                let until = shared.born + at.since(Time::ZERO);
                tokio::time::sleep_until(until).await;
            }
            _ => return,
        }
    }
}

/// One session of a lock service. As long as it is kept, it gives signs of life; dropped, it is
/// left to its lease.
pub struct Session {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
    lost: watch::Receiver<Option<Loss>>,
    /// How long a request is tried for, beside the time that it may wait for its locks.
    pub budget: Duration,
}

impl Session {
    /// A new session under these terms.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn open(
        connections: Connections,
        terms: Terms,
        budget: Duration,
        seed: u64,
    ) -> Result<Self, Error> {
        let born = Instant::now();
        match connections.until(Request::Open(terms), budget).await? {
            Answer::Opened(owner) => {
                // Whichever try was answered, it was not made before this.
                let clerk = Clerk::new(owner, terms.lease, Time::ZERO, seed);
                Ok(Self::around(connections, clerk, born, budget))
            }
            _ => Err(Error::Unknown),
        }
    }

    /// A session that another client has opened. `first` is a number that none of its requests has
    /// had yet: time in nanoseconds, say. What is asked here takes all requests for over that are
    /// older than `grace` numbers, unless some of them wait.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Refusal::Unknown`] if there is no such session any more.
    pub async fn adopt(
        connections: Connections,
        owner: Owner,
        (first, grace): (RequestNo, u64),
        budget: Duration,
        seed: u64,
    ) -> Result<Self, Error> {
        let born = Instant::now();
        match connections.until(Request::Renew(owner), budget).await? {
            Answer::Renewed(Renewed { lease, waits, .. }) => {
                let floor = if waits == 0 { first.0.saturating_sub(grace) } else { 0 };
                let clerk = Clerk::new(owner, lease, Time::ZERO, seed);
                let clerk = clerk.after_another(RequestNo(floor), first);
                Ok(Self::around(connections, clerk, born, budget))
            }
            _ => Err(Error::Unknown),
        }
    }

    fn around(connections: Connections, clerk: Clerk, born: Instant, budget: Duration) -> Self {
        let (tell, lost) = watch::channel(None);
        let clerk = Mutex::new(clerk);
        let shared = Arc::new(Shared { connections, clerk, born, lost: tell });
        let keeper = tokio::spawn(keep_alive(Arc::clone(&shared)));
        Self { shared, keeper, lost, budget }
    }

    /// Its number.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.shared.clerk().owner()
    }

    /// How long its lease is.
    #[must_use]
    pub fn lease(&self) -> Option<Duration> {
        self.shared.clerk().lease()
    }

    /// By which token it holds a name, as far as it knows.
    #[must_use]
    pub fn token(&self, name: &Name) -> Option<Token> {
        self.shared.clerk().token(name)
    }

    /// All of these names, or none, after waiting for so long at most.
    ///
    /// # Errors
    ///
    /// See [`Error`]. With [`Error::Unknown`] they may be held: close the session, or let its lease
    /// run out.
    pub async fn acquire(&self, wants: Vec<Want>, wait: Duration) -> Result<Vec<Grant>, Error> {
        self.granted(wants, Patience::For(wait), wait).await
    }

    /// All of these names, if they are free now.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn try_acquire(&self, wants: Vec<Want>) -> Result<Vec<Grant>, Error> {
        self.granted(wants, Patience::Try, Duration::ZERO).await
    }

    async fn granted(
        &self,
        wants: Vec<Want>,
        patience: Patience,
        wait: Duration,
    ) -> Result<Vec<Grant>, Error> {
        let number = self.shared.clerk().acquire(wants, patience);
        match self.errand(number, wait + self.budget).await? {
            Outcome::Granted(grants) => Ok(grants),
            Outcome::Refused(refusal) => Err(Error::Refused(refusal)),
            Outcome::Released | Outcome::Unknown => Err(Error::Unknown),
        }
    }

    /// Gives a name back; only if it is held by this token, if one is named.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Refusal::NotHeld`] if it was lost before.
    pub async fn release(&self, name: Name, token: Option<Token>) -> Result<(), Error> {
        let number = self.shared.clerk().release(name, token);
        match self.errand(number, self.budget).await? {
            Outcome::Released => Ok(()),
            Outcome::Refused(refusal) => Err(Error::Refused(refusal)),
            Outcome::Granted(_) | Outcome::Unknown => Err(Error::Unknown),
        }
    }

    /// A sign of life, at once.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn renew(&self) -> Result<Renewed, Error> {
        let deadline = Instant::now() + self.budget;
        loop {
            let request = self.shared.clerk().renew();
            let why = match self.shared.renew(request, TRY).await {
                (Heard::Answer(Answer::Renewed(renewed)), _) => return Ok(renewed),
                (Heard::Refused(Refused::Table(refusal)), _) => {
                    return Err(Error::Refused(refusal));
                }
                (_, why) => why,
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(Error::Unreachable(why.unwrap_or_default()));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Gives everything back and ends the session.
    ///
    /// # Errors
    ///
    /// See [`Error`]. The session then ends with its lease.
    pub async fn close(self) -> Result<(), Error> {
        let owner = self.owner();
        self.keeper.abort();
        match self.shared.connections.until(Request::Close(owner), self.budget).await? {
            Answer::Done => Ok(()),
            _ => Err(Error::Unknown),
        }
    }

    /// Waits until something that it held is lost, or may be.
    pub async fn lost(&self) -> Loss {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await.map(|loss| loss.clone()) {
            Ok(Some(loss)) => loss,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// What was lost last, if anything.
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        self.lost.borrow().clone()
    }

    /// Asks until there is an answer or the time is up.
    async fn errand(&self, number: RequestNo, limit: Duration) -> Result<Outcome, Error> {
        let shared = &self.shared;
        let guard = GiveUp { shared, number };
        let deadline = Instant::now() + limit;
        let mut why = String::new();
        loop {
            let Some(request) = shared.clerk().request(number) else { return Err(Error::Unknown) };
            let asked = shared.now();
            let ask = tokio::time::timeout_at(deadline, shared.connections.ask(request));
            let heard = match ask.await {
                Ok((heard, trouble)) => {
                    why = trouble.unwrap_or(why);
                    heard
                }
                Err(_) => Heard::Silence,
            };
            let next = shared.clerk().heard(shared.now(), asked, number, heard);
            shared.tell();
            match next {
                Next::Over(outcome) => return Ok(outcome),
                Next::Again(pause) if Instant::now() + pause < deadline => {
                    tokio::time::sleep(pause).await;
                }
                Next::Again(_) => break,
            }
        }
        let exposed = shared.clerk().exposed(number);
        let cancel = shared.clerk().give_up(number);
        std::mem::forget(guard);
        match cancel {
            Some(cancel) => self.last_word(cancel).await,
            None if exposed => Err(Error::Unknown),
            None => Err(Error::Unreachable(why)),
        }
    }

    /// Takes a request back whose time is up, and says what came of it.
    async fn last_word(&self, cancel: Request) -> Result<Outcome, Error> {
        match self.shared.connections.until(cancel, LAST_WORD).await {
            Ok(Answer::Granted(grants)) => Ok(Outcome::Granted(grants)),
            Ok(_) => Ok(Outcome::Refused(Refusal::TimedOut)),
            Err(Error::Refused(refusal)) => Ok(Outcome::Refused(refusal)),
            Err(_) => Err(Error::Unknown),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Somebody dropped the future of a request: nobody will hear of it, so it must neither wait on
/// nor be granted for nothing.
struct GiveUp<'a> {
    shared: &'a Arc<Shared>,
    number: RequestNo,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        let Some(cancel) = self.shared.clerk().give_up(self.number) else { return };
        // Without a runtime nobody is left who could say it; the lease ends it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let shared = Arc::clone(self.shared);
        runtime.spawn(async move {
            let heard = shared.connections.ask(cancel).await.0;
            let Heard::Answer(Answer::Granted(grants)) = heard else { return };
            for Grant { name, token, .. } in grants {
                // What was held before stays, by its new token.
                let release = {
                    let mut clerk = shared.clerk();
                    let before = clerk.token(&name);
                    before.is_none().then(|| clerk.release(name, token))
                };
                let Some(number) = release else { continue };
                let request = shared.clerk().request(number).expect("it has just begun");
                let asked = shared.now();
                let heard = shared.connections.ask(request).await.0;
                shared.clerk().heard(shared.now(), asked, number, heard);
                shared.clerk().give_up(number);
            }
        });
    }
}
