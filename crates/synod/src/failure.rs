//! How the program ends: a number for scripts, one sentence for people.

use std::{fmt, path::Path};

use crate::print::{self, Mood};

/// The exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A check that was asked for failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// What was asked for is not there.
    NotFound = 3,
    /// Certainly not done: refused, or something else was there.
    Refused = 4,
    /// It may have happened: nobody answered in time.
    Unknown = 5,
    /// Certainly nothing was done: a port in use, nobody reachable, a wrong directory.
    Environment = 6,
    /// The disk failed, or what it holds is damaged.
    Storage = 7,
    /// SIGHUP ended it, and nothing is left of what it was at. This and the next are as a shell has
    /// them: 128 and the number of the signal.
    HungUp = 129,
    /// Ctrl-C did.
    Interrupted = 130,
    /// SIGTERM did.
    Terminated = 143,
}

/// Why the program ends with something other than success.
#[derive(Debug)]
pub struct Failure {
    /// The number for scripts.
    pub exit: Exit,
    /// The sentence for people; empty if everything was said already.
    pub why: String,
}

impl Failure {
    /// A failure that is said in one sentence.
    pub fn new(exit: Exit, why: impl fmt::Display) -> Self {
        Self { exit, why: why.to_string() }
    }

    /// The log in `data` failed, while `who` ran or while it stopped; `safe` is what nobody loses.
    pub fn log(data: &Path, who: &str, safe: &str, error: impl fmt::Display) -> Self {
        let why = format!(
            "the log in {} failed ({error}); the {who} stops, and {safe}: mend the disk and start it again",
            data.display()
        );
        Self::new(Exit::Storage, why)
    }

    /// A failure that was told already; only the number is left to say.
    #[must_use]
    pub fn told(exit: Exit) -> Self {
        Self { exit, why: String::new() }
    }

    /// Says why on standard error, unless that was done.
    pub fn tell(&self) {
        if !self.why.is_empty() {
            let who = print::coloured(&std::io::stderr(), Mood::Bad, "synod:");
            eprintln!("{who} {}", self.why);
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Failure {}

impl From<wal::OpenError> for Failure {
    fn from(error: wal::OpenError) -> Self {
        use wal::OpenError as E;
        let exit = match &error {
            E::DamagedIdentity { .. } | E::Corrupt { .. } => Exit::Storage,
            E::Io { source, .. } if no_room(source.kind()) => Exit::Storage,
            _ => Exit::Environment,
        };
        Self::new(exit, error)
    }
}

/// Whether the disk, or what we may use of it, is full.
fn no_room(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind as K;
    matches!(kind, K::StorageFull | K::QuotaExceeded | K::FileTooLarge)
}

impl From<paxosrsm::server::OpenError> for Failure {
    fn from(error: paxosrsm::server::OpenError) -> Self {
        use paxosrsm::server::OpenError as E;
        match &error {
            E::Past(_) => unreadable(&error),
            E::Snapshots(_) => Self::new(Exit::Storage, error),
            E::Listen { addr, why } => cannot_listen(addr, why),
            E::Thread(_) => Self::new(Exit::Environment, error),
        }
    }
}

impl From<viewservice::server::OpenError> for Failure {
    fn from(error: viewservice::server::OpenError) -> Self {
        use viewservice::server::OpenError as E;
        match &error {
            E::Record(_) | E::Past(_) => unreadable(&error),
            E::Listen { addr, why } => cannot_listen(addr, why),
        }
    }
}

impl From<pbservice::OpenError> for Failure {
    fn from(error: pbservice::OpenError) -> Self {
        use pbservice::OpenError as E;
        match &error {
            E::Record(_) => unreadable(&error),
            E::Name(_) | E::TooLong(_) => Self::new(Exit::Usage, error),
            E::Listen { addr, why } => cannot_listen(addr, why),
        }
    }
}

impl From<lockmgr::server::OpenError> for Failure {
    fn from(error: lockmgr::server::OpenError) -> Self {
        use lockmgr::{core::Past, server::OpenError as E};
        match &error {
            E::Past(Past::Rule { log, .. }) => {
                Self::new(Exit::Environment, format!("{error}: --policy {log}, or another --data"))
            }
            E::Record(_) | E::Past(_) => unreadable(&error),
            E::Listen { addr, why } => cannot_listen(addr, why),
        }
    }
}

/// A log that is whole and makes no sense to whoever opened it.
fn unreadable(error: &dyn std::error::Error) -> Failure {
    let why = format!(
        "{error}; is this the directory of a node of another kind? synod wal dump shows what it holds"
    );
    Failure::new(Exit::Storage, why)
}

fn cannot_listen(addr: &net::Addr, why: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Environment,
        format!("cannot listen on {addr} ({why}): stop what uses it, or name another address"),
    )
}

impl From<kvpaxos::Error> for Failure {
    fn from(error: kvpaxos::Error) -> Self {
        let exit = match &error {
            kvpaxos::Error::Unknown => Exit::Unknown,
            kvpaxos::Error::Unreachable(_) => Exit::Environment,
            kvpaxos::Error::TooLarge | kvpaxos::Error::TooMuch | kvpaxos::Error::Malformed => {
                Exit::Refused
            }
        };
        Self::new(exit, error)
    }
}

impl From<pbservice::Error> for Failure {
    fn from(error: pbservice::Error) -> Self {
        let exit = match &error {
            pbservice::Error::Unknown => Exit::Unknown,
            pbservice::Error::Unreachable(_) => Exit::Environment,
            pbservice::Error::TooLarge => Exit::Refused,
        };
        Self::new(exit, error)
    }
}

/// Of a session that nobody named: that it is no more only means that nothing was done.
impl From<lockmgr::Error> for Failure {
    fn from(error: lockmgr::Error) -> Self {
        use lockmgr::{Error as E, Refusal as R};
        let exit = match &error {
            E::Refused(R::NotHeld(_)) => Exit::NotFound,
            E::Refused(_) => Exit::Refused,
            E::Unknown => Exit::Unknown,
            E::Unreachable(_) => Exit::Environment,
        };
        Self::new(exit, error)
    }
}

/// Everything else is trouble with the surroundings: files, threads, sockets.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::new(Exit::Environment, format!("{error:#}")),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Environment, error)
    }
}
