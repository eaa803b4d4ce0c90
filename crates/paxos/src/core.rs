//! Paxos: dispatch only, the roles side by side. Each role has a file; safety and liveness have
//! different ones.

mod acceptor;
mod campaign;
mod catchup;
mod election;
mod gate;
mod heartbeat;
mod instances;
mod leader;
mod learner;
mod ledger;
mod quorum;
mod reads;
mod shelf;
mod traffic;

#[cfg(test)]
mod tests;

use protocol::{Caller, Core, Effects, Event, Lsn, NodeId, Time};

pub use leader::{Candidate, Leader};
pub use ledger::{Entry, Ledger};
pub use quorum::{Members, Votes};

use crate::{Config, ConfigError, Ignored, Output, Record, Reply, Request, Slot, Status, Told};
use catchup::Fetching;
use election::Election;
use instances::Instances;
use reads::Reads;
use shelf::Shelf;
use traffic::{Traffic, Waiter};

/// What a node is to the others at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It votes and learns.
    Follower,
    /// It has promised itself a ballot and asks for promises.
    Candidate(Candidate),
    /// A quorum has promised: it proposes.
    Leader(Leader),
}

impl Role {
    /// The ballot of its own that it campaigns or leads with.
    #[must_use]
    pub fn ballot(&self) -> Option<crate::Ballot> {
        match self {
            Self::Follower => None,
            Self::Candidate(candidate) => Some(candidate.ballot),
            Self::Leader(leader) => Some(leader.ballot),
        }
    }
}

/// One node of a Multi-Paxos group.
#[derive(Debug)]
pub struct Paxos {
    config: Config,
    members: Members,
    // Safety.
    ledger: Ledger,
    role: Role,
    // Liveness and bookkeeping.
    election: Election,
    traffic: Traffic,
    reads: Reads,
    fetching: Fetching,
    instances: Instances,
    shelf: Shelf,
    /// Slots below were handed to the layer above.
    delivered: Slot,
    /// Empty between steps; kept for its room.
    fresh: Vec<Slot>,
    /// The snapshot that the layer above has, and what it covers.
    snapshot: Option<Slot>,
    born: bool,
}

impl Paxos {
    /// A node with the memory of its earlier lives: every record it saved and was not told to
    /// forget, in order, each with its number. `applied` is what the layer above already has
    /// (from its snapshot): decisions start there. `seed` must differ from life to life.
    ///
    /// # Errors
    ///
    /// If the configuration cannot work.
    pub fn recover(
        config: Config,
        seed: u64,
        applied: Slot,
        records: impl IntoIterator<Item = (Lsn, Record)>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut ledger = Ledger::default();
        let mut shelf = Shelf::default();
        let mut snapshot = None;
        let mut instances = Instances::default();
        for (lsn, record) in records {
            ledger.replay(&record);
            shelf.replay(lsn, &record, ledger.floor);
            match record {
                Record::Checkpoint { snapshot: covers, .. } => snapshot = covers,
                Record::Accepted { slot, .. } | Record::Learned { slot, .. } => {
                    instances.heard_of(slot);
                }
                Record::Promised { .. } => {}
            }
        }
        ledger.advance();
        let members = Members::new(config.members.clone());
        let delivered = applied.max(ledger.floor);
        // The layer above may have finished its snapshot just before the crash, untold here.
        let snapshot = snapshot.max((applied > Slot(0)).then_some(applied));
        Ok(Self {
            members,
            ledger,
            role: Role::Follower,
            election: Election::new(seed),
            traffic: Traffic::default(),
            reads: Reads::default(),
            fetching: Fetching::default(),
            instances,
            shelf,
            delivered,
            fresh: Vec::new(),
            snapshot,
            born: false,
            config,
        })
    }

    /// The safety state, to check and to hash.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What this node is at the moment.
    #[must_use]
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Slots below were handed to the layer above.
    #[must_use]
    pub fn delivered(&self) -> Slot {
        self.delivered
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Whom this node believes to lead.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.election.leader()
    }

