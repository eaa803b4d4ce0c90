//! What a store can be told, and what it says to that.

use bytes::Bytes;
use paxosrsm::machine::{Coded, Reader, put_bytes};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// The longest command, in bytes of its encoded form: room for the longest value under the longest
/// key, and for its session's words within what one slot may hold.
pub const MAX_COMMAND: usize = MAX_VALUE + (8 << 10);
/// The most keys in one call.
pub const MAX_KEYS_PER_CALL: usize = 1024;

const _: () =
    assert!(MAX_COMMAND + (1 << 10) <= paxosrsm::solo::MAX_COMMAND, "and a session's words");

/// How often the store had been written when a value was last written. Rises over the whole
/// store, so a key's versions rise too, across deletion as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// What changes the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Set `key` to `value`.
    Put(Bytes, Bytes),
    /// Add `value` to the end of what `key` has, or to nothing.
    Append(Bytes, Bytes),
    /// Forget `key`.
    Delete(Bytes),
    /// Set `key` to the value if it is what is expected.
    Cas(Bytes, Expect, Bytes),
    /// Set each key to its value, in this order and all at once. A key that comes twice has the
    /// later value. At least one pair, at most [`MAX_KEYS_PER_CALL`].
    PutMany(Vec<(Bytes, Bytes)>),
}

/// What a compare-and-set expects to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// This value.
    Value(Bytes),
    /// Anything of this version.
    Version(Version),
}

/// What a change answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Written: the key has this version now.
    Written(Version),
    /// Deleted: whether there was anything.
    Deleted(bool),
    /// Not what was expected. The version it has, if it is there.
    Differs(Option<Version>),
    /// A key or a value is beyond its limit, or would be. Nothing happened.
    TooLarge,
}

impl Command {
    /// Whether it writes only over one version, so that its repetition finds another and does
    /// nothing: versions never come back. Such a command needs no session.
    #[must_use]
    pub fn is_versioned(&self) -> bool {
        matches!(self, Self::Cas(_, Expect::Version(_), _))
    }

    /// Whether every part of it, and the whole, is within the limits.
    #[must_use]
    pub fn fits(&self) -> bool {
        let pair = |key: &Bytes, value: &Bytes| key.len() <= MAX_KEY && value.len() <= MAX_VALUE;
        match self {
            Self::Put(key, value) | Self::Append(key, value) => pair(key, value),
            Self::Delete(key) => key.len() <= MAX_KEY,
            Self::Cas(key, Expect::Value(old), value) => {
                let sum = 14 + key.len() + old.len() + value.len();
                pair(key, value) && old.len() <= MAX_VALUE && sum <= MAX_COMMAND
            }
            Self::Cas(key, _, value) => pair(key, value),
            Self::PutMany(pairs) => {
                let sum: usize = pairs.iter().map(|(key, value)| 8 + key.len() + value.len()).sum();
                (1..=MAX_KEYS_PER_CALL).contains(&pairs.len())
                    && 9 + sum <= MAX_COMMAND
                    && pairs.iter().all(|(key, value)| pair(key, value))
            }
        }
    }
}

const PUT: u8 = 0;
const APPEND: u8 = 1;
const DELETE: u8 = 2;
const CAS: u8 = 3;
const PUT_MANY: u8 = 4;

impl Coded for Command {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Put(key, value) => fields(into, PUT, &[key, value]),
            Self::Append(key, value) => fields(into, APPEND, &[key, value]),
            Self::Delete(key) => fields(into, DELETE, &[key]),
            Self::Cas(key, expect, value) => {
                fields(into, CAS, &[key, value]);
                match expect {
                    Expect::Absent => into.push(0),
                    Expect::Value(value) => fields(into, 1, &[value]),
                    Expect::Version(version) => {
                        into.push(2);
                        into.extend_from_slice(&version.0.to_le_bytes());
                    }
                }
            }
            Self::PutMany(pairs) => {
                into.push(PUT_MANY);
                into.extend_from_slice(&(pairs.len() as u64).to_le_bytes());
                for (key, value) in pairs {
                    put_bytes(into, key);
                    put_bytes(into, value);
                }
            }
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u8()?;
        if kind == PUT_MANY {
            let pairs = counted(&mut reader, |reader| Some((reader.bytes()?, reader.bytes()?)))?;
            return reader.end(Self::PutMany(pairs));
        }
        let key = reader.bytes()?;
        let command = match kind {
            PUT => Self::Put(key, reader.bytes()?),
            APPEND => Self::Append(key, reader.bytes()?),
            DELETE => Self::Delete(key),
            CAS => {
                let value = reader.bytes()?;
                let expect = match reader.u8()? {
                    0 => Expect::Absent,
                    1 => Expect::Value(reader.bytes()?),
                    2 => Expect::Version(Version(reader.u64()?)),
                    _ => return None,
                };
                Self::Cas(key, expect, value)
            }
            _ => return None,
        };
        reader.end(command)
    }
}

fn fields(into: &mut Vec<u8>, kind: u8, fields: &[&Bytes]) {
    into.push(kind);
    for field in fields {
        put_bytes(into, field);
    }
}

impl Coded for Response {
    fn encode(&self, into: &mut Vec<u8>) {
        let (kind, number) = match self {
            Self::Written(version) => (0, version.0),
            Self::Deleted(existed) => (1, u64::from(*existed)),
            Self::Differs(Some(version)) => (2, version.0),
            Self::Differs(None) => (3, 0),
            Self::TooLarge => (4, 0),
        };
        into.push(kind);
        into.extend_from_slice(&number.to_le_bytes());
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let (kind, number) = (reader.u8()?, reader.u64()?);
        let response = match (kind, number) {
            (0, version) => Self::Written(Version(version)),
            (1, 0) => Self::Deleted(false),
            (1, 1) => Self::Deleted(true),
            (2, version) => Self::Differs(Some(Version(version))),
            (3, 0) => Self::Differs(None),
            (4, 0) => Self::TooLarge,
            _ => return None,
        };
        reader.end(response)
    }
}

/// A count from one to [`MAX_KEYS_PER_CALL`], and as many things.
pub(crate) fn counted<T>(
    reader: &mut Reader<'_>,
    mut one: impl FnMut(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = usize::try_from(reader.u64()?).ok()?;
    if !(1..=MAX_KEYS_PER_CALL).contains(&count) {
        return None;
    }
    (0..count).map(|_| one(reader)).collect()
}
