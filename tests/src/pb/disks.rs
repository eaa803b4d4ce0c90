//! What each server's disk would make of the server if it lost power now.
//!
//! Every durable record is applied to a state of its own as it becomes durable, all of them from
//! the first one on. So what a server recovers from a log that was shortened is compared with what
//! the whole log says, and what it tells anybody with what its disk has at that instant.

use std::collections::BTreeMap;

use pbservice::State;
use protocol::{Lsn, NodeId};
use sim::world::Record as Numbered;

use super::node::{Node, Record};

/// One disk.
#[derive(Debug)]
struct Shadow {
    upto: Lsn,
    state: State,
}

/// The disks of all servers.
#[derive(Debug, Default)]
pub struct Disks {
    shadows: BTreeMap<NodeId, Shadow>,
}

impl Disks {
    /// Follows what has become durable at `node`.
    pub(super) fn follow(&mut self, node: NodeId, durable: &[Numbered<Node>]) {
        let shadow = self
            .shadows
            .entry(node)
            .or_insert_with(|| Shadow { upto: Lsn(0), state: State::nothing() });
        let news = durable.partition_point(|(lsn, _)| *lsn <= shadow.upto);
        for (lsn, record) in &durable[news..] {
            shadow.upto = *lsn;
            match record {
                Record::Server(pbservice::Record::Fresh(_)) => shadow.state = State::fresh(),
                Record::Server(pbservice::Record::Wiped(_)) => shadow.state = State::nothing(),
                Record::Server(pbservice::Record::Items(items)) => {
                    for item in items {
                        shadow.state.apply(item);
                    }
                }
                Record::Server(pbservice::Record::Checkpoint(_) | pbservice::Record::Born(_))
                | Record::Service(_) => {}
            }
        }
    }

    /// What the disk of `node` holds.
    #[must_use]
    pub fn state(&self, node: NodeId) -> Option<&State> {
        self.shadows.get(&node).map(|shadow| &shadow.state)
    }

    /// P4: a server comes back with what was on its disk, however its log was shortened.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(super) fn recovered(&self, node: NodeId, state: &State) -> Result<(), String> {
        match self.state(node) {
            Some(kept)
                if kept.is_whole() != state.is_whole() || kept.is_whole() && kept != state =>
            {
                Err(format!("P4 durable: {node} comes back with another state than its disk had"))
            }
            _ => Ok(()),
        }
    }
}
