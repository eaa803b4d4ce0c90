//! The replica: an agreement feeding a machine.

mod questions;
mod snapshots;

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::{CallId, Caller, Core, Effects, Event, NodeId, Time, Wrap, planted};

use crate::{
    agreement::{Agreement, Happened, Index, Refused, Wish},
    machine::{Coded, StateMachine, fingerprint},
    message::{Digest, Done, Output, Query, ReplicaStatus, Reply, Request, Submit},
};
use questions::Questions;
pub(crate) use snapshots::MAX_IMAGE;
use snapshots::Snapshots;

/// Requests handed to the leader that wait for its answer, at most, and their bytes.
const MAX_FORWARDED: usize = 4096;
const MAX_FORWARDED_BYTES: usize = 64 << 20;

/// The knobs of a replica.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// A snapshot is taken when this many bytes of commands were applied since the last one, or
    /// as many as the last one was large, whichever is more. Default 64 MiB.
    pub snapshot_bytes: u64,
}

impl Config {
    /// The defaults for one node.
    #[must_use]
    pub fn new(me: NodeId) -> Self {
        Self { me, snapshot_bytes: 64 << 20 }
    }
}

/// One replica of a machine.
#[derive(Debug)]
pub struct Replica<A: Agreement, M: StateMachine> {
    config: Config,
    agreement: A,
    machine: M,
    /// Everything below was applied.
    applied: Index,
    chain: u64,
    commands: u64,
    snapshots: Snapshots,
    /// Requests of ours that a leader has.
    forwarded: BTreeMap<CallId, Forwarded>,
    forwarded_bytes: usize,
    /// Queries that may be answered, more than one step may hold.
    questions: Questions,
}

/// A request that a leader has.
#[derive(Debug)]
struct Forwarded {
    /// Whom to tell.
    caller: Caller,
    /// Whether it may have changed something.
    changes: bool,
    bytes: usize,
}

/// What a snapshot restored: the machine and where it stood.
#[derive(Debug)]
pub struct Restored<M> {
    /// The machine.
    pub machine: M,
    /// Everything below was applied.
    pub applied: Index,
    /// The fingerprint of everything applied.
    pub chain: u64,
    /// The size of the snapshot, in bytes.
    pub size: u64,
}

impl<M> Restored<M> {
    /// A machine that nothing was applied to.
    pub fn fresh(machine: M) -> Self {
        Self { machine, applied: Index(0), chain: 0, size: 0 }
    }
}

impl<A: Agreement, M: StateMachine> Replica<A, M> {
    /// A replica that goes on from what was restored, over an agreement that was recovered with
    /// the same index.
    pub fn new(config: Config, agreement: A, restored: Restored<M>) -> Self {
        let Restored { machine, applied, chain, size } = restored;
        Self {
            config,
            agreement,
            machine,
            applied,
            chain,
            commands: 0,
            snapshots: Snapshots::new(applied, size),
            forwarded: BTreeMap::new(),
            forwarded_bytes: 0,
            questions: Questions::default(),
        }
    }

    /// The agreement below.
    #[must_use]
    pub fn agreement(&self) -> &A {
        &self.agreement
    }

    /// The machine inside.
    #[must_use]
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Everything below was applied.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// A fingerprint of everything applied, in order.
    #[must_use]
    pub fn chain(&self) -> u64 {
        self.chain
    }

    fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            me: self.config.me,
            agreement: self.agreement.status(),
            applied: self.applied,
            chain: self.chain,
            snapshot: self.snapshots.durable(),
            commands: self.commands,
        }
    }

    /// Runs the agreement's step, then acts on what it announced.
    fn inner(&mut self, now: Time, event: Event<A>, fx: &mut Effects<Self>) {
        let wrap = Wrap {
            request: Request::Engine,
            reply: worded::<A>,
            record: |record| record,
            output: |_| unreachable!("an agreement's announcements are free"),
        };
        let happened = fx.nest(wrap, |fx| self.agreement.step(now, event, fx));
        for output in happened {
            match A::happened(output) {
                Happened::Decided { index, batch, commands, callers } => {
                    self.apply(index, &batch, commands, callers, fx);
                }
                Happened::Readable { caller, query } => self.ask(now, caller, query, fx),
                Happened::NeedSnapshot { from, upto } => self.need_snapshot(from, upto, fx),
                Happened::Nothing => {}
            }
        }
    }

    fn wish(&mut self, now: Time, caller: Caller, wish: Wish, fx: &mut Effects<Self>) {
        let request = A::wish(wish);
        self.inner(now, Event::Request { caller, request }, fx);
    }

    /// Applies what was decided, in order, and answers those who asked here.
    fn apply(
        &mut self,
        index: Index,
        batch: &Bytes,
        commands: Vec<Bytes>,
        callers: Vec<Option<Caller>>,
        fx: &mut Effects<Self>,
    ) {
        assert!(
            index == self.applied || planted::is("settles-across-a-gap"),
            "{index:?} was decided, but {:?} is next: the agreement left a gap",
            self.applied
        );
        self.applied = Index(index.0 + 1);
        self.chain = fingerprint(self.chain, batch);
        self.commands += commands.len() as u64;
        let mut callers = callers.into_iter();
        for command in commands {
            let response = M::Command::decode(&command).map(|command| self.machine.apply(command));
            let Some(caller) = callers.next().flatten() else { continue };
            match response {
                Some(response) => fx.answer_free(caller, Done(response.to_bytes())),
                None => fx.answer_free(caller, Refused::Malformed),
            }
        }
        fx.output_free(Output::Applied { index, chain: self.chain });
        self.applied_bytes(batch.len() as u64, fx);
    }

    /// A client's request: into the agreement if this node leads, else to whoever does. A peer's
    /// is not handed on again: it would not know whom it asked.
    fn submit(&mut self, now: Time, caller: Caller, command: Submit, fx: &mut Effects<Self>) {
        let elsewhere = self.agreement.leader().filter(|leader| *leader != self.config.me);
        match elsewhere {
            Some(leader) if caller.peer().is_none() => {
                let bytes = command.0.len();
                self.forward(caller, true, bytes, fx, |fx| fx.send_free(leader, command));
            }
            _ => self.wish(now, caller, Wish::Propose(command.0), fx),
        }
    }

    fn query(&mut self, now: Time, caller: Caller, query: Query, fx: &mut Effects<Self>) {
        if planted::is("deposed-leader-reads") {
            return self.show(caller, &query.0, fx);
        }
        let elsewhere = self.agreement.leader().filter(|leader| *leader != self.config.me);
        match elsewhere {
            Some(leader) if caller.peer().is_none() => {
                let bytes = query.0.len();
                self.forward(caller, false, bytes, fx, |fx| fx.send_free(leader, query));
            }
            _ => self.wish(now, caller, Wish::Ask(query.0), fx),
        }
    }

    fn forward(
        &mut self,
        caller: Caller,
        changes: bool,
        bytes: usize,
        fx: &mut Effects<Self>,
        send: impl FnOnce(&mut Effects<Self>) -> CallId,
    ) {
        let full = self.forwarded.len() >= MAX_FORWARDED
            || self.forwarded_bytes + bytes > MAX_FORWARDED_BYTES;
        if full {
            return fx.answer_free(caller, Refused::Busy);
        }
        let call = send(fx);
        self.forwarded_bytes += bytes;
        self.forwarded.insert(call, Forwarded { caller, changes, bytes });
    }

    fn back(&mut self, call: CallId) -> Option<Forwarded> {
        let forwarded = self.forwarded.remove(&call)?;
        self.forwarded_bytes -= forwarded.bytes;
        Some(forwarded)
    }

    fn request(
        &mut self,
        now: Time,
        caller: Caller,
        request: Request<A::Request>,
        fx: &mut Effects<Self>,
    ) {
        match request {
            Request::Engine(request) => self.inner(now, Event::Request { caller, request }, fx),
            Request::Submit(submit) => self.submit(now, caller, submit, fx),
            Request::Query(query) => self.query(now, caller, query, fx),
            Request::Chunk(chunk) => self.load(caller, chunk, fx),
            Request::Loaded { ticket, piece } => self.loaded(ticket, piece, fx),
            Request::Saved { upto, written } => self.saved(now, caller, upto, written, fx),
            Request::Snapshot { covering } => self.want_snapshot(caller, covering, fx),
            Request::Inspect => fx.answer_free(caller, Box::new(self.status())),
            Request::Digest => {
                let state = fingerprint(0, &self.machine.freeze().write());
                fx.answer_free(caller, Digest { applied: self.applied, state });
            }
        }
    }

    fn reply(
        &mut self,
        now: Time,
        heard: protocol::Heard<Reply<A::Reply>>,
        fx: &mut Effects<Self>,
    ) {
        if let Some(Forwarded { caller, .. }) = self.back(heard.call()) {
            return match heard.take().1 {
                Reply::Done(done) => fx.answer_free(caller, done),
                Reply::Refused(refused) => fx.answer_free(caller, refused),
                _ => fx.answer_free(caller, Refused::Unknown),
            };
        }
        match heard.reply() {
            Reply::Engine(_) => {
                let heard = heard.map(|reply| match reply {
                    Reply::Engine(reply) => reply,
                    _ => unreachable!("looked at above"),
                });
                self.inner(now, Event::Reply(heard), fx);
            }
            Reply::Piece(_) => {
                if let (from, Reply::Piece(piece)) = heard.take() {
                    self.piece(from.from(), from.call(), piece, fx);
                }
            }
            // An answer to a request whose asker has been told something already.
            _ => {}
        }
    }
}

/// An agreement's reply, in the words of a replica: a refusal of a wish is a client's business.
fn worded<A: Agreement>(reply: A::Reply) -> Reply<A::Reply> {
    A::refused(&reply).map_or(Reply::Engine(reply), Reply::Refused)
}

impl<A: Agreement, M: StateMachine> Core for Replica<A, M> {
    type Request = Request<A::Request>;
    type Reply = Reply<A::Reply>;
    type Record = A::Record;
    type Output = Output;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        self.questions.begin_step();
        match event {
            Event::Request { caller, request } => self.request(now, caller, request, fx),
            Event::Reply(heard) => self.reply(now, heard, fx),
            Event::Failed { to, call } => {
                if let Some(Forwarded { caller, changes, .. }) = self.back(call) {
                    let lost = if changes { Refused::Unknown } else { Refused::NotLeading(None) };
                    fx.answer_free(caller, lost);
                } else if !self.snapshot_failed(call) {
                    self.inner(now, Event::Failed { to, call }, fx);
                }
            }
            Event::DiskHealthy(healthy) => self.inner(now, Event::DiskHealthy(healthy), fx),
            Event::Wake => {
                self.inner(now, Event::Wake, fx);
                self.answer_due(now, fx);
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.agreement.deadline().into_iter().chain(self.questions.due()).min()
    }
}
