//! The map, the table of sessions, and how much of both is here.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use protocol::planted;

use crate::{
    change::{Change, Done, MAX_VALUE, RequestNo, SessionId},
    item::{Item, OVERHEAD, PAIR, PIECE, PIECE_ROWS},
    print::{self, Value},
    sessions::{Admission, Sessions},
};

/// How much of the state is here. The keys come first, in order, then the sessions, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Covered {
    /// The keys below this one.
    Keys(Bytes),
    /// All keys, and the sessions below this one.
    Sessions(SessionId),
    /// Everything.
    Whole,
}

impl Covered {
    /// Nothing.
    #[must_use]
    pub const fn nothing() -> Self {
        Self::Keys(Bytes::new())
    }

    /// What is covered behind this item of a stream, if it may follow: the pieces come in order, each
    /// goes on where the last one ended, and gets on.
    #[must_use]
    pub fn behind(self, item: &Item) -> Option<Self> {
        match item {
            Item::Probe | Item::Open { .. } | Item::Do { .. } => Some(self),
            // With it a stream begins; where one goes on, it does not stand.
            Item::Begin { .. } => None,
            Item::Keys { pairs, upto } => {
                let Self::Keys(from) = self else { return None };
                let fits = rises(&from, pairs.iter().map(|(key, _)| key), upto.as_ref());
                let next = upto.clone().map_or(Self::Sessions(SessionId(0)), Self::Keys);
                fits.then_some(next)
            }
            Item::Sessions { rows, upto } => {
                let Self::Sessions(from) = self else { return None };
                let fits = rises(&from, rows.iter().map(|row| &row.session), upto.as_ref());
                fits.then_some(upto.map_or(Self::Whole, Self::Sessions))
            }
        }
    }

    fn key(&self, key: &Bytes) -> bool {
        match self {
            Self::Keys(upto) => key < upto,
            Self::Sessions(_) | Self::Whole => true,
        }
    }

    fn session(&self, session: SessionId) -> bool {
        match self {
            Self::Keys(_) => false,
            Self::Sessions(upto) => session < *upto,
            Self::Whole => true,
        }
    }
}

/// Whether these are in order, each once, none before `from`, all below `upto`, and that is further.
fn rises<'a, T: Ord + 'a>(
    from: &T,
    all: impl Iterator<Item = &'a T> + Clone,
    upto: Option<&T>,
) -> bool {
    let starts = all.clone().next().is_none_or(|first| first >= from);
    let ends = |upto: &T| upto > from && all.clone().last().is_none_or(|last| last < upto);
    starts && upto.is_none_or(ends) && all.is_sorted_by(|one, next| one < next)
}

/// What an item came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A session was opened.
    Opened(SessionId),
    /// A change was made.
    Done(Done),
    /// Nothing that anybody waits for, or it concerns a part that is not here.
    Nothing,
}

/// The state of a server, or the part of it that has arrived.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    values: BTreeMap<Bytes, Value>,
    sessions: Sessions,
    covered: Covered,
    /// Of keys and values.
    bytes: usize,
    /// Of all keys and their values, added up.
    print: u64,
}

