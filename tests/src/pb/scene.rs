//! A day with a script, for a primary and its backup: who asks what, who is cut off, who loses
//! power, and what must be so afterwards. The invariants are checked all the while.

use std::time::Duration;

use histcheck::{Action, Answer, Operation, Outcome};
use pbservice::{Duty, Pb, Reply, Request};
use protocol::NodeId;
use sim::{Fault, Plan, Trouble, WATCHDOG, World};
use viewservice::{SERVICE_NODE, Safety};

use super::{Node, Pair, RAW, Shape, day::judged};
use crate::{
    day::{Done, REST},
    kv::Order,
    scene::get,
    trace,
};

/// How far a scene moves at a time while it waits for something.
const STEP: Duration = Duration::from_millis(1);

/// A world with a script.
pub struct Scene {
    /// The world.
    pub world: World<Pair>,
    raw: u64,
}

impl Scene {
    /// So many servers with nothing but memory on a calm day, and all of them up.
    #[must_use]
    pub fn calm(servers: u16, seed: u64) -> Self {
        Self::new(Shape::plain(servers), Plan::calm(seed, Duration::from_secs(3600)))
    }

    /// The same where messages get lost, per mille, between nodes and between them and clients.
    #[must_use]
    pub fn lossy(servers: u16, seed: u64, loss: u64) -> Self {
        let mut plan = Plan::calm(seed, Duration::from_secs(3600));
        plan.climate.loss = loss;
        Self::new(Shape { client_loss: loss, ..Shape::plain(servers) }, plan)
    }

    /// A world of this shape and plan, all of it up.
    #[must_use]
    pub fn new(shape: Shape, plan: Plan) -> Self {
        Self::with(shape, plan, &[])
    }

    /// The same, but these servers have not been started yet.
    #[must_use]
    pub fn with(shape: Shape, plan: Plan, absent: &[u16]) -> Self {
        let mut world = Pair::world(shape, plan);
        if trace::wanted() {
            world.trace();
        }
        world.start();
        for node in absent {
            world.fault(&Fault::Crash(NodeId(*node)));
        }
        Self { world, raw: RAW }
    }

    /// One more client.
    pub fn client(&mut self) -> usize {
        self.world.subject.clients.add()
    }

