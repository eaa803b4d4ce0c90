//! The store, its replicas, their disks and their clients, as a subject of the simulator.

mod clients;

mod disks;

mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kvpaxos::Store;
use paxos::{
    Paxos, Slot,
    invariants::{Judge, witness_reply, witness_request},
};
use paxosrsm::{
    Agreement, Replica, Restored, Sessions,
    message::{Output, Reply, Request},
};
use protocol::{NodeId, Time, Word};
use sim::{Fault, Io, Plan, Subject, View, World, world::Record};

pub use clients::{Clients, Order, RAW};
pub use disks::Disks;

use crate::{
    rare::{Rare, Sight},
    shape::Shape,
};
use clients::{Around, Call};
use watch::Watch;

/// One node: a store in a coat of sessions, replicated over Multi-Paxos.
pub type Node = Replica<Paxos, Sessions<Store>>;

/// How often a scripted day looks whether the script wants something.
const PULSE: Duration = Duration::from_millis(1);

/// Something that is going to happen outside the nodes.
#[derive(Debug)]
enum Alarm {
    Client(Call),
    Disk(disks::Finished),
    Pulse,
}

/// What is going to happen, by the token of its timer.
#[derive(Debug, Default)]
struct Alarms {
    next: u64,
    set: BTreeMap<u64, Alarm>,
}

impl Alarms {
    fn set(&mut self, io: &mut Io<Node>, after: Duration, alarm: Alarm) {
        self.next += 1;
        self.set.insert(self.next, alarm);
        io.timer(after, self.next);
    }
}

/// The store and everything around it.
#[derive(Debug)]
pub struct Kv {
    /// What kind of day it is.
    pub shape: Shape,
    /// Who sees every vote.
    pub judge: Judge,
    /// Who asks.
    pub clients: Clients,
    /// Where the snapshots are.
    pub disks: Disks,
    /// What hardly ever happens.
    pub rare: Rare,
    /// Timer events that only looked at the script.
    pub pulses: u64,
    /// Positions applied so far, over all replicas and all their lives.
    pub announced: u64,
    scripted: bool,
    nodes: Vec<NodeId>,
    faults: Vec<(Time, Fault)>,
    storm_until: Time,
    lives: BTreeMap<NodeId, u64>,
    down: BTreeSet<NodeId>,
    alarms: Alarms,
    watch: Watch,
}

impl Kv {
    /// A store of this shape on the day of `plan`.
    #[must_use]
    pub fn new(shape: Shape, plan: &Plan) -> Self {
        let nodes = shape.nodes();
        Self {
            judge: Judge::new(nodes.len()),
            clients: Clients::new(&shape, plan.seed, plan.storm_until),
            disks: Disks::default(),
            rare: Rare::default(),
            pulses: 0,
            announced: 0,
            scripted: shape.clients == 0,
            down: nodes.iter().copied().collect(),
            nodes,
            faults: plan.faults.clone(),
            storm_until: plan.storm_until,
            lives: BTreeMap::new(),
            alarms: Alarms::default(),
            watch: Watch::default(),
            shape,
        }
    }

    /// The world of such a store.
    #[must_use]
    pub fn world(shape: Shape, plan: Plan) -> World<Self> {
        let kv = Self::new(shape, &plan);
        let nodes = kv.nodes.clone();
        World::new(kv, &nodes, plan)
    }

    /// How long `node` still stands still; the world does not tell its subject.
    fn paused(&self, node: NodeId, now: Time) -> Option<Duration> {
        let latest = self.faults.iter().rev().find_map(|(at, fault)| match fault {
            Fault::Pause(paused, length) if *paused == node && *at <= now => Some(at.plus(*length)),
            _ => None,
        })?;
        let until = latest.min(self.storm_until);
        (until > now).then(|| until.since(now))
    }