impl State {
    /// A state of which nothing is here.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            values: BTreeMap::new(),
            sessions: Sessions::default(),
            covered: Covered::nothing(),
            bytes: 0,
            print: 0,
        }
    }

    /// The whole state of a store to which nothing has happened.
    #[must_use]
    pub fn fresh() -> Self {
        Self { covered: Covered::Whole, ..Self::nothing() }
    }

    /// Whether nothing has ever happened to it.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.values.is_empty() && self.sessions.counters() == (0, 0)
    }

    /// Whether everything is here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.covered == Covered::Whole
    }

    /// How much is here.
    #[must_use]
    pub fn covered(&self) -> &Covered {
        &self.covered
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.values.get(key).map(|value| &value.bytes)
    }

    /// Every key and its value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.values.iter().map(|(key, value)| (key, &value.bytes))
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// About how many bytes a walk over all of it takes.
    #[must_use]
    pub fn walk_bytes(&self) -> usize {
        self.bytes + PAIR * self.values.len() + OVERHEAD * self.sessions.len()
    }

    /// The table of sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// A fingerprint of everything that is here, counters and sessions included: equal states have
    /// equal ones, and others differ but for an accident in 2^64 (nobody is to rely on it who has to
    /// do with forgers). Kept up to date with each change, so that asking costs nothing.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let (opened, uses) = self.sessions.counters();
        let (part, upto) = match &self.covered {
            Covered::Keys(upto) => (0, print::of_bytes(upto)),
            Covered::Sessions(upto) => (1, upto.0),
            Covered::Whole => (2, 0),
        };
        print::of_words(&[self.print, self.sessions.print(), opened, uses, part, upto])
    }

    /// What this request is, beside what was done before it.
    #[must_use]
    pub fn admit(&self, session: SessionId, number: RequestNo) -> Admission {
        self.sessions.admit(session, number)
    }

    /// What stands at the next place of the stream happens to the part that is here; the rest will
    /// come in a piece that was cut after it. Total: what makes no sense changes nothing.
    pub fn apply(&mut self, item: &Item) -> Outcome {
        match item {
            Item::Probe => Outcome::Nothing,
            Item::Open { evict } => {
                let covered = &self.covered;
                let session = self.sessions.open(*evict, |session| covered.session(session));
                Outcome::Opened(session)
            }
            Item::Do { session, number, change } => {
                let used = self.sessions.use_once();
                if !self.covered.key(change.key()) {
                    return Outcome::Nothing;
                }
                let done = self.change(change);
                if self.covered.session(*session) {
                    self.sessions.record(*session, *number, done, used);
                }
                Outcome::Done(done)
            }
            // In its own log a server finds the pieces of its checkpoints, which it has no use for
            // while it has everything.
            Item::Begin { .. } | Item::Keys { .. } | Item::Sessions { .. } if self.is_whole() => {
                Outcome::Nothing
            }
            Item::Begin { opened, uses } => {
                *self = Self { sessions: Sessions::begin(*opened, *uses), ..Self::nothing() };
                Outcome::Nothing
            }
            Item::Keys { pairs, upto } => {
                for (key, value) in pairs {
                    self.set(key, value);
                }
                self.covered = match upto {
                    Some(key) => Covered::Keys(key.clone()),
                    None => Covered::Sessions(SessionId(0)),
                };
                Outcome::Nothing
            }
            Item::Sessions { rows, upto } => {
                for row in rows {
                    self.sessions.insert(*row);
                }
                self.covered = upto.map_or(Covered::Whole, Covered::Sessions);
                Outcome::Nothing
            }
        }
    }

    /// The first piece of a walk over this state.
    #[must_use]
    pub fn begin(&self) -> Item {
        let (opened, uses) = self.sessions.counters();
        Item::Begin { opened, uses }
    }

    /// The piece behind what is covered by then, and what is covered with it. To be applied behind
    /// everything that has happened to this state so far and before anything else does.
    #[must_use]
    pub fn piece(&self, covered: &Covered) -> (Item, Covered) {
        self.piece_of(covered, PIECE, PIECE_ROWS)
    }

    /// The same, with so many bytes of keys and values or so many rows in it.
    pub(crate) fn piece_of(&self, covered: &Covered, bytes: usize, rows: usize) -> (Item, Covered) {
        match covered {
            Covered::Keys(from) => {
                let (pairs, upto) = self.pairs_from(from, bytes);
                let next = match &upto {
                    Some(key) => Covered::Keys(key.clone()),
                    None => Covered::Sessions(SessionId(0)),
                };
                (Item::Keys { pairs, upto }, next)
            }
            Covered::Sessions(_) if planted::is("forgets-the-table-on-transfer") => {
                (Item::Sessions { rows: Vec::new(), upto: None }, Covered::Whole)
            }
            Covered::Sessions(from) => {
                let (rows, upto) = self.sessions.rows_from(*from, rows);
                let next = upto.map_or(Covered::Whole, Covered::Sessions);
                (Item::Sessions { rows, upto }, next)
            }
            Covered::Whole => (Item::Probe, Covered::Whole),
        }
    }

    fn pairs_from(&self, from: &Bytes, most: usize) -> (Vec<(Bytes, Bytes)>, Option<Bytes>) {
        let (mut pairs, mut bytes) = (Vec::new(), 0);
        let rest = self.values.range::<Bytes, _>((Bound::Included(from), Bound::Unbounded));
        for (key, value) in rest {
            if bytes >= most {
                return (pairs, Some(key.clone()));
            }
            bytes += key.len() + value.bytes.len() + PAIR;
            pairs.push((key.clone(), value.bytes.clone()));
        }
        (pairs, None)
    }

    fn set(&mut self, key: &Bytes, bytes: &Bytes) {
        let value = Value::new(key, bytes.clone());
        self.bytes += key.len() + bytes.len();
        self.print = self.print.wrapping_add(value.print());
        if let Some(old) = self.values.insert(key.clone(), value) {
            self.gone(key, &old);
        }
    }

    /// A value was taken out of the map.
    fn gone(&mut self, key: &Bytes, old: &Value) {
        self.bytes -= key.len() + old.bytes.len();
        self.print = self.print.wrapping_sub(old.print());
    }

    fn change(&mut self, change: &Change) -> Done {
        match change {
            Change::Put(key, value) => {
                self.set(key, value);
                Done::Written
            }
            Change::Append(key, tail) => self.append(key, tail),
            Change::Delete(key) => match self.values.remove(key) {
                Some(old) => {
                    self.gone(key, &old);
                    Done::Deleted(true)
                }
                None => Done::Deleted(false),
            },
        }
    }

    fn append(&mut self, key: &Bytes, tail: &Bytes) -> Done {
        let Some(value) = self.values.get_mut(key) else {
            self.set(key, tail);
            return Done::Written;
        };
        if value.bytes.len() + tail.len() > MAX_VALUE {
            return Done::TooLarge;
        }
        let before = value.print();
        value.append(tail);
        self.bytes += tail.len();
        self.print = self.print.wrapping_sub(before).wrapping_add(value.print());
        Done::Written
    }
}
