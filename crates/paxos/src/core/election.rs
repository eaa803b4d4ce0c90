//! LIVENESS ONLY: who should try to lead (PMS 2.4). Nothing here can make two values chosen.
//!
//! A follower probes its leader; only calls that it made itself and that were answered count as
//! contact, so a leader that can speak but not hear is replaced. A leader says whether it is
//! healthy; one that lost its quorum or whose disk hangs says no. Who suspects first canvasses:
//! it asks everybody, and campaigns only if a quorum answers and nobody is content with a leader.
//! So a node that comes back from a partition raises no ballot and disturbs nobody.

use std::time::Duration;

use protocol::{CallId, Caller, Effects, Heard, NodeId, Rng, Time};

use super::{Paxos, Role, gate::MAX_ROUND};
use crate::{Ballot, Config, Output, Probe, Pulse, Slot, Why};

/// A broken connection to the leader is suspicious at once; this spreads the suspicion.
const HURRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(150));

/// Canvasses in a row that one broken connection is reason for.
const BROKEN: u8 = 3;

/// How often a new ballot puts off suspicion before one of their owners has answered a probe. Two
/// nodes that can speak but not hear would otherwise depose each other for ever, and nobody else
/// would ever find the time to suspect them.
const GRACE: u8 = 3;

/// What a node believes about leaders. All of it may be wrong.
#[derive(Debug)]
pub(super) struct Election {
    rng: Rng,
    /// The highest round heard of.
    pub(super) round: u64,
    pub(super) following: Option<Ballot>,
    /// When the leader last answered a probe of ours and called itself healthy.
    pub(super) content_at: Option<Time>,
    /// When the leader becomes suspect; for a candidate, when it gives up.
    pub(super) suspect_at: Time,
    /// Ballots that may still put suspicion off before contact.
    grace: u8,
    /// Canvasses left for which a broken connection to the leader is reason enough: the others
    /// may notice a moment later that theirs broke too.
    broken: u8,
    pub(super) probe_at: Time,
    probe: Option<(CallId, Time)>,
    pub(super) canvass: Option<Canvass>,
    /// Promises to be asked for again at the next tick.
    pub(super) again: Vec<(NodeId, Slot)>,
    pub(super) asked: Vec<(CallId, NodeId, Slot)>,
    pub(super) disk_healthy: bool,
    pub(super) campaigns: u64,
    /// When a leader that still misses what was settled before it last got further.
    pub(super) progress: (Slot, Time),
}

/// Everybody is being asked whether a campaign is wanted.
#[derive(Debug)]
pub(super) struct Canvass {
    calls: Vec<CallId>,
    /// Members that answered, this one included.
    answered: usize,
    content: bool,
    until: Time,
}

impl Election {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            round: 0,
            following: None,
            content_at: None,
            broken: 0,
            suspect_at: Time::ZERO,
            grace: GRACE,
            probe_at: Time::ZERO,
            probe: None,
            canvass: None,
            again: Vec::new(),
            asked: Vec::new(),
            disk_healthy: true,
            campaigns: 0,
            progress: (Slot(0), Time::ZERO),
        }
    }

    /// A ballot was heard of: ours, if we campaign, will be higher.
    pub(super) fn saw(&mut self, ballot: Ballot) {
        self.round = self.round.max(ballot.round.min(MAX_ROUND));
    }

    /// Whom this node believes to lead.
    pub(super) fn leader(&self) -> Option<NodeId> {
        self.following.map(|ballot| ballot.node)
    }

    /// The ballot it follows.
    pub(super) fn following(&self) -> Option<Ballot> {
        self.following
    }

    /// There is reason to suspect that nobody leads: do not wait for the whole timeout.
    pub(super) fn hurry(&mut self, now: Time) {
        let soon = now.plus(self.rng.between(HURRY.0, HURRY.1));
        self.suspect_at = self.suspect_at.min(soon);
    }

    pub(super) fn patience(&mut self, config: &Config) -> Duration {
        let timeout = config.election_timeout;
        self.rng.between(timeout, timeout + timeout / 2)
    }

    /// A moment for something that everybody may want to do, spread so that few collide.
    pub(super) fn spread(&mut self, low: u64, high: u64) -> Duration {
        self.rng.between(Duration::from_millis(low), Duration::from_millis(high))
    }

    pub(super) fn deadline(&self, leads: bool, campaigns: bool) -> Time {
        if leads {
            return Time(u64::MAX);
        }
        let mut at = self.suspect_at;
        if let Some(canvass) = &self.canvass {
            at = canvass.until;
        } else if self.following.is_some() || campaigns {
            at = at.min(self.probe_at);
        }
        at
    }
}

