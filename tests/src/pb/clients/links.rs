//! What lies between clients and nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use protocol::{NodeId, Time};
use sim::Io;

use super::{Node, Shape};

/// How long a message travels between a client and a node.
const TRAVEL: (Duration, Duration) = (Duration::from_micros(50), Duration::from_micros(300));
/// How long one takes that is overtaken by nearly everything.
const STRAGGLES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The links between clients and nodes.
#[derive(Debug)]
pub struct Links {
    /// Messages lost, per mille, while the storm lasts.
    loss: u64,
    /// Messages that take up to five seconds, per mille, while the storm lasts.
    stragglers: u64,
    storm_until: Time,
    delays: BTreeMap<(usize, NodeId), (Duration, Duration)>,
    lossy: BTreeMap<NodeId, u64>,
    deaf: BTreeSet<usize>,
}

impl Links {
    pub(super) fn new(shape: &Shape, storm_until: Time) -> Self {
        Self {
            loss: shape.client_loss,
            stragglers: shape.client_stragglers,
            storm_until,
            delays: BTreeMap::new(),
            lossy: BTreeMap::new(),
            deaf: BTreeSet::new(),
        }
    }

    /// Requests of `client` to `node` take so long to arrive from now on, or as long as usual.
    pub fn delay(&mut self, client: usize, node: NodeId, between: Option<(Duration, Duration)>) {
        match between {
            Some(between) => drop(self.delays.insert((client, node), between)),
            None => drop(self.delays.remove(&(client, node))),
        }
    }

    /// Requests to and answers of `node` get lost, per mille each.
    pub fn lossy(&mut self, node: NodeId, loss: u64) {
        self.lossy.insert(node, loss);
    }

    /// Whether `client` hears no answers.
    pub fn deaf(&mut self, client: usize, deaf: bool) {
        match deaf {
            true => drop(self.deaf.insert(client)),
            false => drop(self.deaf.remove(&client)),
        }
    }

    /// How long a message takes when nothing is wrong.
    pub(super) fn usual(io: &mut Io<Node>) -> Duration {
        io.rng.between(TRAVEL.0, TRAVEL.1)
    }

    /// How long a request of `client` to `node` takes; none if it gets lost.
    pub(super) fn asks(&self, client: usize, node: NodeId, io: &mut Io<Node>) -> Option<Duration> {
        let usual = self.travel(node, io)?;
        match self.delays.get(&(client, node)) {
            Some((least, most)) => Some(io.rng.between(*least, *most)),
            None => Some(usual),
        }
    }

    /// How long an answer of `node` to `client` takes; none if it gets lost.
    pub(super) fn tells(&self, client: usize, node: NodeId, io: &mut Io<Node>) -> Option<Duration> {
        self.travel(node, io).filter(|_| !self.deaf.contains(&client))
    }

    fn travel(&self, node: NodeId, io: &mut Io<Node>) -> Option<Duration> {
        let storm = io.now < self.storm_until;
        let own = self.lossy.get(&node).copied().unwrap_or_default();
        let loss = if storm { own.max(self.loss) } else { own };
        if io.rng.chance(loss) {
            return None;
        }
        let straggles = storm && io.rng.chance(self.stragglers);
        let (least, most) = if straggles { STRAGGLES } else { TRAVEL };
        Some(io.rng.between(least, most))
    }
}
