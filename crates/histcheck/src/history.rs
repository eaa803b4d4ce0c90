//! What clients asked, when, and what they heard: the only evidence a checker accepts.

use std::fmt;

/// A key or a value: any bytes at all.
pub type Text = Vec<u8>;

/// One request of one client, finished or abandoned.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Names this operation within its history. A client numbers its own upwards.
    pub id: u64,
    /// Who asked. A client has one request open at a time; one that gave up on an unknown outcome
    /// goes on under a new number.
    pub client: u64,
    /// When the request left, in nanoseconds of one monotonic clock.
    pub call: u64,
    /// When the answer arrived; `None` if none did.
    pub finish: Option<u64>,
    /// What was asked.
    pub action: Action,
    /// What was heard.
    pub outcome: Outcome,
    /// The version of the key that an answer named.
    pub version: Option<u64>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The value, please.
    Get {
        /// Of this key.
        key: Text,
    },
    /// Make the value this one.
    Put {
        /// Of this key.
        key: Text,
        /// The new value.
        value: Text,
    },
    /// Add to the end; a missing key counts as empty.
    Append {
        /// To this key.
        key: Text,
        /// What is added.
        value: Text,
    },
    /// Make the key missing.
    Delete {
        /// This key.
        key: Text,
    },
    /// Make the value this one if it still is what I believe.
    Cas {
        /// Of this key.
        key: Text,
        /// What I believe; `None`: that the key is missing.
        expect: Option<Text>,
        /// The new value.
        value: Text,
    },
    /// Several steps at once. Kept as recorded; not checked here.
    Txn {
        /// The steps in order.
        steps: Vec<Step>,
    },
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it does.
    pub verb: Verb,
    /// To which key.
    pub key: Text,
    /// With what, or what it saw, exactly as recorded.
    pub with: serde_json::Value,
}

/// What a step of a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Sees the value.
    Read,
    /// Adds to the end.
    Append,
    /// Replaces the value.
    Write,
    /// Adds a number to a decimal string.
    Add,
    /// Demands that something holds.
    Condition,
}

impl Verb {
    /// Whether the step may change its key.
    #[must_use]
    pub fn changes(self) -> bool {
        match self {
            Self::Read | Self::Condition => false,
            Self::Append | Self::Write | Self::Add => true,
        }
    }
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened, and this is the answer.
    Ok(Answer),
    /// It certainly had no effect and never will.
    Fail,
    /// It may have happened, may still happen, or never.
    Unknown,
}

/// The answer to an operation that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To everything that only changes something.
    Done,
    /// To a get: the value, or that the key is missing.
    Value(Option<Text>),
    /// To a compare-and-swap: whether it swapped.
    Swapped(bool),
}

impl Operation {
    /// A request that has just left: its outcome is unknown until somebody hears more.
    #[must_use]
    pub fn asked(id: u64, client: u64, call: u64, action: Action) -> Self {
        Self { id, client, call, finish: None, action, outcome: Outcome::Unknown, version: None }
    }

    /// The same request, answered at `finish`.
    #[must_use]
    pub fn answered(self, finish: u64, answer: Answer) -> Self {
        Self { finish: Some(finish), outcome: Outcome::Ok(answer), ..self }
    }

    /// The same request, refused at `finish`: it certainly had no effect.
    #[must_use]
    pub fn refused(self, finish: u64) -> Self {
        Self { finish: Some(finish), outcome: Outcome::Fail, ..self }
    }

    /// The same answer, naming the key's version.
    #[must_use]
    pub fn at_version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The one key it touches; `None` for a transaction.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        match &self.action {
            Action::Get { key }
            | Action::Put { key, .. }
            | Action::Append { key, .. }
            | Action::Delete { key }
            | Action::Cas { key, .. } => Some(key),
            Action::Txn { .. } => None,
        }
    }
}

/// Bytes of a key or value that a line of narration has room for.
const SHOWN_BYTES: usize = 48;

/// How a key or value looks in a sentence: quoted, escaped, cut in the middle if it is long.
pub(crate) fn shown(text: &[u8]) -> String {
    if text.len() <= SHOWN_BYTES {
        return format!("\"{}\"", text.escape_ascii());
    }
    let (head, tail) = (&text[..SHOWN_BYTES / 2], &text[text.len() - SHOWN_BYTES / 2..]);
    format!("\"{}…{}\" ({} bytes)", head.escape_ascii(), tail.escape_ascii(), text.len())
}

/// The same for what may be missing.
pub(crate) fn shown_or_missing(text: Option<&Text>) -> String {
    text.map_or_else(|| "nothing".into(), |text| shown(text))
}

impl Operation {
    /// What was asked and heard, without who and when.
    pub(crate) fn words(&self) -> String {
        Words(self).to_string()
    }
}

struct Words<'a>(&'a Operation);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.action {
            Action::Get { .. } => write!(f, "get")?,
            Action::Put { value, .. } => write!(f, "put {}", shown(value))?,
            Action::Append { value, .. } => write!(f, "append {}", shown(value))?,
            Action::Delete { .. } => write!(f, "delete")?,
            Action::Cas { expect, value, .. } => {
                write!(f, "cas {} to {}", shown_or_missing(expect.as_ref()), shown(value))?;
            }
            Action::Txn { steps } => write!(f, "transaction of {} steps", steps.len())?,
        }
        match &self.0.outcome {
            Outcome::Ok(Answer::Done) => write!(f, " -> done")?,
            Outcome::Ok(Answer::Value(seen)) => {
                write!(f, " -> {}", shown_or_missing(seen.as_ref()))?;
            }
            Outcome::Ok(Answer::Swapped(true)) => write!(f, " -> swapped")?,
            Outcome::Ok(Answer::Swapped(false)) => write!(f, " -> not swapped")?,
            Outcome::Fail => write!(f, " -> refused")?,
            Outcome::Unknown => write!(f, " -> unknown")?,
        }
        match self.0.version {
            Some(version) => write!(f, " at version {version}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} client {} {}", self.id, self.client, Words(self))?;
        match self.finish {
            Some(finish) => write!(f, "  [{} .. {} ns]", self.call, finish),
            None => write!(f, "  [{} ns ..]", self.call),
        }
    }
}
