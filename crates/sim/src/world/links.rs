//! Disks and links: what becomes durable when, which message arrives where.

use std::{cmp::Reverse, time::Duration};

use protocol::{Desk, Lsn, NodeId, Time, Word};

use super::{Entry, Io, PEER_TICKET, SICK_AFTER, Subject, Trouble, What, World};

/// Lives that begin with a twin beside them, per mille, if the subject makes twins.
const TWINS: u64 = 40;

impl<S: Subject> World<S> {
    pub(super) fn start_sync(&mut self, node: NodeId) -> Result<(), Trouble> {
        let Some(it) = self.nodes.get_mut(&node) else { return Ok(()) };
        let records = it.records().map_err(|what| Trouble { at: self.now, node, what })?;
        for record in records {
            it.saved.0 += 1;
            if let Some(transcript) = &mut self.transcript {
                transcript.push(format!("{:>12}  {node} saves {record:?}", self.now.to_string()));
            }
            it.pending.push((it.saved, record));
        }
        if it.desk.is_none() || it.syncing || it.pending.is_empty() {
            return Ok(());
        }
        it.syncing = true;
        it.sync_since = self.now;
        let (count, life) = (it.pending.len(), it.life);
        let climate = &self.plan.climate;
        let mut takes = self.rng.between(climate.sync.0, climate.sync.1);
        if self.rng.chance(climate.stalls) {
            takes += self.rng.between(Duration::ZERO, Duration::from_secs(2));
        }
        if it.slow_until > self.now {
            takes += self.rng.between(Duration::ZERO, Duration::from_millis(1500));
        }
        takes *= it.slowness;
        self.push(takes, What::Synced { node, life, count });
        if takes > SICK_AFTER {
            self.push(SICK_AFTER, What::Sick { node, life });
        }
        Ok(())
    }

    pub(super) fn carry(&mut self, node: NodeId, word: Word<S::Core>) {
        match word {
            Word::Send { to, call, request } => {
                let life = self.nodes.get(&node).map_or(0, |it| it.life);
                self.outstanding.insert((node, life, call), (to, self.now));
                let patience = self.plan.climate.patience;
                self.push(patience, What::Failed { node, life, to, call });
                for travel in self.travels(node, to) {
                    if self.deaf.contains(&to) {
                        self.toll.unheard += 1;
                        continue;
                    }
                    let request = request.clone();
                    self.push(travel, What::Request { from: node, life, to, call, request });
                }
            }
            Word::Answer { ticket, reply } if ticket > PEER_TICKET => {
                let Some((to, life, call)) = self.tickets.remove(&ticket) else { return };
                for travel in self.travels(node, to) {
                    let reply = reply.clone();
                    self.push(travel, What::Reply { from: node, to, life, call, reply });
                }
            }
            Word::Answer { ticket, reply } => {
                self.with_io(|subject, io| subject.answer(ticket, reply, io));
            }
            Word::Output(output) => {
                if let Some(transcript) = &mut self.transcript {
                    let at = self.now.to_string();
                    transcript.push(format!("{at:>12}  {node} puts out {output:?}"));
                }
                self.with_io(|subject, io| subject.output(node, output, io));
            }
            Word::Forget(keep) => {
                if let Some(it) = self.nodes.get_mut(&node) {
                    it.durable.retain(|(lsn, _)| *lsn >= keep);
                }
            }
        }
    }

