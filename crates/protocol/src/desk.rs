//! A core, and everything it has said but may not say yet.

use std::collections::VecDeque;

use crate::{
    CallId, Caller, Core, Effects, Event, Heard, Lsn, NodeId, Time, Wrap, machine::Asker, planted,
};

/// What a core wants done, before the desk has decided when.
pub(crate) enum Act<C: Core> {
    Send { to: NodeId, call: CallId, request: C::Request },
    Answer(Caller, C::Reply),
    Output(C::Output),
    Forget(Lsn),
}

impl<I: Core> Act<I> {
    pub(crate) fn worded<C: Core>(self, wrap: &Wrap<I, C>) -> Act<C> {
        match self {
            Self::Send { to, call, request } => {
                Act::Send { to, call, request: (wrap.request)(request) }
            }
            Self::Answer(caller, reply) => Act::Answer(caller, (wrap.reply)(reply)),
            Self::Output(output) => Act::Output((wrap.output)(output)),
            Self::Forget(keep) => Act::Forget(keep),
        }
    }
}

/// What may leave now. All a driver ever gets to see.
#[derive(Debug)]
pub enum Word<C: Core> {
    /// Call a peer; report back with [`Desk::reply`] or [`Desk::failed`].
    Send {
        /// Whom to call.
        to: NodeId,
        /// The name of this call.
        call: CallId,
        /// What to ask.
        request: C::Request,
    },
    /// Tell the one who waits behind `ticket`.
    Answer {
        /// The number given to [`Desk::request`].
        ticket: u64,
        /// The answer.
        reply: C::Reply,
    },
    /// Hand this to the layer above.
    Output(C::Output),
    /// Tell the log that records below this one are not needed any more.
    Forget(Lsn),
}

impl<I: Core> Word<I> {
    pub(crate) fn worded<C: Core>(self, wrap: &Wrap<I, C>) -> Word<C> {
        match self {
            Self::Send { to, call, request } => {
                Word::Send { to, call, request: (wrap.request)(request) }
            }
            Self::Answer { ticket, reply } => Word::Answer { ticket, reply: (wrap.reply)(reply) },
            Self::Output(output) => Word::Output((wrap.output)(output)),
            Self::Forget(keep) => Word::Forget(keep),
        }
    }
}

/// What a node says to itself travels without a network but not without its disk.
pub(crate) enum ToMyself<C: Core> {
    Request { call: CallId, request: C::Request },
    Reply { call: CallId, reply: C::Reply },
}

impl<I: Core> ToMyself<I> {
    pub(crate) fn worded<C: Core>(self, wrap: &Wrap<I, C>) -> ToMyself<C> {
        match self {
            Self::Request { call, request } => {
                ToMyself::Request { call, request: (wrap.request)(request) }
            }
            Self::Reply { call, reply } => ToMyself::Reply { call, reply: (wrap.reply)(reply) },
        }
    }
}

/// A core, and everything it has said but may not say yet.
///
/// Put events in with [`request`](Self::request), [`reply`](Self::reply) and the others; take
/// [`records`](Self::records) out and give them to the log; take out with
/// [`next_word`](Self::next_word) what may leave now.
pub struct Desk<C: Core> {
    pub(crate) me: NodeId,
    pub(crate) core: C,
    pub(crate) fx: Effects<C>,
    pub(crate) durable: Lsn,
    /// What must be durable before how many of the words that the effects hold, in order.
    pub(crate) gates: VecDeque<(Lsn, usize)>,
}

impl<C: Core> Desk<C> {
    /// A desk for `core`. `saved` is the number of records it was recovered from: all of them are
    /// durable.
    pub fn new(me: NodeId, core: C, saved: Lsn) -> Self {
        Self { me, core, fx: Effects::new(me, saved), durable: saved, gates: VecDeque::new() }
    }

    /// The machine behind the desk, to look at.
    #[must_use]
    pub fn core(&self) -> &C {
        &self.core
    }

