//! What must be true of the replicas after every event, and of all of them at rest.

use std::collections::BTreeMap;

use paxos::{Ballot, Paxos, Slot, core::Role, invariants::Judge};
use paxosrsm::{Agreement, Index, StateMachine, message::Chunk};
use protocol::NodeId;
use sim::View;

use super::{Disks, Node};
use crate::rare::{Rare, Sight};

/// How far a replica was when it was last looked at.
#[derive(Debug, Default)]
struct Seen {
    applied: Index,
    announced: Index,
    floor: Slot,
}

/// Remembers what replicas announced.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: BTreeMap<NodeId, Seen>,
    /// The fingerprint of everything up to and with each index, as first announced.
    chains: BTreeMap<Index, u64>,
    /// Announced in the event under way; judged when its disks have been read.
    applied: Vec<(NodeId, Index)>,
    trouble: Option<String>,
    /// The highest ballot that was ever led.
    leader: Option<Ballot>,
    /// A client's read is about to arrive here.
    asked: Option<NodeId>,
    /// The last piece each node asked of another.
    pulls: BTreeMap<(NodeId, NodeId), Chunk>,
}

impl Watch {
    /// A node begins a life with this much applied.
    pub(super) fn born(&mut self, node: NodeId, applied: Index) {
        self.pulls.retain(|(puller, _), _| *puller != node);
        self.seen.insert(node, Seen { applied, announced: applied, floor: Slot(0) });
    }

    /// A replica announced a command applied: the next one, with the fingerprint of all others.
    pub(super) fn applied(&mut self, node: NodeId, index: Index, chain: u64) {
        let seen = self.seen.entry(node).or_default();
        if seen.announced != index {
            self.trouble.get_or_insert(format!(
                "S12 order: {node} applied {} when {} was next",
                index.0, seen.announced.0
            ));
        }
        seen.announced = Index(index.0 + 1);
        if *self.chains.entry(index).or_insert(chain) != chain {
            self.trouble.get_or_insert(format!(
                "S16 apply determinism: {node} applied something else up to {}",
                index.0
            ));
        }
        self.applied.push((node, index));
    }

    /// A replica went on from a snapshot.
    pub(super) fn installed(&mut self, node: NodeId, upto: Index) {
        self.seen.entry(node).or_default().announced = upto;
    }

    /// A client's read is about to arrive at `node`.
    pub(super) fn asked(&mut self, node: NodeId) {
        self.asked = Some(node);
    }

    /// A node asks another for a piece of a snapshot: a piece other than the first that is asked
    /// for again means that the transfer had broken.
    pub(super) fn pulls(&mut self, pair: (NodeId, NodeId), chunk: Chunk, rare: &mut Rare) {
        let same = self.pulls.insert(pair, chunk) == Some(chunk);
        if same && chunk.offset > 0 {
            rare.saw(Sight::TransferResumed);
        }
    }

    /// Looks at one replica after an event. Returns whose office it took over, if it just did.
    pub(super) fn look(
        &mut self,
        node: NodeId,
        core: &Node,
        disks: &Disks,
        judge: &Judge,
        rare: &mut Rare,
    ) -> Result<Option<NodeId>, String> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        disks.agree()?;
        for (node, index) in self.applied.drain(..) {
            let slot = Slot(index.0);
            if let Some(value) = core.agreement().ledger().chosen(slot) {
                judge.decided(node, slot, value)?;
            }
        }
        self.order(node, core, disks, rare)?;
        Ok(self.office(node, core.agreement(), rare))
    }

    /// S11, S12: nothing falls, and nothing is let go that no durable snapshot covers.
    fn order(
        &mut self,
        node: NodeId,
        core: &Node,
        disks: &Disks,
        rare: &mut Rare,
    ) -> Result<(), String> {
        let seen = self.seen.entry(node).or_default();
        let (applied, floor) = (core.applied(), core.agreement().ledger().floor());
        let delivered = core.agreement().delivered();
        if applied < seen.applied || applied != seen.announced {
            return Err(format!(
                "S11 stability: {node} has applied {}, after {} and {}",
                applied.0, seen.applied.0, seen.announced.0
            ));
        }
        if delivered.0 != applied.0 {
            return Err(format!(
                "S12 order: {node} has applied {}, but was handed {delivered}",
                applied.0
            ));
        }
        let covered = disks.newest(node).map_or(Index(0), |(upto, _)| upto);
        if floor.0 > covered.0 {
            return Err(format!(
                "S12 order: {node} let go of everything below {floor}, its snapshot covers {}",
                covered.0
            ));
        }
        if floor > seen.floor {
            rare.saw(Sight::LogShortened);
        }
        (seen.applied, seen.floor) = (applied, floor);
        Ok(())
    }

    /// Who leads, and what came in the middle of a takeover.
    fn office(&mut self, node: NodeId, paxos: &Paxos, rare: &mut Rare) -> Option<NodeId> {
        let asked = self.asked.take_if(|asked| *asked == node).is_some();
        let Role::Leader(leader) = paxos.role() else { return None };
        if asked && paxos.delivered() < leader.high {
            rare.saw(Sight::ReadDuringTakeover);
        }
        if self.leader >= Some(leader.ballot) {
            return None;
        }
        self.leader.replace(leader.ballot).map(|old| old.node)
    }
}

/// One leader, everybody equally far and equal, nothing queued.
pub(super) fn at_rest(view: &View<'_, Node>) -> Result<(), String> {
    let leaders = view.cores().filter(|(_, core)| core.agreement().leads()).count();
    if leaders != 1 || !view.all_up() {
        return Err(format!("{leaders} leaders"));
    }
    let mut furthest = None;
    for (node, core) in view.cores() {
        let status = core.agreement().status();
        if status.undecided + status.queued > 0 {
            return Err(format!("{node} still has something under way"));
        }
        let applied = core.applied();
        if *furthest.get_or_insert(applied) != applied {
            return Err(format!("{node} has applied {}, another {furthest:?}", applied.0));
        }
    }
    let mut image = None;
    for (node, core) in view.cores() {
        let mine = (core.chain(), core.machine().freeze().write());
        if *image.get_or_insert_with(|| mine.clone()) != mine {
            return Err(format!("S16 apply determinism: {node} has another state at rest"));
        }
        if Agreement::leader(core.agreement()).is_none() {
            return Err(format!("{node} knows no leader"));
        }
    }
    Ok(())
}
