//! Queries with large answers, many of them confirmed at once.

use bytes::Bytes;
use paxos::{Paxos, Slot};
use protocol::{Desk, Lsn, NodeId, Time, Word};

use crate::{
    core::{Config, Replica, Restored},
    machine::{Image, StateMachine},
    message::{Query, Reply, Request},
    suite::Text,
};

const ME: NodeId = NodeId(1);
const MIB: usize = 1 << 20;

/// Answers every query with a mebibyte.
#[derive(Debug)]
struct Wordy;

impl StateMachine for Wordy {
    type Command = Text;
    type Response = Text;
    type Query = Text;
    type Answer = Text;

    fn apply(&mut self, command: Text) -> Text {
        command
    }

    fn query(&self, _: Text) -> Text {
        Text(Bytes::from(vec![b'.'; MIB]))
    }

    fn freeze(&self) -> Image {
        Image::new(Vec::new)
    }

    fn restore(_: &Bytes) -> Option<Self> {
        Some(Self)
    }
}

struct Node {
    desk: Desk<Replica<Paxos, Wordy>>,
    now: Time,
    saved: Lsn,
}

impl Node {
    /// Sleeps until the next thing is due, and does it; who was answered.
    fn turn(&mut self) -> Vec<u64> {
        let due = self.desk.deadline().expect("a replica always has a next thing to do");
        self.now = self.now.max(due);
        self.desk.wake(self.now);
        let mut answered = Vec::new();
        loop {
            let records = self.desk.records().count() as u64;
            self.saved.0 += records;
            self.desk.durable(self.now, self.saved);
            while let Some(word) = self.desk.next_word() {
                if let Word::Answer { ticket, reply: Reply::Done(done) } = word {
                    assert!(done.0.len() >= MIB, "ticket {ticket} was given nothing");
                    answered.push(ticket);
                }
            }
            if records == 0 {
                return answered;
            }
        }
    }
}

/// One check frees them all; a step that answered them all would keep a leader silent for too long.
#[test]
fn one_step_answers_so_much_and_the_rest_has_its_turn_later() {
    const QUERIES: u64 = 16;
    let paxos = paxos::Config::new(ME, vec![ME]);
    let paxos = Paxos::recover(paxos, 1, Slot(0), []).expect("sound knobs");
    let replica = Replica::new(Config::new(ME), paxos, Restored::fresh(Wordy));
    let desk = Desk::new(ME, replica, Lsn(0));
    let mut node = Node { desk, now: Time::ZERO, saved: Lsn(0) };
    for _ in 0..100 {
        if !node.desk.core().agreement().leads() {
            node.turn();
        }
    }
    assert!(node.desk.core().agreement().leads(), "a group of one has a leader");
    for ticket in 1..=QUERIES {
        node.desk.request(node.now, ticket, None, Request::Query(Query(Bytes::new())));
    }
    let mut answers = Vec::new();
    for _ in 0..QUERIES {
        let now = node.turn();
        assert!(now.len() <= 4, "{} mebibytes were answered in one step", now.len());
        answers.extend(now);
    }
    assert_eq!(answers, (1..=QUERIES).collect::<Vec<_>>(), "each once, in order");
}
