//! Reads that see every write acknowledged before them, without a disk and without a clock.
//!
//! A read notes how far the log was when it came, then waits for proof that this node still led
//! *after* it came: a quorum that echoes a leadership check begun later, none of it having
//! promised a higher ballot. A check has a number of its own that only rises within a ballot; it
//! is never a request's number, which a late echo of an older check could confirm by mistake.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::{Caller, Effects, Time};

use super::{Paxos, Role};
use crate::{Mode, Output, Refusal, Slot, Told};

/// One read under way: it may be answered once everything below `upto` has been handed out.
#[derive(Debug)]
struct Read {
    upto: Slot,
    caller: Caller,
    /// The words of the layer above, if the answer is its business.
    query: Option<Bytes>,
}

/// The reads of a leader.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The number of the latest check begun.
    pub(super) check: u64,
    arrived: Vec<Read>,
    checking: VecDeque<(u64, Vec<Read>)>,
    confirmed: VecDeque<Read>,
    /// How many wait, and the bytes of their words.
    waiting: usize,
    waiting_bytes: usize,
}

impl Reads {
    /// Whether a check should be begun at once: reads have come, and none is under way.
    pub(super) fn ready(&self) -> bool {
        !self.arrived.is_empty() && self.checking.is_empty()
    }
}

impl Paxos {
    /// A read came, from the own process or the layer above.
    pub(super) fn on_read(&mut self, caller: Caller, query: Option<Bytes>, fx: &mut Effects<Self>) {
        let bytes = query.as_ref().map_or(0, Bytes::len);
        let full = self.reads.waiting >= self.config.queue_commands
            || self.reads.waiting_bytes + bytes > self.config.queue_bytes;
        let refusal = match &self.role {
            _ if self.config.mode != Mode::Append => Refusal::WrongDoor,
            Role::Leader(_) if full => Refusal::Busy,
            Role::Leader(leader) => {
                // Everything acknowledged so far lies below: by this leadership below its
                // watermark, by an earlier one below the end of the takeover.
                let upto = leader.commit.max(leader.high).max(self.ledger.settled);
                self.reads.waiting += 1;
                self.reads.waiting_bytes += bytes;
                self.reads.arrived.push(Read { upto, caller, query });
                return;
            }
            _ => Refusal::NotLeading(self.election.leader()),
        };
        fx.answer_free(caller, Told::Refused(refusal));
    }

    /// Begins a check for all reads that have come: one for many.
    pub(super) fn check_due(&mut self, now: Time, fx: &mut Effects<Self>) {
        if self.reads.ready() {
            self.reads.check += 1;
            let arrived = std::mem::take(&mut self.reads.arrived);
            self.reads.checking.push_back((self.reads.check, arrived));
            self.beat(now, fx);
            self.confirm_reads(fx);
        }
    }

    /// A peer echoed a check: reads that came before it began may have a quorum now. This node
    /// counts itself: while it leads it has promised nothing higher.
    pub(super) fn confirm_reads(&mut self, fx: &mut Effects<Self>) {
        while let Some((check, _)) = self.reads.checking.front() {
            let echoed = self.traffic.peers.iter().filter(|peer| peer.check >= *check).count();
            if echoed + 1 < self.members.majority() {
                break;
            }
            if let Some((_, reads)) = self.reads.checking.pop_front() {
                self.reads.confirmed.extend(reads);
            }
        }
        self.deliver_reads(fx);
    }

    /// Answers confirmed reads whose slots have all been handed out.
    pub(super) fn deliver_reads(&mut self, fx: &mut Effects<Self>) {
        while self.reads.confirmed.front().is_some_and(|read| read.upto <= self.delivered) {
            let Some(Read { caller, query, .. }) = self.reads.confirmed.pop_front() else { return };
            self.reads.waiting -= 1;
            self.reads.waiting_bytes -= query.as_ref().map_or(0, Bytes::len);
            match query {
                Some(query) => fx.output_free(Output::Readable { caller, query }),
                None => fx.answer_free(caller, Told::Readable(self.delivered)),
            }
        }
    }

    /// Leadership is over: nothing can be confirmed any more.
    pub(super) fn abandon_reads(&mut self, fx: &mut Effects<Self>) {
        let refusal = Refusal::NotLeading(self.election.leader());
        let Reads { arrived, checking, confirmed, .. } = std::mem::take(&mut self.reads);
        let checking = checking.into_iter().flat_map(|(_, reads)| reads);
        for read in arrived.into_iter().chain(checking).chain(confirmed) {
            fx.answer_free(read.caller, Told::Refused(refusal));
        }
    }
}
