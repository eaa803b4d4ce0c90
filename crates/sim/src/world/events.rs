//! What happens at a node, and what is done about it.

use std::cmp::Reverse;

use protocol::{CallId, Core, Desk, Lsn, NodeId, Word};

use super::{Entry, SICK_AFTER, Subject, Trouble, View, What, World};

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
        if self.overtaken(&entry.what) {
            return Ok(());
        }
        self.events += 1;
        self.note(&entry);
        let now = self.now;
        let touched = match entry.what {
            What::Request { from, life, to, call, request } => {
                self.arrive(from, life, to, call, request)
            }
            What::Reply { from, to, life, call, reply } => {
                self.outstanding.remove(&(to, life, call));
                self.alive(to, life).map(|desk| desk.reply(now, from, call, reply)).map(|()| to)
            }
            What::Failed { node, life, to, call } => {
                if !self.outstanding.remove(&(node, life, call)) {
                    return Ok(());
                }
                self.alive(node, life).map(|desk| desk.failed(now, to, call)).map(|()| node)
            }
            What::Synced { node, life, count } => self.synced(node, life, count),
            What::Sick { node, life } => self.sick(node, life),
            What::Wake { node, life } => self.wake(node, life),
            What::Local { node, ticket, request } => self.nodes.get_mut(&node).and_then(|it| {
                it.desk.as_mut()?.request(now, ticket, None, request);
                Some(node)
            }),
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

    pub(super) fn alive(&mut self, node: NodeId, life: u64) -> Option<&mut Desk<S::Core>> {
        let it = self.nodes.get_mut(&node)?;
        if it.life == life { it.desk.as_mut() } else { None }
    }

    fn arrive(
        &mut self,
        from: NodeId,
        life: u64,
        to: NodeId,
        call: CallId,
        request: <S::Core as Core>::Request,
    ) -> Option<NodeId> {
        let now = self.now;
        let Some(desk) = self.nodes.get_mut(&to).and_then(|it| it.desk.as_mut()) else {
            // Nobody listens there: the connection is refused, and the caller hears soon.
            let back = self.rng.between(self.plan.climate.delay.0, self.plan.climate.delay.1);
            if !self.cuts.contains(&(to, from)) {
                self.push(back, What::Failed { node: from, life, to, call });
            }
            return None;
        };
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, (from, life, call));
        desk.request(now, self.next_ticket, Some(from), request);
        Some(to)
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
        let desk = it.desk.as_mut()?;
        desk.durable(now, durable);
        if it.unhealthy {
            it.unhealthy = false;
            desk.disk_healthy(now, true);
        }
        Some(node)
    }

    fn sick(&mut self, node: NodeId, life: u64) -> Option<NodeId> {
        let now = self.now;
        let it = self.nodes.get_mut(&node)?;
        let overdue = it.syncing && now.since(it.sync_since) >= SICK_AFTER;
        if it.life != life || it.unhealthy || !overdue {
            return None;
        }
        it.unhealthy = true;
        it.desk.as_mut()?.disk_healthy(now, false);
        Some(node)
    }

    fn wake(&mut self, node: NodeId, life: u64) -> Option<NodeId> {
        let now = self.now;
        let it = self.nodes.get_mut(&node)?;
        if it.life != life {
            return None;
        }
        it.wake_at = None;
        let desk = it.desk.as_mut()?;
        if desk.deadline().is_some_and(|at| at <= now) {
            desk.wake(now);
        }
        Some(node)
    }

    /// After every event at a node: its records go to its disk, its words on their way, its alarm
    /// is set, and everything that must be true is checked.
    pub(super) fn attend(&mut self, node: NodeId) -> Result<(), Trouble> {
        self.start_sync(node);
        while let Some(word) = self.next_word(node)? {
            self.carry(node, word);
            self.start_sync(node);
        }
        if let Some(it) = self.nodes.get_mut(&node)
            && let Some(at) = it.desk.as_ref().and_then(Desk::deadline)
            && it.wake_at.is_none_or(|set| at < set)
        {
            let (at, life) = (at.max(self.now), it.life);
            it.wake_at = Some(at);
            self.push_at(at, What::Wake { node, life });
        }
        let view = View { nodes: &self.nodes, now: self.now };
        self.subject.check(node, &view).map_err(|what| Trouble { at: self.now, node, what })
    }

    pub(super) fn next_word(&mut self, node: NodeId) -> Result<Option<Word<S::Core>>, Trouble> {
        let Some(it) = self.nodes.get_mut(&node) else { return Ok(None) };
        let Some(word) = it.desk.as_mut().and_then(Desk::next_word) else { return Ok(None) };
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
