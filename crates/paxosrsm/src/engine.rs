//! How a group gets its agreement: Multi-Paxos among many, or one node alone.

use std::{collections::BTreeMap, sync::Arc};

use net::{Addr, Alone, Ask, Calls, Network, Server};
use paxos::{Paxos, Slot};
use protocol::{Lsn, NodeId, codec};

use crate::{
    agreement::{Agreement, Index},
    solo::{Line, Solo},
};

/// Multi-Paxos among many, as an engine: its knobs.
pub use paxos::Config as MultiPaxos;

/// The way to reach an agreement's peers.
pub type EngineCalls<E> = <E as Engine>::Calls;
/// The records of an engine's agreement, with their numbers.
pub type Past<E> = Vec<(Lsn, <<E as Engine>::Agreement as protocol::Core>::Record)>;

/// What a group needs to know of the engine that orders its commands.
pub trait Engine: Send + 'static {
    /// The pure part.
    type Agreement: Agreement<Request: Send + 'static, Reply: Send + 'static, Record: Send + 'static>
        + Send
        + 'static;
    /// How its peers are reached.
    type Calls: Calls<
            <Self::Agreement as protocol::Core>::Request,
            <Self::Agreement as protocol::Core>::Reply,
        >;

    /// The agreement as it was, for a machine that was restored up to `applied`.
    ///
    /// # Errors
    ///
    /// One sentence.
    fn recover(
        &self,
        seed: u64,
        applied: Index,
        records: Past<Self>,
    ) -> Result<Self::Agreement, String>
    where
        Self: Sized;

    /// How a record is written.
    fn encode() -> fn(&<Self::Agreement as protocol::Core>::Record, &mut Vec<u8>);

    /// The record that these bytes mean.
    ///
    /// # Errors
    ///
    /// One sentence.
    fn decode(bytes: &[u8]) -> Result<<Self::Agreement as protocol::Core>::Record, String>;

    /// Mounts the engine's own service for its peers, and says how they are reached.
    fn join<D>(&self, server: Server, neighbours: &Neighbours, door: D) -> (Server, Self::Calls)
    where
        D: Ask<
                <Self::Agreement as protocol::Core>::Request,
                <Self::Agreement as protocol::Core>::Reply,
            >;
}

/// Who else there is, and how to get to them.
#[derive(Clone)]
pub struct Neighbours {
    /// How others are reached.
    pub network: Arc<dyn Network>,
    /// The number that every node of this installation shares.
    pub cluster: u64,
    /// This node.
    pub me: NodeId,
    /// Every member of the group, this node among them, and where it listens.
    pub addrs: BTreeMap<NodeId, Addr>,
    /// For the jitter of reconnecting.
    pub seed: u64,
}

impl Engine for paxos::Config {
    type Agreement = Paxos;
    type Calls = paxos::server::Calls;

    fn recover(&self, seed: u64, applied: Index, records: Past<Self>) -> Result<Paxos, String> {
        let paxos = Paxos::recover(self.clone(), seed, Slot(applied.0), records)
            .map_err(|error| error.to_string())?;
        let floor = paxos.ledger().floor();
        if floor > Slot(applied.0) {
            return Err(format!(
                "the log begins at slot {floor}, but the newest sound snapshot ends at {}",
                applied.0
            ));
        }
        Ok(paxos)
    }

    fn encode() -> fn(&paxos::Record, &mut Vec<u8>) {
        paxos::server::encode_record
    }

    fn decode(bytes: &[u8]) -> Result<paxos::Record, String> {
        paxos::server::decode_record(bytes).map_err(|error| error.to_string())
    }

    fn join<D: Ask<paxos::Request, paxos::Reply>>(
        &self,
        server: Server,
        neighbours: &Neighbours,
        door: D,
    ) -> (Server, Self::Calls) {
        let Neighbours { network, cluster, me, addrs, seed } = neighbours;
        let calls = paxos::server::calls(network, *cluster, *me, addrs, *seed);
        (paxos::server::mount(server, &self.members, door), calls)
    }
}

/// A group of one, as an engine.
#[derive(Clone, Copy, Debug)]
pub struct Single(pub NodeId);

/// Largest record of a group of one, in bytes.
const MAX_LINE: u64 = 4 << 20;

impl Engine for Single {
    type Agreement = Solo;
    type Calls = Alone;

    fn recover(&self, _seed: u64, applied: Index, records: Past<Self>) -> Result<Solo, String> {
        Solo::recover(self.0, applied, records)
    }

    fn encode() -> fn(&Line, &mut Vec<u8>) {
        |line, into| {
            codec::encode_into(line, MAX_LINE, into).expect("a command is within its limit");
        }
    }

    fn decode(bytes: &[u8]) -> Result<Line, String> {
        codec::decode(bytes, MAX_LINE).map_err(|error| error.to_string())
    }

    fn join<D: Ask<crate::solo::Ask, crate::solo::Noted>>(
        &self,
        server: Server,
        _: &Neighbours,
        _: D,
    ) -> (Server, Alone) {
        (server, Alone)
    }
}
