//! What a simulation is about: how its nodes come to life, who uses them, what must be true.

use std::{collections::BTreeMap, time::Duration};

use protocol::{Core, Desk, Lsn, NodeId, Rng, Time, Word};

use super::Node;

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

    /// The same node as `recover` has just made of the same arguments, once more. Whoever makes
    /// one has its cores checked against it: told the same, they must do the same.
    fn twin(
        &self,
        _node: NodeId,
        _seed: u64,
        _records: Vec<Record<Self::Core>>,
    ) -> Option<Self::Core> {
        None
    }

    /// A twin announced the same as its sibling: what the layer above would do that a core can
    /// tell is done for the twin as well, and nothing else.
    fn twin_output(&self, _output: Output<Self::Core>) {}

    /// The whole state of a core, to be compared with its twin's.
    fn state(&self, _core: &Self::Core) -> String {
        String::new()
    }

    /// What must be the same whether a harmless request came once or twice.
    fn lasting(&self, _core: &Self::Core) -> String {
        String::new()
    }

    /// Whether it is declared that this request may come twice and do nothing the second time.
    fn harmless(&self, _request: &<Self::Core as Core>::Request) -> bool {
        false
    }

    /// A core in a line, for people who want to know why nothing goes on.
    fn describe(&self, _node: NodeId, _core: &Self::Core) -> String {
        "up".into()
    }

    /// Who outside the nodes waits for what, for the same people.
    fn waits(&self, _now: Time) -> Vec<String> {
        Vec::new()
    }

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
    pub(super) requests: Vec<(Duration, NodeId, u64, C::Request)>,
    pub(super) timers: Vec<(Duration, u64)>,
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
    pub(super) nodes: &'a BTreeMap<NodeId, Node<C>>,
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
