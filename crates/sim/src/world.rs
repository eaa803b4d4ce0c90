//! Nodes, links, disks and a clock that jumps from event to event.

mod events;

mod faults;

mod links;

mod node;

mod report;

pub mod subject;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::Duration,
};

use protocol::{CallId, Core, NodeId, Rng, Time};

use crate::{Fault, Plan};

pub use faults::Toll;
pub(crate) use node::Node;
pub use report::WATCHDOG;
pub use subject::{Io, Output, Record, Reply, Subject, View};

/// Something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When.
    pub at: Time,
    /// Where.
    pub node: NodeId,
    /// What: an invariant by name, or what a node said too early, or what never came to rest.
    pub what: String,
}

enum What<C: Core> {
    Request { from: NodeId, life: u64, to: NodeId, call: CallId, request: C::Request },
    Reply { from: NodeId, to: NodeId, life: u64, call: CallId, reply: C::Reply },
    Failed { node: NodeId, life: u64, to: NodeId, call: CallId },
    Synced { node: NodeId, life: u64, count: usize },
    Sick { node: NodeId, life: u64 },
    Wake { node: NodeId, life: u64 },
    Local { node: NodeId, ticket: u64, request: C::Request },
    Timer(u64),
    Fault(Fault),
}

struct Entry<C: Core> {
    at: Time,
    number: u64,
    /// It has waited its turn at a slow node already.
    served: bool,
    what: What<C>,
}

impl<C: Core> PartialEq for Entry<C> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<C: Core> Eq for Entry<C> {}
impl<C: Core> PartialOrd for Entry<C> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<C: Core> Ord for Entry<C> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A ticket that a peer's call was given, so that its answer finds the way back.
const PEER_TICKET: u64 = 1 << 63;
/// A sync that takes longer makes its node report a sick disk.
const SICK_AFTER: Duration = Duration::from_millis(500);

/// Nodes, links, disks and a clock.
pub struct World<S: Subject> {
    /// What is simulated.
    pub subject: S,
    nodes: BTreeMap<NodeId, Node<S::Core>>,
    plan: Plan,
    now: Time,
    heap: BinaryHeap<Reverse<Entry<S::Core>>>,
    number: u64,
    rng: Rng,
    io_rng: Rng,
    /// What is checked when must not change what happens.
    twin_rng: Rng,
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// How many groups the nodes are in, if they are.
    groups: usize,
    deaf: BTreeSet<NodeId>,
    /// Nodes whose messages get lost, per mille.
    lossy: BTreeMap<NodeId, u64>,
    /// Paths on which messages take so long.
    delayed: BTreeMap<(NodeId, NodeId), (Duration, Duration)>,
    /// Calls by peers that wait for an answer: ticket -> caller, its life, call, and who answers.
    tickets: BTreeMap<u64, (NodeId, u64, CallId)>,
    next_ticket: u64,
    /// Calls that wait for an answer: caller, its life, call -> whom, and since when.
    outstanding: BTreeMap<(NodeId, u64, CallId), (NodeId, Time)>,
    /// Events in a row without any time passing.
    crowded: u64,
    hash: u64,
    /// Events so far.
    pub events: u64,
    /// Messages put on links so far.
    pub messages: u64,
    /// Times a node lost power.
    pub crashes: u64,
    /// What was really done to the world.
    pub toll: Toll,
    transcript: Option<Vec<String>>,
}

impl<S: Subject> World<S> {
    /// A world of `nodes`, all down until [`start`](Self::start).
    pub fn new(subject: S, nodes: &[NodeId], plan: Plan) -> Self {
        let rng = Rng::new(plan.seed);
        let mut world = Self {
            subject,
            nodes: nodes.iter().map(|node| (*node, Node::new())).collect(),
            now: Time::ZERO,
            heap: BinaryHeap::new(),
            number: 0,
            io_rng: rng.fork(2),
            twin_rng: rng.fork(3),
            rng: rng.fork(1),
            cuts: BTreeSet::new(),
            groups: 0,
            deaf: BTreeSet::new(),
            lossy: BTreeMap::new(),
            delayed: BTreeMap::new(),
            tickets: BTreeMap::new(),
            next_ticket: PEER_TICKET,
            outstanding: BTreeMap::new(),
            crowded: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            events: 0,
            messages: 0,
            crashes: 0,
            toll: Toll::default(),
            transcript: None,
            plan,
        };
        for (at, fault) in world.plan.faults.clone() {
            world.push_at(at, What::Fault(fault));
        }
        world
    }

    /// Keeps a line for everything that happens, for [`transcript`](Self::transcript).
    pub fn trace(&mut self) {
        self.transcript = Some(Vec::new());
    }

    /// What happened, if [`trace`](Self::trace) was called.
    #[must_use]
    pub fn transcript(&self) -> &[String] {
        self.transcript.as_deref().unwrap_or_default()
    }

    /// A number that two runs share only if the same things happened in the same order.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// A look at all nodes.
    #[must_use]
    pub fn view(&self) -> View<'_, S::Core> {
        View { nodes: &self.nodes, now: self.now }
    }

    /// Brings every node to life and starts the subject.
    pub fn start(&mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.restart(node);
        }
        self.push(Duration::ZERO, What::Timer(0));
    }

    /// Runs the storm, then heals the world and demands rest within `patience`, which is at most
    /// [`WATCHDOG`].
    ///
    /// # Errors
    ///
    /// The first trouble.
    pub fn run(&mut self, patience: Duration) -> Result<(), Trouble> {
        self.start();
        self.run_until(self.plan.storm_until)?;
        self.calm();
        let deadline = self.now.plus(patience.min(WATCHDOG));
        loop {
            match self.subject.at_rest(&self.view()) {
                Ok(()) => return Ok(()),
                Err(what) if self.now >= deadline => {
                    return Err(self.stuck(&format!("never came to rest: {what}")));
                }
                Err(_) => self.run_until(self.now.plus(Duration::from_millis(50)))?,
            }
        }
    }

    /// Everything is healed: links, disks, pauses, dead nodes. A disk that was lost is found.
    pub fn calm(&mut self) {
        self.heap.retain(|Reverse(entry)| !matches!(entry.what, What::Fault(_)));
        self.plan.climate = crate::Climate::calm();
        self.cuts.clear();
        self.groups = 0;
        self.deaf.clear();
        self.lossy.clear();
        self.delayed.clear();
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        for node in nodes {
            self.quicken(node);
            if let Some(it) = self.nodes.get_mut(&node) {
                it.slow_until = self.now;
                it.disk_gone = false;
                it.paused_until = it.paused_until.min(self.now);
            }
            self.restart(node);
        }
    }

    /// Runs until the virtual time `end`.
    ///
    /// # Errors
    ///
    /// The first trouble.
    pub fn run_until(&mut self, end: Time) -> Result<(), Trouble> {
        while self.heap.peek().is_some_and(|Reverse(entry)| entry.at <= end) {
            if let Some(Reverse(entry)) = self.heap.pop() {
                self.pass(entry.at)?;
                self.happen(entry)?;
            }
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// Asks `node` something now, as its own process would.
    pub fn ask(&mut self, node: NodeId, ticket: u64, request: <S::Core as Core>::Request) {
        self.push(Duration::ZERO, What::Local { node, ticket, request });
    }

    /// How many records are durable at `node`.
    #[must_use]
    pub fn durable(&self, node: NodeId) -> usize {
        self.nodes.get(&node).map_or(0, |it| it.durable.len())
    }
}
