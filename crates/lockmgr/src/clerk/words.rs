//! What a clerk hears, and what it says to that.

use std::time::Duration;

use crate::{
    Grant, Name, Refusal, RequestNo,
    message::{Answer, Refused},
};

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The service answered.
    Answer(Answer),
    /// The service refused.
    Refused(Refused),
    /// No connection: certainly nothing was sent.
    Unreachable,
    /// Sent, and not answered: anything may have happened.
    Silence,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that was wanted is held.
    Granted(Vec<Grant>),
    /// It was given back.
    Released,
    /// It is not so, and certainly so.
    Refused(Refusal),
    /// It may have happened, and nobody will ever tell.
    Unknown,
}

/// What to do about a request now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the same again, after this pause.
    Again(Duration),
    /// It is over.
    Over(Outcome),
    /// It was granted to somebody who does not wait any more: these requests give it back.
    Back(Vec<RequestNo>),
}

/// Why a session no longer has what it had, or must not count on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The session is gone, with everything it had.
    #[error("{0}")]
    Session(Refusal),
    /// It goes on, but these names are not its own any more.
    #[error("{} not held any more", names(.0))]
    Names(Vec<Name>),
    /// Nobody has answered for as long as the lease lasts: others may have the locks by now. A
    /// later answer may still say that nothing was lost.
    #[error(
        "the lock service has been silent for longer than the lease: others may have the locks"
    )]
    Silent,
}

fn names(names: &[Name]) -> String {
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!("{list} {}", if names.len() == 1 { "is" } else { "are" })
}
