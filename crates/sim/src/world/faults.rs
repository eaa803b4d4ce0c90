//! What can be done to the world, and the count of what really was.

use std::time::Duration;

use protocol::{NodeId, Time};

use super::{Subject, World};
use crate::Fault;

/// What really happened because of faults: a fault that hits nobody proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toll {
    /// Messages that got lost by chance.
    pub lost: u64,
    /// Messages that a cut swallowed.
    pub cut: u64,
    /// Of these, messages swallowed while the nodes were in three groups or more.
    pub three_groups: u64,
    /// Messages that a deaf node did not hear.
    pub unheard: u64,
    /// Messages that took a delayed path.
    pub delayed: u64,
    /// Power cuts that left a part of what was being written.
    pub torn: u64,
    /// Power cuts that left nothing of what was being written.
    pub unwritten: u64,
    /// Events that waited their turn at a slow node.
    pub slowed: u64,
    /// Starts that a node refused because its disk was gone.
    pub refused: u64,
    /// Events of a node that its twin lived through as well.
    pub twinned: u64,
    /// Whole states that were compared with a twin's.
    pub compared: u64,
    /// Messages that a twin heard twice and that changed nothing the second time.
    pub repeated: u64,
}

impl<S: Subject> World<S> {
    /// Does something to the world now.
    pub fn fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Crash(node) => self.crash(*node),
            Fault::Restart(node) => self.restart(*node),
            Fault::CrashAll => {
                for node in self.nodes.keys().copied().collect::<Vec<_>>() {
                    self.crash(node);
                }
            }
            Fault::Cut(from, to) => {
                self.cuts.insert((*from, *to));
            }
            Fault::Partition(groups) => self.divide(groups),
            Fault::Deaf(node) => {
                self.deaf.insert(*node);
            }
            Fault::Lossy(node, loss) => {
                self.lossy.insert(*node, *loss);
            }
            Fault::Delay(from, to, between) => {
                self.delayed.insert((*from, *to), *between);
            }
            Fault::Heal => {
                self.cuts.clear();
                self.groups = 0;
                self.deaf.clear();
                self.lossy.clear();
                self.delayed.clear();
            }
            Fault::Pause(node, length) => {
                self.until(*node, *length, |it, end| it.paused_until = end)
            }
            Fault::SlowDisk(node, length) => {
                self.until(*node, *length, |it, end| it.slow_until = end);
            }
            Fault::Slow(node, slowness) => {
                let now = self.now;
                if let Some(it) = self.nodes.get_mut(node) {
                    it.slowness = (*slowness).max(1);
                    it.clock.change(now, it.slowness);
                }
                self.set_alarm(*node, true);
            }
            Fault::Quick(node) => self.quicken(*node),
            Fault::LoseDisk(node) => {
                self.crash(*node);
                if let Some(it) = self.nodes.get_mut(node) {
                    it.disk_gone = true;
                }
            }
            Fault::FindDisk(node) => {
                if let Some(it) = self.nodes.get_mut(node) {
                    it.disk_gone = false;
                }
            }
        }
    }

    fn until(
        &mut self,
        node: NodeId,
        length: Duration,
        set: impl FnOnce(&mut super::Node<S::Core>, Time),
    ) {
        let end = self.now.plus(length);
        if let Some(it) = self.nodes.get_mut(&node) {
            set(it, end);
        }
    }

    fn divide(&mut self, groups: &[Vec<NodeId>]) {
        self.cuts.clear();
        self.groups = groups.iter().filter(|group| !group.is_empty()).count();
        let home = |node| groups.iter().position(|group| group.contains(node));
        for from in self.nodes.keys() {
            for to in self.nodes.keys() {
                if home(from) != home(to) {
                    self.cuts.insert((*from, *to));
                }
            }
        }
    }

    /// A slow node works and counts time as usual again.
    pub(super) fn quicken(&mut self, node: NodeId) {
        let now = self.now;
        let Some(it) = self.nodes.get_mut(&node) else { return };
        if it.slowness > 1 {
            it.slowness = 1;
            it.clock.change(now, 1);
            self.set_alarm(node, true);
        }
    }
}
