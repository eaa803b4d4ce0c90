//! Phase 1 from the candidate's side: when to ask whom. What the promises oblige to is `leader`'s.

use protocol::{Effects, Heard, NodeId, Time, planted};

use super::{
    Paxos, Role,
    gate::MAX_ROUND,
    leader::{Campaign, Candidate},
    traffic::Traffic,
};
use crate::{Ballot, Ignored, Output, Prepare, Promise, Record, Slot, Why};

impl Paxos {
    /// Phase 1a: a ballot of our own, above all we have heard of. Our promise of it is saved first
    /// and the desk holds the Prepare until it is durable, so no later life can use it again.
    pub(super) fn campaign(&mut self, now: Time, fx: &mut Effects<Self>) {
        let mut round = self.election.round.max(self.ledger.promised.round) + 1;
        if planted::is("ballot-reused-after-restart") {
            round = self.election.campaigns + 1;
        }
        let ballot = Ballot { round, node: self.config.me };
        if round > MAX_ROUND {
            // Only a broken node can have used the rounds up; this one keeps voting.
            self.election.suspect_at = now.plus(self.config.election_timeout);
            return;
        }
        self.election.saw(ballot);
        self.election.campaigns += 1;
        self.election.following = None;
        self.election.canvass = None;
        self.election.again.clear();
        self.election.asked.clear();
        self.election.suspect_at = now.plus(self.config.probe_timeout * 4);
        self.election.probe_at = now.plus(self.config.heartbeat);
        if !planted::is("ballot-reused-after-restart") {
            self.ledger.promise(ballot);
            fx.save(Record::Promised { ballot });
        }
        let from = self.ledger.settled;
        self.role = Role::Candidate(Candidate::new(ballot, from));
        fx.output_free(Output::Role { ballot, leads: false, why: Why::Campaign });
        for node in self.members.iter().collect::<Vec<_>>() {
            self.ask_promise(node, ballot, from, fx);
        }
    }

    pub(super) fn ask_promise(
        &mut self,
        to: NodeId,
        ballot: Ballot,
        from: Slot,
        fx: &mut Effects<Self>,
    ) {
        let call = fx.send(to, Prepare { ballot, from }.into());
        self.election.asked.push((call, to, from));
    }

    /// A promise came, or a page of one.
    pub(super) fn on_promise(
        &mut self,
        now: Time,
        heard: &Heard<()>,
        promise: Promise,
        fx: &mut Effects<Self>,
    ) {
        let Role::Candidate(candidate) = &mut self.role else {
            return self.ignore(Ignored::StaleBallot, fx);
        };
        let ballot = candidate.ballot;
        let asked = self.election.asked.iter().position(|(call, _, _)| *call == heard.call());
        let from = asked.map(|at| self.election.asked.swap_remove(at).2);
        if promise.ballot == ballot && from.is_none() {
            // A copy of a page that was counted, or of one that is asked for again. Following it
            // would double the pages under way, and each copy of those would double them again.
            return self.ignore(Ignored::Duplicate, fx);
        }
        let onward = promise.accepted.last().map(|report| report.slot).max(from);
        if promise.more.is_some_and(|next| onward.is_none_or(|from| next <= from)) {
            return self.ignore(Ignored::Absurd, fx); // Its pages lead nowhere.
        }
        self.fetching.heard_settled(heard.from(), promise.settled);
        match candidate.hear(&self.members, heard, promise, self.config.mode) {
            Campaign::Ignore(why) => self.ignore(why, fx),
            Campaign::More(next) => {
                // It is getting somewhere: a long report must not end the campaign.
                self.election.suspect_at = now.plus(self.config.probe_timeout * 4);
                self.ask_promise(heard.from(), ballot, next, fx);
            }
            Campaign::Waiting => {}
            Campaign::Won => self.elected(now, fx),
            Campaign::Hopeless => {
                self.step_down(Why::GaveUp, fx);
                self.election.suspect_at = now.plus(self.election.patience(&self.config));
            }
        }
    }

    /// Takes office with what the promises oblige to.
    fn elected(&mut self, now: Time, fx: &mut Effects<Self>) {
        let Role::Candidate(candidate) = std::mem::replace(&mut self.role, Role::Follower) else {
            return;
        };
        let leader = candidate.lead(self.config.mode);
        let (ballot, low) = (leader.ballot, leader.low);
        let batches = self.traffic.batches;
        self.traffic = Traffic::new(now, &self.config, &self.members);
        self.traffic.batches = batches;
        self.fetching.known = self.fetching.known.max(low);
        self.election.following = Some(ballot);
        // Nothing to suspect while it leads; when that ends, the moment is counted from then.
        self.election.suspect_at = Time(u64::MAX);
        self.election.progress = (self.ledger.settled, now);
        self.role = Role::Leader(leader);
        fx.output_free(Output::Role { ballot, leads: true, why: Why::Elected });
    }
}
