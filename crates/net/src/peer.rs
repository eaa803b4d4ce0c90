//! One peer: where it is, whether there is a connection to it, and how long not to try again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32};

use protocol::Rng;
use tokio::{sync::oneshot, task::AbortHandle, time::Instant};

use crate::{
    Addr, HangUp,
    hello::{HelloError, Refusal},
    limits::{FIRST_PAUSE, LAST_PAUSE, PROVEN},
};

/// How one peer is doing, for people to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerStatus {
    /// Nobody has called it yet, or the last attempt failed: so many in a row, and why.
    Down {
        /// Attempts that failed in a row.
        failures: u32,
        /// What the last one failed with, if anything has failed yet.
        why: Option<String>,
    },
    /// An attempt is being made.
    Dialing,
    /// Connected.
    Up,
}

pub(crate) struct Peer<W> {
    pub(crate) addr: Addr,
    pub(crate) state: State<W>,
    pub(crate) failures: u32,
    pub(crate) why: Option<HelloError>,
}

pub(crate) enum State<W> {
    Down { until: Instant },
    Dialing { task: AbortHandle, waiting: Vec<oneshot::Sender<Arc<Link<W>>>> },
    Up(Arc<Link<W>>),
}

/// One good connection.
pub(crate) struct Link<W> {
    pub(crate) wire: W,
    pub(crate) since: Instant,
    /// Calls in a row that ran out of time.
    pub(crate) late: AtomicU32,
    /// Taken out, and thereby dropped, to end it.
    pub(crate) hang_up: Mutex<Option<HangUp>>,
}

impl<W> Link<W> {
    pub(crate) fn ended(&self) -> bool {
        lock(&self.hang_up).as_ref().is_none_or(HangUp::ended)
    }

    pub(crate) fn end(&self) {
        lock(&self.hang_up).take();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Held for a few instructions that do not panic; were it otherwise, the state is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W> Peer<W> {
    pub(crate) fn new(addr: Addr) -> Self {
        let state = State::Down { until: Instant::now() };
        Self { addr, state, failures: 0, why: None }
    }

    pub(crate) fn up(&mut self, link: Arc<Link<W>>) {
        if let State::Dialing { waiting, .. } = &mut self.state {
            for tell in waiting.drain(..) {
                // Some may have run out of time while they waited.
                let _ = tell.send(Arc::clone(&link));
            }
        }
        self.why = None;
        self.state = State::Up(link);
    }

    /// A connection ended. One that hardly lived counts as a failed attempt, or a server that
    /// hangs up on everybody would be dialled without pause.
    pub(crate) fn lost(&mut self, link: &Link<W>, rng: &mut Rng) {
        if link.since.elapsed() >= PROVEN {
            self.failures = 0;
            self.state = State::Down { until: Instant::now() };
        } else {
            self.pause(rng);
        }
    }

    pub(crate) fn failed(&mut self, why: HelloError, rng: &mut Rng) {
        self.why = Some(why);
        self.pause(rng);
    }

    /// Twice as long each time, and never in step with the others.
    pub(crate) fn pause(&mut self, rng: &mut Rng) {
        let longest = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LAST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Down { until: Instant::now() + rng.between(longest / 2, longest) };
    }

    pub(crate) fn end(self) {
        match self.state {
            State::Up(link) => link.end(),
            State::Dialing { task, .. } => task.abort(),
            State::Down { .. } => {}
        }
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match &self.why {
            Some(HelloError::Refused(refusal)) => Some(refusal.clone()),
            _ => None,
        }
    }

    pub(crate) fn status(&self) -> PeerStatus {
        match &self.state {
            State::Up(link) if !link.ended() => PeerStatus::Up,
            State::Dialing { .. } => PeerStatus::Dialing,
            State::Up(_) | State::Down { .. } => {
                let why = self.why.as_ref().map(ToString::to_string);
                PeerStatus::Down { failures: self.failures, why }
            }
        }
    }
}