    /// When to call [`wake`](Self::wake).
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.core.deadline()
    }

    /// How many records the core has saved in all.
    #[must_use]
    pub fn saved(&self) -> Lsn {
        self.fx.saved
    }

    /// How many of them are durable.
    #[must_use]
    pub fn durable_up_to(&self) -> Lsn {
        self.durable
    }

    /// Words that wait for the disk.
    #[must_use]
    pub fn held(&self) -> usize {
        self.fx.held.len()
    }

    /// Whether nothing waits on it: no record for the log, no word held or free.
    pub(crate) fn is_clear(&self) -> bool {
        self.held() == 0 && self.fx.records.is_empty() && self.fx.words.is_empty()
    }

    /// Somebody asks. `ticket` names the one who waits and comes back in [`Word::Answer`]; `peer`
    /// is what the connection proved.
    pub fn request(&mut self, now: Time, ticket: u64, peer: Option<NodeId>, request: C::Request) {
        let caller = Caller(Asker::Outside { ticket, peer });
        self.step(now, Event::Request { caller, request });
    }

    /// A peer answered.
    pub fn reply(&mut self, now: Time, from: NodeId, call: CallId, reply: C::Reply) {
        self.step(now, Event::Reply(Heard { from, call, reply }));
    }

    /// A call failed, timed out, or its connection broke.
    pub fn failed(&mut self, now: Time, to: NodeId, call: CallId) {
        self.step(now, Event::Failed { to, call });
    }

    /// The log fell behind (`false`) or caught up (`true`).
    pub fn disk_healthy(&mut self, now: Time, healthy: bool) {
        self.step(now, Event::DiskHealthy(healthy));
    }

    /// The deadline has come.
    ///
    /// # Panics
    ///
    /// If the core is still due afterwards: it would never sleep again.
    pub fn wake(&mut self, now: Time) {
        self.core.step(now, Event::Wake, &mut self.fx);
        let due = self.core.deadline().is_some_and(|at| at <= now);
        assert!(!due, "a core that was woken still wants to be woken");
        self.settle(now);
    }

    /// Every record up to `lsn` is durable.
    ///
    /// # Panics
    ///
    /// If the log claims records that were never saved.
    pub fn durable(&mut self, now: Time, lsn: Lsn) {
        assert!(lsn <= self.fx.saved, "the log reports records that were never saved");
        self.durable = self.durable.max(lsn);
        self.settle(now);
    }

    /// The records saved since the last call, in order, for the log.
    pub fn records(&mut self) -> std::vec::Drain<'_, C::Record> {
        self.fx.records.drain(..)
    }

    /// The next word that may leave now.
    pub fn next_word(&mut self) -> Option<Word<C>> {
        self.fx.words.pop_front()
    }

    fn step(&mut self, now: Time, event: Event<C>) {
        self.core.step(now, event, &mut self.fx);
        self.settle(now);
    }

    /// Sorts what was just said into *may leave* and *must wait*, and carries what the node said
    /// to itself, until nothing moves.
    fn settle(&mut self, now: Time) {
        self.sort();
        while let Some(word) = self.fx.to_myself.pop_front() {
            match word {
                ToMyself::Request { call, request } => {
                    let caller = Caller(Asker::Myself { me: self.me, call });
                    self.core.step(now, Event::Request { caller, request }, &mut self.fx);
                }
                ToMyself::Reply { call, reply } => {
                    let heard = Heard { from: self.me, call, reply };
                    self.core.step(now, Event::Reply(heard), &mut self.fx);
                }
            }
            self.sort();
        }
    }

    /// Gives what a step has said its gate, and lets go of everything whose gate is open.
    fn sort(&mut self) {
        if self.fx.fresh > 0 {
            let gate = if planted::is("speak-before-sync") { Lsn(0) } else { self.fx.saved };
            self.gates.push_back((gate, self.fx.fresh));
            self.fx.fresh = 0;
        }
        while let Some((_, words)) = self.gates.pop_front_if(|(gate, _)| *gate <= self.durable) {
            for _ in 0..words {
                let act = self.fx.held.pop_front().expect("every gate holds so many words");
                self.fx.release(act);
            }
        }
    }
}