impl Paxos {
    /// The first event of a life: wait a moment for a leader to show itself.
    pub(super) fn begin(&mut self, now: Time, fx: &mut Effects<Self>) {
        self.election.saw(self.ledger.promised);
        if self.members.len() > 1 {
            self.election.suspect_at = now.plus(self.election.spread(20, 150));
        } else {
            self.campaign(now, fx);
        }
    }

    /// The ballot of the leader this node is content with, if any.
    pub(super) fn content(&self, now: Time) -> Option<Ballot> {
        match &self.role {
            Role::Leader(leader) => self.healthy(now).then_some(leader.ballot),
            Role::Candidate(_) => None,
            Role::Follower => {
                let lately = self.election.content_at?;
                let recent = now.since(lately) < self.config.election_timeout;
                self.election.following.filter(|_| recent)
            }
        }
    }

    /// Somebody leads, or is about to, with this ballot.
    pub(super) fn follow(&mut self, now: Time, ballot: Ballot, fx: &mut Effects<Self>) {
        if self.role.ballot() == Some(ballot) || self.election.following == Some(ballot) {
            return;
        }
        if ballot.node == self.config.me {
            return; // A late word of a leadership that is over; nobody follows himself.
        }
        if self.election.following.is_some_and(|followed| followed > ballot) {
            return;
        }
        let why = if self.role.ballot().is_some() { Why::Outranked } else { Why::Found };
        self.step_down(why, fx);
        self.election.following = Some(ballot);
        self.election.content_at = None;
        let later = now.plus(self.election.patience(&self.config));
        if self.election.grace > 0 {
            self.election.grace -= 1;
            self.election.suspect_at = later;
            self.election.canvass = None;
        } else {
            self.election.suspect_at = self.election.suspect_at.min(later);
        }
        self.election.probe_at = now;
        fx.output_free(Output::Role { ballot, leads: false, why });
    }

    /// A higher ballot was promised: whatever this node led or tried to lead is over.
    pub(super) fn outranked(&mut self, now: Time, ballot: Ballot, fx: &mut Effects<Self>) {
        if ballot.node != self.config.me {
            self.follow(now, ballot, fx);
        }
    }

    /// Back to following. Whoever waits is told that nothing is certain.
    pub(super) fn step_down(&mut self, why: Why, fx: &mut Effects<Self>) {
        if self.role.ballot().is_none() {
            return;
        }
        self.role = Role::Follower;
        self.election.following = None;
        self.election.content_at = None;
        self.abandon(fx);
        self.abandon_reads(fx);
        self.abandon_forwards(fx);
        fx.output_free(Output::Role { ballot: Ballot::NONE, leads: false, why });
    }

    /// What is due for a node that does not lead.
    pub(super) fn election_due(&mut self, now: Time, fx: &mut Effects<Self>) {
        match &self.role {
            Role::Leader(leader) => {
                // NB: a leader has no deadline of its own here; its heartbeat wakes it.
                let stuck = self.ledger.settled < leader.low;
                if self.election.progress.0 != self.ledger.settled || !stuck {
                    self.election.progress = (self.ledger.settled, now);
                } else if now.since(self.election.progress.1) > self.config.stall {
                    self.step_down(Why::Stuck, fx);
                    self.campaign(now, fx);
                }
            }
            Role::Candidate(_) if now >= self.election.suspect_at => {
                self.step_down(Why::GaveUp, fx);
                self.election.suspect_at = now.plus(self.election.spread(50, 300));
            }
            Role::Candidate(candidate) => {
                if now >= self.election.probe_at {
                    let (ballot, from) = (candidate.ballot, candidate.from);
                    self.election.probe_at = now.plus(self.config.heartbeat);
                    for (to, next) in std::mem::take(&mut self.election.again) {
                        self.ask_promise(to, ballot, next.max(from), fx);
                    }
                }
            }
            Role::Follower => self.follower_due(now, fx),
        }
    }

