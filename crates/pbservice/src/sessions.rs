//! At most once: what is remembered of each client's latest request.

use std::{collections::BTreeMap, ops::Bound};

use crate::{
    change::{Done, RequestNo, SessionId},
    item::Row,
    print,
};

/// The most sessions that are remembered. One more, and the least recently used is forgotten.
pub const MAX_SESSIONS: usize = 131_072;

/// What a request is, beside what was done before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Not done before.
    Fresh,
    /// Done before, and this came of it.
    Repeat(Done),
    /// Overtaken by a later request of the same session; nobody waits for it any more.
    Late,
    /// Of a session that is not remembered: whether it was done, nobody can tell.
    Expired,
}

/// What is remembered of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Session {
    number: RequestNo,
    done: Done,
    used: u64,
}

/// The table. Equal streams build equal tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sessions {
    rows: BTreeMap<SessionId, Session>,
    by_use: BTreeMap<u64, SessionId>,
    opened: u64,
    uses: u64,
    /// Of all rows, added up.
    print: u64,
}

impl Session {
    fn row(&self, session: SessionId) -> Row {
        let Self { number, done, used } = *self;
        Row { session, number, done, used }
    }
}

impl Sessions {
    /// An empty table whose counters go on from these.
    pub(crate) fn begin(opened: u64, uses: u64) -> Self {
        Self { opened, uses, ..Self::default() }
    }

    /// How many sessions are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Sessions opened so far, and requests and openings so far.
    #[must_use]
    pub fn counters(&self) -> (u64, u64) {
        (self.opened, self.uses)
    }

    /// The fingerprint of all rows, in whatever order they came.
    pub(crate) fn print(&self) -> u64 {
        self.print
    }

    /// What this request is.
    #[must_use]
    pub fn admit(&self, session: SessionId, number: RequestNo) -> Admission {
        match self.rows.get(&session) {
            None => Admission::Expired,
            Some(it) if number > it.number => Admission::Fresh,
            Some(it) if number == it.number => Admission::Repeat(it.done),
            Some(_) => Admission::Late,
        }
    }

    /// Which session must go before one more can be opened.
    pub(crate) fn to_evict(&self) -> Option<SessionId> {
        if self.rows.len() < MAX_SESSIONS {
            return None;
        }
        self.by_use.first_key_value().map(|(_, session)| *session)
    }

    /// Opens the next session; it is remembered if this part of the table is `covered`.
    pub(crate) fn open(
        &mut self,
        evict: Option<SessionId>,
        covered: impl Fn(SessionId) -> bool,
    ) -> SessionId {
        if let Some(session) = evict
            && let Some(it) = self.rows.remove(&session)
        {
            self.gone(session, it);
        }
        self.opened += 1;
        let session = SessionId(self.opened);
        let used = self.use_once();
        if covered(session) {
            self.insert(Row { session, number: RequestNo(0), done: Done::Written, used });
        }
        session
    }

    /// One more request or opening; its number.
    pub(crate) fn use_once(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    /// What came of a request. A session that is not there stays so.
    pub(crate) fn record(&mut self, session: SessionId, number: RequestNo, done: Done, used: u64) {
        if self.rows.contains_key(&session) {
            self.insert(Row { session, number, done, used });
        }
    }

    pub(crate) fn insert(&mut self, row: Row) {
        let Row { session, number, done, used } = row;
        if let Some(old) = self.rows.insert(session, Session { number, done, used }) {
            self.gone(session, old);
        }
        self.by_use.insert(used, session);
        self.print = self.print.wrapping_add(print::of_row(&row));
    }

    /// A row was taken out of the table.
    fn gone(&mut self, session: SessionId, old: Session) {
        self.by_use.remove(&old.used);
        self.print = self.print.wrapping_sub(print::of_row(&old.row(session)));
    }

    /// Up to `most` rows from `from` on, and where the next one is.
    pub(crate) fn rows_from(&self, from: SessionId, most: usize) -> (Vec<Row>, Option<SessionId>) {
        let mut rows = Vec::new();
        let rest = self.rows.range((Bound::Included(from), Bound::Unbounded));
        for (session, it) in rest {
            if rows.len() == most {
                return (rows, Some(*session));
            }
            rows.push(it.row(*session));
        }
        (rows, None)
    }
}
