//! The table: who holds what, who waits, and what time does to both.
//!
//! [`State`] is what must not be lost, and knows no time: commands change it, each the same way
//! wherever it is applied. `clocks` is what may be lost: when leases, waits and delays end. What
//! time brings becomes a command like any other, so that whoever keeps a log of commands has the
//! table, and a lease can be prolonged without a log.

use std::time::Duration;

use protocol::Time;

use crate::{
    Acquire, Command, Grant, MAX_CHAIN, Name, News, Owner, Policy, Refusal, Reply, Rule, Ticket,
    Why,
};

mod clocks;
mod grant;
mod graph;
mod lock;
mod lookup;
mod owner;
mod pieces;
mod state;
mod view;

pub use graph::Edge;
pub use pieces::{Piece, Rebuilt, Torn};
pub use state::{MAX_RECENT, State, Trouble};
pub use view::{Held, LockView, MAX_SHOWN, OwnerView, View, Wanted};

use clocks::{Alarm, Clocks};

/// A table of locks, in one of three homes: the memory of a leader, a lock server's log, or a
/// replicated log. Replicas each apply the commands to a [`State`]; only where the commands come from
/// is there a table with clocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table<P: Policy = Rule> {
    state: State<P>,
    clocks: Clocks,
}

impl<P: Policy> Table<P> {
    /// An empty table whose grants carry no tokens: it dies with its process, and its successor
    /// would give the same tokens again.
    pub fn volatile(policy: P) -> Self {
        Self::resume(State::new(policy, false), Time::ZERO)
    }

    /// An empty table whose grants carry tokens. Who uses it must log its commands.
    pub fn fenced(policy: P) -> Self {
        Self::resume(State::new(policy, true), Time::ZERO)
    }

    /// A table with this state, of which nobody knows how long ago it was so. All leases, waits and
    /// delays begin anew: none is ever shorter than it was said to be, only longer.
    pub fn resume(state: State<P>, now: Time) -> Self {
        let clocks = Clocks::starting(&state, now);
        Self { state, clocks }
    }

    /// What must not be lost.
    pub fn state(&self) -> &State<P> {
        &self.state
    }

    /// The next command that time has brought about by `now`. It must be applied (and logged, where
    /// there is a log) before any other; then ask again, until there is none.
    pub fn due(&mut self, now: Time) -> Option<Command> {
        // Leases first, all of them: what else time brings may grant something, and not to somebody
        // whose lease is over.
        let late = self.clocks.late(now);
        if !late.is_empty() {
            return Some(Command::Expire(late));
        }
        while let Some(alarm) = self.clocks.ring(now) {
            if let Some(command) = self.command_of(alarm, now) {
                return Some(command);
            }
        }
        None
    }