    /// How long each copy of a message travels; none if it is lost.
    pub(super) fn travels(&mut self, from: NodeId, to: NodeId) -> Vec<Duration> {
        self.messages += 1;
        let climate = &self.plan.climate;
        if self.cuts.contains(&(from, to)) {
            self.toll.cut += 1;
            self.toll.three_groups += u64::from(self.groups > 2);
            return Vec::new();
        }
        let own = [from, to].into_iter().filter_map(|node| self.lossy.get(&node)).max();
        if self.rng.chance(climate.loss.max(own.copied().unwrap_or_default())) {
            self.toll.lost += 1;
            return Vec::new();
        }
        if let Some((least, most)) = self.delayed.get(&(from, to)) {
            self.toll.delayed += 1;
            return vec![self.rng.between(*least, *most)];
        }
        let copies = if self.rng.chance(climate.duplication) { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                let travel = self.rng.between(climate.delay.0, climate.delay.1);
                if self.rng.chance(climate.stragglers) { travel * 10 } else { travel }
            })
            .collect()
    }

    pub(super) fn crash(&mut self, node: NodeId) {
        let Some(it) = self.nodes.get_mut(&node) else { return };
        it.twin = None;
        if it.desk.take().is_none() {
            return;
        }
        self.crashes += 1;
        // What was being written may be on the disk, up to some point.
        let kept = self.rng.below(it.pending.len() as u64 + 1) as usize;
        self.toll.torn += u64::from(0 < kept && kept < it.pending.len());
        self.toll.unwritten += u64::from(kept == 0 && !it.pending.is_empty());
        it.durable.extend(it.pending.drain(..kept));
        it.pending.clear();
        it.life += 1;
        it.syncing = false;
        it.unhealthy = false;
        it.wake_at = None;
        let life = it.life;
        self.outstanding.retain(|(caller, old, _), _| *caller != node || *old == life);
        self.subject.crashed(node);
    }

    pub(super) fn restart(&mut self, node: NodeId) {
        let Some(it) = self.nodes.get_mut(&node) else { return };
        if it.desk.is_some() {
            return;
        }
        if it.disk_gone {
            // Whoever may have forgotten something does not vote (P7).
            self.toll.refused += 1;
            return;
        }
        let seed = self.rng.next_u64();
        let core = self.subject.recover(node, seed, it.durable.clone());
        it.saved = it.durable.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        it.desk = Some(Desk::new(node, core, it.saved));
        if self.twin_rng.chance(TWINS) {
            let twin = self.subject.twin(node, seed, it.durable.clone());
            it.twin = twin.map(|core| Desk::new(node, core, it.saved));
        }
        it.wake_at = Some(self.now);
        // A machine that starts does not stand still, whatever it did when it lost power.
        it.paused_until = self.now;
        it.busy_until = self.now;
        it.wake_waits = false;
        let life = it.life;
        self.push(Duration::ZERO, What::Wake { node, life });
    }

    pub(super) fn with_io(&mut self, act: impl FnOnce(&mut S, &mut Io<S::Core>)) {
        let rng = self.io_rng.clone();
        let mut io = Io { now: self.now, rng, requests: Vec::new(), timers: Vec::new() };
        act(&mut self.subject, &mut io);
        self.io_rng = io.rng;
        for (delay, node, ticket, request) in io.requests {
            self.push(delay, What::Local { node, ticket, request });
        }
        for (delay, token) in io.timers {
            self.push(delay, What::Timer(token));
        }
    }

    pub(super) fn push(&mut self, delay: Duration, what: What<S::Core>) {
        self.push_at(self.now.plus(delay), what);
    }

    pub(super) fn push_at(&mut self, at: Time, what: What<S::Core>) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at, number: self.number, served: false, what }));
    }

    pub(super) fn note(&mut self, entry: &Entry<S::Core>) {
        let (kind, node) = match &entry.what {
            What::Request { to, .. } => (1, to.0),
            What::Reply { to, .. } => (2, to.0),
            What::Failed { node, .. } => (3, node.0),
            What::Synced { node, .. } => (4, node.0),
            What::Sick { node, .. } => (5, node.0),
            What::Wake { node, .. } => (6, node.0),
            What::Local { node, .. } => (7, node.0),
            What::Timer(_) => (8, 0),
            What::Fault(_) => (9, 0),
        };
        for part in [entry.at.0, entry.number, kind, u64::from(node)] {
            self.hash = (self.hash ^ part).wrapping_mul(0x0000_0100_0000_01B3);
        }
        if let Some(transcript) = &mut self.transcript {
            let at = self.now.to_string();
            let line = match &entry.what {
                What::Request { from, to, request, .. } => format!("{to} <- {from}  {request:?}"),
                What::Reply { from, to, reply, .. } => format!("{to} <- {from}  {reply:?}"),
                What::Failed { node, to, .. } => format!("{node} hears nothing from {to}"),
                What::Synced { node, count, .. } => format!("{node} has synced {count}"),
                What::Sick { node, .. } => format!("{node} finds its disk slow"),
                What::Wake { node, .. } => format!("{node} wakes"),
                What::Local { node, request, .. } => format!("{node} is asked {request:?}"),
                What::Timer(token) => format!("timer {token}"),
                What::Fault(fault) => format!("{fault:?}"),
            };
            transcript.push(format!("{at:>12}  {line}"));
        }
    }
}
