//! The rules of *Paxos Made Simple*, one test each: one real node, its peers played by the test.

mod arithmetic;
mod hostile;
mod leading;
mod limits;
mod rules;
mod waiting;

use std::time::Duration;

use bytes::Bytes;
use protocol::{CallId, Desk, Lsn, NodeId, Time, Word};

use super::Paxos;
use crate::{
    Accept, Ballot, Config, Mode, Nack, Output, Prepare, Promise, Pulse, Record, Reply, Report,
    Request, Slot, Told, Value, Watermark,
};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

fn ballot(round: u64, node: NodeId) -> Ballot {
    Ballot { round, node }
}

fn value(text: &str) -> Value {
    Value::Data(Bytes::copy_from_slice(text.as_bytes()))
}

fn report(slot: u64, ballot: Ballot, text: &str) -> Report {
    Report { slot: Slot(slot), ballot, value: value(text), chosen: false }
}

fn accept(ballot: Ballot, slot: u64, text: &str) -> Request {
    let chosen = Watermark::default();
    Request::Accept(Accept { ballot, slot: Slot(slot), value: value(text), chosen })
}

fn prepare(ballot: Ballot) -> Request {
    Request::Prepare(Prepare { ballot, from: Slot(0) })
}

/// Node 1 of three, everything it said, and what its disk holds.
struct Node {
    desk: Desk<Paxos>,
    now: Time,
    records: Vec<(Lsn, Record)>,
    sent: Vec<(NodeId, CallId, Request)>,
    answers: Vec<(u64, Reply)>,
    outputs: Vec<Output>,
    tickets: u64,
    /// Whether what it saves is durable at once.
    quick: bool,
}

impl Node {
    fn new(mode: Mode) -> Self {
        Self::recovered(config(mode), Vec::new())
    }

    fn recovered(config: Config, records: Vec<(Lsn, Record)>) -> Self {
        let saved = records.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        let core = Paxos::recover(config, 7, Slot(0), records.clone()).expect("sound knobs");
        let mut node = Self {
            desk: Desk::new(N1, core, saved),
            now: Time(0),
            records,
            sent: Vec::new(),
            answers: Vec::new(),
            outputs: Vec::new(),
            tickets: 0,
            quick: true,
        };
        node.wake(Duration::ZERO);
        node
    }

    fn core(&self) -> &Paxos {
        self.desk.core()
    }

    fn drain(&mut self) {
        loop {
            let saved = self.desk.saved().0;
            let new: Vec<Record> = self.desk.records().collect();
            let first = saved - new.len() as u64 + 1;
            let numbered = new.into_iter().enumerate().map(|(i, r)| (Lsn(first + i as u64), r));
            self.records.extend(numbered);
            if self.quick && self.desk.durable_up_to().0 < saved {
                self.desk.durable(self.now, Lsn(saved));
                continue;
            }
            match self.desk.next_word() {
                Some(Word::Send { to, call, request }) => self.sent.push((to, call, request)),
                Some(Word::Answer { ticket, reply }) => self.answers.push((ticket, reply)),
                Some(Word::Output(output)) => self.outputs.push(output),
                Some(Word::Forget(keep)) => self.records.retain(|(lsn, _)| *lsn >= keep),
                None => return,
            }
        }
    }

    fn sync(&mut self) {
        let saved = self.desk.saved();
        self.desk.durable(self.now, saved);
        self.drain();
    }

    fn wake(&mut self, after: Duration) {
        self.now = self.now.plus(after);
        if self.desk.deadline().is_some_and(|at| at <= self.now) {
            self.desk.wake(self.now);
        }
        self.drain();
    }

    /// Somebody asks; what was answered at once, if anything.
    fn ask(&mut self, from: Option<NodeId>, request: Request) -> Option<Reply> {
        self.tickets += 1;
        let ticket = self.tickets;
        self.desk.request(self.now, ticket, from, request);
        self.drain();
        self.answer_to(ticket)
    }

    fn answer_to(&self, ticket: u64) -> Option<Reply> {
        self.answers.iter().find(|(to, _)| *to == ticket).map(|(_, reply)| reply.clone())
    }

    fn told(&mut self, request: Request) -> Option<Told> {
        match self.ask(None, request)? {
            Reply::Told(told) => Some(told),
            other => panic!("told {other:?}"),
        }
    }

    /// `from` answers the latest call made to it that `which` says yes to.
    fn reply(&mut self, from: NodeId, which: fn(&Request) -> bool, reply: impl Into<Reply>) {
        let call = self.sent.iter().rev().find(|(to, _, asked)| *to == from && which(asked));
        let call = call.expect("it was asked").1;
        self.desk.reply(self.now, from, call, reply.into());
        self.drain();
    }

    /// The latest call to `to` that `which` says yes to comes to nothing.
    fn fail(&mut self, to: NodeId, which: fn(&Request) -> bool) {
        let call = self.sent.iter().rev().find(|(node, _, asked)| *node == to && which(asked));
        let call = call.expect("it was asked").1;
        self.desk.failed(self.now, to, call);
        self.drain();
    }

    /// Makes it ask everybody for promises; its ballot.
    fn campaign(&mut self) -> Ballot {
        self.wake(Duration::from_millis(800));
        let pulse = Pulse { ballot: Ballot::NONE, content: None, settled: Slot(0) };
        for peer in [N2, N3] {
            self.reply(peer, |r| matches!(r, Request::Probe(_)), pulse.clone());
        }
        self.core().role().ballot().expect("it campaigns")
    }

    /// Makes it lead: node 2 promises and reports `accepted`.
    fn lead(&mut self, accepted: Vec<Report>) -> Ballot {
        let ballot = self.campaign();
        let promise = Promise { ballot, settled: Slot(0), accepted, more: None };
        self.reply(N2, |r| matches!(r, Request::Prepare(_)), promise);
        assert!(self.core().leads(), "two of three promised");
        self.wake(Duration::ZERO);
        ballot
    }

    /// What it asked node 2 to accept, in order.
    fn proposals(&self) -> Vec<(Slot, Value)> {
        let to_n2 = self.sent.iter().filter(|(to, _, _)| *to == N2);
        to_n2
            .filter_map(|(_, _, request)| match request {
                Request::Accept(accept) => Some((accept.slot, accept.value.clone())),
                _ => None,
            })
            .collect()
    }

    fn ignored(&self) -> Vec<crate::Ignored> {
        let ignored = self.outputs.iter().filter_map(|output| match output {
            Output::Ignored(why) => Some(*why),
            _ => None,
        });
        ignored.collect()
    }
}

fn config(mode: Mode) -> Config {
    match mode {
        Mode::Append => Config::new(N1, vec![N1, N2, N3]),
        Mode::Explicit => Config::explicit(N1, vec![N1, N2, N3]),
    }
}

fn promised(reply: Option<Reply>) -> Promise {
    match reply {
        Some(Reply::Promise(promise)) => promise,
        other => panic!("no promise but {other:?}"),
    }
}

fn refused(reply: Option<Reply>) -> Nack {
    match reply {
        Some(Reply::Nack(nack)) => nack,
        other => panic!("no nack but {other:?}"),
    }
}