    /// Whether the disk of `node` is slow today at this time.
    fn slow(&self, node: NodeId, now: Time) -> bool {
        self.faults.iter().any(|(at, fault)| {
            matches!(fault, Fault::SlowDisk(slow, length)
                if *slow == node && *at <= now && now < at.plus(*length))
        })
    }

    /// A node's next life, from its disk.
    fn born(&self, node: NodeId, seed: u64, records: Vec<Record<Node>>) -> Node {
        let fresh = || Restored::fresh(Sessions::with_limit(Store::default(), self.shape.sessions));
        let restored = match self.disks.newest(node) {
            Some((_, image)) => Restored::open(image).expect("a durable snapshot can be opened"),
            None => fresh(),
        };
        let applied = Slot(restored.applied.0);
        let paxos = Paxos::recover(self.shape.paxos(node), seed, applied, records)
            .expect("the configuration is sound");
        assert!(
            paxos.ledger().floor() <= applied,
            "S12 order: {node} comes back with a floor of {}, but its snapshot covers {applied}",
            paxos.ledger().floor()
        );
        Replica::new(self.shape.replica(node), paxos, restored)
    }

    fn with_clients(&mut self, io: &mut Io<Node>, act: impl FnOnce(&mut Clients, &mut Around<'_>)) {
        let mut around =
            Around { io, alarms: &mut self.alarms, rare: &mut self.rare, down: &self.down };
        act(&mut self.clients, &mut around);
    }

    /// Something a disk was asked to do is done, if its machine lived that long.
    fn disk_finished(&mut self, finished: disks::Finished, io: &mut Io<Node>) {
        let (node, life) = finished.whose();
        if self.lives.get(&node) != Some(&life) || self.down.contains(&node) {
            return;
        }
        if let Some(pause) = self.paused(node, io.now) {
            // The world would hand it to a later life if the node lost power while it stands still.
            return self.alarms.set(io, pause, Alarm::Disk(finished));
        }
        let request = self.disks.finish(finished, &mut self.rare);
        io.request(Duration::ZERO, node, 0, request);
    }
}

impl Subject for Kv {
    type Core = Node;

    fn recover(&mut self, node: NodeId, seed: u64, records: Vec<Record<Node>>) -> Node {
        self.judge.crashed(node);
        *self.lives.entry(node).or_default() += 1;
        if self.down.len() == self.nodes.len() && self.lives[&node] > 1 {
            self.rare.saw(Sight::AllDown);
        }
        self.down.remove(&node);
        let core = self.born(node, seed, records);
        self.watch.born(node, core.applied());
        core
    }

    fn twin(&self, node: NodeId, seed: u64, records: Vec<Record<Node>>) -> Option<Node> {
        Some(self.born(node, seed, records))
    }

    /// Whoever writes an image tells its replica how long it is.
    fn twin_output(&self, output: Output) {
        if let Output::Save { image, .. } = output {
            drop(image.write());
        }
    }

    fn state(&self, core: &Node) -> String {
        format!("{core:?}")
    }

    fn lasting(&self, core: &Node) -> String {
        format!("{:?} {:?} {}", core.agreement().ledger(), core.applied(), core.chain())
    }

    /// What nodes ask each other about agreement may come any number of times.
    fn harmless(&self, request: &Request<paxos::Request>) -> bool {
        matches!(
            request,
            Request::Engine(
                paxos::Request::Prepare(_)
                    | paxos::Request::Accept(_)
                    | paxos::Request::Heartbeat(_)
                    | paxos::Request::Probe(_)
                    | paxos::Request::Fetch(_)
            )
        )
    }

    fn describe(&self, _: NodeId, core: &Node) -> String {
        let (seen, own) = (Agreement::status(core.agreement()), core.agreement().status());
        let leader = seen.leader.map_or("nobody".into(), |leader| leader.to_string());
        format!(
            "{} in {}, follows {leader}; knows {} chosen, applied {}; {} undecided, {} queued",
            seen.role,
            seen.ballot,
            seen.chosen.0,
            core.applied().0,
            own.undecided,
            own.queued
        )
    }

