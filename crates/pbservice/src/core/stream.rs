//! What a primary has for its backup: a queue of items, of which the front part may be on its way.

use std::collections::VecDeque;

use protocol::{CallId, Time};

use crate::{
    config::{
        BACKUP_PATIENCE, BATCH_BYTES, BATCH_ITEMS, LEAST_BYTES, QUEUE_BYTES, QUEUE_ITEMS,
        QUEUE_PIECES, QUICK, SLOW, patience,
    },
    item::{Item, Seq},
};

/// What a backup's word did to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It has what it was sent, or some of it.
    Fine,
    /// It claims what nobody sent, or lacks what it once had.
    Nonsense,
}

/// The stream of one view. One forward is under way at a time; the next goes on from what the
/// backup says it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    /// What the backup does not have yet, as far as is known.
    queue: VecDeque<Item>,
    bytes: usize,
    /// The last place that the backup has.
    acknowledged: Seq,
    /// How many of the queue are on their way.
    sent: usize,
    /// Items of the queue that carry a part of the state.
    pieces: usize,
    call: Option<CallId>,
    /// Bytes of the forward that is or was last under way, and when it left.
    load: usize,
    left: Time,
    /// Bytes of the next one, or one item.
    room: usize,
    /// The backup made progress then, or had everything until then.
    since: Time,
    /// Not before.
    pub(super) pause: Time,
}

impl Stream {
    pub(super) fn new(now: Time) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            acknowledged: Seq(0),
            sent: 0,
            pieces: 0,
            call: None,
            load: 0,
            left: now,
            room: LEAST_BYTES,
            since: now,
            pause: Time::ZERO,
        }
    }

    /// The last place there is.
    pub(super) fn last(&self) -> Seq {
        Seq(self.acknowledged.0 + self.queue.len() as u64)
    }

    /// The last place that the backup has.
    pub(super) fn acknowledged(&self) -> Seq {
        self.acknowledged
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the backup must catch up before anything more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE_ITEMS || self.bytes >= QUEUE_BYTES
    }

    /// Whether a part of the state is in it that the backup does not have, as far as is known.
    pub(super) fn has_piece(&self) -> bool {
        self.pieces > 0
    }

    /// Whether there is room for a part of the state. Each forward that leaves may bring one more
    /// into the queue, so operations in front of it delay the transfer but never stop it.
    pub(super) fn takes_piece(&self) -> bool {
        self.pieces < QUEUE_PIECES
    }

    /// Whether there is something that has not left yet: whoever waits for the last place waits
    /// for a forward that is still to come.
    pub(super) fn has_unsent(&self) -> bool {
        self.queue.len() > self.sent
    }

    /// The next place.
    pub(super) fn push(&mut self, now: Time, item: Item) {
        if self.queue.is_empty() {
            self.since = now;
        }
        self.bytes += item.bytes();
        self.pieces += usize::from(item.is_piece());
        self.queue.push_back(item);
    }

    /// Whether a forward may leave.
    pub(super) fn is_free(&self, now: Time) -> bool {
        self.call.is_none() && self.pause <= now
    }

    /// Whether a forward is under way.
    pub(super) fn is_calling(&self) -> bool {
        self.call.is_some()
    }

    /// The next forward's first place and items, if there is anything to send.
    pub(super) fn batch(&mut self) -> Option<(Seq, Vec<Item>)> {
        self.load = 0;
        let mut items = Vec::new();
        for item in self.queue.iter().take(BATCH_ITEMS) {
            if self.load >= self.room {
                break;
            }
            self.load += item.bytes();
            items.push(item.clone());
        }
        self.sent = items.len();
        (self.sent > 0).then(|| (Seq(self.acknowledged.0 + 1), items))
    }

    /// Bytes that a piece of the state may have now.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// The forward left under this name.
    pub(super) fn called(&mut self, now: Time, call: CallId) {
        (self.call, self.left) = (Some(call), now);
    }

    /// Whether this was the forward under way. It is no more.
    pub(super) fn ended(&mut self, call: CallId) -> bool {
        let ours = self.call == Some(call);
        if ours {
            self.call = None;
            self.sent = 0;
        }
        ours
    }

    /// The forward that has just ended was answered, or was not. How long that took says how much
    /// the next one may carry: a link is never given more than it can carry long before anybody's
    /// patience ends. One that was not full says nothing of larger ones.
    pub(super) fn learn(&mut self, now: Time, answered: bool) {
        let took = now.since(self.left);
        if took > SLOW {
            self.room = (self.room / 2).max(LEAST_BYTES);
        } else if answered && took <= QUICK && self.load >= self.room {
            self.room = (self.room * 2).min(BATCH_BYTES);
        }
    }

    /// The backup has everything up to `upto`.
    pub(super) fn acknowledge(&mut self, now: Time, upto: Seq) -> Told {
        if upto < self.acknowledged || upto > self.last() {
            return Told::Nonsense;
        }
        while self.acknowledged < upto {
            let Some(item) = self.queue.pop_front() else { break };
            self.bytes -= item.bytes();
            self.pieces -= usize::from(item.is_piece());
            self.acknowledged.0 += 1;
            self.since = now;
        }
        Told::Fine
    }

    /// Whether the backup has made no progress for too long. While nobody waits for it, as when it
    /// is `installing`, a large value has the time that it needs on a slow link.
    pub(super) fn is_lost(&self, now: Time, installing: bool) -> bool {
        let patience = if installing { patience(self.load) } else { BACKUP_PATIENCE };
        !self.queue.is_empty() && now.since(self.since) > patience
    }
}
