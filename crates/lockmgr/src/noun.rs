//! The nouns: what is locked, who locks it, and by what numbers both are told apart.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Mode;

/// A name is at most so long (bytes).
pub const MAX_NAME: usize = 1 << 10;

/// One request wants at most so many names.
pub const MAX_WANTS: usize = 1_024;

/// What is locked: any bytes. The table knows nothing of what they mean, and a name that nobody
/// holds or waits for takes no room.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(pub Bytes);

impl Name {
    /// A name of these bytes.
    #[must_use]
    pub fn new(name: impl Into<Bytes>) -> Self {
        Self(name.into())
    }

    /// Whether it can be locked: it says something, and is not too long.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.0.is_empty() && self.0.len() <= MAX_NAME
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(Bytes::copy_from_slice(name.as_bytes()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who locks. A session of the lock service is number 0 of its client; a transaction is named by
/// its client and its number there. The same owner never comes back: what expired or left must
/// not be taken for somebody new.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Whose it is.
    pub client: u64,
    /// Which one of that client's.
    pub number: u64,
}

impl Owner {
    /// The session of this number.
    #[must_use]
    pub const fn session(client: u64) -> Self {
        Self { client, number: 0 }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "{}", self.client),
            number => write!(f, "{}.{number}", self.client),
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Owner {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (client, number) = word.split_once('.').unwrap_or((word, "0"));
        match (client.parse(), number.parse()) {
            (Ok(client), Ok(number)) => Ok(Self { client, number }),
            _ => Err(format!("`{word}` is no session: give the number that `acquire` printed")),
        }
    }
}

/// How old an owner is: the smaller, the older. A transaction that is tried again keeps it, so
/// that it is the oldest one day. Equals are told apart by their owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Birth(pub u64);

/// The number of a request among those of its owner; grows by one with each.
///
/// A session may have several clients, and their numbers must not clash. So the upper 32 bits are the
/// client's *lane*, the lower 32 count. The lane of who opened the session is 0; another client picks
/// one at random. What a client says that it is done with, it says of its own lane only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestNo(pub u64);

impl RequestNo {
    /// The first number of this lane.
    #[must_use]
    pub const fn first_of(lane: u32) -> Self {
        Self(Self::floor_of(lane).0 + 1)
    }

    /// Not above any number of this lane.
    pub(crate) const fn floor_of(lane: u32) -> Self {
        Self((lane as u64) << u32::BITS)
    }

    /// Whose client's it is.
    #[must_use]
    pub const fn lane(self) -> u32 {
        (self.0 >> u32::BITS) as u32
    }
}

/// One request of one owner. What waits is a request, not an owner: an owner may wait for several
/// things at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// Whose.
    pub owner: Owner,
    /// Which.
    pub request: RequestNo,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.owner, self.request.0)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The fencing token of a grant: each is larger than all that the table gave before, over all
/// names and all lives. A resource that refuses tokens smaller than the largest it has seen is
/// safe from an owner that was taken for dead (Burrows, *The Chubby lock service*, 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u64);

/// A name, and how it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Want {
    /// What.
    pub name: Name,
    /// How.
    pub mode: Mode,
}

impl Want {
    /// This name in this mode.
    #[must_use]
    pub fn new(name: impl Into<Name>, mode: Mode) -> Self {
        Self { name: name.into(), mode }
    }

    /// What it takes to hold the last of `path` in `mode`: the intention on everything that
    /// contains it, and the mode on itself. In one request all of it is granted or nothing, so a
    /// path cannot be held half.
    #[must_use]
    pub fn path(path: &[Name], mode: Mode) -> Vec<Self> {
        let last = path.len().saturating_sub(1);
        let mode_at = |at| if at == last { mode } else { mode.intention() };
        let wants = path.iter().enumerate();
        wants.map(|(at, name)| Self { name: name.clone(), mode: mode_at(at) }).collect()
    }
}
