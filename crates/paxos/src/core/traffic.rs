//! LIVENESS: when a leader proposes, to whom it sends, and what it does about silence.
//!
//! Batches form by themselves: commands queue while the window is full, and whatever has queued
//! when a place comes free becomes one value. A slow peer never holds up the others: beyond its
//! own window it is skipped, and it catches up by asking for what it missed.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use protocol::{CallId, Caller, Effects, Heard, NodeId, Time};

use super::{Paxos, Role, quorum::Members};
use crate::{
    Accept, Accepted, Config, Ignored, Mode, Nack, Refusal, Slot, Told, Value, Watermark, Why,
    batch, message::MAX_RUNS,
};

/// Who waits for a command.
#[derive(Debug)]
pub(super) enum Waiter {
    /// Answered here, with the slot.
    Appended(Caller),
    /// Handed to the layer above, with the decision.
    Proposed(Caller),
}

/// What a leader knows of one other member.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    position: usize,
    pub(super) in_flight: Vec<(CallId, Slot)>,
    /// When it last answered a call of ours.
    pub(super) answered: Time,
    /// The highest leadership check it echoed.
    pub(super) check: u64,
    pub(super) settled: Slot,
    pub(super) disk_healthy: bool,
    /// A call to it failed, and nothing has succeeded since: it gets heartbeats only.
    pub(super) broken: bool,
}

/// What a leader keeps moving. Empty on everybody else.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) queue: VecDeque<(Bytes, Waiter)>,
    queue_bytes: usize,
    waiting: VecDeque<(Slot, Vec<Waiter>)>,
    /// Proposals not yet chosen, and when they were made.
    pub(super) open: BTreeMap<Slot, Time>,
    pub(super) peers: Vec<Peer>,
    pub(super) heartbeat_at: Time,
    /// When the watermark is told even if nothing follows that could carry it.
    pub(super) announce_at: Option<Time>,
    pub(super) runs_from: Slot,
    /// Behind the highest proposal.
    next: Slot,
    pub(super) batches: (u64, u64),
    /// Commands in the latest batch.
    last_batch: usize,
}

impl Traffic {
    /// A fresh leader's: everybody has the benefit of the doubt.
    pub(super) fn new(now: Time, config: &Config, members: &Members) -> Self {
        let peers = members
            .iter()
            .enumerate()
            .filter(|(_, node)| *node != config.me)
            .map(|(position, node)| Peer {
                node,
                position,
                in_flight: Vec::new(),
                answered: now,
                check: 0,
                settled: Slot(0),
                disk_healthy: true,
                broken: false,
            })
            .collect();
        Self { peers, heartbeat_at: now, ..Self::default() }
    }

    pub(super) fn peer(&mut self, node: NodeId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.node == node)
    }

    /// Proposals that may still be opened. In a log one stuck slot also stops the others after a
    /// while: nothing behind it can be handed out, and a successor has to fill in between.
    pub(super) fn room(&self, config: &Config) -> bool {
        match config.mode {
            Mode::Append => {
                let oldest = self.open.first_key_value().map_or(self.next, |(slot, _)| *slot);
                self.open.len() < config.window && self.next.0 - oldest.0 < config.undecided as u64
            }
            Mode::Explicit => self.open.len() < config.undecided,
        }
    }
}

impl Traffic {
    /// Whether what has queued should take a slot now: at once if nothing is under way, else when
    /// it is at least half of the last batch. A slot costs everybody a message and a share of a
    /// sync; slots opened for a handful of commands while another is under way only make batches
    /// smaller for the same load.
    fn worth_a_slot(&self) -> bool {
        let queued = self.queue.len();
        queued > 0 && (self.open.is_empty() || queued * 2 >= self.last_batch)
    }
}

impl Paxos {
    /// A command for the log, from the own process or the layer above.
    pub(super) fn on_append(&mut self, command: Bytes, waiter: Waiter, fx: &mut Effects<Self>) {
        let Role::Leader(_) = &self.role else {
            let refusal = Refusal::NotLeading(self.election.leader());
            return refuse(waiter, refusal, fx);
        };
        if self.config.mode != Mode::Append {
            return refuse(waiter, Refusal::WrongDoor, fx);
        }
        if command.len() > crate::config::MAX_VALUE {
            return refuse(waiter, Refusal::TooLarge, fx);
        }
        let full = self.traffic.queue.len() >= self.config.queue_commands
            || self.traffic.queue_bytes + command.len() > self.config.queue_bytes;
        if full {
            return refuse(waiter, Refusal::Busy, fx);
        }
        self.traffic.queue_bytes += command.len();
        self.traffic.queue.push_back((command, waiter));
    }