    fn waits(&self, now: Time) -> Vec<String> {
        self.clients.waits(now)
    }

    fn output(&mut self, node: NodeId, output: Output, io: &mut Io<Node>) {
        let life = self.lives.get(&node).copied().unwrap_or_default();
        match output {
            Output::Save { upto, image } => {
                let (after, finished) =
                    self.disks.save((node, life), upto, image.write().into(), &self.shape, io);
                self.alarms.set(io, after, Alarm::Disk(finished));
            }
            Output::Load { ticket, chunk } => {
                let (after, finished) =
                    self.disks.load((node, life), ticket, chunk, &self.shape, io);
                self.alarms.set(io, after, Alarm::Disk(finished));
            }
            Output::Applied { index, chain } => {
                self.announced += 1;
                self.watch.applied(node, index, chain);
            }
            Output::Installed(upto) => {
                self.rare.saw(Sight::SnapshotInstalled);
                self.watch.installed(node, upto);
            }
        }
    }

    fn answer(&mut self, ticket: u64, reply: Reply<paxos::Reply>, io: &mut Io<Node>) {
        self.with_clients(io, |clients, around| clients.answered(ticket, reply, around));
    }

    fn tick(&mut self, token: u64, io: &mut Io<Node>) {
        if token == 0 {
            self.with_clients(io, Clients::start);
            if self.scripted {
                self.alarms.set(io, PULSE, Alarm::Pulse);
            }
            return;
        }
        match self.alarms.set.remove(&token) {
            Some(Alarm::Client(call)) => {
                if let Call::Deliver { to, changes: false, .. } = &call {
                    self.watch.asked(*to);
                }
                self.with_clients(io, |clients, around| clients.happen(call, around));
            }
            Some(Alarm::Disk(finished)) => self.disk_finished(finished, io),
            Some(Alarm::Pulse) => {
                self.pulses += 1;
                self.with_clients(io, Clients::obey);
                self.alarms.set(io, PULSE, Alarm::Pulse);
            }
            None => {}
        }
    }

    fn crashed(&mut self, node: NodeId) {
        self.down.insert(node);
    }

    fn witness(
        &mut self,
        node: NodeId,
        word: &Word<Node>,
        durable: &[Record<Node>],
    ) -> Result<(), String> {
        match word {
            Word::Send { to, request, .. } => match request {
                Request::Engine(request) => {
                    if let paxos::Request::Prepare(prepare) = request {
                        let life = self.lives.get(&node).copied().unwrap_or_default();
                        self.judge.prepares(node, life, prepare.ballot)?;
                    }
                    witness_request(node, request, durable)
                }
                Request::Submit(_) | Request::Query(_) => {
                    self.rare.saw(Sight::Forwarded);
                    Ok(())
                }
                Request::Chunk(chunk) => {
                    self.watch.pulls((node, *to), *chunk, &mut self.rare);
                    Ok(())
                }
                _ => Ok(()),
            },
            Word::Answer { reply: Reply::Engine(reply), .. } => {
                if matches!(reply, paxos::Reply::Fetched(page) if !page.chosen.is_empty()) {
                    self.rare.saw(Sight::CaughtUpByEntries);
                }
                witness_reply(node, reply, durable)
            }
            _ => Ok(()),
        }
    }

    fn check(&mut self, node: NodeId, view: &View<'_, Node>) -> Result<(), String> {
        let Some(core) = view.core(node) else { return Ok(()) };
        self.judge.look(node, core.agreement(), view.durable(node))?;
        let replaced = self.watch.look(node, core, &self.disks, &self.judge, &mut self.rare)?;
        if let Some(old) = replaced
            && view.core(old).is_some()
            && self.slow(old, view.now)
        {
            self.rare.saw(Sight::SickLeaderReplaced);
        }
        Ok(())
    }

    fn at_rest(&self, view: &View<'_, Node>) -> Result<(), String> {
        self.clients.at_rest()?;
        watch::at_rest(view)
    }
}
