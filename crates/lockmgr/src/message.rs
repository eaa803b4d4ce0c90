//! What clients ask the lock service, and what it answers.

use std::time::Duration;

use protocol::Free;
use serde::{Deserialize, Serialize};

use crate::{
    Acquire, Command, Grant, Name, Owner, Refusal, Release, Terms, Ticket, View, command,
    table::LockView,
};

/// A renewal tells of at most so many names that its session holds.
pub const MAX_TOLD: usize = 64;

/// Everything the service can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A session, please. Asked again, it is another one. It must have a lease: nobody else would
    /// ever end a session whose client is gone.
    Open(Terms),
    /// Locks are wanted. Safe to repeat as it is; asked again while it waits, it goes on waiting.
    Acquire(Acquire),
    /// A lock is given back. Safe to repeat as it is.
    Release(Release),
    /// A request that waits is taken back.
    Cancel(Ticket),
    /// The client of this session lives.
    Renew(Owner),
    /// The session is done: everything it has is given back.
    Close(Owner),
    /// Who holds this name, who waits for it?
    Look(Name),
    /// What is behind this name, or from the first one on?
    View(Option<Name>),
    /// Any command at all, from the own process only: no call on the wire means it.
    Tell(Command),
}

/// What is answered if nothing was in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To an open: the session.
    Opened(Owner),
    /// To an acquire, or to a cancel that came too late: all that was wanted is held.
    Granted(Vec<Grant>),
    /// To an acquire: not yet. Ask again, under the same number.
    Waiting,
    /// To a release, a cancel or a close.
    Done,
    /// To a renewal.
    Renewed(Renewed),
    /// To a look: nothing, if nobody holds it, wants it or is kept from it.
    Lock(Option<LockView>),
    /// To a view.
    View(Box<View>),
    /// To a command.
    Told(command::Reply),
}

/// How a session stands when its lease has just begun anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// How long the lease is, counted from when the renewal was heard.
    pub lease: Option<Duration>,
    /// The first names that the session holds, in order: up to [`MAX_TOLD`]. A name that it
    /// believes to hold and that is missing among these is lost.
    pub holds: Vec<Grant>,
    /// Whether it holds more names than that, all of them behind the last one told.
    pub more: bool,
    /// How many of its requests wait.
    pub waits: u64,
}

/// Why it is not so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// The table says no, for good.
    #[error(transparent)]
    Table(#[from] Refusal),
    /// Nothing was done: the service cannot take in more now. Try again soon.
    #[error("the lock service is busy, or its disk is slow: try again")]
    Busy,
    /// The service ended in the middle: what was asked may have been done.
    #[error("the lock service ended before it could answer")]
    Interrupted,
}

/// Everything the service answers.
pub type Reply = Result<Answer, Refused>;

/// Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// See [`Refused::Busy`].
    Busy,
}

impl Free for NotNow {
    const WHY: &'static str = "it says that nothing was done, whatever is on disk";
}

impl From<NotNow> for Reply {
    fn from(not_now: NotNow) -> Self {
        match not_now {
            NotNow::Busy => Err(Refused::Busy),
        }
    }
}
