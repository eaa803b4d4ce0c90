//! The rules of a server, one at a time: a desk, and a test that plays everybody else.

use std::time::Duration;

use bytes::Bytes;
use protocol::{CallId, Desk, Lsn, NodeId, Time, Word};
use viewservice::{Incarnation, Joined, Member, Ping, Pong, SERVICE_NODE, Server, View, ViewNum};

use crate::{
    Answer, Change, Config, Output, Pb, Rebuff, Record, Refused, Reply, Request, RequestNo, Seq,
    SessionId,
    item::Item,
    message::{Forward, Forwarded, Get, Ignored, Open, Submit},
};

mod forwards;
mod hostile;
mod keeping;
mod leading;
mod requests;
mod stream;

fn b(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The life of server `node` that these tests are about, unless they say otherwise.
fn life(node: u16) -> Member {
    Member { node: NodeId(node), incarnation: Incarnation(node.into()) }
}

/// A view with these servers, the primary first.
fn view(number: u64, members: &[Member]) -> View {
    let server = |member: &Member| Server { member: *member, addr: format!("h{}", member.node.0) };
    let mut servers = members.iter().map(server);
    View { number: ViewNum(number), primary: servers.next(), backup: servers.next() }
}

fn put(key: &str, value: &str) -> Change {
    Change::Put(b(key), b(value))
}

fn append(key: &str, value: &str) -> Change {
    Change::Append(b(key), b(value))
}

/// A request of session 1.
fn wants(number: u64, change: Change) -> Request {
    let (session, number) = (SessionId(1), RequestNo(number));
    Request::Submit(Submit { session, number, change })
}

fn get(key: &str) -> Request {
    Request::Get(Get { key: b(key) })
}

/// A server, and everything it says. Its disk is quick.
struct Trial {
    config: Config,
    desk: Desk<Pb>,
    now: Time,
    me: Member,
    /// Every record, and what is to be kept from which count of durable ones on.
    disk: Vec<(Lsn, Record)>,
    forgets: Vec<(Lsn, Lsn)>,
    pings: Vec<(CallId, viewservice::Request)>,
    forwards: Vec<(NodeId, CallId, Forward)>,
    answers: Vec<(u64, Reply)>,
    outputs: Vec<Output>,
    tickets: u64,
}

impl Trial {
    /// A server that has no name yet and has asked for one.
    fn begin(config: Config, me: Member, disk: Vec<(Lsn, Record)>) -> Self {
        let saved = disk.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        let core = Pb::recover(config.clone(), disk.clone());
        let mut trial = Self {
            config,
            desk: Desk::new(me.node, core, saved),
            now: Time::ZERO,
            me,
            disk,
            forgets: Vec::new(),
            pings: Vec::new(),
            forwards: Vec::new(),
            answers: Vec::new(),
            outputs: Vec::new(),
            tickets: 0,
        };
        trial.settle();
        trial
    }

    /// A server of this life, without a disk, in no view.
    fn new(me: Member) -> Self {
        Self::begin(Config::new(me.node, "here"), me, Vec::new()).named()
    }

    /// The same with a disk, which is written down anew after so many bytes.
    fn durable(me: Member, checkpoint_bytes: usize, disk: Vec<(Lsn, Record)>) -> Self {
        let config = Config { checkpoint_bytes, ..Config::new(me.node, "here").durable() };
        Self::begin(config, me, disk).named()
    }

    fn named(mut self) -> Self {
        let (call, _) = self.pings.pop().expect("it has asked for a name");
        let joined = Joined { incarnation: self.me.incarnation };
        self.service_says(call, viewservice::Reply::Joined(Ok(joined)));
        self
    }

    /// The view service answers its last ping with this.
    fn told(&mut self, view: View) {
        let call = self.pings.last().map_or(CallId(u64::MAX), |(call, _)| *call);
        self.service_says(call, viewservice::Reply::Pong(Ok(Pong { view })));
    }

    fn service_says(&mut self, call: CallId, reply: viewservice::Reply) {
        self.desk.reply(self.now, SERVICE_NODE, call, Reply::View(reply));
        self.settle();
    }

    /// The newest ping.
    fn ping(&self) -> Ping {
        match self.pings.last() {
            Some((_, viewservice::Request::Ping(ping))) => ping.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.settle();
    }

    /// A client asks.
    fn ask(&mut self, request: Request) -> u64 {
        self.tickets += 1;
        self.desk.request(self.now, self.tickets, None, request);
        self.settle();
        self.tickets
    }

    /// What was answered to this, if anything was.
    fn answer(&self, ticket: u64) -> Option<Result<Answer, Refused>> {
        let mine = self.answers.iter().find(|(it, _)| *it == ticket);
        mine.map(|(_, reply)| match reply {
            Reply::Client(answer) => answer.clone(),
            other => panic!("{other:?}"),
        })
    }

    /// What is answered to this at once.
    fn hears(&mut self, request: Request) -> Result<Answer, Refused> {
        let ticket = self.ask(request);
        self.answer(ticket).expect("it is answered at once")
    }

    /// Somebody forwards. Who proved to be whom?
    fn forwarded_by(&mut self, peer: Option<NodeId>, forward: Forward) -> Result<Seq, Rebuff> {
        self.tickets += 1;
        let view = forward.view;
        self.desk.request(self.now, self.tickets, peer, Request::Forward(forward));
        self.settle();
        match self.answers.pop() {
            Some((ticket, Reply::Forwarded(answer))) if ticket == self.tickets => {
                answer.map(|it| {
                    assert_eq!(it.view, view);
                    it.upto
                })
            }
            other => panic!("{other:?}"),
        }
    }

    /// The primary of view 2, n1, forwards.
    fn takes(&mut self, first: u64, items: Vec<Item>) -> Result<Seq, Rebuff> {
        let forward = Forward { view: ViewNum(2), from: life(1), first: Seq(first), items };
        self.forwarded_by(Some(NodeId(1)), forward)
    }

    /// The forward under way.
    fn forward(&mut self) -> (CallId, Forward) {
        let (_, call, forward) = self.forwards.pop().expect("a forward has left");
        assert!(self.forwards.is_empty(), "one at a time");
        (call, forward)
    }

    /// The backup says this to a forward.
    fn backup_says(&mut self, call: CallId, answer: Result<Forwarded, Rebuff>) {
        self.desk.reply(self.now, NodeId(2), call, Reply::Forwarded(answer));
        self.settle();
    }

    /// The backup has everything that is forwarded, until nothing is.
    fn backup_takes_all(&mut self) {
        while !self.forwards.is_empty() {
            let (call, forward) = self.forward();
            let upto = Seq(forward.first.0 + forward.items.len() as u64 - 1);
            self.backup_says(call, Ok(Forwarded { view: forward.view, upto }));
        }
    }

    /// What was ignored since the last look.
    fn ignored(&mut self) -> Vec<Ignored> {
        let all = std::mem::take(&mut self.outputs).into_iter();
        all.filter_map(|it| match it {
            Output::Ignored(why) => Some(why),
            _ => None,
        })
        .collect()
    }

    /// Everything it has to say, and everything it does by itself at this instant.
    fn settle(&mut self) {
        loop {
            let mut lsn = self.disk.last().map_or(Lsn(0), |(lsn, _)| *lsn);
            for record in self.desk.records() {
                lsn.0 += 1;
                self.disk.push((lsn, record));
            }
            self.desk.durable(self.now, lsn);
            while let Some(word) = self.desk.next_word() {
                match word {
                    Word::Send { to, call, request: Request::Forward(it) } => {
                        self.forwards.push((to, call, it));
                    }
                    Word::Send { call, request: Request::View(it), .. } => {
                        self.pings.push((call, it));
                    }
                    Word::Send { request, .. } => panic!("nobody asks {request:?}"),
                    Word::Answer { ticket, reply } => self.answers.push((ticket, reply)),
                    Word::Output(output) => self.outputs.push(output),
                    Word::Forget(keep) => self.forgets.push((lsn, keep)),
                }
            }
            if self.desk.deadline().is_none_or(|at| at > self.now) {
                return;
            }
            self.desk.wake(self.now);
        }
    }

    fn core(&self) -> &Pb {
        self.desk.core()
    }
}

/// The primary of view 1, with a session.
fn alone() -> Trial {
    let mut trial = Trial::new(life(1));
    trial.told(view(1, &[life(1)]));
    assert_eq!(trial.hears(Request::Open(Open)), Ok(Answer::Opened(SessionId(1))));
    trial
}

/// The primary of view 2, whose backup n2 has everything.
fn paired() -> Trial {
    pair(alone())
}

/// The primary of view 1 gets a backup.
fn pair(mut trial: Trial) -> Trial {
    trial.told(view(2, &[life(1), life(2)]));
    // The ping that says so has ended, and the next one may leave.
    trial.told(view(2, &[life(1), life(2)]));
    trial.backup_takes_all();
    assert!(trial.core().installed() && trial.ping().installed);
    trial
}

/// The backup of view 2, which has everything there is: nothing, and session 1.
fn backup() -> Trial {
    let mut trial = Trial::new(life(2));
    trial.told(view(2, &[life(1), life(2)]));
    let begin = Item::Begin { opened: 0, uses: 0 };
    let keys = Item::Keys { pairs: Vec::new(), upto: None };
    let sessions = Item::Sessions { rows: Vec::new(), upto: None };
    let items = vec![begin, keys, sessions, Item::Open { evict: None }];
    assert_eq!(trial.takes(1, items), Ok(Seq(4)));
    assert!(trial.core().state().is_whole());
    trial
}
