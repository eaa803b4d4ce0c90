//! What happens at a node, and what is done about it.

use std::{cmp::Reverse, time::Duration};

use protocol::{CallId, Core, Lsn, NodeId, Word};

use super::{Entry, Node, SICK_AFTER, Subject, Trouble, View, What, World};

/// How long a node is busy with one event, if anybody looks that closely: only when it is slow.
const WORK: Duration = Duration::from_micros(100);
/// Events of a node with a twin after which their whole states are compared, per mille.
const COMPARED: u64 = 10;
/// Harmless requests to a node with a twin that the twin hears twice, per mille.
const REPEATS: u64 = 4;
/// The ticket of a request that a twin heard twice: its answer goes nowhere.
const TWICE: u64 = u64::MAX;

impl<S: Subject> World<S> {
    pub(super) fn happen(&mut self, entry: Entry<S::Core>) -> Result<(), Trouble> {
        if let Some(node) = target(&entry.what)
            && let Some(it) = self.nodes.get(&node)
            && it.paused_until > self.now
        {
            // Whatever is meant for a paused node waits until it goes on.
            let entry = Entry { at: it.paused_until, ..entry };
            self.heap.push(Reverse(entry));
            return Ok(());
        }
        if !entry.served && self.overtaken(&entry.what) {
            return Ok(());
        }
        let Some(entry) = self.serve(entry) else { return Ok(()) };
        self.events += 1;
        self.note(&entry);
        let now = self.now;
        let touched = match entry.what {
            What::Request { from, life, to, call, request } => {
                self.arrive(from, life, to, call, request)?
            }
            What::Reply { from, to, life, call, reply } => {
                self.outstanding.remove(&(to, life, call));
                let heard = self.alive(to, life).is_some_and(|it| it.reply(now, from, call, reply));
                heard.then_some(to)
            }
            What::Failed { node, life, to, call } => {
                if self.outstanding.remove(&(node, life, call)).is_none() {
                    return Ok(());
                }
                let told = self.alive(node, life).is_some_and(|it| it.failed(now, to, call));
                told.then_some(node)
            }
            What::Synced { node, life, count } => self.synced(node, life, count),
            What::Sick { node, life } => self.sick(node, life),
            What::Wake { node, life } => self.wake(node, life),
            What::Local { node, ticket, request } => {
                let it = self.nodes.get_mut(&node);
                it.is_some_and(|it| it.request(now, ticket, None, request)).then_some(node)
            }
            What::Timer(token) => {
                self.with_io(|subject, io| subject.tick(token, io));
                None
            }
            What::Fault(fault) => {
                self.fault(&fault);
                None
            }
        };
        touched.map_or(Ok(()), |node| self.attend(node))
    }

    /// An alarm that an earlier one has replaced. It must not go off: it would set the alarm anew
    /// beside the one that is set, and the two would do so for ever.
    pub(super) fn overtaken(&self, what: &What<S::Core>) -> bool {
        let What::Wake { node, .. } = what else { return false };
        self.nodes.get(node).is_none_or(|it| it.wake_at.is_none_or(|at| at > self.now))
    }

    /// Whatever happens at a slow node waits its turn.
    fn serve(&mut self, entry: Entry<S::Core>) -> Option<Entry<S::Core>> {
        let node = target(&entry.what).filter(|_| !entry.served);
        let Some(it) = node.and_then(|node| self.nodes.get_mut(&node)) else { return Some(entry) };
        if it.desk.is_none() || it.slowness == 1 && it.busy_until <= self.now {
            return Some(entry);
        }
        if let What::Wake { life, .. } = &entry.what
            && (*life != it.life || std::mem::replace(&mut it.wake_waits, true))
        {
            return None;
        }
        it.busy_until = it.busy_until.max(self.now).plus(WORK * it.slowness);
        self.toll.slowed += 1;
        let entry = Entry { at: it.busy_until, served: true, ..entry };
        self.heap.push(Reverse(entry));
        None
    }

    pub(super) fn alive(&mut self, node: NodeId, life: u64) -> Option<&mut Node<S::Core>> {
        let it = self.nodes.get_mut(&node)?;
        (it.life == life && it.desk.is_some()).then_some(it)
    }

