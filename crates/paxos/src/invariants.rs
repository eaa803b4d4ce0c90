//! The properties, checkable on any run: an omniscient judge that sees every disk.
//!
//! The numbers are those of the tower's table of invariants (`docs/architecture.md`).

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Lsn, NodeId};

use crate::{Ballot, Paxos, Record, Reply, Request, Slot, Value, core::Role};

/// Sees every disk and every decision, and remembers them all.
#[derive(Debug, Default)]
pub struct Judge {
    majority: usize,
    seen: BTreeMap<NodeId, Lsn>,
    votes: BTreeMap<(Slot, Ballot), (Value, BTreeSet<NodeId>)>,
    chosen: BTreeMap<Slot, (Ballot, Value)>,
    campaigns: BTreeMap<Ballot, u64>,
    nodes: BTreeMap<NodeId, Seen>,
    /// Slots chosen by a second leader's ballot after an earlier vote: a rare state worth counting.
    pub takeovers: u64,
}

/// How far a node was when it was last looked at.
#[derive(Debug, Default, Clone)]
struct Seen {
    promised: Ballot,
    settled: Slot,
    floor: Slot,
    delivered: Slot,
}

impl Judge {
    /// A judge over a group of so many voters.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self { majority: members / 2 + 1, ..Self::default() }
    }

    /// How many slots are chosen.
    #[must_use]
    pub fn chosen(&self) -> usize {
        self.chosen.len()
    }

    /// What is chosen in `slot`.
    #[must_use]
    pub fn value(&self, slot: Slot) -> Option<&Value> {
        self.chosen.get(&slot).map(|(_, value)| value)
    }

    /// Every chosen slot and its value.
    pub fn decisions(&self) -> impl Iterator<Item = (Slot, &Value)> {
        self.chosen.iter().map(|(slot, (_, value))| (*slot, value))
    }

    /// A node lost power: what it had only in memory may be less now.
    pub fn crashed(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// A node asks others to promise it a ballot, in its life of this number.
    ///
    /// # Errors
    ///
    /// S4: the ballot was used in another life, or is another node's.
    pub fn prepares(&mut self, node: NodeId, life: u64, ballot: Ballot) -> Result<(), String> {
        if ballot.node != node || *self.campaigns.entry(ballot).or_insert(life) != life {
            return Err(format!("S4 ballot ownership: {node} asks for {ballot} again"));
        }
        Ok(())
    }

    /// A node announced a decision.
    ///
    /// # Errors
    ///
    /// S1, S7: no quorum of durable votes stands behind it, or behind another value.
    pub fn decided(&self, node: NodeId, slot: Slot, value: &Value) -> Result<(), String> {
        match self.chosen.get(&slot) {
            Some((_, chosen)) if chosen == value => Ok(()),
            Some((ballot, chosen)) => Err(format!(
                "S1 agreement: {node} holds {value:?} for chosen in slot {slot}, but {chosen:?} is, at {ballot}"
            )),
            None => Err(format!(
                "S7 quorum-chosen: {node} holds {value:?} for chosen in slot {slot}, without a quorum of durable votes"
            )),
        }
    }

    /// Looks at one node and its disk after an event.
    ///
    /// # Errors
    ///
    /// The invariant that is broken, by number and name.
    pub fn look(
        &mut self,
        node: NodeId,
        paxos: &Paxos,
        durable: &[(Lsn, Record)],
    ) -> Result<(), String> {
        self.read(node, durable)?;
        let ledger = paxos.ledger();
        let now = Seen {
            promised: ledger.promised(),
            settled: ledger.settled(),
            floor: ledger.floor(),
            delivered: paxos.delivered(),
        };
        let before = self.nodes.entry(node).or_insert_with(|| now.clone());
        if now.promised < before.promised {
            return Err(format!("S5 promise monotone: {node} fell to {}", now.promised));
        }
        let fell = now.settled < before.settled
            || now.floor < before.floor
            || now.delivered < before.delivered;
        if fell {
            return Err(format!("S11 stability: {node} fell from {before:?} to {now:?}"));
        }
        if now.floor > now.settled || now.delivered > now.settled.max(now.floor) {
            return Err(format!("S12 order: {node} has {now:?}"));
        }
        *before = now;
        if let Role::Leader(leader) = paxos.role() {
            // What lies below `low` is settled elsewhere; the end of the watermark is enough to
            // check, since it moved one slot at a time.
            if leader.commit > leader.low {
                let last = Slot(leader.commit.0 - 1);
                let voted = self.votes.get(&(last, leader.ballot)).map_or(0, |(_, by)| by.len());
                if voted < self.majority {
                    return Err(format!(
                        "S10 scoped watermark: {node} claims slot {last} at {} with {voted} votes",
                        leader.ballot
                    ));
                }
            }
        }
        Ok(())
    }

    /// Reads what became durable at `node` since it was last read.
    fn read(&mut self, node: NodeId, durable: &[(Lsn, Record)]) -> Result<(), String> {
        let seen = self.seen.get(&node).copied().unwrap_or_default();
        let new = durable.iter().rposition(|(lsn, _)| *lsn <= seen).map_or(0, |at| at + 1);
        for (lsn, record) in &durable[new..] {
            self.seen.insert(node, *lsn);
            if let Record::Accepted { ballot, slot, value, .. } = record {
                self.vote(node, *slot, *ballot, value)?;
            }
        }
        // A crash may have taken records that were never durable: their numbers are used again.
        if let Some((last, _)) = durable.last() {
            self.seen.insert(node, *last);
        }
        Ok(())
    }

    fn vote(
        &mut self,
        node: NodeId,
        slot: Slot,
        ballot: Ballot,
        value: &Value,
    ) -> Result<(), String> {
        let (first, voters) =
            self.votes.entry((slot, ballot)).or_insert_with(|| (value.clone(), BTreeSet::new()));
        if first != value {
            return Err(format!(
                "S3 one value per slot and ballot: slot {slot} at {ballot} has {first:?} and {value:?}"
            ));
        }
        voters.insert(node);
        let quorum = voters.len() >= self.majority;
        match self.chosen.get(&slot) {
            Some((at, chosen)) if chosen != value && (ballot > *at || quorum) => Err(format!(
                "S8 higher ballots agree: slot {slot} is {chosen:?} at {at}, {node} voted {value:?} at {ballot}"
            )),
            None if quorum => {
                let earlier = self.votes.range((slot, Ballot::NONE)..(slot, ballot)).next();
                self.takeovers += u64::from(earlier.is_some());
                // Votes at higher ballots may have come before this one completed its quorum.
                let rival = self
                    .votes
                    .range((slot, ballot)..(slot.next(), Ballot::NONE))
                    .find(|(_, (other, _))| other != value);
                if let Some(((_, at), (other, _))) = rival {
                    return Err(format!(
                        "S8 higher ballots agree: slot {slot} became {value:?} at {ballot} beside {other:?} at {at}"
                    ));
                }
                self.chosen.insert(slot, (ballot, value.clone()));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// S6, S9: may these words leave a node whose disk holds `durable`?
///
/// # Errors
///
/// What was spoken before it was saved.
pub fn witness_reply(node: NodeId, reply: &Reply, durable: &[(Lsn, Record)]) -> Result<(), String> {
    let saved = match reply {
        Reply::Promise(promise) => promised(durable) >= promise.ballot,
        Reply::Nack(nack) => promised(durable) >= nack.promised,
        Reply::Accepted(accepted) => durable.iter().rev().any(|(_, record)| match record {
            Record::Accepted { ballot, slot, .. } => {
                *slot == accepted.slot && *ballot == accepted.ballot
            }
            Record::Checkpoint { floor, .. } => *floor > accepted.slot,
            _ => false,
        }),
        _ => true,
    };
    if saved {
        Ok(())
    } else {
        Err(format!("S9 gate discipline: {node} spoke before it saved: {reply:?}"))
    }
}

/// As [`witness_reply`], for what a node asks.
///
/// # Errors
///
/// What was spoken before it was saved.
pub fn witness_request(
    node: NodeId,
    request: &Request,
    durable: &[(Lsn, Record)],
) -> Result<(), String> {
    match request {
        Request::Prepare(prepare) if promised(durable) < prepare.ballot => {
            Err(format!("S9 gate discipline: {node} asks for promises before its own is saved"))
        }
        _ => Ok(()),
    }
}

/// The promise on a disk. Ballots never fall along it, so the last one counts.
fn promised(durable: &[(Lsn, Record)]) -> Ballot {
    let ballot = durable.iter().rev().find_map(|(_, record)| match record {
        Record::Promised { ballot } | Record::Accepted { ballot, .. } => Some(*ballot),
        Record::Checkpoint { promised, .. } => Some(*promised),
        Record::Learned { .. } => None,
    });
    ballot.unwrap_or_default()
}