    /// When [`due`](Self::due) should be asked next.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.clocks.next()
    }

    /// Applies one command: the answer is its author's, the news are others'.
    ///
    /// # Panics
    ///
    /// If a lease is over that nobody has ended: a request might be granted to an owner whose lease
    /// ran out while it queued.
    pub fn apply(&mut self, now: Time, command: Command, news: &mut Vec<News>) -> Reply {
        let ends = matches!(command, Command::Expire(_));
        assert!(ends || !self.clocks.is_late(now), "what is due comes first");
        let touched = Touched::by(&command);
        let quiet = match &command {
            Command::Expire(owners) => self.state.will_be_quiet(owners),
            _ => Vec::new(),
        };
        let told = news.len();
        let reply = self.state.apply(command, news);
        match touched {
            Touched::Owner(owner) => self.clocks.enter(&self.state, owner, now),
            Touched::Opened => {
                if let Reply::Opened(owner) = reply {
                    self.clocks.enter(&self.state, owner, now);
                }
            }
            Touched::Ticket(ticket) => {
                self.clocks.renew(&self.state, ticket.owner, now);
                match reply {
                    Reply::Waiting => self.clocks.wait(&self.state, ticket, now),
                    Reply::Granted(_) => self.look_again(ticket.owner, now),
                    _ => {}
                }
            }
            Touched::Gone(owners) => owners.iter().for_each(|owner| self.clocks.leave(*owner)),
            Touched::Pinned(owner) if reply == Reply::Done => self.clocks.leave(owner),
            Touched::Pinned(_) | Touched::Nothing => {}
        }
        for name in quiet {
            self.clocks.hush(&self.state, name, now);
        }
        for one in &news[told..] {
            if let News::Granted(ticket, _) | News::Refused(ticket, _) = one {
                self.clocks.over(*ticket);
            }
            if let News::Granted(ticket, _) = one {
                self.look_again(ticket.owner, now);
            }
        }
        reply
    }

    /// What an owner has got, at once or before it has looked, can close a circle through what else
    /// it waits for, and nobody else on it would look again.
    fn look_again(&mut self, owner: Owner, now: Time) {
        if self.state.waiting > 0 {
            for (other, _) in self.state.waits_of(owner) {
                self.clocks.search_later(&self.state, other, now);
            }
        }
    }

    /// The owner lives: its lease begins anew. Changes nothing that must not be lost. Returns how
    /// long the lease is, `None` if it never ends.
    ///
    /// # Errors
    ///
    /// If the owner is not known, any more or at all.
    pub fn renew(&mut self, now: Time, owner: Owner) -> Result<Option<Duration>, Refusal> {
        let lease = self.state.lease_of(owner);
        // Its end may have been handed out already: then it is not known any more.
        let over = lease.is_some() && self.clocks.lease_end(owner).is_none();
        if over || self.state.terms_of(owner).is_none() {
            return Err(Refusal::Unknown(owner));
        }
        self.clocks.renew(&self.state, owner, now);
        Ok(lease)
    }

    /// The process itself stood still: signs of life may lie unread before it. Every lease, wait and
    /// delay that [`due`](Self::due) has not handed out ends no earlier than its full length from
    /// now.
    pub fn forgive(&mut self, now: Time) {
        self.clocks.forgive(&self.state, now);
    }

    /// When the owner's lease ends, if it does.
    #[must_use]
    pub fn lease_end(&self, owner: Owner) -> Option<Time> {
        self.clocks.lease_end(owner)
    }

    /// What an owner holds, by name.
    pub fn held_by(&self, owner: Owner) -> impl Iterator<Item = Grant> {
        self.state.held_by(owner)
    }

    fn command_of(&mut self, alarm: Alarm, now: Time) -> Option<Command> {
        match alarm {
            Alarm::Quiet(name) => Some(Command::Reopen(name)),
            Alarm::Wait(ticket) => Some(Command::Cancel { ticket, why: Why::TimedOut }),
            Alarm::Search(ticket) => {
                if !self.state.may_be_waited_for(ticket.owner) {
                    return None;
                }
                let mut chain = self.state.circle(ticket)?;
                // There may be another one, so it looks once more.
                self.clocks.search_again(ticket, now);
                let victim = self.state.youngest(&chain);
                // A record is bounded, and a circle is not.
                chain.truncate(MAX_CHAIN);
                Some(Command::Cancel { ticket: victim, why: Why::Deadlock(chain) })
            }
        }
    }
}

/// Whom a command concerns, as far as clocks mind.
enum Touched {
    Nothing,
    Pinned(Owner),
    Opened,
    Owner(Owner),
    Ticket(Ticket),
    Gone(Vec<Owner>),
}

impl Touched {
    fn by(command: &Command) -> Self {
        match command {
            Command::Open(_) => Self::Opened,
            Command::Enter { owner, .. } => Self::Owner(*owner),
            Command::Acquire(Acquire { ticket, .. }) => Self::Ticket(*ticket),
            Command::Release(release) => Self::Ticket(release.ticket),
            Command::Leave(owner) => Self::Gone(vec![*owner]),
            Command::Expire(owners) => Self::Gone(owners.clone()),
            Command::Pin(owner) => Self::Pinned(*owner),
            Command::Cancel { .. } | Command::Reopen(_) => Self::Nothing,
        }
    }
}

/// Names in the order of the table.
pub(crate) type Names = std::collections::BTreeSet<Name>;
