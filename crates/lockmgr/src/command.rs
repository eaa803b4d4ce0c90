//! What the table is told, and what it says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Birth, Mode, Name, Owner, RequestNo, Ticket, Token, Want};

/// The longest lease, wait and lock delay that anybody can ask for.
pub const MAX_TERM: Duration = Duration::from_secs(3_600);

/// The table as a whole has at most so many owners.
pub const MAX_OWNERS: usize = 131_072;

/// It has at most so many holds, over all names and owners.
pub const MAX_HOLDS: usize = 1 << 20;

/// At most so many requests wait, over all names and owners.
pub const MAX_WAITING: usize = 131_072;

/// An owner has at most so many requests whose answers are remembered or still to come.
pub const MAX_REQUESTS: usize = 256;

/// All these requests of one owner together name at most so many names, wanted or granted.
pub const MAX_REMEMBERED: usize = 2_048;

/// Beside those, so many more answers are remembered to requests that give something back or are
/// taken back: a session whose one request waits for long must not be kept from that.
pub const MAX_GIVEN_BACK: usize = 1_024;

/// An owner's requests are in at most so many lanes: see [`RequestNo`]. One more takes the place of
/// the one that was begun first, with all that is remembered of it, unless something of it waits; the
/// opener's stays.
pub const MAX_LANES: usize = 64;

/// The chain of a deadlock is told up to so many links.
pub const MAX_CHAIN: usize = 64;

/// What an owner may do with its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Discipline {
    /// Takes and gives back as it likes: a session of the lock service. A victim of a deadlock loses
    /// the one request.
    Free,
    /// Takes, then gives back, and never takes again (Eswaran and others, *The Notions of
    /// Consistency and Predicate Locks*, 1976): a transaction. A victim loses everything.
    TwoPhase,
}

/// The terms under which an owner comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// What it may do.
    pub discipline: Discipline,
    /// How long it may be silent before all it has is taken away. `None`: for ever.
    pub lease: Option<Duration>,
    /// How long after that nobody gets what it held, for resources that cannot check tokens
    /// (*Chubby*, 2.4: lock-delay). An estimate of how long its last words may be under way.
    pub delay: Duration,
}

impl Terms {
    /// A transaction in a leader's memory: two phases, no lease.
    pub const TRANSACTION: Self =
        Self { discipline: Discipline::TwoPhase, lease: None, delay: Duration::ZERO };

    /// A session of the lock service, with this lease.
    #[must_use]
    pub const fn session(lease: Duration) -> Self {
        Self { discipline: Discipline::Free, lease: Some(lease), delay: Duration::ZERO }
    }
}

/// How long a request waits if it cannot be granted at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Patience {
    /// Not at all. Then it also pushes nobody aside.
    Try,
    /// So long.
    For(Duration),
}

/// A request for locks: all of them, or none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Acquire {
    /// Who asks, by which number. Asked again under the same number it is the same request.
    pub ticket: Ticket,
    /// The owner will not ask again under numbers below this one, of the same lane. One of another
    /// lane says nothing.
    pub floor: RequestNo,
    /// What is wanted. A name that is held already is made stronger if need be.
    pub wants: Vec<Want>,
    /// How long it waits.
    pub patience: Patience,
}

/// A request to give one name back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Release {
    /// Who asks, by which number.
    pub ticket: Ticket,
    /// The owner will not ask again under numbers below this one, of the same lane. One of another
    /// lane says nothing.
    pub floor: RequestNo,
    /// What is given back.
    pub name: Name,
    /// Only if it is held by this token.
    pub token: Option<Token>,
}

/// Why a waiting request is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Why {
    /// Its owner wants it no longer.
    Asked,
    /// It has waited as long as it said.
    TimedOut,
    /// It is the youngest of a circle that would wait for ever.
    Deadlock(Vec<Link>),
}

/// What changes the table. Nothing else does: also what time brings is a command, so that a log of
/// commands is the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// A new session, named and aged by the table.
    Open(Terms),
    /// An owner that brings its name and age. Said twice, it is said once. That it is not said again
    /// after the owner has left is the home's duty, which gives numbers that grow and refuses old ones:
    /// the table remembers nobody who left.
    Enter {
        /// Who.
        owner: Owner,
        /// How old.
        birth: Birth,
        /// Under which terms.
        terms: Terms,
    },
    /// Locks are wanted.
    Acquire(Acquire),
    /// A lock is given back.
    Release(Release),
    /// A request that waits is taken back.
    Cancel {
        /// Which.
        ticket: Ticket,
        /// Why.
        why: Why,
    },
    /// This owner can no longer yield: it is prepared, and others decide about it. Its lease never
    /// ends from here on.
    Pin(Owner),
    /// An owner is done, well or not: all it has is given back.
    Leave(Owner),
    /// These owners were silent longer than their leases. All of them at once: nothing that one of
    /// them had is granted to another.
    Expire(Vec<Owner>),
    /// The delay after an expiry is over.
    Reopen(Name),
}