    fn follower_due(&mut self, now: Time, fx: &mut Effects<Self>) {
        if self.election.canvass.as_ref().is_some_and(|canvass| now >= canvass.until) {
            self.canvassed(now, fx);
        }
        if self.election.canvass.is_none() && now >= self.election.suspect_at {
            self.canvass(now, fx);
        }
        if self.election.canvass.is_some() || self.role.ballot().is_some() {
            return;
        }
        if let Some(leader) = self.election.leader()
            && now >= self.election.probe_at
        {
            let call = fx.send_free(leader, Probe { canvass: false });
            self.election.probe = Some((call, now));
            self.election.probe_at = now.plus(self.config.heartbeat);
        }
    }

    /// Asks everybody before it raises a ballot.
    fn canvass(&mut self, now: Time, fx: &mut Effects<Self>) {
        if !self.election.disk_healthy {
            self.election.suspect_at = now.plus(self.config.election_timeout);
            return;
        }
        let others = self.members.iter().filter(|node| *node != self.config.me);
        let calls = others.map(|node| fx.send_free(node, Probe { canvass: true })).collect();
        let until = now.plus(self.config.probe_timeout);
        self.election.canvass = Some(Canvass { calls, answered: 1, content: false, until });
        if self.members.len() == 1 {
            self.canvassed(now, fx);
        }
    }

    /// Everybody answered, or had the time to.
    fn canvassed(&mut self, now: Time, fx: &mut Effects<Self>) {
        let Some(canvass) = self.election.canvass.take() else { return };
        if canvass.content {
            self.election.suspect_at = now.plus(self.election.patience(&self.config));
            if self.election.broken > 0 {
                self.election.broken -= 1;
                self.election.hurry(now);
            }
        } else if canvass.answered >= self.members.majority() {
            self.campaign(now, fx);
        } else {
            self.election.suspect_at = now.plus(self.election.spread(50, 150));
        }
    }

    /// Somebody asks how things are.
    pub(super) fn on_probe(&mut self, now: Time, caller: Caller, fx: &mut Effects<Self>) {
        let asker = caller.peer();
        // Being content with the asker itself is no reason for it not to campaign.
        let content = self.content(now).filter(|ballot| Some(ballot.node) != asker);
        let ballot = self.ledger.promised;
        fx.answer_free(caller, Pulse { ballot, content, settled: self.ledger.settled });
    }

    /// A probe or a canvass was answered.
    pub(super) fn on_pulse(
        &mut self,
        now: Time,
        heard: &Heard<()>,
        pulse: &Pulse,
        fx: &mut Effects<Self>,
    ) {
        self.election.saw(pulse.ballot);
        self.fetching.heard_settled(heard.from(), pulse.settled);
        let call = heard.call();
        if self.election.probe.is_some_and(|(probe, _)| probe == call) {
            self.election.probe = None;
        }
        if let Some(canvass) = &mut self.election.canvass
            && canvass.calls.contains(&call)
        {
            canvass.calls.retain(|asked| *asked != call);
            canvass.answered += 1;
            canvass.content |= pulse.content.is_some();
            if canvass.calls.is_empty() {
                self.canvassed(now, fx);
            }
        }
        let Some(ballot) = pulse.content else { return };
        if self.role.ballot().is_none_or(|mine| mine < ballot) {
            self.follow(now, ballot, fx);
            if ballot.node == heard.from() && self.election.following == Some(ballot) {
                self.election.content_at = Some(now);
                self.election.grace = GRACE;
                self.election.broken = 0;
                self.election.suspect_at = now.plus(self.election.patience(&self.config));
            }
        }
    }

    /// A call of the election failed. A quick failure of a probe means a broken connection.
    pub(super) fn election_failed(
        &mut self,
        now: Time,
        to: NodeId,
        call: CallId,
        fx: &mut Effects<Self>,
    ) {
        if let Some((probe, sent)) = self.election.probe
            && probe == call
        {
            self.election.probe = None;
            if now.since(sent) < self.config.probe_timeout / 2 {
                // Refused or reset: whatever it said before, it is not there now.
                self.election.content_at = None;
                self.election.broken = BROKEN;
                self.election.hurry(now);
            }
        }
        if let Some(canvass) = &mut self.election.canvass
            && canvass.calls.contains(&call)
        {
            canvass.calls.retain(|asked| *asked != call);
            if canvass.calls.is_empty() {
                self.canvassed(now, fx);
            }
        }
        if let Some(at) = self.election.asked.iter().position(|(asked, _, _)| *asked == call) {
            let (_, _, from) = self.election.asked.swap_remove(at);
            self.election.again.push((to, from));
        }
    }
}
