//! Nodes, links, disks and a clock that jumps from event to event.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::Duration,
};

use protocol::{CallId, Core, Desk, Lsn, NodeId, Rng, Time, Word};

use crate::{Fault, Plan};

/// What is simulated: how its nodes come to life, who uses them, and what must always be true.
pub trait Subject {
    /// The machine under test.
    type Core: Core;

    /// A node's next life, from what its disk kept. `seed` is new in each life.
    fn recover(&mut self, node: NodeId, seed: u64, records: Vec<Record<Self::Core>>) -> Self::Core;

    /// A node announced something. What the layer above would do comes in through `io`.
    fn output(&mut self, node: NodeId, output: Output<Self::Core>, io: &mut Io<Self::Core>);

    /// A client's request was answered.
    fn answer(&mut self, ticket: u64, reply: Reply<Self::Core>, io: &mut Io<Self::Core>);

    /// A timer set through `io` went off. Token 0 goes off once at the beginning.
    fn tick(&mut self, token: u64, io: &mut Io<Self::Core>);

    /// A node lost power: what the layer above had not written down is gone.
    fn crashed(&mut self, _node: NodeId) {}

    /// May this word leave, given what is durable on the speaker's disk at this instant?
    ///
    /// # Errors
    ///
    /// A sentence saying what was spoken before it was saved.
    fn witness(
        &mut self,
        node: NodeId,
        word: &Word<Self::Core>,
        durable: &[Record<Self::Core>],
    ) -> Result<(), String>;

    /// Called after every event that touched `node`.
    ///
    /// # Errors
    ///
    /// The name of the invariant that is broken, and how.
    fn check(&mut self, node: NodeId, view: &View<'_, Self::Core>) -> Result<(), String>;

    /// After the storm: has everything that was asked been answered, and does everybody agree?
    ///
    /// # Errors
    ///
    /// What is still missing.
    fn at_rest(&self, view: &View<'_, Self::Core>) -> Result<(), String>;
}

/// A record and its number.
pub type Record<C> = (Lsn, <C as Core>::Record);
/// What a core announces.
pub type Output<C> = <C as Core>::Output;
/// What a core answers.
pub type Reply<C> = <C as Core>::Reply;

/// What a subject may do to the world from outside a node.
pub struct Io<C: Core> {
    /// The virtual time.
    pub now: Time,
    /// The subject's own chance.
    pub rng: Rng,
    requests: Vec<(Duration, NodeId, u64, C::Request)>,
    timers: Vec<(Duration, u64)>,
}

impl<C: Core> Io<C> {
    /// Asks `node` something after `delay`, as its own process or a client would. If it is down
    /// then, nobody answers.
    pub fn request(&mut self, delay: Duration, node: NodeId, ticket: u64, request: C::Request) {
        self.requests.push((delay, node, ticket, request));
    }

    /// Calls [`Subject::tick`] with `token` after `delay`.
    pub fn timer(&mut self, delay: Duration, token: u64) {
        self.timers.push((delay, token));
    }
}

/// A look at all nodes at once.
pub struct View<'a, C: Core> {
    nodes: &'a BTreeMap<NodeId, Node<C>>,
    /// The virtual time.
    pub now: Time,
}

impl<C: Core> View<'_, C> {
    /// The core of `node`, if it is up.
    #[must_use]
    pub fn core(&self, node: NodeId) -> Option<&C> {
        self.nodes.get(&node)?.desk.as_ref().map(Desk::core)
    }

    /// Every node that is up, and its core.
    pub fn cores(&self) -> impl Iterator<Item = (NodeId, &C)> {
        self.nodes.iter().filter_map(|(node, it)| Some((*node, it.desk.as_ref()?.core())))
    }

    /// What is durable on the disk of `node`.
    #[must_use]
    pub fn durable(&self, node: NodeId) -> &[Record<C>] {
        self.nodes.get(&node).map_or(&[], |it| &it.durable)
    }

    /// Whether every node is up.
    #[must_use]
    pub fn all_up(&self) -> bool {
        self.nodes.values().all(|node| node.desk.is_some())
    }
}

