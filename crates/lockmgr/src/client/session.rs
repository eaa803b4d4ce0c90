//! A session: locks for one owner, kept alive.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use protocol::{Rng, Time};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{
    Connections, Error, PAUSE,
    shared::{Shared, keep_alive},
};
use crate::{
    Grant, Name, Owner, Patience, Refusal, RequestNo, Terms, Token, Want,
    clerk::{Clerk, Heard, Loss, Next, Outcome},
    message::{Answer, Refused, Renewed, Request},
};

/// How long it may take to take a request back whose time is up.
const LAST_WORD: Duration = Duration::from_secs(1);

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
        match connections.until(Request::Open(terms), budget).await? {
            (Answer::Opened(owner), born) => {
                let clerk = Clerk::new(owner, terms.lease, Time::ZERO, seed);
                Ok(Self::around(connections, clerk, born, budget))
            }
            _ => Err(Error::Unknown),
        }
    }

    /// One more client of a session that another has opened. All of them may be at it at once:
    /// each numbers its requests in a lane of its own, which `seed` picks, so no two seeds should be
    /// the same.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Refusal::Unknown`] if there is no such session any more.
    pub async fn adopt(
        connections: Connections,
        owner: Owner,
        budget: Duration,
        seed: u64,
    ) -> Result<Self, Error> {
        match connections.until(Request::Renew(owner), budget).await? {
            (Answer::Renewed(Renewed { lease, .. }), born) => {
                // The opener's is lane 0.
                let lane = (Rng::new(seed).next_u64() as u32).max(1);
                let clerk = Clerk::new(owner, lease, Time::ZERO, seed);
                let clerk = clerk.beside_others(RequestNo::first_of(lane));
                Ok(Self::around(connections, clerk, born, budget))
            }
            _ => Err(Error::Unknown),
        }
    }

    fn around(connections: Connections, clerk: Clerk, born: Instant, budget: Duration) -> Self {
        let (shared, lost) = Shared::new(connections, clerk, born);
        let shared = Arc::new(shared);
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

    /// By which token it surely holds a name; nothing if it was lost, or may be.
    #[must_use]
    pub fn token(&self, name: &Name) -> Option<Token> {
        self.shared.clerk().token(self.shared.now(), name)
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
        let deadline = Instant::now() + wait + self.budget;
        self.settled(&wants, deadline).await?;
        let number = self.shared.clerk().acquire(wants, patience);
        match self.errand(number, deadline).await? {
            Outcome::Granted(grants) => Ok(grants),
            Outcome::Refused(refusal) => Err(Error::Refused(refusal)),
            Outcome::Released | Outcome::Unknown => Err(Error::Unknown),
        }
    }

    /// Waits until nothing about these names is being given back that nobody waited for: it must not
    /// take away what is about to be asked for.
    async fn settled(&self, wants: &[Want], deadline: Instant) -> Result<(), Error> {
        loop {
            let mut over = pin!(self.shared.settled.notified());
            // From now on it hears, whatever happens before it waits.
            over.as_mut().enable();
            if !self.shared.clerk().is_settling(wants.iter().map(|want| &want.name)) {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, over).await.is_err() {
                let why = ": an earlier request for the same name could not be taken back";
                return Err(Error::Unreachable(why.to_owned()));
            }
        }
    }

    /// Gives a name back; only if it is held by this token, if one is named.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Refusal::NotHeld`] if it was lost before.
    pub async fn release(&self, name: Name, token: Option<Token>) -> Result<(), Error> {
        let number = self.shared.clerk().release(name, token);
        match self.errand(number, Instant::now() + self.budget).await? {
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
        let mut exposed = false;
        loop {
            let why = match self.shared.renew().await {
                (Heard::Answer(Answer::Renewed(renewed)), _) => return Ok(renewed),
                (Heard::Refused(Refused::Table(refusal)), _) => {
                    return Err(Error::Refused(refusal));
                }
                (heard, why) => {
                    exposed |= heard == Heard::Silence;
                    why.unwrap_or_default()
                }
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(if exposed { Error::Unknown } else { Error::Unreachable(why) });
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
        match self.shared.connections.until(Request::Close(owner), self.budget).await?.0 {
            Answer::Done => Ok(()),
            _ => Err(Error::Unknown),
        }
    }

    /// Waits until something that it held is lost, or may be.
    pub async fn lost(&self) -> Loss {
        self.loses(|_| true).await
    }

    /// Waits until something that it held is lost for sure: somebody who knows has said so.
    pub async fn surely_lost(&self) -> Loss {
        self.loses(|loss| *loss != Loss::Silent).await
    }

    async fn loses(&self, counts: impl Fn(&Loss) -> bool) -> Loss {
        let mut lost = self.lost.clone();
        match lost.wait_for(|loss| loss.as_ref().is_some_and(&counts)).await.map(|it| it.clone()) {
            Ok(Some(loss)) => loss,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// What was lost, if anything; or, for now, that it may be.
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        self.shared.clerk().loss(self.shared.now())
    }

    /// Asks until there is an answer or the time is up; then takes it back.
    async fn errand(&self, number: RequestNo, deadline: Instant) -> Result<Outcome, Error> {
        // Whoever drops this future does not wait any more: somebody must bring it to its end.
        let _guard = GiveUp { shared: Arc::clone(&self.shared), number };
        let mut why = String::new();
        if let Some(outcome) = self.outcome(number, deadline, &mut why).await {
            return Ok(outcome);
        }
        if !self.shared.clerk().cancel(number) {
            return Err(Error::Unreachable(why));
        }
        match self.outcome(number, Instant::now() + LAST_WORD, &mut why).await {
            Some(Outcome::Refused(Refusal::Cancelled)) => Ok(Outcome::Refused(Refusal::TimedOut)),
            Some(outcome) => Ok(outcome),
            None => Err(Error::Unknown),
        }
    }

    async fn outcome(
        &self,
        number: RequestNo,
        deadline: Instant,
        why: &mut String,
    ) -> Option<Outcome> {
        loop {
            let request = self.shared.clerk().request(number)?;
            let attempt = self.shared.attempt(number, request);
            // Out of time: the clerk knows that it was sent.
            let (next, trouble) = tokio::time::timeout_at(deadline, attempt).await.ok()?;
            if let Some(trouble) = trouble {
                *why = trouble;
            }
            match next {
                Next::Over(outcome) => return Some(outcome),
                Next::Again(pause) if Instant::now() + pause < deadline => {
                    tokio::time::sleep(pause).await;
                }
                Next::Again(_) => return None,
                Next::Back(_) => unreachable!("somebody waits for it"),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.dropped.store(true, Relaxed);
        self.keeper.abort();
    }
}

/// Somebody may drop the future of a request: nobody will hear of it, so it must neither wait on
/// nor be granted for nothing.
struct GiveUp {
    shared: Arc<Shared>,
    number: RequestNo,
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        if !self.shared.clerk().abandon(self.number) {
            return;
        }
        // Without a runtime nobody is left who could say it; the lease ends it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        runtime.spawn(async move { shared.finish(number).await });
    }
}
