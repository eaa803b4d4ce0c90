//! Our side: desks over a log in memory that is durable at once.

use bytes::Bytes;
use paxos::{Config, Output, Paxos, Record, Reply, Request, Slot, Told, Value};
use protocol::{CallId, Desk, Lsn, NodeId, Time, Word};

use crate::group::{Cell, Group, Turns};

/// The ticket of somebody who is no replica.
const PROPOSER: u64 = u64::MAX;
/// Bits of a ticket that say which replica calls; the others say which call of it.
const CALLER: u32 = 4;

/// A group of them.
pub(crate) struct Replicas {
    nodes: Vec<Node>,
    leader: usize,
    size: usize,
    now: Time,
    turns: Turns,
    messages: u64,
    appended: u64,
    proposed: u64,
}

struct Node {
    desk: Desk<Paxos>,
    log: Vec<Record>,
    decided: u64,
}

impl Group for Replicas {
    fn elected(cell: &Cell) -> Self {
        let members: Vec<NodeId> = (1..=cell.replicas as u16).map(NodeId).collect();
        let node = |me: NodeId| {
            let mut config = Config::new(me, members.clone());
            if cell.all_know {
                config.linger = std::time::Duration::ZERO;
            }
            let seed = u64::from(me.0);
            let paxos = Paxos::recover(config, seed, Slot(0), []).expect("sound knobs");
            Node { desk: Desk::new(me, paxos, Lsn(0)), log: Vec::new(), decided: 0 }
        };
        let mut group = Self {
            nodes: members.iter().copied().map(node).collect(),
            leader: 0,
            size: cell.size,
            now: Time::ZERO,
            turns: Turns::default(),
            messages: 0,
            appended: 0,
            proposed: 0,
        };
        group.leader = loop {
            group.pass(1);
            if let Some(leader) = group.nodes.iter().position(|node| node.desk.core().leads()) {
                break leader;
            }
        };
        group.settle();
        group
    }

    fn propose(&mut self, entries: usize) {
        let desk = &mut self.nodes[self.leader].desk;
        for _ in 0..entries {
            let entry = Bytes::from(vec![7; self.size]);
            desk.request(self.now, PROPOSER, None, Request::Append(entry));
        }
        self.proposed += entries as u64;
        self.turns.tell(self.leader);
    }

    fn carry(&mut self) {
        while let Some(turn) = self.turns.next() {
            let node = &mut self.nodes[turn];
            if node.desk.deadline().is_some_and(|at| at <= self.now) {
                node.desk.wake(self.now);
            }
            node.log.extend(node.desk.records());
            let saved = node.desk.saved();
            if saved > node.desk.durable_up_to() {
                node.desk.durable(self.now, saved);
                // What waited for the log may be news to the node itself.
                self.turns.tell(turn);
            }
            while let Some(word) = self.nodes[turn].desk.next_word() {
                self.deliver(turn, word);
            }
        }
    }

    fn settle(&mut self) {
        // Longer than a leader waits for a next message to carry its watermark.
        self.pass(10);
        assert_eq!(self.appended, self.proposed, "an entry was refused, or not answered");
    }

    fn decided(&self) -> u64 {
        self.nodes.iter().map(|node| node.decided).min().unwrap_or(0)
    }

    fn messages(&self) -> u64 {
        self.messages
    }
}

impl Replicas {
    /// Milliseconds go by.
    fn pass(&mut self, milliseconds: u64) {
        self.now = Time(self.now.0 + milliseconds * 1_000_000);
        (0..self.nodes.len()).for_each(|node| self.turns.tell(node));
        self.carry();
    }

    fn deliver(&mut self, from: usize, word: Word<Paxos>) {
        match word {
            Word::Send { to, call, request } => {
                let to = usize::from(to.0) - 1;
                let ticket = call.0 << CALLER | from as u64;
                let peer = Some(NodeId(from as u16 + 1));
                self.nodes[to].desk.request(self.now, ticket, peer, request);
                self.turns.tell(to);
                self.messages += 1;
            }
            Word::Answer { ticket: PROPOSER, reply } => {
                self.appended += u64::from(matches!(reply, Reply::Told(Told::Appended(_))));
            }
            Word::Answer { ticket, reply } => {
                let to = (ticket & ((1 << CALLER) - 1)) as usize;
                let call = CallId(ticket >> CALLER);
                self.nodes[to].desk.reply(self.now, NodeId(from as u16 + 1), call, reply);
                self.turns.tell(to);
                self.messages += 1;
            }
            Word::Output(Output::Decided { value, .. }) => {
                self.nodes[from].decided += commands(&value);
            }
            Word::Output(_) | Word::Forget(_) => {}
        }
    }
}

/// How many commands a slot's value holds: a batch begins with their number.
fn commands(value: &Value) -> u64 {
    match value {
        Value::Noop => 0,
        Value::Data(batch) => {
            let count = batch.first_chunk().expect("a batch begins with a number");
            u64::from(u32::from_le_bytes(*count))
        }
    }
}
