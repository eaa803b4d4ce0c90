//! A home and short words for what is done to it.

use std::time::Duration;

use super::Home;
use crate::{
    Acquire, Command, Discipline, Grant, MAX_TERM, Mode, Name, News, Owner, Patience, Refusal,
    Release, Reply, RequestNo, Terms, Ticket, Token, Want,
};

/// How long a request of the checks waits, unless it says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A home, and the numbers of the requests made there.
pub struct Scene {
    /// What is driven.
    pub home: Box<dyn Home>,
    numbers: u64,
}

impl Scene {
    /// Nothing has happened there.
    #[must_use]
    pub fn new(home: Box<dyn Home>) -> Self {
        Self { home, numbers: 0 }
    }

    /// A new owner under these terms.
    ///
    /// # Panics
    ///
    /// If it is refused.
    pub fn open(&mut self, terms: Terms) -> Owner {
        match self.home.apply(Command::Open(terms)) {
            Reply::Opened(owner) => owner,
            reply => panic!("a sound session is opened, not {reply:?}"),
        }
    }

    /// A new session with the longest lease there is.
    pub fn session(&mut self) -> Owner {
        self.open(Terms::session(MAX_TERM))
    }

    /// A new transaction with the longest lease there is.
    pub fn transaction(&mut self) -> Owner {
        self.open(Terms { discipline: Discipline::TwoPhase, ..Terms::session(MAX_TERM) })
    }

    /// The next number for a request of this owner.
    pub fn ticket(&mut self, owner: Owner) -> Ticket {
        self.numbers += 1;
        Ticket { owner, request: RequestNo(self.numbers) }
    }

    /// A request of a new number.
    pub fn request(&mut self, owner: Owner, wants: &[(&str, Mode)], patience: Patience) -> Acquire {
        let ticket = self.ticket(owner);
        let wants = wants.iter().map(|&(name, mode)| Want::new(name, mode)).collect();
        Acquire { ticket, floor: RequestNo(0), wants, patience }
    }

    /// Asks for this, and would wait.
    pub fn ask(&mut self, owner: Owner, wants: &[(&str, Mode)]) -> (Ticket, Reply) {
        let request = self.request(owner, wants, Patience::For(PATIENCE));
        (request.ticket, self.home.apply(Command::Acquire(request)))
    }

    /// Asks for this, and does not wait.
    pub fn attempt(&mut self, owner: Owner, name: &str, mode: Mode) -> Reply {
        let request = self.request(owner, &[(name, mode)], Patience::Try);
        self.home.apply(Command::Acquire(request))
    }

    /// Asks for one name, which must be there at once. Returns its token.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn take(&mut self, owner: Owner, name: &str, mode: Mode) -> Option<Token> {
        match self.ask(owner, &[(name, mode)]).1 {
            Reply::Granted(grants) => grants[0].token,
            reply => panic!("`{name}` is there for {owner} in {mode}, not {reply:?}"),
        }
    }

    /// Asks for one name, which must not be there at once.
    ///
    /// # Panics
    ///
    /// If it is.
    pub fn queue(&mut self, owner: Owner, name: &str, mode: Mode) -> Ticket {
        let (ticket, reply) = self.ask(owner, &[(name, mode)]);
        assert_eq!(reply, Reply::Waiting, "{ticket} waits for `{name}` in {mode}");
        ticket
    }

    /// Gives one name back.
    pub fn release(&mut self, owner: Owner, name: &str) -> Reply {
        let ticket = self.ticket(owner);
        self.home.apply(Command::Release(give(ticket, name)))
    }

    /// This owner is done.
    ///
    /// # Panics
    ///
    /// If that is refused.
    pub fn leave(&mut self, owner: Owner) {
        assert_eq!(self.home.apply(Command::Leave(owner)), Reply::Done, "anybody may leave");
    }

    /// Which requests were granted, of all that was told since the last time.
    pub fn granted(&mut self) -> Vec<Ticket> {
        self.grants().into_iter().map(|(ticket, _)| ticket).collect()
    }

    /// The same, with what was granted.
    pub fn grants(&mut self) -> Vec<(Ticket, Vec<Grant>)> {
        let news = self.home.news().into_iter();
        let granted = news.filter_map(|one| match one {
            News::Granted(ticket, grants) => Some((ticket, grants)),
            News::Refused(..) | News::Lost(..) => None,
        });
        granted.collect()
    }

    /// Who holds a name, and how.
    pub fn holders(&mut self, name: &str) -> Vec<(Owner, Mode)> {
        let seen = self.home.look(&Name::from(name));
        let holders = seen.map(|lock| lock.holders).unwrap_or_default();
        holders.into_iter().map(|held| (held.owner, held.mode)).collect()
    }

    /// Which requests wait for a name, the first first.
    pub fn waiters(&mut self, name: &str) -> Vec<Ticket> {
        let seen = self.home.look(&Name::from(name));
        seen.map(|lock| lock.queue).unwrap_or_default().iter().map(|one| one.ticket).collect()
    }
}

/// The request to give a name back, whatever its token is.
pub(super) fn give(ticket: Ticket, name: &str) -> Release {
    Release { ticket, floor: RequestNo(0), name: Name::from(name), token: None }
}

/// Whether a reply gives everything.
pub(super) fn is_granted(reply: &Reply) -> bool {
    matches!(reply, Reply::Granted(_))
}

/// The refusal of somebody who did not want to wait.
pub(super) fn taken(name: &str, by: Owner) -> Reply {
    Reply::Refused(Refusal::Taken { name: Name::from(name), by })
}
