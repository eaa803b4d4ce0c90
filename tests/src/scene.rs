//! A day with a script: who asks what of whom, who is cut off, who loses power, and what must be
//! so afterwards. The weather's invariants are checked all the while.

use std::time::Duration;

use bytes::Bytes;
use histcheck::{Action, Answer, Operation, Outcome};
use paxosrsm::message::{Reply, Submit};
use protocol::NodeId;
use sim::{Fault, Plan, Trouble, WATCHDOG, World};

use crate::{
    day::{Done, REST, judged},
    kv::{Kv, Order, RAW},
    shape::Shape,
    trace,
};

pub use crate::play::play;

/// How far a scene moves at a time while it waits for something.
const STEP: Duration = Duration::from_millis(1);

/// A world with a script.
pub struct Scene {
    /// The world.
    pub world: World<Kv>,
    raw: u64,
}

impl Scene {
    /// Some replicas with the defaults of every layer on a calm day, and all of them up.
    #[must_use]
    pub fn calm(replicas: u16, seed: u64) -> Self {
        Self::new(Shape::plain(replicas), Plan::calm(seed, Duration::from_secs(3600)))
    }

    /// The same where messages get lost, per mille, between nodes and between them and clients.
    #[must_use]
    pub fn lossy(replicas: u16, seed: u64, loss: u64) -> Self {
        let mut plan = Plan::calm(seed, Duration::from_secs(3600));
        plan.climate.loss = loss;
        let mut shape = Shape::plain(replicas);
        shape.client_loss = loss;
        Self::new(shape, plan)
    }

    /// A world of this shape and plan, all of it up.
    #[must_use]
    pub fn new(shape: Shape, plan: Plan) -> Self {
        let mut world = Kv::world(shape, plan);
        if trace::wanted() {
            world.trace();
        }
        world.start();
        Self { world, raw: RAW }
    }

    /// One more client, of these servers.
    pub fn client(&mut self, servers: &[u16]) -> usize {
        let servers = servers.iter().map(|node| NodeId(*node)).collect();
        self.world.subject.clients.add(servers)
    }

    /// Clients of these servers.
    pub fn clients(&mut self, count: usize, servers: &[u16]) -> Vec<usize> {
        (0..count).map(|_| self.client(servers)).collect()
    }

    /// Lets `client` begin something.
    pub fn begin(&mut self, client: usize, action: Action) {
        self.world.subject.clients.orders.push_back(Order { client, action });
    }

    /// Sends a command to `node` as it is, and says under which number its answer will be found.
    pub fn raw(&mut self, node: u16, command: Bytes) -> u64 {
        self.raw += 1;
        let request = paxosrsm::message::Request::Submit(Submit(command));
        self.world.ask(NodeId(node), self.raw, request);
        self.raw
    }

    /// What was answered to a command sent as it is.
    #[must_use]
    pub fn heard(&self, raw: u64) -> Option<&Reply<paxos::Reply>> {
        self.world.subject.clients.raw.get(&raw)
    }

    /// Lets time pass.
    ///
    /// # Errors
    ///
    /// The first trouble.
    pub fn pass(&mut self, time: Duration) -> Result<(), Trouble> {
        self.world.run_until(self.world.now().plus(time))
    }

    /// Lets time pass until `so`, and says how long it took. Nobody waits longer than
    /// [`WATCHDOG`].
    ///
    /// # Errors
    ///
    /// If it is not so within `limit`: with where everybody stands and waits. Or the first trouble.
    pub fn until(
        &mut self,
        limit: Duration,
        what: &str,
        so: impl Fn(&Self) -> bool,
    ) -> Result<Duration, Trouble> {
        let begun = self.world.now();
        let limit = limit.min(WATCHDOG);
        while !so(self) {
            if self.world.now().since(begun) >= limit {
                return Err(self.world.stuck(&format!("not within {limit:?}: {what}")));
            }
            self.pass(STEP)?;
        }
        Ok(self.world.now().since(begun))
    }

    /// Trouble, here and now.
    #[must_use]
    pub fn trouble(&self, what: String) -> Trouble {
        Trouble { at: self.world.now(), node: NodeId(0), what }
    }

    /// Demands something.
    ///
    /// # Errors
    ///
    /// If it is not so.
    pub fn demand(&self, so: bool, what: impl FnOnce() -> String) -> Result<(), Trouble> {
        if so { Ok(()) } else { Err(self.trouble(what())) }
    }

    /// Waits until none of these clients has anything under way.
    ///
    /// # Errors
    ///
    /// If they are not done within `limit`, or the first trouble.
    pub fn finish(&mut self, clients: &[usize], limit: Duration) -> Result<Duration, Trouble> {
        self.until(limit, "clients done", |scene| {
            clients.iter().all(|client| !scene.world.subject.clients.busy(*client))
        })
    }

    /// Lets `client` do something and waits for the answer.
    ///
    /// # Errors
    ///
    /// If there is none within 20 s, or the first trouble.
    pub fn ask(&mut self, client: usize, action: Action) -> Result<Operation, Trouble> {
        self.begin(client, action);
        self.finish(&[client], Duration::from_secs(20))?;
        let ended = self.world.subject.clients.ended(client).cloned();
        ended.ok_or_else(|| self.trouble("nothing ended".into()))
    }