    /// Whether something waits that could be proposed at once.
    pub(super) fn proposals_wait(&self) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let worth = self.traffic.worth_a_slot() || leader.owes();
        worth && self.traffic.room(&self.config)
    }

    /// Fills the window: first what the takeover obliges to, then what has queued.
    pub(super) fn propose_due(&mut self, now: Time, fx: &mut Effects<Self>) {
        while self.proposals_wait() {
            let Role::Leader(leader) = &mut self.role else { return };
            if let Some((slot, value)) = leader.next_duty() {
                self.propose(now, slot, value, Vec::new(), fx);
            } else if self.traffic.worth_a_slot() {
                let slot = leader.next;
                let (value, waiters) = self.next_batch();
                self.propose(now, slot, value, waiters, fx);
            }
        }
    }

    /// Everything that has queued, up to the limits of one slot.
    fn next_batch(&mut self) -> (Value, Vec<Waiter>) {
        let queue = &mut self.traffic.queue;
        let mut bytes = 0;
        let mut count = 0;
        for (command, _) in queue.iter().take(self.config.batch_commands) {
            if count > 0 && bytes + command.len() > self.config.batch_bytes {
                break;
            }
            bytes += command.len();
            count += 1;
        }
        let packed = batch::pack(BatchIter { queue: queue.iter().take(count), left: count });
        self.traffic.queue_bytes -= bytes;
        self.traffic.last_batch = count;
        self.traffic.batches.0 += 1;
        self.traffic.batches.1 += count as u64;
        let waiters = queue.drain(..count).map(|(_, waiter)| waiter).collect();
        (Value::Data(packed), waiters)
    }

    /// Proposes one value and asks everybody to accept it, this node among them.
    pub(super) fn propose(
        &mut self,
        now: Time,
        slot: Slot,
        value: Value,
        waiters: Vec<Waiter>,
        fx: &mut Effects<Self>,
    ) {
        let Role::Leader(leader) = &mut self.role else { return };
        leader.propose(&self.members, slot, value.clone());
        let ballot = leader.ballot;
        let chosen = watermark(&self.role, &mut self.traffic.runs_from, self.config.mode);
        self.traffic.open.insert(slot, now);
        self.traffic.next = self.traffic.next.max(slot.next());
        if !waiters.is_empty() {
            self.traffic.waiting.push_back((slot, waiters));
        }
        let accept = Accept { ballot, slot, value, chosen };
        for peer in &mut self.traffic.peers {
            if !peer.broken && peer.in_flight.len() < self.config.peer_window {
                let call = fx.send_free(peer.node, accept.clone());
                peer.in_flight.push((call, slot));
            }
        }
        fx.send_free(self.config.me, accept);
        self.traffic.announce_at = None;
    }

    /// Sends a peer what is open and neither voted for nor under way, as far as its window goes.
    pub(super) fn pump(&mut self, node: NodeId, fx: &mut Effects<Self>) {
        let chosen = watermark(&self.role, &mut self.traffic.runs_from, self.config.mode);
        let Role::Leader(leader) = &self.role else { return };
        let window = self.config.peer_window;
        let Some(peer) = self.traffic.peer(node) else { return };
        for (slot, tally) in leader.undecided() {
            if peer.broken || peer.in_flight.len() >= window {
                return;
            }
            let under_way = peer.in_flight.iter().any(|(_, sent)| *sent == slot);
            if under_way || tally.votes.has(peer.position) {
                continue;
            }
            let (ballot, value) = (leader.ballot, tally.value.clone());
            let accept = Accept { ballot, slot, value, chosen: chosen.clone() };
            let call = fx.send_free(peer.node, accept);
            peer.in_flight.push((call, slot));
        }
    }

    /// Phase 2, the votes come in. A quorum of durable ones makes the value chosen (PMS 2.2).
    pub(super) fn on_accepted(
        &mut self,
        now: Time,
        heard: &Heard<()>,
        accepted: &Accepted,
        fx: &mut Effects<Self>,
    ) {
        let Role::Leader(leader) = &mut self.role else {
            return self.ignore(Ignored::StaleBallot, fx);
        };
        if let Some(peer) = self.traffic.peer(heard.from()) {
            peer.answered = now;
            peer.broken = false;
            peer.settled = peer.settled.max(accepted.settled);
            peer.in_flight.retain(|(call, _)| *call != heard.call());
        }
        match leader.count(&self.members, heard, accepted) {
            Err(why) => self.ignore(why, fx),
            Ok(false) => {}
            Ok(true) => self.chosen(now, accepted.slot, fx),
        }
        if !self.traffic.open.is_empty() {
            self.pump(heard.from(), fx);
        }
    }

    /// A slot of ours was chosen: hand it out, move the watermark.
    fn chosen(&mut self, now: Time, slot: Slot, fx: &mut Effects<Self>) {
        let Role::Leader(leader) = &self.role else { return };
        let Some(value) = leader.tally(slot).map(|tally| tally.value.clone()) else { return };
        self.traffic.open.remove(&slot);
        self.learn(slot, &value, fx);
        if let Role::Leader(leader) = &mut self.role {
            leader.advance();
        }
        let at = now.plus(self.config.linger);
        self.traffic.announce_at = Some(self.traffic.announce_at.unwrap_or(at));
    }

    /// Who waited for `slot`, now that it is handed out. Nobody is told *done* unless it was this
    /// leadership's own proposal that was chosen.
    pub(super) fn redeem(&mut self, slot: Slot, fx: &mut Effects<Self>) -> Vec<Option<Caller>> {
        let Some((first, _)) = self.traffic.waiting.front() else { return Vec::new() };
        if *first != slot {
            return Vec::new();
        }
        let Role::Leader(leader) = &self.role else { return Vec::new() };
        let ours = leader.chose(slot);
        let Some((_, waiters)) = self.traffic.waiting.pop_front() else { return Vec::new() };
        let mut callers = Vec::new();
        let count = waiters.len();
        for (place, waiter) in waiters.into_iter().enumerate() {
            match waiter {
                Waiter::Proposed(caller) if ours => {
                    callers.reserve(count - callers.len());
                    callers.resize_with(place, || None);
                    callers.push(Some(caller));
                }
                Waiter::Appended(caller) if ours => fx.answer_free(caller, Told::Appended(slot)),
                waiter => refuse(waiter, Refusal::Unknown, fx),
            }
        }
        callers
    }

    /// A member refused: it has promised more, or what we proposed is settled there.
    pub(super) fn on_nack(
        &mut self,
        now: Time,
        heard: &Heard<()>,
        nack: &Nack,
        fx: &mut Effects<Self>,
    ) {
        self.election.saw(nack.promised);
        if let Some(peer) = self.traffic.peer(heard.from()) {
            peer.answered = now;
            peer.in_flight.retain(|(call, _)| *call != heard.call());
        }
        if let Some((slot, value)) = &nack.chosen {
            self.learn(*slot, value, fx);
        }
        if self.role.ballot().is_some_and(|ballot| nack.promised > ballot) {
            self.step_down(Why::Outranked, fx);
            self.election.hurry(now);
        } else if let Role::Leader(leader) = &mut self.role {
            leader.settled_elsewhere(nack.settled);
            let low = leader.low;
            self.fetching.known = self.fetching.known.max(low);
            self.close_below(low, fx);
        }
    }

    /// Gives up everything that a leader kept moving. What was proposed may yet be chosen; what
    /// only queued certainly was not.
    pub(super) fn abandon(&mut self, fx: &mut Effects<Self>) {
        let leader = self.election.leader();
        let traffic = std::mem::take(&mut self.traffic);
        for (_, waiters) in traffic.waiting {
            waiters.into_iter().for_each(|waiter| refuse(waiter, Refusal::Unknown, fx));
        }
        for (_, waiter) in traffic.queue {
            refuse(waiter, Refusal::NotLeading(leader), fx);
        }
        self.traffic.batches = traffic.batches;
    }

    /// What was proposed below `low` and is still open was settled by somebody else, perhaps with
    /// another value: it is not waited for any more.
    pub(super) fn close_below(&mut self, low: Slot, fx: &mut Effects<Self>) {
        self.traffic.open = self.traffic.open.split_off(&low);
        while self.traffic.waiting.front().is_some_and(|(slot, _)| *slot < low) {
            if let Some((_, waiters)) = self.traffic.waiting.pop_front() {
                waiters.into_iter().for_each(|waiter| refuse(waiter, Refusal::Unknown, fx));
            }
        }
    }
}

/// What a leader may say is chosen, continuing its list of runs where the last one ended.
pub(super) fn watermark(role: &Role, runs_from: &mut Slot, mode: Mode) -> Watermark {
    let Role::Leader(leader) = role else { return Watermark::default() };
    let watermark = leader.watermark(mode, *runs_from);
    *runs_from = match watermark.runs.last() {
        Some((_, end)) if watermark.runs.len() == MAX_RUNS => *end,
        _ => Slot(0),
    };
    watermark
}

fn refuse(waiter: Waiter, refusal: Refusal, fx: &mut Effects<Paxos>) {
    let (Waiter::Appended(caller) | Waiter::Proposed(caller)) = waiter;
    fx.answer_free(caller, Told::Refused(refusal));
}

/// The commands at the front of the queue, counted, so that they can be packed in one go.
#[derive(Clone)]
struct BatchIter<'a> {
    queue: std::iter::Take<std::collections::vec_deque::Iter<'a, (Bytes, Waiter)>>,
    left: usize,
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = &'a Bytes;

    fn next(&mut self) -> Option<Self::Item> {
        let (command, _) = self.queue.next()?;
        self.left -= 1;
        Some(command)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for BatchIter<'_> {}
