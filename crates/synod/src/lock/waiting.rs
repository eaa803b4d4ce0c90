//! Waiting for a lock, and leaving the queue when told to.

use std::{future::Future, time::Duration};

use lockmgr::{Error, Grant, Mode, Name, Session, Want};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::of_named;
use crate::failure::{Exit, Failure};

/// What would end this program at once. A request that waits must be taken back before: it would
/// be granted to nobody, and keep the lock from others for a whole lease.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on SIGTERM and Ctrl-C are only heard of. SIGHUP does what it did: whoever runs under
    /// `nohup` wants to wait on.
    pub(super) fn caught() -> std::io::Result<Self> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)?, hangup: None })
    }

    /// From now on SIGHUP is only heard of as well.
    pub(super) fn with_hangup(&mut self) -> std::io::Result<()> {
        self.hangup = Some(signal(SignalKind::hangup())?);
        Ok(())
    }

    /// The next one, as the exit code of whoever is ended by it.
    pub(super) async fn next(&mut self) -> Exit {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = hangup => Exit::HungUp,
        }
    }

    /// What this comes to, or the signal that came before.
    async fn unless<T>(&mut self, doing: impl Future<Output = T>) -> Result<T, Exit> {
        tokio::select! {
            done = doing => Ok(done),
            told = self.next() => Err(told),
        }
    }

    /// The same for what leaves nothing to be taken back; `what` did not happen in time.
    pub(super) async fn before<T>(
        &mut self,
        doing: impl Future<Output = Result<T, Failure>>,
        what: &str,
    ) -> Result<T, Failure> {
        let told = |exit| Failure::new(exit, format!("told to stop before {what}"));
        self.unless(doing).await.map_err(told)?
    }
}

/// What is waited for, and how long.
pub(super) struct Wait<'a> {
    pub(super) name: &'a Name,
    pub(super) mode: Mode,
    /// Not at all, if nothing is said.
    pub(super) wait: Option<Duration>,
    /// Whether the session was opened for this alone.
    pub(super) own: bool,
}

impl Wait<'_> {
    fn wants(&self) -> Vec<Want> {
        vec![Want { name: self.name.clone(), mode: self.mode }]
    }

    /// The lock, and the session that has it now. If it is not to be had, or a signal comes before,
    /// the session ends if it was for this alone.
    pub(super) async fn granted(
        &self,
        session: Session,
        signals: &mut Signals,
    ) -> Result<(Session, Grant), Failure> {
        let failure = match signals.unless(self.ask(&session)).await {
            Ok(Ok(grant)) => return Ok((session, grant)),
            Ok(Err(failure)) => failure,
            Err(told) => return Err(self.leave(session, told, signals).await),
        };
        if self.own {
            // Nobody would ever use it. If that fails too, its lease ends it.
            let _ = signals.unless(session.close()).await;
        }
        Err(failure)
    }

    async fn ask(&self, session: &Session) -> Result<Grant, Failure> {
        let granted = match self.wait {
            Some(wait) => session.acquire(self.wants(), wait).await,
            None => session.try_acquire(self.wants()).await,
        };
        let granted = granted.map_err(|error| match self.own {
            true => error.into(),
            false => of_named(error),
        });
        let grant = granted?.into_iter().next();
        grant.ok_or_else(|| Failure::new(Exit::Unknown, "the lock service granted nothing"))
    }

    /// Takes back what was asked for, and whatever it brought meanwhile. A second signal ends this.
    async fn leave(&self, session: Session, told: Exit, signals: &mut Signals) -> Failure {
        let back = async {
            match self.own {
                true => session.close().await.is_ok(),
                false => self.is_settled(&session).await,
            }
        };
        let name = self.name;
        match signals.unless(back).await {
            Ok(true) => {
                let why = format!("told to stop while it waited for `{name}`: it waits no more");
                Failure::new(told, why)
            }
            Ok(false) | Err(_) => {
                let why = format!(
                    "told to stop while it waited for `{name}`, and that could not be taken back in time: it may be granted until the lease ends"
                );
                Failure::new(Exit::Unknown, why)
            }
        }
    }

    /// Whether nothing is left of a request that nobody waits for any more. A session sends nothing
    /// about a name before that is so; then this request follows, which asks for the name twice and
    /// is therefore refused.
    async fn is_settled(&self, session: &Session) -> bool {
        let twice = [self.wants(), self.wants()].concat();
        matches!(session.try_acquire(twice).await, Err(Error::Refused(_)))
    }
}