    fn arrive(
        &mut self,
        from: NodeId,
        life: u64,
        to: NodeId,
        call: CallId,
        request: <S::Core as Core>::Request,
    ) -> Result<Option<NodeId>, Trouble> {
        let now = self.now;
        if self.nodes.get(&to).is_none_or(|it| it.desk.is_none()) {
            // Nobody listens there: the connection is refused, and the caller hears soon.
            let back = self.rng.between(self.plan.climate.delay.0, self.plan.climate.delay.1);
            if !self.cuts.contains(&(to, from)) {
                self.push(back, What::Failed { node: from, life, to, call });
            }
            return Ok(None);
        }
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, (from, life, call));
        let ticket = self.next_ticket;
        let repeat = self.may_repeat(to, &request).then(|| request.clone());
        if let Some(it) = self.nodes.get_mut(&to) {
            it.request(now, ticket, Some(from), request);
        }
        if let Some(request) = repeat {
            self.repeat(from, to, request)?;
        }
        Ok(Some(to))
    }

    /// Whether the twin of `node` shall hear a harmless request twice.
    fn may_repeat(&mut self, node: NodeId, request: &<S::Core as Core>::Request) -> bool {
        self.nodes.get(&node).is_some_and(|it| it.twin.is_some())
            && self.subject.harmless(request)
            && self.twin_rng.chance(REPEATS)
    }

    /// The twin of `to` hears once more what both have just heard. It must save nothing and must
    /// be left as it was. What it says the second time is nobody's, so it goes after that.
    fn repeat(
        &mut self,
        from: NodeId,
        to: NodeId,
        request: <S::Core as Core>::Request,
    ) -> Result<(), Trouble> {
        let now = self.now;
        let Some(it) = self.nodes.get_mut(&to) else { return Ok(()) };
        let (Some(desk), Some(mut twin)) = (&it.desk, it.twin.take()) else { return Ok(()) };
        let before = self.subject.lasting(desk.core());
        let saved = twin.saved();
        let kind = format!("{request:?}");
        twin.request(it.clock.shows(now), TWICE, Some(from), request);
        let after = self.subject.lasting(twin.core());
        if before == after && twin.saved() == saved {
            self.toll.repeated += 1;
            return Ok(());
        }
        let what = format!("H-05 repeated: {kind} came twice and did something the second time");
        Err(Trouble { at: now, node: to, what })
    }

    /// Now and then the whole state of a node is compared with its twin's.
    fn compare(&mut self, node: NodeId) -> Result<(), Trouble> {
        let Some(it) = self.nodes.get(&node) else { return Ok(()) };
        let (Some(desk), Some(twin)) = (&it.desk, &it.twin) else { return Ok(()) };
        self.toll.twinned += 1;
        if !self.twin_rng.chance(COMPARED) {
            return Ok(());
        }
        self.toll.compared += 1;
        let (one, other) = (self.subject.state(desk.core()), self.subject.state(twin.core()));
        if one == other {
            return Ok(());
        }
        let what = format!("H-05 determinism: told the same, one is {one} and the other {other}");
        Err(Trouble { at: self.now, node, what })
    }

    fn synced(&mut self, node: NodeId, life: u64, count: usize) -> Option<NodeId> {
        let now = self.now;
        let it = self.nodes.get_mut(&node)?;
        if it.life != life {
            return None;
        }
        it.syncing = false;
        it.durable.extend(it.pending.drain(..count));
        let durable = it.durable.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        if it.synced(now, durable) && it.unhealthy {
            it.unhealthy = false;
            it.healthy(now, true);
        }
        it.desk.is_some().then_some(node)
    }

    fn sick(&mut self, node: NodeId, life: u64) -> Option<NodeId> {
        let now = self.now;
        let it = self.nodes.get_mut(&node)?;
        let overdue = it.syncing && now.since(it.sync_since) >= SICK_AFTER;
        if it.life != life || it.unhealthy || !overdue {
            return None;
        }
        it.unhealthy = true;
        it.healthy(now, false).then_some(node)
    }

    fn wake(&mut self, node: NodeId, life: u64) -> Option<NodeId> {
        let now = self.now;
        let it = self.nodes.get_mut(&node)?;
        if it.life != life {
            return None;
        }
        it.wake_at = None;
        it.wake_waits = false;
        it.wake(now).then_some(node)
    }

    /// After every event at a node: its records go to its disk, its words on their way, its alarm
    /// is set, and everything that must be true is checked.
    pub(super) fn attend(&mut self, node: NodeId) -> Result<(), Trouble> {
        self.start_sync(node)?;
        while let Some(word) = self.next_word(node)? {
            self.carry(node, word);
            self.start_sync(node)?;
        }
        self.set_alarm(node, false);
        self.compare(node)?;
        let view = View { nodes: &self.nodes, now: self.now };
        self.subject.check(node, &view).map_err(|what| Trouble { at: self.now, node, what })
    }

    /// The alarm of `node` goes off when it wants to be woken. An earlier alarm is left alone,
    /// unless `anew`: its clock runs otherwise now.
    pub(super) fn set_alarm(&mut self, node: NodeId, anew: bool) {
        let Some(it) = self.nodes.get_mut(&node) else { return };
        let Some(at) = it.alarm() else { return };
        if it.wake_waits {
            return;
        }
        if anew || it.wake_at.is_none_or(|set| at < set) {
            let (at, life) = (at.max(self.now), it.life);
            it.wake_at = Some(at);
            self.push_at(at, What::Wake { node, life });
        }
    }

    pub(super) fn next_word(&mut self, node: NodeId) -> Result<Option<Word<S::Core>>, Trouble> {
        let Some(it) = self.nodes.get_mut(&node) else { return Ok(None) };
        let (word, twins) = it.next_word().map_err(|what| Trouble { at: self.now, node, what })?;
        if let Some(output) = twins {
            self.subject.twin_output(output);
        }
        let Some(word) = word else { return Ok(None) };
        self.subject.witness(node, &word, &it.durable).map_err(|what| Trouble {
            at: self.now,
            node,
            what,
        })?;
        Ok(Some(word))
    }
}

/// The node that must be awake for this to happen.
fn target<C: Core>(what: &What<C>) -> Option<NodeId> {
    match what {
        What::Request { to: node, .. }
        | What::Reply { to: node, .. }
        | What::Failed { node, .. }
        | What::Wake { node, .. }
        | What::Local { node, .. } => Some(*node),
        What::Synced { .. } | What::Sick { .. } | What::Timer(_) | What::Fault(_) => None,
    }
}
