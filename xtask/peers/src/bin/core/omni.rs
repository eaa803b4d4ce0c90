//! The other side: `omnipaxos` over its own memory storage.

use omnipaxos::{
    ClusterConfig, OmniPaxos, ServerConfig,
    messages::Message,
    storage::{Entry, NoSnapshot},
};
use omnipaxos_storage::memory_storage::MemoryStorage;

use crate::group::{Cell, Group, Turns};

/// An entry of a given size.
pub(crate) trait Sized: Entry {
    fn sized(size: usize) -> Self;
}

/// The library has no entries of its own.
#[derive(Clone, Debug)]
pub(crate) struct Of<T>(T);

impl<T: Clone + std::fmt::Debug> Entry for Of<T> {
    type Snapshot = NoSnapshot;
}

impl Sized for Of<u64> {
    fn sized(_: usize) -> Self {
        Self(7)
    }
}

impl Sized for Of<Vec<u8>> {
    fn sized(size: usize) -> Self {
        Self(vec![7; size])
    }
}

/// A group of them.
pub(crate) struct Replicas<T>
where
    Of<T>: Sized,
{
    nodes: Vec<OmniPaxos<Of<T>, MemoryStorage<Of<T>>>>,
    leader: usize,
    size: usize,
    turns: Turns,
    said: Vec<Message<Of<T>>>,
    messages: u64,
}

impl<T> Group for Replicas<T>
where
    Of<T>: Sized,
{
    fn elected(cell: &Cell) -> Self {
        let ids: Vec<u64> = (1..=cell.replicas as u64).collect();
        let build = |pid: u64| {
            let nodes = ids.clone();
            let cluster = ClusterConfig { configuration_id: 1, nodes, flexible_quorum: None };
            let server = ServerConfig { pid, batch_size: cell.batch, ..ServerConfig::default() };
            cluster.build_for_server(server, MemoryStorage::default()).expect("sound knobs")
        };
        let nodes = ids.iter().copied().map(build).collect();
        let mut group = Self {
            nodes,
            leader: 0,
            size: cell.size,
            turns: Turns::default(),
            said: Vec::new(),
            messages: 0,
        };
        group.leader = loop {
            for node in &mut group.nodes {
                node.tick();
            }
            (0..group.nodes.len()).for_each(|node| group.turns.tell(node));
            group.carry();
            match group.nodes[0].get_current_leader() {
                Some((leader, true)) => break leader as usize - 1,
                _ => {}
            }
        };
        group
    }

    fn propose(&mut self, entries: usize) {
        for _ in 0..entries {
            let entry = Of::<T>::sized(self.size);
            self.nodes[self.leader].append(entry).expect("no reconfiguration is under way");
        }
        self.turns.tell(self.leader);
    }

    fn carry(&mut self) {
        while let Some(node) = self.turns.next() {
            self.nodes[node].take_outgoing_messages(&mut self.said);
            for message in self.said.drain(..) {
                let to = message.get_receiver() as usize - 1;
                self.nodes[to].handle_incoming(message);
                self.turns.tell(to);
                self.messages += 1;
            }
        }
    }

    fn settle(&mut self) {}

    fn decided(&self) -> u64 {
        self.nodes.iter().map(OmniPaxos::get_decided_idx).min().unwrap_or(0) as u64
    }

    fn messages(&self) -> u64 {
        self.messages
    }
}
