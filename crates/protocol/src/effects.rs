//! What steps want done. A core can only add to it.

use std::collections::VecDeque;

use crate::{
    CallId, Caller, Core, Free, Lsn, NodeId, Word,
    desk::{Act, ToMyself},
    machine::Asker,
};

/// What steps want done. A core can only add to it: it can neither look at, reorder nor drop what
/// it has already said.
pub struct Effects<C: Core> {
    pub(crate) me: NodeId,
    pub(crate) records: Vec<C::Record>,
    /// What waits for the disk, in order. The desk knows how long.
    pub(crate) held: VecDeque<Act<C>>,
    /// How many of those the step under way has said: their gate is known when it ends, since a
    /// record saved after a word holds that word too.
    pub(crate) fresh: usize,
    /// What may leave now.
    pub(crate) words: VecDeque<Word<C>>,
    /// What the node said to itself and may hear now.
    pub(crate) to_myself: VecDeque<ToMyself<C>>,
    pub(crate) saved: Lsn,
    pub(crate) calls: u64,
}

/// How an inner core's words are worded by the core around it.
pub struct Wrap<I: Core, C: Core> {
    /// A call the inner core makes.
    pub request: fn(I::Request) -> C::Request,
    /// An answer it gives.
    pub reply: fn(I::Reply) -> C::Reply,
    /// A record it saves.
    pub record: fn(I::Record) -> C::Record,
    /// An output that must wait for the disk.
    pub output: fn(I::Output) -> C::Output,
}

impl<C: Core> Effects<C> {
    pub(crate) fn new(me: NodeId, saved: Lsn) -> Self {
        Self {
            me,
            records: Vec::new(),
            held: VecDeque::new(),
            fresh: 0,
            words: VecDeque::new(),
            to_myself: VecDeque::new(),
            saved,
            calls: 0,
        }
    }

    /// Writes a record behind all earlier ones. Its number is of use for [`forget`](Self::forget)
    /// only.
    pub fn save(&mut self, record: C::Record) -> Lsn {
        self.records.push(record);
        self.saved.0 += 1;
        self.saved
    }

    /// Calls `to` once every record saved in this step and in all earlier ones is durable.
    pub fn send(&mut self, to: NodeId, request: C::Request) -> CallId {
        let call = self.next_call();
        self.hold(Act::Send { to, call, request });
        call
    }

    /// Answers once every record saved in this step and in all earlier ones is durable.
    pub fn answer(&mut self, caller: Caller, reply: C::Reply) {
        self.hold(Act::Answer(caller, reply));
    }

    /// Announces once every record saved in this step and in all earlier ones is durable.
    pub fn output(&mut self, output: C::Output) {
        self.hold(Act::Output(output));
    }

    /// Records below `keep` will not be needed again, once everything saved so far is durable.
    pub fn forget(&mut self, keep: Lsn) {
        self.hold(Act::Forget(keep));
    }

    /// Calls `to` at once.
    pub fn send_free<M: Free + Into<C::Request>>(&mut self, to: NodeId, request: M) -> CallId {
        let call = self.next_call();
        self.release(Act::Send { to, call, request: request.into() });
        call
    }

    /// Answers at once.
    pub fn answer_free<M: Free + Into<C::Reply>>(&mut self, caller: Caller, reply: M) {
        self.release(Act::Answer(caller, reply.into()));
    }

    /// Announces at once.
    pub fn output_free<M: Free + Into<C::Output>>(&mut self, output: M) {
        self.release(Act::Output(output.into()));
    }

    /// Runs an inner core's step inside ours. Its records and words become ours with their gates;
    /// its free outputs are handed back, to be acted on at once: they rest on nothing unsaved.
    pub fn nest<I: Core>(
        &mut self,
        wrap: Wrap<I, C>,
        step: impl FnOnce(&mut Effects<I>),
    ) -> Vec<I::Output> {
        let mut inner = Effects::<I>::new(self.me, self.saved);
        inner.calls = self.calls;
        step(&mut inner);
        self.saved = inner.saved;
        self.calls = inner.calls;
        self.records.extend(inner.records.into_iter().map(wrap.record));
        self.fresh += inner.fresh;
        self.held.extend(inner.held.into_iter().map(|act| act.worded(&wrap)));
        self.to_myself.extend(inner.to_myself.into_iter().map(|word| word.worded(&wrap)));
        let mut outputs = Vec::new();
        for word in inner.words {
            match word {
                Word::Output(output) => outputs.push(output),
                word => self.words.push_back(word.worded(&wrap)),
            }
        }
        outputs
    }

    fn hold(&mut self, act: Act<C>) {
        self.held.push_back(act);
        self.fresh += 1;
    }

    /// Lets a word go: out into the world, or back to the node itself.
    #[inline]
    pub(crate) fn release(&mut self, act: Act<C>) {
        match act {
            Act::Send { to, call, request } if to == self.me => {
                self.to_myself.push_back(ToMyself::Request { call, request });
            }
            Act::Send { to, call, request } => {
                self.words.push_back(Word::Send { to, call, request });
            }
            Act::Answer(Caller(Asker::Myself { call, .. }), reply) => {
                self.to_myself.push_back(ToMyself::Reply { call, reply });
            }
            Act::Answer(Caller(Asker::Outside { ticket, .. }), reply) => {
                self.words.push_back(Word::Answer { ticket, reply });
            }
            Act::Output(output) => self.words.push_back(Word::Output(output)),
            Act::Forget(keep) => self.words.push_back(Word::Forget(keep)),
        }
    }

    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }
}