pub(crate) struct Node<C: Core> {
    desk: Option<Desk<C>>,
    /// What a crash cannot take.
    durable: Vec<Record<C>>,
    /// Saved, and not durable yet.
    pending: Vec<Record<C>>,
    saved: Lsn,
    syncing: bool,
    sync_since: Time,
    unhealthy: bool,
    life: u64,
    wake_at: Option<Time>,
    paused_until: Time,
    slow_until: Time,
}

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
    cuts: BTreeSet<(NodeId, NodeId)>,
    deaf: BTreeSet<NodeId>,
    /// Calls by peers that wait for an answer: ticket -> caller, its life, call, and who answers.
    tickets: BTreeMap<u64, (NodeId, u64, CallId)>,
    next_ticket: u64,
    outstanding: BTreeSet<(NodeId, u64, CallId)>,
    hash: u64,
    /// Events so far.
    pub events: u64,
    /// Messages put on links so far.
    pub messages: u64,
    /// Times a node lost power.
    pub crashes: u64,
    transcript: Option<Vec<String>>,
}

impl<S: Subject> World<S> {
    /// A world of `nodes`, all down until [`start`](Self::start).
    pub fn new(subject: S, nodes: &[NodeId], plan: Plan) -> Self {
        let node = |node: &NodeId| {
            let it = Node {
                desk: None,
                durable: Vec::new(),
                pending: Vec::new(),
                saved: Lsn(0),
                syncing: false,
                sync_since: Time::ZERO,
                unhealthy: false,
                life: 0,
                wake_at: None,
                paused_until: Time::ZERO,
                slow_until: Time::ZERO,
            };
            (*node, it)
        };
        let rng = Rng::new(plan.seed);
        let mut world = Self {
            subject,
            nodes: nodes.iter().map(node).collect(),
            now: Time::ZERO,
            heap: BinaryHeap::new(),
            number: 0,
            io_rng: rng.fork(2),
            rng: rng.fork(1),
            cuts: BTreeSet::new(),
            deaf: BTreeSet::new(),
            tickets: BTreeMap::new(),
            next_ticket: PEER_TICKET,
            outstanding: BTreeSet::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            events: 0,
            messages: 0,
            crashes: 0,
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

    /// Runs the storm, then heals the world and demands rest within `patience`.
    ///
    /// # Errors
    ///
    /// The first trouble.
    pub fn run(&mut self, patience: Duration) -> Result<(), Trouble> {
        self.start();
        self.run_until(self.plan.storm_until)?;
        self.calm();
        let deadline = self.now.plus(patience);
        loop {
            match self.subject.at_rest(&self.view()) {
                Ok(()) => return Ok(()),
                Err(what) if self.now >= deadline => {
                    let what = format!("never came to rest: {what}");
                    return Err(Trouble { at: self.now, node: NodeId(0), what });
                }
                Err(_) => self.run_until(self.now.plus(Duration::from_millis(50)))?,
            }
        }
    }

    /// Everything is healed: links, disks, pauses, dead nodes.
    pub fn calm(&mut self) {
        self.heap.retain(|Reverse(entry)| !matches!(entry.what, What::Fault(_)));
        self.plan.climate = crate::Climate::calm();
        self.cuts.clear();
        self.deaf.clear();
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        for node in nodes {
            if let Some(it) = self.nodes.get_mut(&node) {
                it.slow_until = self.now;
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
                self.now = self.now.max(entry.at);
                self.happen(entry)?;
            }
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// Does something to the world now.
    pub fn fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Crash(node) => self.crash(*node),
            Fault::Restart(node) => self.restart(*node),
            Fault::CrashAll => {
                for node in self.nodes.keys().copied().collect::<Vec<_>>() {
                    self.crash(node);
                }
            }
            Fault::Cut(from, to) => {
                self.cuts.insert((*from, *to));
            }
            Fault::Partition(groups) => {
                self.cuts.clear();
                let home = |node| groups.iter().position(|group| group.contains(node));
                for from in self.nodes.keys() {
                    for to in self.nodes.keys() {
                        if home(from) != home(to) {
                            self.cuts.insert((*from, *to));
                        }
                    }
                }
            }
            Fault::Deaf(node) => {
                self.deaf.insert(*node);
            }
            Fault::Heal => {
                self.cuts.clear();
                self.deaf.clear();
            }
            Fault::Pause(node, length) => {
                let until = self.now.plus(*length);
                if let Some(it) = self.nodes.get_mut(node) {
                    it.paused_until = until;
                }
            }
            Fault::SlowDisk(node, length) => {
                let until = self.now.plus(*length);
                if let Some(it) = self.nodes.get_mut(node) {
                    it.slow_until = until;
                }
            }
        }
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

    fn happen(&mut self, entry: Entry<S::Core>) -> Result<(), Trouble> {
        if let Some(node) = target(&entry.what)
            && let Some(it) = self.nodes.get(&node)
            && it.paused_until > self.now
        {
            // Whatever is meant for a paused node waits until it goes on.
            let entry = Entry { at: it.paused_until, ..entry };
            self.heap.push(Reverse(entry));
            return Ok(());
        }
        if self.overtaken(&entry.what) {
            return Ok(());
        }
        self.events += 1;
        self.note(&entry);
        let now = self.now;
        let touched = match entry.what {
            What::Request { from, life, to, call, request } => {
                self.arrive(from, life, to, call, request)
            }
            What::Reply { from, to, life, call, reply } => {
                self.outstanding.remove(&(to, life, call));
                self.alive(to, life).map(|desk| desk.reply(now, from, call, reply)).map(|()| to)
            }
            What::Failed { node, life, to, call } => {
                if !self.outstanding.remove(&(node, life, call)) {
                    return Ok(());
                }
                self.alive(node, life).map(|desk| desk.failed(now, to, call)).map(|()| node)
            }
            What::Synced { node, life, count } => self.synced(node, life, count),
            What::Sick { node, life } => self.sick(node, life),
            What::Wake { node, life } => self.wake(node, life),
            What::Local { node, ticket, request } => self.nodes.get_mut(&node).and_then(|it| {
                it.desk.as_mut()?.request(now, ticket, None, request);
                Some(node)
            }),
            What::Timer(token) => {
                self.with_io(|subject, io| subject.tick(token, io));
                None
            }
            What::Fault(fault) => {
                self.fault(&fault);
                None
            }
        };
        touched.map_or(Ok(()), |node| self.attend(node))
    }

    /// An alarm that an earlier one has replaced. It must not go off: it would set the alarm anew
    /// beside the one that is set, and the two would do so for ever.
    fn overtaken(&self, what: &What<S::Core>) -> bool {
        let What::Wake { node, .. } = what else { return false };
        self.nodes.get(node).is_none_or(|it| it.wake_at.is_none_or(|at| at > self.now))
    }

    fn alive(&mut self, node: NodeId, life: u64) -> Option<&mut Desk<S::Core>> {
        let it = self.nodes.get_mut(&node)?;
        if it.life == life { it.desk.as_mut() } else { None }
    }

    fn arrive(
        &mut self,
        from: NodeId,
        life: u64,
        to: NodeId,
        call: CallId,
        request: <S::Core as Core>::Request,
    ) -> Option<NodeId> {
        let now = self.now;
        let Some(desk) = self.nodes.get_mut(&to).and_then(|it| it.desk.as_mut()) else {
            // Nobody listens there: the connection is refused, and the caller hears soon.
            let back = self.rng.between(self.plan.climate.delay.0, self.plan.climate.delay.1);
            if !self.cuts.contains(&(to, from)) {
                self.push(back, What::Failed { node: from, life, to, call });
            }
            return None;
        };
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, (from, life, call));
        desk.request(now, self.next_ticket, Some(from), request);
        Some(to)
    }

    fn synced(&mut self, node: NodeId, life: u64, count: usize) -> Option<NodeId> {
        let now = self.now;
        let it = self.nodes.get_mut(&node)?;
        if it.life != life {
            return None;
        }
        it.syncing = false;
        it.durable.extend(it.pending.drain(..count));
        let durable = it.durable.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        let desk = it.desk.as_mut()?;
        desk.durable(now, durable);
        if it.unhealthy {
            it.unhealthy = false;
            desk.disk_healthy(now, true);
        }
        Some(node)
    }

    fn sick(&mut self, node: NodeId, life: u64) -> Option<NodeId> {
        let now = self.now;
        let it = self.nodes.get_mut(&node)?;
        let overdue = it.syncing && now.since(it.sync_since) >= SICK_AFTER;
        if it.life != life || it.unhealthy || !overdue {
            return None;
        }
        it.unhealthy = true;
        it.desk.as_mut()?.disk_healthy(now, false);
        Some(node)
    }

    fn wake(&mut self, node: NodeId, life: u64) -> Option<NodeId> {
        let now = self.now;
        let it = self.nodes.get_mut(&node)?;
        if it.life != life {
            return None;
        }
        it.wake_at = None;
        let desk = it.desk.as_mut()?;
        if desk.deadline().is_some_and(|at| at <= now) {
            desk.wake(now);
        }
        Some(node)
    }

    /// After every event at a node: its records go to its disk, its words on their way, its alarm
    /// is set, and everything that must be true is checked.
    fn attend(&mut self, node: NodeId) -> Result<(), Trouble> {
        self.start_sync(node);
        while let Some(word) = self.next_word(node)? {
            self.carry(node, word);
            self.start_sync(node);
        }
        if let Some(it) = self.nodes.get_mut(&node)
            && let Some(at) = it.desk.as_ref().and_then(Desk::deadline)
            && it.wake_at.is_none_or(|set| at < set)
        {
            let (at, life) = (at.max(self.now), it.life);
            it.wake_at = Some(at);
            self.push_at(at, What::Wake { node, life });
        }
        let view = View { nodes: &self.nodes, now: self.now };
        self.subject.check(node, &view).map_err(|what| Trouble { at: self.now, node, what })
    }

    fn next_word(&mut self, node: NodeId) -> Result<Option<Word<S::Core>>, Trouble> {
        let Some(it) = self.nodes.get_mut(&node) else { return Ok(None) };
        let Some(word) = it.desk.as_mut().and_then(Desk::next_word) else { return Ok(None) };
        self.subject.witness(node, &word, &it.durable).map_err(|what| Trouble {
            at: self.now,
            node,
            what,
        })?;
        Ok(Some(word))
    }

    fn start_sync(&mut self, node: NodeId) {
        let Some(it) = self.nodes.get_mut(&node) else { return };
        let Some(desk) = it.desk.as_mut() else { return };
        for record in desk.records() {
            it.saved.0 += 1;
            if let Some(transcript) = &mut self.transcript {
                transcript.push(format!("{:>12}  {node} saves {record:?}", self.now.to_string()));
            }
            it.pending.push((it.saved, record));
        }
        if it.syncing || it.pending.is_empty() {
            return;
        }
        it.syncing = true;
        it.sync_since = self.now;
        let (count, life) = (it.pending.len(), it.life);
        let climate = &self.plan.climate;
        let mut takes = self.rng.between(climate.sync.0, climate.sync.1);
        if self.rng.chance(climate.stalls) {
            takes += self.rng.between(Duration::ZERO, Duration::from_secs(2));
        }
        if it.slow_until > self.now {
            takes += self.rng.between(Duration::ZERO, Duration::from_millis(1500));
        }
        self.push(takes, What::Synced { node, life, count });
        if takes > SICK_AFTER {
            self.push(SICK_AFTER, What::Sick { node, life });
        }
    }

    fn carry(&mut self, node: NodeId, word: Word<S::Core>) {
        match word {
            Word::Send { to, call, request } => {
                let life = self.nodes.get(&node).map_or(0, |it| it.life);
                self.outstanding.insert((node, life, call));
                let patience = self.plan.climate.patience;
                self.push(patience, What::Failed { node, life, to, call });
                for travel in self.travels(node, to) {
                    if self.deaf.contains(&to) {
                        continue;
                    }
                    let request = request.clone();
                    self.push(travel, What::Request { from: node, life, to, call, request });
                }
            }
            Word::Answer { ticket, reply } if ticket > PEER_TICKET => {
                let Some((to, life, call)) = self.tickets.remove(&ticket) else { return };
                for travel in self.travels(node, to) {
                    let reply = reply.clone();
                    self.push(travel, What::Reply { from: node, to, life, call, reply });
                }
            }
            Word::Answer { ticket, reply } => {
                self.with_io(|subject, io| subject.answer(ticket, reply, io));
            }
            Word::Output(output) => {
                if let Some(transcript) = &mut self.transcript {
                    let at = self.now.to_string();
                    transcript.push(format!("{at:>12}  {node} puts out {output:?}"));
                }
                self.with_io(|subject, io| subject.output(node, output, io));
            }
            Word::Forget(keep) => {
                if let Some(it) = self.nodes.get_mut(&node) {
                    it.durable.retain(|(lsn, _)| *lsn >= keep);
                }
            }
        }
    }

    /// How long each copy of a message travels; none if it is lost.
    fn travels(&mut self, from: NodeId, to: NodeId) -> Vec<Duration> {
        self.messages += 1;
        let climate = &self.plan.climate;
        if self.cuts.contains(&(from, to)) || self.rng.chance(climate.loss) {
            return Vec::new();
        }
        let copies = if self.rng.chance(climate.duplication) { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                let travel = self.rng.between(climate.delay.0, climate.delay.1);
                if self.rng.chance(climate.stragglers) { travel * 10 } else { travel }
            })
            .collect()
    }

    fn crash(&mut self, node: NodeId) {
        let Some(it) = self.nodes.get_mut(&node) else { return };
        if it.desk.take().is_none() {
            return;
        }
        self.crashes += 1;
        // What was being written may be on the disk, up to some point.
        let kept = self.rng.below(it.pending.len() as u64 + 1) as usize;
        it.durable.extend(it.pending.drain(..kept));
        it.pending.clear();
        it.life += 1;
        it.syncing = false;
        it.unhealthy = false;
        it.wake_at = None;
        let life = it.life;
        self.outstanding.retain(|(caller, old, _)| *caller != node || *old == life);
        self.subject.crashed(node);
    }

    fn restart(&mut self, node: NodeId) {
        let Some(it) = self.nodes.get_mut(&node) else { return };
        if it.desk.is_some() {
            return;
        }
        let seed = self.rng.next_u64();
        let core = self.subject.recover(node, seed, it.durable.clone());
        it.saved = it.durable.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        it.desk = Some(Desk::new(node, core, it.saved));
        it.wake_at = Some(self.now);
        let life = it.life;
        self.push(Duration::ZERO, What::Wake { node, life });
    }

    fn with_io(&mut self, act: impl FnOnce(&mut S, &mut Io<S::Core>)) {
        let rng = self.io_rng.clone();
        let mut io = Io { now: self.now, rng, requests: Vec::new(), timers: Vec::new() };
        act(&mut self.subject, &mut io);
        self.io_rng = io.rng;
        for (delay, node, ticket, request) in io.requests {
            self.push(delay, What::Local { node, ticket, request });
        }
        for (delay, token) in io.timers {
            self.push(delay, What::Timer(token));
        }
    }

    fn push(&mut self, delay: Duration, what: What<S::Core>) {
        self.push_at(self.now.plus(delay), what);
    }

    fn push_at(&mut self, at: Time, what: What<S::Core>) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at, number: self.number, what }));
    }

    fn note(&mut self, entry: &Entry<S::Core>) {
        let (kind, node) = match &entry.what {
            What::Request { to, .. } => (1, to.0),
            What::Reply { to, .. } => (2, to.0),
            What::Failed { node, .. } => (3, node.0),
            What::Synced { node, .. } => (4, node.0),
            What::Sick { node, .. } => (5, node.0),
            What::Wake { node, .. } => (6, node.0),
            What::Local { node, .. } => (7, node.0),
            What::Timer(_) => (8, 0),
            What::Fault(_) => (9, 0),
        };
        for part in [entry.at.0, entry.number, kind, u64::from(node)] {
            self.hash = (self.hash ^ part).wrapping_mul(0x0000_0100_0000_01B3);
        }
        if let Some(transcript) = &mut self.transcript {
            let at = self.now.to_string();
            let line = match &entry.what {
                What::Request { from, to, request, .. } => format!("{to} <- {from}  {request:?}"),
                What::Reply { from, to, reply, .. } => format!("{to} <- {from}  {reply:?}"),
                What::Failed { node, to, .. } => format!("{node} hears nothing from {to}"),
                What::Synced { node, count, .. } => format!("{node} has synced {count}"),
                What::Sick { node, .. } => format!("{node} finds its disk slow"),
                What::Wake { node, .. } => format!("{node} wakes"),
                What::Local { node, request, .. } => format!("{node} is asked {request:?}"),
                What::Timer(token) => format!("timer {token}"),
                What::Fault(fault) => format!("{fault:?}"),
            };
            transcript.push(format!("{at:>12}  {line}"));
        }
    }
}

/// The node that must be awake for this to happen.
fn target<C: Core>(what: &What<C>) -> Option<NodeId> {
    match what {
        What::Request { to: node, .. }
        | What::Reply { to: node, .. }
        | What::Failed { node, .. }
        | What::Wake { node, .. }
        | What::Local { node, .. } => Some(*node),
        What::Synced { .. } | What::Sick { .. } | What::Timer(_) | What::Fault(_) => None,
    }
}
