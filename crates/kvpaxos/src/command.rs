//! What a store can be told and asked, and what it says.

use bytes::Bytes;
use paxosrsm::machine::{Coded, Reader, put_bytes};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE: usize = 1 << 20;

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

/// What only looks: the value of this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get(pub Bytes);

/// The value of a key and its version, if it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found(pub Option<(Bytes, Version)>);

impl Command {
    /// The key it is about.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put(key, _) | Self::Append(key, _) | Self::Delete(key) | Self::Cas(key, ..) => {
                key
            }
        }
    }

    /// Whether key and value are within their limits.
    #[must_use]
    pub fn fits(&self) -> bool {
        let value = match self {
            Self::Put(_, value) | Self::Append(_, value) | Self::Cas(_, _, value) => value.len(),
            Self::Delete(_) => 0,
        };
        let expected = match self {
            Self::Cas(_, Expect::Value(value), _) => value.len(),
            _ => 0,
        };
        self.key().len() <= MAX_KEY && value <= MAX_VALUE && expected <= MAX_VALUE
    }
}

const PUT: u8 = 0;
const APPEND: u8 = 1;
const DELETE: u8 = 2;
const CAS: u8 = 3;

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
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u8()?;
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

impl Coded for Get {
    fn encode(&self, into: &mut Vec<u8>) {
        put_bytes(into, &self.0);
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let key = reader.bytes()?;
        reader.end(Self(key))
    }
}

impl Coded for Found {
    fn encode(&self, into: &mut Vec<u8>) {
        if let Some((value, version)) = &self.0 {
            into.extend_from_slice(&version.0.to_le_bytes());
            into.extend_from_slice(value);
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self(None));
        }
        let mut reader = Reader::new(bytes);
        let version = Version(reader.u64()?);
        Some(Self(Some((reader.rest(), version))))
    }
}
