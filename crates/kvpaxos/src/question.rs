//! What a store can be asked, and what it shows.
//!
//! A question is answered on the one task that applies commands, so none may take long: each is
//! bounded in the keys it looks at and in the bytes it shows.

use bytes::Bytes;
use paxosrsm::machine::{Coded, Reader, put_bytes};

use crate::command::{MAX_KEY, MAX_KEYS_PER_CALL, Version, counted};

/// The most bytes of keys and values that one answer shows; a client's frame holds more.
pub const MAX_ANSWER: usize = 3 << 20;
/// Keys that one page of a scan looks at, at most, whether they have the prefix or not.
pub const SCAN_KEYS: usize = 2048;
/// A page of a scan ends when its keys and values have this many bytes.
pub const SCAN_BYTES: usize = 1 << 20;

/// A value and the version of its last write.
pub type Value = (Bytes, Version);

/// What only looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The value of this key.
    Get(Bytes),
    /// The values of these keys, all of one moment.
    GetMany(Vec<Bytes>),
    /// A page of the keys that begin with `prefix`.
    Scan {
        /// How they begin.
        prefix: Bytes,
        /// Where to go on.
        from: Cursor,
        /// How much of them.
        show: Show,
    },
}

/// How far a scan has come.
///
/// Keys lie in a row: new ones come to its end, and when one is deleted the last takes its place.
/// A scan goes from the end to the beginning, so that a key which it has not seen yet can only
/// move to where it will still come. The row is the same on all replicas, after a restart and
/// after a snapshot too, so any of them can go on with what another began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(pub u64);

impl Cursor {
    /// Nothing was seen yet.
    pub const START: Self = Self(u64::MAX);
}

/// How much of what it finds a scan shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Keys and versions.
    Keys,
    /// Values as well.
    Values,
}

/// One page of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What was found, in no order that means anything. May be empty although more is to come.
    pub found: Vec<Entry>,
    /// Where to go on; `None` when the scan has seen everything.
    pub next: Option<Cursor>,
}

/// A key that a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The version of its last write.
    pub version: Version,
    /// Its value, if values were asked for.
    pub value: Option<Bytes>,
}

/// What a question is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// To a get: the value, if the key is there.
    One(Option<Value>),
    /// To a get of many: the values, in the order of the question.
    Many(Vec<Option<Value>>),
    /// To a scan.
    Page(Page),
    /// Together the values have more than [`MAX_ANSWER`] bytes.
    TooMuch,
}

impl Question {
    /// Whether its keys are within their limits.
    #[must_use]
    pub fn fits(&self) -> bool {
        match self {
            Self::Get(key) => key.len() <= MAX_KEY,
            Self::GetMany(keys) => {
                (1..=MAX_KEYS_PER_CALL).contains(&keys.len())
                    && keys.iter().all(|key| key.len() <= MAX_KEY)
            }
            Self::Scan { prefix, .. } => prefix.len() <= MAX_KEY,
        }
    }
}

const GET: u8 = 0;
const GET_MANY: u8 = 1;
const SCAN: u8 = 2;

impl Coded for Question {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Get(key) => {
                into.push(GET);
                put_bytes(into, key);
            }
            Self::GetMany(keys) => {
                into.push(GET_MANY);
                into.extend_from_slice(&(keys.len() as u64).to_le_bytes());
                keys.iter().for_each(|key| put_bytes(into, key));
            }
            Self::Scan { prefix, from, show } => {
                into.push(SCAN);
                put_bytes(into, prefix);
                into.extend_from_slice(&from.0.to_le_bytes());
                into.push(u8::from(*show == Show::Values));
            }
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let question = match reader.u8()? {
            GET => Self::Get(reader.bytes()?),
            GET_MANY => Self::GetMany(counted(&mut reader, |reader| reader.bytes())?),
            SCAN => {
                let (prefix, from) = (reader.bytes()?, Cursor(reader.u64()?));
                let show = match reader.u8()? {
                    0 => Show::Keys,
                    1 => Show::Values,
                    _ => return None,
                };
                Self::Scan { prefix, from, show }
            }
            _ => return None,
        };
        reader.end(question)
    }
}

const ABSENT: u8 = 0;
const THERE: u8 = 1;
const MANY: u8 = 2;
const PAGE: u8 = 3;
const TOO_MUCH: u8 = 4;

impl Coded for Found {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::One(None) => into.push(ABSENT),
            Self::One(Some((value, version))) => {
                into.push(THERE);
                into.extend_from_slice(&version.0.to_le_bytes());
                into.extend_from_slice(value);
            }
            Self::Many(values) => {
                let size = |found: &Value| found.0.len();
                into.reserve(values.iter().map(|it| 16 + it.as_ref().map_or(0, size)).sum());
                into.push(MANY);
                into.extend_from_slice(&(values.len() as u64).to_le_bytes());
                for found in values {
                    let value = found.as_ref().map(|(value, version)| (*version, value));
                    put_maybe(into, value);
                }
            }
            Self::Page(page) => {
                let size = |it: &Entry| it.key.len() + it.value.as_ref().map_or(0, Bytes::len);
                into.reserve(32 + page.found.iter().map(|it| 24 + size(it)).sum::<usize>());
                into.push(PAGE);
                let next = page.next.map_or(0, |next| next.0);
                for number in [next, page.found.len() as u64] {
                    into.extend_from_slice(&number.to_le_bytes());
                }
                for Entry { key, version, value } in &page.found {
                    put_bytes(into, key);
                    into.extend_from_slice(&version.0.to_le_bytes());
                    into.push(u8::from(value.is_some()));
                    value.iter().for_each(|value| put_bytes(into, value));
                }
            }
            Self::TooMuch => into.push(TOO_MUCH),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let found = match reader.u8()? {
            ABSENT => Self::One(None),
            THERE => {
                let version = Version(reader.u64()?);
                return Some(Self::One(Some((reader.rest(), version))));
            }
            MANY => Self::Many(counted(&mut reader, maybe)?),
            PAGE => Self::Page(page(&mut reader)?),
            TOO_MUCH => Self::TooMuch,
            _ => return None,
        };
        reader.end(found)
    }
}

fn put_maybe(into: &mut Vec<u8>, value: Option<(Version, &Bytes)>) {
    into.push(u8::from(value.is_some()));
    if let Some((version, value)) = value {
        into.extend_from_slice(&version.0.to_le_bytes());
        put_bytes(into, value);
    }
}

fn maybe(reader: &mut Reader<'_>) -> Option<Option<Value>> {
    match reader.u8()? {
        0 => Some(None),
        1 => {
            let version = Version(reader.u64()?);
            Some(Some((reader.bytes()?, version)))
        }
        _ => None,
    }
}

fn page(reader: &mut Reader<'_>) -> Option<Page> {
    let next = Some(Cursor(reader.u64()?)).filter(|next| next.0 > 0);
    let count = usize::try_from(reader.u64()?).ok().filter(|count| *count <= SCAN_KEYS)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let (key, version) = (reader.bytes()?, Version(reader.u64()?));
        let value = match reader.u8()? {
            0 => None,
            1 => Some(reader.bytes()?),
            _ => return None,
        };
        found.push(Entry { key, version, value });
    }
    Some(Page { found, next })
}
