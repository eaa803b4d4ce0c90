//! What steps want done. A core can only add to it.

use crate::{CallId, Caller, Core, Free, Lsn, NodeId, desk::Act};

/// What steps want done. A core can only add to it: it can neither look at, reorder nor drop what
/// it has already said.
pub struct Effects<C: Core> {
    pub(crate) records: Vec<C::Record>,
    pub(crate) held: Vec<Act<C>>,
    pub(crate) free: Vec<Act<C>>,
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
    pub(crate) fn new(saved: Lsn) -> Self {
        Self { records: Vec::new(), held: Vec::new(), free: Vec::new(), saved, calls: 0 }
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
        self.held.push(Act::Send { to, call, request });
        call
    }

    /// Answers once every record saved in this step and in all earlier ones is durable.
    pub fn answer(&mut self, caller: Caller, reply: C::Reply) {
        self.held.push(Act::Answer(caller, reply));
    }

    /// Announces once every record saved in this step and in all earlier ones is durable.
    pub fn output(&mut self, output: C::Output) {
        self.held.push(Act::Output(output));
    }

    /// Records below `keep` will not be needed again, once everything saved so far is durable.
    pub fn forget(&mut self, keep: Lsn) {
        self.held.push(Act::Forget(keep));
    }

    /// Calls `to` at once.
    pub fn send_free<M: Free + Into<C::Request>>(&mut self, to: NodeId, request: M) -> CallId {
        let call = self.next_call();
        self.free.push(Act::Send { to, call, request: request.into() });
        call
    }

    /// Answers at once.
    pub fn answer_free<M: Free + Into<C::Reply>>(&mut self, caller: Caller, reply: M) {
        self.free.push(Act::Answer(caller, reply.into()));
    }

    /// Announces at once.
    pub fn output_free<M: Free + Into<C::Output>>(&mut self, output: M) {
        self.free.push(Act::Output(output.into()));
    }

    /// Runs an inner core's step inside ours. Its records and words become ours with their gates;
    /// its free outputs are handed back, to be acted on at once: they rest on nothing unsaved.
    pub fn nest<I: Core>(
        &mut self,
        wrap: Wrap<I, C>,
        step: impl FnOnce(&mut Effects<I>),
    ) -> Vec<I::Output> {
        let mut inner = Effects::<I>::new(self.saved);
        inner.calls = self.calls;
        step(&mut inner);
        self.saved = inner.saved;
        self.calls = inner.calls;
        self.records.extend(inner.records.into_iter().map(wrap.record));
        self.held.extend(inner.held.into_iter().map(|act| act.worded(&wrap)));
        let mut outputs = Vec::new();
        for act in inner.free {
            match act {
                Act::Output(output) => outputs.push(output),
                act => self.free.push(act.worded(&wrap)),
            }
        }
        outputs
    }

    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }
}
