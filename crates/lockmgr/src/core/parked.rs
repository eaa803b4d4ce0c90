//! Callers whose requests wait: one for each request.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use protocol::{Caller, Time};

use crate::{RequestNo, Ticket};

/// A caller is kept for so long. Then it is told that its request waits still, and asks again: a
/// client that is gone is found out, and no call outlives its own deadline.
pub const LINGER: Duration = Duration::from_secs(5);

/// What is known of a request that waits, in this life.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Ask {
    /// What its owner last said that it is done with.
    floor: RequestNo,
    /// Who wants to know, and how long it is kept.
    caller: Option<(Caller, Time)>,
}

/// Never more entries than requests wait in the table, which is bounded.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parked {
    asks: BTreeMap<Ticket, Ask>,
    ends: BTreeSet<(Time, Ticket)>,
}

impl Parked {
    /// Whether this request is known to wait, under the same floor: then asking again is no news.
    pub(super) fn waits(&self, ticket: Ticket, floor: RequestNo) -> bool {
        self.asks.get(&ticket).is_some_and(|ask| ask.floor == floor)
    }

    /// Keeps a caller. Returns the one that had asked the same before: a client asks again when it
    /// has given the earlier call up.
    pub(super) fn park(
        &mut self,
        ticket: Ticket,
        floor: RequestNo,
        caller: Caller,
        now: Time,
    ) -> Option<Caller> {
        let end = now.plus(LINGER);
        let earlier = self.asks.insert(ticket, Ask { floor, caller: Some((caller, end)) });
        let earlier = self.unpark(ticket, earlier);
        self.ends.insert((end, ticket));
        earlier
    }

    /// The request waits no longer. Returns who wants to know.
    pub(super) fn over(&mut self, ticket: Ticket) -> Option<Caller> {
        let ask = self.asks.remove(&ticket);
        self.unpark(ticket, ask)
    }

    fn unpark(&mut self, ticket: Ticket, ask: Option<Ask>) -> Option<Caller> {
        let (caller, end) = ask?.caller?;
        self.ends.remove(&(end, ticket));
        Some(caller)
    }

    /// The next caller that has been kept for long enough.
    pub(super) fn ring(&mut self, now: Time) -> Option<Caller> {
        let (end, ticket) = *self.ends.first()?;
        if end > now {
            return None;
        }
        self.ends.pop_first();
        let ask = self.asks.get_mut(&ticket).expect("who has an end is parked");
        ask.caller.take().map(|(caller, _)| caller)
    }

    /// When the next one will have been.
    pub(super) fn next(&self) -> Option<Time> {
        self.ends.first().map(|(end, _)| *end)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}
