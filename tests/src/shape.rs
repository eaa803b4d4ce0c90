//! What kind of day a seed makes: how many nodes and clients, and every knob.

use std::time::Duration;

use protocol::{NodeId, Rng};

/// Whether nobody stays in office on this seed's day. See [`plan`](crate::day::plan).
#[must_use]
pub fn mutinous(seed: u64) -> bool {
    Rng::new(seed).fork(0x3D_71_4E).chance(350)
}

/// Sizes and knobs of one day.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Replicas.
    pub replicas: u16,
    /// Another election timeout than the default; short ones make for many leaders.
    pub timeout: Option<Duration>,
    /// A replica takes a snapshot after so many bytes.
    pub snapshot_bytes: u64,
    /// Slots kept behind a snapshot.
    pub trailing: u64,
    /// Batches in flight.
    pub window: usize,
    /// Commands in one batch.
    pub batch_commands: usize,
    /// Commands that may wait at a leader.
    pub queue_commands: usize,
    /// Bytes in one page of a promise or of fetched values.
    pub page_bytes: usize,
    /// Clients that are remembered.
    pub sessions: usize,
    /// Clients with a workload of their own.
    pub clients: usize,
    /// Keys they use.
    pub keys: u64,
    /// The longest pause of a client between two operations.
    pub think: Duration,
    /// Requests and replies lost between clients and servers, per mille each way.
    pub client_loss: u64,
    /// How long a client waits for an answer before it tries again.
    pub client_patience: Duration,
    /// How many clients of a thousand ask one server only.
    pub pinned: u64,
    /// How many clients of a thousand give requests up.
    pub hasty: u64,
    /// Operations that only look, per mille.
    pub reads: u64,
    /// Bytes of a snapshot read at a time.
    pub piece_bytes: usize,
    /// The longest time a snapshot takes to be written.
    pub write_time: Duration,
    /// Snapshots that cannot be written, per mille.
    pub write_failures: u64,
}

impl Shape {
    /// The defaults of every layer, so many replicas, and no clients but those of a script.
    #[must_use]
    pub fn plain(replicas: u16) -> Self {
        Self {
            replicas,
            timeout: None,
            snapshot_bytes: 64 << 20,
            trailing: 1024,
            window: 4,
            batch_commands: 1024,
            queue_commands: 16_384,
            page_bytes: 1 << 20,
            sessions: 131_072,
            clients: 0,
            keys: 1,
            think: Duration::from_millis(1),
            client_loss: 0,
            client_patience: Duration::from_millis(300),
            pinned: 0,
            hasty: 0,
            reads: 0,
            piece_bytes: paxosrsm::message::CHUNK,
            write_time: Duration::from_millis(1),
            write_failures: 0,
        }
    }

    /// The shape of this seed's day.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork(0x05_4A_9E);
        let replicas = [1, 3, 3, 3, 3, 3, 5, 5][rng.below(8) as usize];
        let clients = 1 + rng.below(12) as usize;
        let mut shape = Self { clients, keys: 1 + rng.below(8), ..Self::plain(replicas) };
        shape.window = 1 + rng.below(8) as usize;
        shape.batch_commands = 1 << rng.below(7);
        if mutinous(seed) {
            shape.replicas = replicas.max(3);
            shape.timeout = Some(Duration::from_millis(20));
            shape.window = 8;
            shape.batch_commands = 1 + rng.below(2) as usize;
        } else if rng.chance(500) {
            shape.timeout = Some(Duration::from_millis(20 << rng.below(4)));
        }
        if rng.chance(850) {
            shape.snapshot_bytes = 200 << rng.below(9);
            shape.trailing = rng.below(51) * rng.below(2);
        }
        if rng.chance(150) {
            shape.queue_commands = 1 + rng.below(3) as usize;
        }
        shape.page_bytes = 64 << rng.below(10);
        if rng.chance(200) {
            shape.sessions = 2.max(clients / 2 + rng.below(3) as usize);
        }
        shape.think = Duration::from_millis(6 << rng.below(5));
        if rng.chance(600) {
            shape.client_loss = 1 << rng.below(8);
        }
        shape.client_patience = Duration::from_millis(60 << rng.below(4));
        shape.pinned = [0, 300, 1000][rng.below(3) as usize];
        shape.hasty = [0, 0, 300, 700][rng.below(4) as usize];
        shape.reads = 100 + rng.below(600);
        shape.piece_bytes = 32 << rng.below(8);
        shape.write_time = Duration::from_millis(1 << rng.below(8));
        if rng.chance(200) {
            shape.write_failures = 1 << rng.below(8);
        }
        shape
    }

    /// Whether so few clients are remembered that some come back as strangers.
    #[must_use]
    pub fn forgetful(&self) -> bool {
        self.sessions < 1000
    }

    /// The names of the replicas.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        (1..=self.replicas).map(NodeId).collect()
    }

    /// The configuration of one node's Paxos.
    #[must_use]
    pub fn paxos(&self, me: NodeId) -> paxos::Config {
        let mut config = paxos::Config::new(me, self.nodes());
        if let Some(timeout) = self.timeout {
            config.election_timeout = timeout;
            config.heartbeat = timeout / 7;
            config.probe_timeout = timeout / 4;
        }
        config.trailing = self.trailing;
        config.window = self.window;
        config.batch_commands = self.batch_commands;
        config.queue_commands = self.queue_commands;
        config.page_bytes = self.page_bytes;
        config
    }

    /// The configuration of one replica.
    #[must_use]
    pub fn replica(&self, me: NodeId) -> paxosrsm::Config {
        let mut config = paxosrsm::Config::new(me);
        config.snapshot_bytes = self.snapshot_bytes;
        config
    }
}
