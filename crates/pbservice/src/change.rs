//! What a store can be told, and what it says to that.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE: usize = 1 << 20;

/// One client's record of requests. The store gives the names out and never gives one twice, so
/// what comes late under a forgotten name is known to be late.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SessionId(pub u64);

/// The number of a request within its session. Rises with each new request; a repetition keeps it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct RequestNo(pub u64);

/// What changes the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// Set the key to the value.
    Put(Bytes, Bytes),
    /// Add the value to the end of what the key has, or to nothing.
    Append(Bytes, Bytes),
    /// Forget the key.
    Delete(Bytes),
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Done {
    /// Written.
    Written,
    /// Deleted: whether there was anything.
    Deleted(bool),
    /// The value would have been longer than [`MAX_VALUE`]. Nothing happened.
    TooLarge,
}

impl Change {
    /// The key it is about.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put(key, _) | Self::Append(key, _) | Self::Delete(key) => key,
        }
    }

    /// How many bytes it carries.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Put(key, value) | Self::Append(key, value) => key.len() + value.len(),
            Self::Delete(key) => key.len(),
        }
    }

    /// Whether every part of it is within the limits.
    #[must_use]
    pub fn fits(&self) -> bool {
        match self {
            Self::Put(key, value) | Self::Append(key, value) => {
                key.len() <= MAX_KEY && value.len() <= MAX_VALUE
            }
            Self::Delete(key) => key.len() <= MAX_KEY,
        }
    }
}
