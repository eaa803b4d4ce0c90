//! The store: a map that a log of commands builds.

use std::hash::{BuildHasherDefault, DefaultHasher};

use bytes::Bytes;
use indexmap::IndexMap;
use paxosrsm::machine::{Image, Reader, StateMachine, put_bytes};

use crate::{
    command::{Command, Expect, MAX_VALUE, Response, Version},
    question::{Cursor, Entry, Found, MAX_ANSWER, Page, Question, SCAN_BYTES, SCAN_KEYS, Show},
};

/// Keeps keys in a row that only insertions and deletions decide, whatever the hashes are, so equal
/// logs build equal rows; half of a replica's time went into the comparisons of a sorted map.
type Entries = IndexMap<Bytes, (Bytes, Version), BuildHasherDefault<DefaultHasher>>;

/// A value of so many bytes is most of its batch, which has 1 MiB unless it is all of it.
const SHARED: usize = 512 << 10;

/// A map from keys to values, each with the version of its last write.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Store {
    entries: Entries,
    writes: u64,
}

impl Store {
    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key` and its version.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&(Bytes, Version)> {
        self.entries.get(key)
    }

    /// Key and value are slices of a whole batch; keeping them would keep the batch, so both are
    /// copied: over the old value where it has the same size and nobody looks at it. Only a value
    /// that is most of its batch is shared with the log, which would hold a second copy of it.
    fn write(&mut self, key: &Bytes, value: &Bytes) -> Response {
        self.writes += 1;
        let version = Version(self.writes);
        match self.entries.get_mut(key) {
            Some((old, at)) => {
                *at = version;
                let same_size = old.len() == value.len() && !old.is_empty();
                *old = match std::mem::take(old).try_into_mut() {
                    _ if value.len() >= SHARED => value.clone(),
                    Ok(mut own) if same_size => {
                        own.copy_from_slice(value);
                        own.freeze()
                    }
                    _ => Bytes::copy_from_slice(value),
                };
            }
            None => {
                let shared = value.len() >= SHARED;
                let kept = if shared { value.clone() } else { Bytes::copy_from_slice(value) };
                let entry = (kept, version);
                self.entries.insert(Bytes::copy_from_slice(key), entry);
            }
        }
        Response::Written(version)
    }

    fn append(&mut self, key: &Bytes, tail: &Bytes) -> Response {
        let Some((value, version)) = self.entries.get_mut(key) else {
            return self.write(key, tail);
        };
        if value.len() + tail.len() > MAX_VALUE {
            return Response::TooLarge;
        }
        self.writes += 1;
        *version = Version(self.writes);
        // Grown in place unless a snapshot or a reader still looks at the old bytes.
        let mut grown = match std::mem::take(value).try_into_mut() {
            Ok(own) => own,
            Err(shared) => shared.as_ref().into(),
        };
        grown.extend_from_slice(tail);
        *value = grown.freeze();
        Response::Written(*version)
    }

    fn cas(&mut self, key: &Bytes, expect: &Expect, value: &Bytes) -> Response {
        let found = self.entries.get(key);
        let as_expected = match (expect, found) {
            (Expect::Absent, None) => true,
            (Expect::Value(value), Some((found, _))) => value == found,
            (Expect::Version(version), Some((_, found))) => version == found,
            _ => false,
        };
        if as_expected {
            return self.write(key, value);
        }
        Response::Differs(found.map(|(_, version)| *version))
    }

    fn get_many(&self, keys: &[Bytes]) -> Found {
        let mut room = MAX_ANSWER;
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let found = self.entries.get(key);
            let size = found.map_or(0, |(value, _)| value.len());
            let Some(left) = room.checked_sub(size) else { return Found::TooMuch };
            room = left;
            values.push(found.cloned());
        }
        Found::Many(values)
    }

    /// See [`Cursor`] for the order.
    fn scan(&self, prefix: &[u8], from: Cursor, show: Show) -> Page {
        let start = usize::try_from(from.0).unwrap_or(usize::MAX).min(self.entries.len());
        let stop = start.saturating_sub(SCAN_KEYS);
        let (mut found, mut bytes, mut at) = (Vec::new(), 0, start);
        while at > stop && bytes < SCAN_BYTES {
            at -= 1;
            let Some((key, (value, version))) = self.entries.get_index(at) else { break };
            if !key.starts_with(prefix) {
                continue;
            }
            let value = (show == Show::Values).then(|| value.clone());
            bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
            found.push(Entry { key: key.clone(), version: *version, value });
        }
        Page { found, next: (at > 0).then_some(Cursor(at as u64)) }
    }
}

impl StateMachine for Store {
    type Command = Command;
    type Response = Response;
    type Query = Question;
    type Answer = Found;

    fn apply(&mut self, command: Command) -> Response {
        if !command.fits() {
            return Response::TooLarge;
        }
        match &command {
            Command::Put(key, value) => self.write(key, value),
            Command::Append(key, tail) => self.append(key, tail),
            Command::Delete(key) => {
                let existed = self.entries.swap_remove(key).is_some();
                self.writes += u64::from(existed);
                Response::Deleted(existed)
            }
            Command::Cas(key, expect, value) => self.cas(key, expect, value),
            Command::PutMany(pairs) => {
                let mut last = Response::TooLarge; // Unless there is a pair, and there is.
                for (key, value) in pairs {
                    last = self.write(key, value);
                }
                last
            }
        }
    }

    fn query(&self, question: Question) -> Found {
        match question {
            _ if !question.fits() => Found::TooMuch,
            Question::Get(key) => Found::One(self.entries.get(&key).cloned()),
            Question::GetMany(keys) => self.get_many(&keys),
            Question::Scan { prefix, from, show } => Found::Page(self.scan(&prefix, from, show)),
        }
    }

    fn freeze(&self) -> Image {
        let frozen = self.clone(); // Keys and values are shared, not copied.
        Image::new(move || {
            let mut image = Vec::new();
            image.extend_from_slice(&frozen.writes.to_le_bytes());
            image.extend_from_slice(&(frozen.entries.len() as u64).to_le_bytes());
            // In the order of the row, so that a restored store has the same one.
            for (key, (value, version)) in &frozen.entries {
                put_bytes(&mut image, key);
                image.extend_from_slice(&version.0.to_le_bytes());
                put_bytes(&mut image, value);
            }
            image
        })
    }

    fn restore(image: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(image);
        let (writes, count) = (reader.u64()?, reader.u64()?);
        let mut entries = Entries::default();
        for _ in 0..count {
            let key = Bytes::copy_from_slice(&reader.bytes()?);
            let version = Version(reader.u64()?);
            let value = Bytes::copy_from_slice(&reader.bytes()?);
            entries.insert(key, (value, version));
        }
        reader.end(Self { entries, writes })
    }
}