    /// Lets `client` look at `key` and waits for what it sees.
    ///
    /// # Errors
    ///
    /// If there is no answer, or the first trouble.
    pub fn get(&mut self, client: usize, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        match self.ask(client, get(key))?.outcome {
            Outcome::Ok(Answer::Value(value)) => Ok(value),
            other => Err(self.trouble(format!("a get ended with {other:?}"))),
        }
    }

    /// Links work within each group only, from now on.
    pub fn partition(&mut self, groups: &[&[u16]]) {
        let group = |group: &&[u16]| group.iter().map(|node| NodeId(*node)).collect();
        self.fault(Fault::Partition(groups.iter().map(group).collect()));
    }

    /// All links work again.
    pub fn heal(&mut self) {
        self.fault(Fault::Heal);
    }

    /// Does something to the world.
    pub fn fault(&mut self, fault: Fault) {
        self.world.fault(&fault);
    }

    /// A node loses power.
    pub fn crash(&mut self, node: u16) {
        self.fault(Fault::Crash(NodeId(node)));
    }

    /// It comes back.
    pub fn restart(&mut self, node: u16) {
        self.fault(Fault::Restart(NodeId(node)));
    }

    /// Everybody loses power and comes back with what their disks kept.
    pub fn restart_all(&mut self) {
        self.fault(Fault::CrashAll);
        for node in 1..=self.world.subject.shape.replicas {
            self.restart(node);
        }
    }

    /// Who leads the highest ballot among those that are up.
    #[must_use]
    pub fn leader(&self) -> Option<u16> {
        let view = self.world.view();
        let leading = view.cores().filter(|(_, core)| core.agreement().leads());
        let highest = leading.max_by_key(|(_, core)| core.agreement().role().ballot());
        highest.map(|(node, _)| node.0)
    }

    /// Waits for a leader among `nodes`.
    ///
    /// # Errors
    ///
    /// If there is none within 10 s, or the first trouble.
    pub fn leader_of(&mut self, nodes: &[u16]) -> Result<u16, Trouble> {
        self.until(Duration::from_secs(10), "a leader", |scene| {
            scene.leader().is_some_and(|leader| nodes.contains(&leader))
        })?;
        self.leader().ok_or_else(|| self.trouble("the leader is gone".into()))
    }

    /// What the machine at `node` holds under `key`, whether it is up to date or not.
    #[must_use]
    pub fn held(&self, node: u16, key: &str) -> Option<Vec<u8>> {
        let view = self.world.view();
        let core = view.core(NodeId(node))?;
        core.machine().machine().get(key.as_bytes()).map(|(value, _)| value.to_vec())
    }

    /// How many slots the replica at `node` has applied; none if it is down.
    #[must_use]
    pub fn applied(&self, node: u16) -> Option<u64> {
        self.world.view().core(NodeId(node)).map(|core| core.applied().0)
    }

    /// Waits until every replica that is up has applied equally much.
    ///
    /// # Errors
    ///
    /// If they have not within `limit`, or the first trouble.
    pub fn level(&mut self, limit: Duration) -> Result<Duration, Trouble> {
        self.until(limit, "equally much applied everywhere", |scene| {
            let view = scene.world.view();
            let mut applied = view.cores().map(|(_, core)| core.applied());
            let first = applied.next();
            applied.all(|other| Some(other) == first)
        })
    }

    /// The end: everything is healed, must come to rest, and must be one story.
    ///
    /// # Errors
    ///
    /// The first trouble.
    pub fn end(mut self) -> Result<Done, Trouble> {
        self.world.calm();
        let deadline = self.world.now().plus(REST);
        loop {
            match sim::Subject::at_rest(&self.world.subject, &self.world.view()) {
                Ok(()) => return judged(&self.world),
                Err(what) if self.world.now() >= deadline => {
                    return Err(self.world.stuck(&format!("never came to rest: {what}")));
                }
                Err(_) => self.pass(STEP * 20)?,
            }
        }
    }
}

/// If somebody wants the story, it is written however the scene ends.
impl Drop for Scene {
    fn drop(&mut self) {
        trace::add(self.world.transcript());
    }
}

/// Look at this key.
#[must_use]
pub fn get(key: &str) -> Action {
    Action::Get { key: key.into() }
}

/// Make the value of this key this one.
#[must_use]
pub fn put(key: &str, value: impl Into<Vec<u8>>) -> Action {
    Action::Put { key: key.into(), value: value.into() }
}

/// Add this to the value of this key.
#[must_use]
pub fn append(key: &str, value: impl Into<Vec<u8>>) -> Action {
    Action::Append { key: key.into(), value: value.into() }
}

/// How many appended tokens a value holds.
#[must_use]
pub fn tokens(value: Option<&Vec<u8>>) -> usize {
    value.map_or(0, |value| value.iter().filter(|byte| **byte == b']').count())
}

/// The largest figure, in virtual milliseconds, after these words.
pub fn at_most_ms(words: &str) -> impl FnOnce(&[u64]) -> String + '_ {
    move |figures| {
        format!("{words}: at most {} virtual ms", figures.last().copied().unwrap_or_default())
    }
}

/// Milliseconds, as a figure.
#[must_use]
pub fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
