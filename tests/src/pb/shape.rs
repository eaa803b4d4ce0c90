//! What kind of day a seed makes: how many servers and clients, with disks or without.

use std::time::Duration;

use protocol::{NodeId, Rng};
use viewservice::SERVICE_NODE;

/// Sizes and knobs of one day.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Servers; the view service is one node more.
    pub servers: u16,
    /// Whether they write down what they have. If not, each life begins with nothing.
    pub durable: bool,
    /// Bytes of a log from which on the state is written down again.
    pub checkpoint_bytes: usize,
    /// Clients with a workload of their own.
    pub clients: usize,
    /// Keys they use.
    pub keys: u64,
    /// The longest pause of a client between two operations.
    pub think: Duration,
    /// Requests and answers lost between clients and nodes, per mille each way.
    pub client_loss: u64,
    /// Requests and answers between clients and nodes that take up to five seconds, per mille.
    pub client_stragglers: u64,
    /// How long a client waits for an answer before it tries again.
    pub client_patience: Duration,
    /// Clients that give up when it takes too long, per mille.
    pub hasty: u64,
    /// Operations that only look, per mille.
    pub reads: u64,
    /// Values that are so long that a state of some of them travels in many pieces, per mille.
    pub large: u64,
}

impl Shape {
    /// So many servers with nothing but memory, and no clients but those of a script.
    #[must_use]
    pub fn plain(servers: u16) -> Self {
        Self {
            servers,
            durable: false,
            checkpoint_bytes: pbservice::config::CHECKPOINT_BYTES,
            clients: 0,
            keys: 1,
            think: Duration::from_millis(1),
            client_loss: 0,
            client_stragglers: 0,
            client_patience: Duration::from_millis(300),
            hasty: 0,
            reads: 0,
            large: 0,
        }
    }

    /// The shape of this seed's day.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork(0x9A_14_5E);
        let servers = [1, 2, 2, 3, 3, 3, 3, 4][rng.below(8) as usize];
        let mut shape = Self { clients: 2 + rng.below(7) as usize, ..Self::plain(servers) };
        shape.keys = 1 + rng.below(8);
        shape.durable = rng.chance(600);
        if rng.chance(800) {
            shape.checkpoint_bytes = 500 << rng.below(8);
        }
        shape.think = Duration::from_millis(4 << rng.below(6));
        if rng.chance(500) {
            shape.client_loss = 1 << rng.below(8);
        }
        if rng.chance(300) {
            shape.client_stragglers = 1 << rng.below(7);
        }
        shape.client_patience = Duration::from_millis(100 << rng.below(6));
        shape.hasty = [0, 0, 300, 700][rng.below(4) as usize];
        shape.reads = 100 + rng.below(600);
        if rng.chance(150) {
            shape.large = 50 + rng.below(300);
        }
        shape
    }

    /// The names of the servers.
    #[must_use]
    pub fn servers(&self) -> Vec<NodeId> {
        (1..=self.servers).map(NodeId).collect()
    }

    /// The names of all nodes: the view service and the servers.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        [SERVICE_NODE].into_iter().chain(self.servers()).collect()
    }

    /// The configuration of one server.
    #[must_use]
    pub fn server(&self, me: NodeId) -> pbservice::Config {
        let config = pbservice::Config::new(me, format!("at {me}"));
        let config = if self.durable { config.durable() } else { config };
        pbservice::Config { checkpoint_bytes: self.checkpoint_bytes, ..config }
    }
}
