//! LIVENESS: a leader's signs of life, their echoes, and whether the leader is well.

use protocol::{CallId, Caller, Effects, Heard, NodeId, Time};

use super::{
    Paxos, Role,
    traffic::{Peer, watermark},
};
use crate::{Beat, Heartbeat, Ignored};

impl Paxos {
    /// Tells every peer that we are here, what is chosen, and the number of the latest check.
    pub(super) fn beat(&mut self, now: Time, fx: &mut Effects<Self>) {
        let chosen = watermark(&self.role, &mut self.traffic.runs_from, self.config.mode);
        let Role::Leader(leader) = &self.role else { return };
        let (ballot, check) = (leader.ballot, self.reads.check);
        let done = self.instances.done();
        for peer in &self.traffic.peers {
            let (chosen, done) = (chosen.clone(), done.clone());
            fx.send_free(peer.node, Heartbeat { ballot, chosen, check, done });
        }
        self.traffic.heartbeat_at = now.plus(self.config.heartbeat);
        self.traffic.announce_at = None;
    }

    /// A heartbeat from the leader of `ballot`.
    pub(super) fn on_heartbeat(
        &mut self,
        now: Time,
        caller: Caller,
        heartbeat: &Heartbeat,
        fx: &mut Effects<Self>,
    ) {
        let Heartbeat { ballot, ref chosen, check, ref done } = *heartbeat;
        self.election.saw(ballot);
        if ballot < self.ledger.promised {
            let nack = self.nack(None);
            return fx.answer(caller, nack.into());
        }
        self.follow(now, ballot, fx);
        self.merge_done(done, fx);
        self.conclude(ballot, chosen, fx);
        let settled = self.ledger.settled;
        let (disk_healthy, done) = (self.election.disk_healthy, self.instances.done());
        fx.answer_free(caller, Beat { ballot, check, settled, disk_healthy, done });
    }

    /// A peer echoed a heartbeat of ours.
    pub(super) fn on_beat(
        &mut self,
        now: Time,
        heard: &Heard<()>,
        beat: &Beat,
        fx: &mut Effects<Self>,
    ) {
        self.merge_done(&beat.done, fx);
        let Role::Leader(leader) = &self.role else {
            return self.ignore(Ignored::StaleBallot, fx);
        };
        if beat.ballot != leader.ballot {
            return self.ignore(Ignored::StaleBallot, fx);
        }
        if let Some(peer) = self.traffic.peer(heard.from()) {
            peer.answered = now;
            peer.broken = false;
            peer.check = peer.check.max(beat.check);
            peer.settled = peer.settled.max(beat.settled);
            peer.disk_healthy = beat.disk_healthy;
        }
        self.confirm_reads(fx);
        self.pump(heard.from(), fx);
    }

    /// A call to `to` came to nothing. It gets heartbeats only until it answers one.
    pub(super) fn accept_failed(&mut self, to: NodeId, call: CallId, fx: &mut Effects<Self>) {
        let Some(peer) = self.traffic.peer(to) else { return };
        let before = peer.in_flight.len();
        peer.in_flight.retain(|(sent, _)| *sent != call);
        if peer.in_flight.len() == before || peer.broken {
            return;
        }
        peer.broken = true;
        let chosen = watermark(&self.role, &mut self.traffic.runs_from, self.config.mode);
        if let Role::Leader(leader) = &self.role {
            let (ballot, check, done) = (leader.ballot, self.reads.check, self.instances.done());
            fx.send_free(to, Heartbeat { ballot, chosen, check, done });
        }
    }

    /// Whether this leader should be let alone: a quorum answers it, its disk works, and what it
    /// proposes gets chosen unless the others' disks are the trouble.
    pub(super) fn healthy(&self, now: Time) -> bool {
        let recent = |peer: &&Peer| now.since(peer.answered) < self.config.election_timeout;
        let answering = self.traffic.peers.iter().filter(recent).count();
        let sound = self.traffic.peers.iter().filter(recent).filter(|p| p.disk_healthy).count();
        let stalled = self
            .traffic
            .open
            .first_key_value()
            .is_some_and(|(_, since)| now.since(*since) > self.config.stall);
        let majority = self.members.majority();
        answering + 1 >= majority
            && self.election.disk_healthy
            && !(stalled && sound + 1 >= majority)
    }
}
