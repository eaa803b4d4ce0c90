//! A group of Paxos nodes in the weather, its users, and everything that must be true of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use paxos::{
    Config, Fate, Mode, Output, Paxos, Record, Reply, Request, Slot, Told, Value, Why, batch,
    invariants::{Judge, witness_reply, witness_request},
};
use protocol::{Lsn, NodeId, Word};
use sim::{Io, Plan, Subject, View, World};

/// A group and its users.
pub struct Group {
    pub nodes: Vec<NodeId>,
    pub mode: Mode,
    pub judge: Judge,
    /// What was handed out at each node, in order (`Append`).
    pub logs: BTreeMap<NodeId, Vec<(Slot, Value)>>,
    pub started: BTreeSet<(Slot, Bytes)>,
    pub proposed: BTreeSet<Bytes>,
    pub acknowledged: BTreeSet<Bytes>,
    pub elections: u64,
    pub role_changes: Vec<(NodeId, Why)>,
    pub fates: BTreeMap<u64, Told>,
    waiting: BTreeMap<u64, Bytes>,
    /// Commands still to be appended by the workload, and how often.
    pub workload: u64,
    pub every: Duration,
    /// Promises with a next page, nacks with an outcome, fetches with an answer: seen leaving.
    pub pages: u64,
    pub lessons: u64,
    pub fetched: u64,
    trouble: Option<String>,
    /// Announced in the event under way; judged when its disks have been read.
    decided: Vec<(NodeId, Slot, Value)>,
    lives: BTreeMap<NodeId, u64>,
    pub tune: fn(&mut Config),
    /// Another election timeout than the default; short ones make for many elections.
    pub timeout: Option<Duration>,
}

impl Group {
    pub fn new(count: u16, mode: Mode) -> Self {
        Self {
            nodes: (1..=count).map(NodeId).collect(),
            mode,
            judge: Judge::new(usize::from(count)),
            logs: BTreeMap::new(),
            started: BTreeSet::new(),
            proposed: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            elections: 0,
            role_changes: Vec::new(),
            fates: BTreeMap::new(),
            waiting: BTreeMap::new(),
            workload: 0,
            every: Duration::from_millis(10),
            pages: 0,
            lessons: 0,
            fetched: 0,
            trouble: None,
            decided: Vec::new(),
            lives: BTreeMap::new(),
            tune: |_| {},
            timeout: None,
        }
    }

    pub fn world(self, plan: Plan) -> World<Self> {
        let nodes = self.nodes.clone();
        World::new(self, &nodes, plan)
    }
}

impl Subject for Group {
    type Core = Paxos;

    fn recover(&mut self, node: NodeId, seed: u64, records: Vec<(Lsn, Record)>) -> Paxos {
        self.judge.crashed(node);
        *self.lives.entry(node).or_default() += 1;
        let mut config = match self.mode {
            Mode::Append => Config::new(node, self.nodes.clone()),
            Mode::Explicit => Config::explicit(node, self.nodes.clone()),
        };
        (self.tune)(&mut config);
        if let Some(timeout) = self.timeout {
            config.election_timeout = timeout;
            config.heartbeat = timeout / 7;
            config.probe_timeout = timeout / 4;
        }
        self.logs.insert(node, Vec::new());
        Paxos::recover(config, seed, Slot(0), records).expect("a sound configuration")
    }

    fn output(&mut self, node: NodeId, output: Output, _: &mut Io<Paxos>) {
        match output {
            Output::Decided { slot, value, .. } => {
                self.decided.push((node, slot, value.clone()));
                self.logs.entry(node).or_default().push((slot, value));
            }
            Output::Role { why, .. } => {
                self.role_changes.push((node, why));
                self.elections += u64::from(why == Why::Elected);
            }
            Output::Ignored(paxos::Ignored::Contradiction) => {
                self.trouble.get_or_insert(format!("{node} heard a contradiction"));
            }
            _ => {}
        }
    }

    fn answer(&mut self, ticket: u64, reply: Reply, _: &mut Io<Paxos>) {
        let Reply::Told(told) = reply else { return };
        if let Some(command) = self.waiting.remove(&ticket)
            && matches!(told, Told::Appended(_))
        {
            self.acknowledged.insert(command);
        }
        self.fates.insert(ticket, told);
    }

