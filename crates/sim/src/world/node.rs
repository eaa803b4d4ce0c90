//! One node: its desk, its disk, its clock, and the twin that it is compared with.

use protocol::{CallId, Core, Desk, Lsn, NodeId, Time, Word};

use super::Record;

/// How a node's own clock runs. It never goes back and never jumps, but it may be slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// When it last changed its pace, in the world's time.
    since: Time,
    /// What it showed then.
    showed: Time,
    /// The world's nanoseconds for one of its own.
    pace: u32,
}

impl Clock {
    /// What it shows now.
    pub(crate) fn shows(&self, now: Time) -> Time {
        self.showed.plus(now.since(self.since) / self.pace)
    }

    /// When it will show `at`.
    pub(crate) fn when(&self, at: Time) -> Time {
        if at <= self.showed {
            self.since
        } else {
            self.since.plus(at.since(self.showed) * self.pace)
        }
    }

    /// It goes on at another pace.
    pub(crate) fn change(&mut self, now: Time, pace: u32) {
        *self = Self { since: now, showed: self.shows(now), pace };
    }
}

/// A word that may leave, and what the twin announced in its place.
type Spoken<C> = (Option<Word<C>>, Option<<C as Core>::Output>);

pub(crate) struct Node<C: Core> {
    pub(super) desk: Option<Desk<C>>,
    /// The same node once more: born of the same records, told the same. Whatever it does
    /// otherwise is not determined by what it was told.
    pub(super) twin: Option<Desk<C>>,
    /// What a crash cannot take.
    pub(super) durable: Vec<Record<C>>,
    /// Saved, and not durable yet.
    pub(super) pending: Vec<Record<C>>,
    pub(super) saved: Lsn,
    pub(super) syncing: bool,
    pub(super) sync_since: Time,
    pub(super) unhealthy: bool,
    /// Its disk is not there: it must not start without it.
    pub(super) disk_gone: bool,
    pub(super) life: u64,
    /// In the world's time.
    pub(super) wake_at: Option<Time>,
    /// It is slow, and its alarm, gone off, waits its turn.
    pub(super) wake_waits: bool,
    pub(super) paused_until: Time,
    pub(super) slow_until: Time,
    /// How many times slower than usual it works.
    pub(super) slowness: u32,
    /// It is busy with earlier events until then.
    pub(super) busy_until: Time,
    pub(super) clock: Clock,
}

impl<C: Core> Node<C> {
    pub(super) fn new() -> Self {
        Self {
            desk: None,
            twin: None,
            durable: Vec::new(),
            pending: Vec::new(),
            saved: Lsn(0),
            syncing: false,
            sync_since: Time::ZERO,
            unhealthy: false,
            disk_gone: false,
            life: 0,
            wake_at: None,
            wake_waits: false,
            paused_until: Time::ZERO,
            slow_until: Time::ZERO,
            slowness: 1,
            busy_until: Time::ZERO,
            clock: Clock { since: Time::ZERO, showed: Time::ZERO, pace: 1 },
        }
    }

    /// Does something to the desk, and to the twin's; whether there is a desk.
    fn both(&mut self, mut act: impl FnMut(&mut Desk<C>)) -> bool {
        if let Some(twin) = &mut self.twin {
            act(twin);
        }
        self.desk.as_mut().map(act).is_some()
    }

    /// Somebody asks.
    pub(super) fn request(
        &mut self,
        now: Time,
        ticket: u64,
        peer: Option<NodeId>,
        request: C::Request,
    ) -> bool {
        let now = self.clock.shows(now);
        if let Some(twin) = &mut self.twin {
            twin.request(now, ticket, peer, request.clone());
        }
        let Some(desk) = &mut self.desk else { return false };
        desk.request(now, ticket, peer, request);
        true
    }

    /// A peer answered.
    pub(super) fn reply(&mut self, now: Time, from: NodeId, call: CallId, reply: C::Reply) -> bool {
        let now = self.clock.shows(now);
        if let Some(twin) = &mut self.twin {
            twin.reply(now, from, call, reply.clone());
        }
        let Some(desk) = &mut self.desk else { return false };
        desk.reply(now, from, call, reply);
        true
    }

    /// A call came to nothing.
    pub(super) fn failed(&mut self, now: Time, to: NodeId, call: CallId) -> bool {
        let now = self.clock.shows(now);
        self.both(|desk| desk.failed(now, to, call))
    }

    /// Everything up to `lsn` is durable.
    pub(super) fn synced(&mut self, now: Time, lsn: Lsn) -> bool {
        let now = self.clock.shows(now);
        self.both(|desk| desk.durable(now, lsn))
    }

    /// The disk is too slow, or not any more.
    pub(super) fn healthy(&mut self, now: Time, healthy: bool) -> bool {
        let now = self.clock.shows(now);
        self.both(|desk| desk.disk_healthy(now, healthy))
    }

    /// The alarm goes off, if it is due.
    pub(super) fn wake(&mut self, now: Time) -> bool {
        let now = self.clock.shows(now);
        self.both(|desk| {
            if desk.deadline().is_some_and(|at| at <= now) {
                desk.wake(now);
            }
        })
    }

    /// When it wants to be woken, in the world's time.
    pub(super) fn alarm(&self) -> Option<Time> {
        Some(self.clock.when(self.desk.as_ref()?.deadline()?))
    }

    /// The records saved since the last call.
    ///
    /// # Errors
    ///
    /// If the twin saved others.
    pub(super) fn records(&mut self) -> Result<Vec<C::Record>, String> {
        let Some(desk) = &mut self.desk else { return Ok(Vec::new()) };
        let records: Vec<C::Record> = desk.records().collect();
        if let Some(twin) = &mut self.twin {
            let others: Vec<C::Record> = twin.records().collect();
            same(&records, &others)?;
        }
        Ok(records)
    }

    /// The next word that may leave, and what the twin announced in its place.
    ///
    /// # Errors
    ///
    /// If the twin says another.
    pub(super) fn next_word(&mut self) -> Result<Spoken<C>, String> {
        let word = self.desk.as_mut().and_then(Desk::next_word);
        let Some(twin) = &mut self.twin else { return Ok((word, None)) };
        let other = twin.next_word();
        same(&said(word.as_ref()), &said(other.as_ref()))?;
        match other {
            Some(Word::Output(output)) => Ok((word, Some(output))),
            _ => Ok((word, None)),
        }
    }
}

/// A word in full.
fn said<C: Core>(word: Option<&Word<C>>) -> String {
    match word {
        None => "nothing".into(),
        Some(Word::Send { to, call, request }) => format!("{call:?} to {to}: {request:?}"),
        Some(Word::Answer { ticket, reply }) => format!("to {ticket}: {reply:?}"),
        Some(Word::Output(output)) => format!("{output:?}"),
        Some(Word::Forget(keep)) => format!("forget below {}", keep.0),
    }
}

/// Whether two of a kind were told the same and do the same.
fn same(one: &impl std::fmt::Debug, other: &impl std::fmt::Debug) -> Result<(), String> {
    let (one, other) = (format!("{one:?}"), format!("{other:?}"));
    if one == other {
        return Ok(());
    }
    Err(format!("H-05 determinism: told the same, one said {one} and the other {other}"))
}