    /// So many more.
    pub fn clients(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.client()).collect()
    }

    /// Lets `client` begin something.
    pub fn begin(&mut self, client: usize, action: Action) {
        self.world.subject.clients.orders.push_back(Order { client, action });
    }

    /// Whether `client` has something under way.
    #[must_use]
    pub fn busy(&self, client: usize) -> bool {
        self.world.subject.clients.busy(client)
    }

    /// Sends a request to `node` as it is, and says under which number its answer will be found.
    pub fn raw(&mut self, node: u16, request: Request) -> u64 {
        self.raw += 1;
        let now = self.world.now();
        self.world.subject.clients.ask_raw(self.raw, NodeId(node), now, &request);
        self.world.ask(NodeId(node), self.raw, request);
        self.raw
    }

    /// What was answered to a request sent as it is.
    #[must_use]
    pub fn heard(&self, raw: u64) -> Option<&Reply> {
        self.world.subject.clients.raw.get(&raw)
    }

    /// Sends a request to `node` as it is, and waits for the answer.
    ///
    /// # Errors
    ///
    /// If there is none within 20 s, or the first trouble.
    pub fn ask_raw(&mut self, node: u16, request: Request) -> Result<Reply, Trouble> {
        let raw = self.raw(node, request);
        self.until(Duration::from_secs(20), "an answer", |scene| scene.heard(raw).is_some())?;
        self.heard(raw).cloned().ok_or_else(|| self.trouble("the answer is gone".into()))
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
        self.until(limit, "clients done", |scene| !clients.iter().any(|client| scene.busy(*client)))
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
        self.ask(client, get(key))?;
        self.seen(client)
    }

    /// What the last operation of `client`, a get, saw.
    ///
    /// # Errors
    ///
    /// If it was none, or saw nothing.
    pub fn seen(&self, client: usize) -> Result<Option<Vec<u8>>, Trouble> {
        match self.world.subject.clients.ended(client).map(|ended| &ended.outcome) {
            Some(Outcome::Ok(Answer::Value(value))) => Ok(value.clone()),
            other => Err(self.trouble(format!("a get ended with {other:?}"))),
        }
    }

    /// The longest time that anybody waited for an answer.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        let history = self.world.subject.clients.record();
        let now = self.world.now().0;
        let waits = history.iter().map(|it| it.finish.unwrap_or(now) - it.call);
        Duration::from_nanos(waits.max().unwrap_or_default())
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

    /// These two hear nothing from each other any more.
    pub fn cut(&mut self, one: u16, other: u16) {
        self.fault(Fault::Cut(NodeId(one), NodeId(other)));
        self.fault(Fault::Cut(NodeId(other), NodeId(one)));
    }

    /// What the view service knows, while it is up.
    #[must_use]
    pub fn safety(&self) -> Option<Safety> {
        match self.world.view().core(SERVICE_NODE) {
            Some(Node::Service(service)) => Some(service.safety().clone()),
            _ => None,
        }
    }

    /// The nodes of the primary and the backup of the view in force; 0 is nobody.
    #[must_use]
    pub fn members(&self) -> (u16, u16) {
        let Some(safety) = self.safety() else { return (0, 0) };
        let node = |it: Option<viewservice::Server>| it.map_or(0, |it| it.member.node.0);
        (node(safety.view.primary), node(safety.view.backup))
    }

    /// Looks at a server that is up.
    pub fn server<T>(&self, node: u16, look: impl FnOnce(&Pb) -> T) -> Option<T> {
        match self.world.view().core(NodeId(node)) {
            Some(Node::Server(server)) => Some(look(server)),
            _ => None,
        }
    }

    /// What a server holds under `key`, whether it is up to date or not.
    #[must_use]
    pub fn held(&self, node: u16, key: &str) -> Option<Vec<u8>> {
        self.server(node, |server| server.state().get(key.as_bytes()).map(|it| it.to_vec()))?
    }

    /// Whether the view in force has a backup that may take over at once: the service knows that,
    /// and both servers live.
    #[must_use]
    pub fn is_paired(&self) -> bool {
        let Some(safety) = self.safety() else { return false };
        let lives = |server: &viewservice::Server, duty: Duty| {
            let member = server.member;
            self.server(member.node.0, |it| it.member() == Some(member) && it.duty() == duty)
        };
        safety.acknowledged
            && safety.view.primary.as_ref().and_then(|it| lives(it, Duty::Paired)) == Some(true)
            && safety.view.backup.as_ref().and_then(|it| lives(it, Duty::Backup)) == Some(true)
    }

    /// Waits until the store has a primary and a backup that has everything. Who they are.
    ///
    /// # Errors
    ///
    /// If not within `limit`, or the first trouble.
    pub fn paired(&mut self, limit: Duration) -> Result<(u16, u16), Trouble> {
        self.until(limit, "a pair", Self::is_paired)?;
        Ok(self.members())
    }

    /// Starts the servers so that server 1 is primary and server 2 its backup, with everything.
    ///
    /// # Errors
    ///
    /// If it does not come to that, or the first trouble.
    pub fn one_and_two(shape: Shape, plan: Plan) -> Result<Self, Trouble> {
        let rest: Vec<u16> = (2..=shape.servers).collect();
        let mut scene = Self::with(shape, plan, &rest);
        let limit = Duration::from_secs(5);
        scene.until(limit, "a primary", |scene| scene.members() == (1, 0))?;
        scene.restart(2);
        scene.paired(limit)?;
        for node in rest.into_iter().skip(1) {
            scene.restart(node);
        }
        scene.pass(Duration::from_millis(150))?;
        Ok(scene)
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