    fn tick(&mut self, _: u64, io: &mut Io<Paxos>) {
        if self.workload == 0 {
            return;
        }
        self.workload -= 1;
        let node = self.nodes[io.rng.below(self.nodes.len() as u64) as usize];
        let number = self.workload;
        let command = Bytes::from(format!("c{number}"));
        self.proposed.insert(command.clone());
        match self.mode {
            Mode::Append => {
                self.waiting.insert(number + 1, command.clone());
                io.request(Duration::ZERO, node, number + 1, Request::Append(command));
            }
            Mode::Explicit => {
                // A moving front, so that most starts meet rivals and few come too late.
                let slot = Slot((300 - number.min(300)) / 4 + io.rng.below(8));
                self.started.insert((slot, command.clone()));
                io.request(Duration::ZERO, node, number + 1, Request::Start(slot, command));
            }
        }
        let pause = io.rng.between(Duration::ZERO, self.every * 2);
        io.timer(pause, 0);
    }

    fn witness(
        &mut self,
        node: NodeId,
        word: &Word<Paxos>,
        durable: &[(Lsn, Record)],
    ) -> Result<(), String> {
        match word {
            Word::Answer { reply, .. } => {
                match reply {
                    Reply::Promise(promise) => self.pages += u64::from(promise.more.is_some()),
                    Reply::Nack(nack) => self.lessons += u64::from(nack.chosen.is_some()),
                    Reply::Fetched(page) => self.fetched += u64::from(!page.chosen.is_empty()),
                    _ => {}
                }
                witness_reply(node, reply, durable)
            }
            Word::Send { request, .. } => {
                if let Request::Prepare(prepare) = request {
                    let life = self.lives.get(&node).copied().unwrap_or_default();
                    self.judge.prepares(node, life, prepare.ballot)?;
                }
                witness_request(node, request, durable)
            }
            _ => Ok(()),
        }
    }

    fn check(&mut self, node: NodeId, view: &View<'_, Paxos>) -> Result<(), String> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        if let Some(core) = view.core(node) {
            self.judge.look(node, core, view.durable(node))?;
        }
        for (node, slot, value) in self.decided.drain(..) {
            self.judge.decided(node, slot, &value)?;
        }
        Ok(())
    }

    fn at_rest(&self, view: &View<'_, Paxos>) -> Result<(), String> {
        if self.workload > 0 {
            return Err("the workload is not done".into());
        }
        let leaders = view.cores().filter(|(_, core)| core.leads()).count();
        if leaders != 1 {
            return Err(format!("{leaders} leaders"));
        }
        match self.mode {
            Mode::Append => {
                let ends: BTreeSet<Slot> =
                    view.cores().map(|(_, core)| core.ledger().settled()).collect();
                if ends.len() != 1 {
                    return Err(format!("settled differs: {ends:?}"));
                }
            }
            Mode::Explicit => {
                let slots: BTreeSet<Slot> = self.started.iter().map(|(slot, _)| *slot).collect();
                for slot in slots {
                    for (node, core) in view.cores() {
                        let known = core.ledger().chosen(slot).is_some();
                        if !known
                            && slot >= core.ledger().floor()
                            && self.judge.value(slot).is_some()
                        {
                            return Err(format!("{node} does not know slot {slot}"));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Every acknowledged command is in every log, once; nothing unproposed is (S2); logs are equal.
pub fn judge_logs(world: &World<Group>) {
    let group = &world.subject;
    let mut commands = BTreeMap::<Bytes, u64>::new();
    for (_, value) in group.judge.decisions() {
        if let Value::Data(bytes) = value {
            for command in batch::unpack(bytes).expect("a batch") {
                *commands.entry(command).or_default() += 1;
            }
        }
    }
    for command in commands.keys() {
        assert!(group.proposed.contains(command), "S2 validity: nobody proposed {command:?}");
    }
    for command in &group.acknowledged {
        assert_eq!(commands.get(command), Some(&1), "{command:?} was acknowledged");
    }
}

/// The fate of `slot` at `node`, asked of its core.
pub fn fate(world: &World<Group>, node: u16, slot: u64) -> Fate {
    let view = world.view();
    let core = view.core(NodeId(node)).expect("it is up");
    match core.ledger().chosen(Slot(slot)) {
        _ if Slot(slot) < core.ledger().floor() => Fate::Forgotten,
        Some(value) => Fate::Decided(value.clone()),
        None => Fate::Pending,
    }
}