    /// How this node is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let role = match self.role {
            Role::Follower => "follower",
            Role::Candidate(_) => "candidate",
            Role::Leader(_) => "leader",
        };
        Status {
            me: self.config.me,
            role: role.to_owned(),
            ballot: self.role.ballot().or(self.election.following()).unwrap_or_default(),
            leader: self.election.leader(),
            promised: self.ledger.promised,
            settled: self.ledger.settled,
            delivered: self.delivered,
            floor: self.ledger.floor,
            undecided: self.traffic.open.len() as u64,
            queued: self.traffic.queue.len() as u64,
            peers: self.traffic.peers.iter().map(|peer| (peer.node, peer.settled)).collect(),
            campaigns: self.election.campaigns,
            batches: self.traffic.batches,
        }
    }

    pub(crate) fn ignore(&mut self, why: Ignored, fx: &mut Effects<Self>) {
        fx.output_free(Output::Ignored(why));
    }

    fn request(&mut self, now: Time, caller: Caller, request: Request, fx: &mut Effects<Self>) {
        if caller.peer().is_some_and(|peer| self.members.position(peer).is_none()) {
            return self.ignore(Ignored::Stranger, fx);
        }
        if let Err(why) = gate::request(caller.peer(), &request) {
            return self.ignore(why, fx);
        }
        match request {
            Request::Prepare(prepare) => self.on_prepare(now, caller, &prepare, fx),
            Request::Accept(accept) => self.on_accept(now, caller, accept, fx),
            Request::Heartbeat(heartbeat) => self.on_heartbeat(now, caller, &heartbeat, fx),
            Request::Probe(_) => self.on_probe(now, caller, fx),
            Request::Fetch(fetch) => self.on_fetch(caller, &fetch, fx),
            Request::Forward(forward) => self.on_forward(now, caller, forward, fx),
            Request::Append(command) => self.on_append(command, Waiter::Appended(caller), fx),
            Request::Propose(command) => self.on_append(command, Waiter::Proposed(caller), fx),
            Request::Barrier => self.on_read(caller, None, fx),
            Request::Ask(query) => self.on_read(caller, Some(query), fx),
            Request::Start(slot, value) => self.on_start(now, caller, slot, value, fx),
            Request::Fate(slot) => self.on_fate(caller, slot, fx),
            Request::Done(slot) => self.on_done(caller, slot, fx),
            Request::Bounds => self.on_bounds(caller, fx),
            Request::Compact(upto) => self.on_compact(caller, upto, fx),
            Request::Install(upto) => self.on_install(caller, upto, fx),
            Request::Inspect => fx.answer_free(caller, Told::Status(Box::new(self.status()))),
        }
    }

    fn due(&mut self, now: Time, fx: &mut Effects<Self>) {
        if !self.born {
            self.born = true;
            if self.delivered > self.ledger.settled {
                // The snapshot covers slots that were not known chosen here, or not durably so.
                self.raise_floor(self.delivered, fx);
            }
            self.begin(now, fx);
            self.deliver(&[], fx);
        }
        self.election_due(now, fx);
        self.starts_due(now, fx);
        if self.leads() {
            self.propose_due(now, fx);
            self.check_due(now, fx);
            let announce = self.traffic.announce_at.is_some_and(|at| at <= now);
            if announce || self.traffic.heartbeat_at <= now {
                self.beat(now, fx);
            }
        }
        self.fetch_due(now, fx);
    }
}

impl Core for Paxos {
    type Request = Request;
    type Reply = Reply;
    type Record = Record;
    type Output = Output;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Request { caller, request } => self.request(now, caller, request, fx),
            Event::Reply(heard) => {
                let (heard, reply) = heard.take();
                if let Err(why) = gate::reply(&reply) {
                    return self.ignore(why, fx);
                }
                match reply {
                    Reply::Promise(promise) => self.on_promise(now, &heard, promise, fx),
                    Reply::Accepted(accepted) => self.on_accepted(now, &heard, &accepted, fx),
                    Reply::Beat(beat) => self.on_beat(now, &heard, &beat, fx),
                    Reply::Nack(nack) => self.on_nack(now, &heard, &nack, fx),
                    Reply::Pulse(pulse) => self.on_pulse(now, &heard, &pulse, fx),
                    Reply::Fetched(fetched) => self.on_fetched(&heard, fetched, fx),
                    Reply::Outcome(outcome) => self.on_outcome(now, &heard, &outcome, fx),
                    Reply::Told(_) => self.ignore(Ignored::Unasked, fx),
                }
            }
            Event::Failed { to, call } => {
                self.election_failed(now, to, call, fx);
                self.accept_failed(to, call, fx);
                self.fetch_failed(call);
                self.forward_failed(now, call);
            }
            Event::DiskHealthy(healthy) => self.election.disk_healthy = healthy,
            Event::Wake => self.due(now, fx),
        }
    }

    fn deadline(&self) -> Option<Time> {
        if !self.born {
            return Some(Time::ZERO);
        }
        let campaigns = matches!(self.role, Role::Candidate(_));
        let mut at = self.election.deadline(self.leads(), campaigns);
        if self.leads() {
            if self.proposals_wait() || self.reads.ready() {
                return Some(Time::ZERO);
            }
            at = at.min(self.traffic.heartbeat_at);
            at = self.traffic.announce_at.map_or(at, |announce| at.min(announce));
        }
        at = self.instances.deadline().map_or(at, |retry| at.min(retry));
        at = self.fetch_deadline().map_or(at, |fetch| at.min(fetch));
        Some(at)
    }
}