/// One lock of a granted request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// What.
    pub name: Name,
    /// How it is held now: as wanted, or stronger if it was held before.
    pub mode: Mode,
    /// What the resource should check. Only a table that outlives its process gives one.
    pub token: Option<Token>,
}

/// One step of a chain of owners that wait for each other: `waiter` wants `name`, which `blocker`
/// has, or wants and comes first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Which request waits.
    pub waiter: Ticket,
    /// For what.
    pub name: Name,
    /// How it wants it.
    pub wants: Mode,
    /// For whom it waits.
    pub blocker: Owner,
    /// How that one has it, or wants it.
    pub has: Mode,
    /// Whether that one holds it, or only waits in front.
    pub holds: bool,
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { waiter, name, wants, blocker, has, holds } = self;
        let how = if *holds { "held" } else { "wanted earlier" };
        write!(f, "{waiter} wants `{name}` in {wants}, {how} in {has} by {blocker}")
    }
}

/// Why something is not granted, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It is not free, and the request or the policy would not wait.
    #[error("`{name}` is taken by {by}")]
    Taken {
        /// What.
        name: Name,
        /// By whom.
        by: Owner,
    },
    /// Its last owner expired, and the delay is not over.
    #[error("`{0}` is kept free for a while: its last owner was taken for dead")]
    Quiet(Name),
    /// An older owner is in the way, and the policy lets nobody wait for an older one.
    #[error("`{name}` is wanted or held by {by}, which is older")]
    Died {
        /// What.
        name: Name,
        /// Who is in the way.
        by: Owner,
    },
    /// An older owner needed what this one had.
    #[error("{by}, which is older, needed `{name}`")]
    Wounded {
        /// What.
        name: Name,
        /// By whom.
        by: Owner,
    },
    /// It was the youngest of a circle that waited for itself.
    #[error("deadlock: {}", chain(.0))]
    Deadlock(Vec<Link>),
    /// It waited as long as it had said.
    #[error("it was not free for as long as the request would wait")]
    TimedOut,
    /// Its owner took it back.
    #[error("the request was taken back")]
    Cancelled,
    /// The owner is not known: its lease ran out, it left, or it never was.
    #[error("{0} has no locks and can get none: its lease ran out, or it left: open a new session")]
    Unknown(Owner),
    /// The number lies below what the owner had said it is done with.
    #[error("request {0} is over: its owner had said so")]
    Late(Ticket),
    /// A transaction gave something back and wanted more.
    #[error("{0} has given locks back: a transaction takes none after that")]
    Shrinking(Owner),
    /// The owner waits for this name under another number already; or it is a transaction, and would
    /// give something back before it has this name.
    #[error("the same owner waits for `{0}` under another number already")]
    Waits(Name),
    /// What is to be given back is not held, or not by that token.
    #[error("`{0}` is not held so by who gives it back")]
    NotHeld(Name),
    /// A name, a number or a time that cannot be.
    #[error("{0}")]
    Unsound(Unsound),
    /// A table is full.
    #[error("there are too many {0} already: try again later")]
    Full(Full),
}

fn chain(links: &[Link]) -> String {
    links.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Unsound {
    /// A name of no bytes, or of too many.
    #[error("a name has 1 to 1024 bytes")]
    Name,
    /// No name, too many, or one twice.
    #[error("a request wants 1 to 1024 names, each once")]
    Wants,
    /// A lease, wait or delay that is too long, or a lease of nothing.
    #[error("a lease lasts up to one hour and more than nothing; a wait or delay up to one hour")]
    Term,
}

/// Which table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Full {
    /// See [`MAX_OWNERS`].
    #[error("sessions")]
    Owners,
    /// See [`MAX_HOLDS`].
    #[error("locks")]
    Holds,
    /// See [`MAX_WAITING`].
    #[error("requests that wait")]
    Waiting,
    /// See [`MAX_REQUESTS`].
    #[error("requests of this session whose answers may still be asked for")]
    Requests,
}

/// What the author of a command is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reply {
    /// A session has this name.
    Opened(Owner),
    /// All that was wanted is held.
    Granted(Vec<Grant>),
    /// Not yet: a [`News`] will tell.
    Waiting,
    /// The name was held and is given back.
    Released,
    /// It is done.
    Done,
    /// No, and nothing has changed but what the refusal says.
    Refused(Refusal),
}

/// What others are told: it came about through a command that was not theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum News {
    /// A request that waited has all it wanted.
    Granted(Ticket, Vec<Grant>),
    /// A request that waited will not be granted.
    Refused(Ticket, Refusal),
    /// An owner lost what it held.
    Lost(Owner, Refusal),
}
