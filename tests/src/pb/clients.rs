//! Clients: the shipped clerk, a network that loses and delays things, and a record of what was
//! heard.

mod links;

mod workload;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use histcheck::{Action, Operation};
use pbservice::{
    Clerk, Done, Refused, Reply, Request, RequestNo, SessionId,
    clerk::{Ask, Heard, Next, Try},
};
use protocol::{NodeId, Rng, Time};
use sim::Io;
use viewservice::SERVICE_NODE;

use super::{Alarm, Alarms, node::Node, shape::Shape};
use crate::{
    kv::Order,
    rare::{Rare, Sight},
};
pub use links::Links;
use workload::{change, key};

/// Something that is going to happen to a client.
#[derive(Debug)]
pub(super) enum Call {
    /// It begins its next operation.
    Begin(usize),
    /// Its request arrives at a node.
    Deliver { client: usize, attempt: u64, to: NodeId, request: Request },
    /// It hears how an attempt ended.
    Hears { client: usize, attempt: u64, heard: Heard },
}

/// What clients may touch while something happens to them.
pub(super) struct Around<'a> {
    pub(super) io: &'a mut Io<Node>,
    pub(super) alarms: &'a mut Alarms,
    pub(super) rare: &'a mut Rare,
    pub(super) down: &'a BTreeSet<NodeId>,
}

impl Around<'_> {
    fn after(&mut self, delay: Duration, call: Call) {
        self.alarms.set(self.io, delay, Alarm::Client(call));
    }
}

/// A request that waits at a node for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Who asked, and in which attempt; nobody for a request that a script sent as it is.
    who: Option<(usize, u64)>,
    /// At which node.
    to: NodeId,
    /// When it arrived.
    pub(super) at: Time,
    /// Which change it is, if it is one.
    pub(super) change: Option<(SessionId, RequestNo)>,
}

/// An operation under way.
#[derive(Debug)]
struct Open {
    id: u64,
    action: Action,
    since: Time,
}

#[derive(Debug)]
struct Client {
    clerk: Clerk,
    /// What it is called in the history; a new name whenever an outcome stays unknown.
    name: u64,
    attempt: u64,
    open: Option<Open>,
    /// It waits so long for an answer.
    patience: Duration,
    /// It gives up after so long, while the storm lasts.
    hasty: Option<Duration>,
    workload: bool,
    /// It has done its last operation, which it begins after the storm.
    done: bool,
    /// Its latest operation that ended.
    ended: Option<Operation>,
}

/// All clients and all they heard.
#[derive(Debug)]
pub struct Clients {
    clients: Vec<Client>,
    /// Every operation that ended, in the order of their ends.
    pub history: Vec<Operation>,
    /// What a script still wants.
    pub orders: VecDeque<Order>,
    /// Calls to the view service so far.
    pub looked_up: u64,
    asked: BTreeMap<u64, Asked>,
    /// Answers to requests that a script sent by itself, by its ticket.
    pub raw: BTreeMap<u64, Reply>,
    next_ticket: u64,
    next_operation: u64,
    next_name: u64,
    shape: Shape,
    storm_until: Time,
    rng: Rng,
    /// What lies between clients and nodes.
    pub links: Links,
}

/// Tickets from here on are a script's own.
pub const RAW: u64 = 1 << 40;

impl Clients {
    pub(super) fn new(shape: &Shape, seed: u64, storm_until: Time) -> Self {
        let mut clients = Self {
            clients: Vec::new(),
            history: Vec::new(),
            orders: VecDeque::new(),
            looked_up: 0,
            asked: BTreeMap::new(),
            raw: BTreeMap::new(),
            next_ticket: 0,
            next_operation: 0,
            next_name: 0,
            shape: shape.clone(),
            storm_until,
            rng: Rng::new(seed).fork(0xC1_1E_48),
            links: Links::new(shape, storm_until),
        };
        for _ in 0..shape.clients {
            let client = clients.add();
            let hasty = clients.rng.chance(shape.hasty);
            let patience = Duration::from_millis(200 << clients.rng.below(4));
            let it = &mut clients.clients[client];
            (it.hasty, it.workload, it.done) = (hasty.then_some(patience), true, false);
        }
        clients
    }

    /// One more client, that does what a script orders.
    pub fn add(&mut self) -> usize {
        let clerk = Clerk::new(self.rng.next_u64());
        let name = self.name();
        self.clients.push(Client {
            clerk,
            name,
            attempt: 0,
            open: None,
            patience: self.shape.client_patience,
            hasty: None,
            workload: false,
            done: true,
            ended: None,
        });
        self.clients.len() - 1
    }

    fn name(&mut self) -> u64 {
        self.next_name += 1;
        self.next_name
    }

    /// Whether `client` has an operation under way or ordered.
    #[must_use]
    pub fn busy(&self, client: usize) -> bool {
        self.clients[client].open.is_some() || self.orders.iter().any(|o| o.client == client)
    }

    /// The latest operation of `client` that ended.
    #[must_use]
    pub fn ended(&self, client: usize) -> Option<&Operation> {
        self.clients[client].ended.as_ref()
    }

    /// Everything recorded, with what is still under way as unknown.
    #[must_use]
    pub fn record(&self) -> Vec<Operation> {
        let mut record = self.history.clone();
        record.extend(self.clients.iter().filter_map(|client| {
            let open = client.open.as_ref()?;
            Some(Operation::asked(open.id, client.name, open.since.0, open.action.clone()))
        }));
        record
    }

    /// How long `client` waits for an answer before it tries again.
    pub fn patience(&mut self, client: usize, patience: Duration) {
        self.clients[client].patience = patience;
    }

    /// A script asks something as it is, under this ticket.
    pub fn ask_raw(&mut self, ticket: u64, to: NodeId, at: Time, request: &Request) {
        self.asked.insert(ticket, Asked { who: None, to, at, change: named(request) });
    }

    /// The request that is answered under this ticket.
    pub(super) fn asked(&self, ticket: u64) -> Option<Asked> {
        self.asked.get(&ticket).copied()
    }

    /// Who waits for what, and since when.
    pub(super) fn waits(&self, now: Time) -> Vec<String> {
        let open = self.clients.iter().enumerate().filter_map(|(number, client)| {
            let open = client.open.as_ref()?;
            let asked = Operation::asked(open.id, client.name, open.since.0, open.action.clone());
            let (tries, age) = (client.attempt, now.since(open.since));
            Some(format!("client {number} for {age:?}, after {tries} tries in all: {asked}"))
        });
        open.collect()
    }

    pub(super) fn at_rest(&self) -> Result<(), String> {
        let busy = self.clients.iter().filter(|client| client.open.is_some() || !client.done);
        let busy = busy.count();
        if busy + self.orders.len() > 0 {
            return Err(format!("{busy} clients are not done"));
        }
        Ok(())
    }

    /// The day begins.
    pub(super) fn start(&mut self, around: &mut Around<'_>) {
        for client in 0..self.clients.len() {
            let pause = around.io.rng.between(Duration::ZERO, Duration::from_millis(50));
            around.after(pause, Call::Begin(client));
        }
    }

    /// What the script wants is begun.
    pub(super) fn obey(&mut self, around: &mut Around<'_>) {
        for order in std::mem::take(&mut self.orders) {
            if self.clients[order.client].open.is_some() {
                self.orders.push_back(order);
            } else {
                self.begin(order.client, order.action, around);
            }
        }
    }

    pub(super) fn happen(&mut self, call: Call, around: &mut Around<'_>) {
        match call {
            Call::Begin(client) => {
                let it = &mut self.clients[client];
                if !it.workload || it.done {
                    return;
                }
                it.done = around.io.now >= self.storm_until;
                let action = self.choose(client, around.io);
                self.begin(client, action, around);
            }
            Call::Deliver { client, attempt, to, request } => {
                self.deliver(client, attempt, to, request, around);
            }
            Call::Hears { client, attempt, heard } => self.hears(client, attempt, heard, around),
        }
    }

    fn begin(&mut self, client: usize, action: Action, around: &mut Around<'_>) {
        self.next_operation += 1;
        let it = &mut self.clients[client];
        let attempt = match change(&action) {
            Some(change) => it.clerk.change(change),
            None => it.clerk.get(key(&action).to_vec().into()),
        };
        it.open = Some(Open { id: self.next_operation, action, since: around.io.now });
        self.send(client, attempt, around);
    }

    /// One attempt: the request on its way, and the moment its sender stops waiting.
    fn send(&mut self, client: usize, next: Try, around: &mut Around<'_>) {
        let it = &mut self.clients[client];
        it.attempt += 1;
        let (attempt, patience) = (it.attempt, it.patience);
        let Try { after, ask } = next;
        let (to, request) = match ask {
            Ask::View => (SERVICE_NODE, Request::View(viewservice::Request::Get)),
            Ask::Server(server, request) => (server.member.node, request),
        };
        self.looked_up += u64::from(to == SERVICE_NODE);
        around.after(after + patience, Call::Hears { client, attempt, heard: Heard::Silence });
        if let Some(travel) = self.links.asks(client, to, around.io) {
            around.after(after + travel, Call::Deliver { client, attempt, to, request });
        }
    }

    fn deliver(
        &mut self,
        client: usize,
        attempt: u64,
        to: NodeId,
        request: Request,
        around: &mut Around<'_>,
    ) {
        if around.down.contains(&to) {
            // Usually the machine refuses; sometimes there is nobody to refuse.
            if around.io.rng.chance(700) {
                let travel = Links::usual(around.io);
                around.after(travel, Call::Hears { client, attempt, heard: Heard::Unreachable });
            }
            return;
        }
        self.next_ticket += 1;
        let who = Some((client, attempt));
        let asked = Asked { who, to, at: around.io.now, change: named(&request) };
        self.asked.insert(self.next_ticket, asked);
        around.io.request(Duration::ZERO, to, self.next_ticket, request);
    }

    /// A node answered; the answer may get lost.
    pub(super) fn answered(&mut self, ticket: u64, reply: Reply, around: &mut Around<'_>) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        let Some((client, attempt)) = asked.who else {
            self.raw.insert(ticket, reply);
            return;
        };
        let heard = match reply {
            Reply::Client(Ok(answer)) => Heard::Answer(answer),
            Reply::Client(Err(refused)) => Heard::Refused(refused),
            Reply::View(viewservice::Reply::View(view)) => Heard::View(view),
            Reply::View(_) | Reply::Status(_) | Reply::Digest(_) | Reply::Forwarded(_) => return,
        };
        if let Some(travel) = self.links.tells(client, asked.to, around.io) {
            around.after(travel, Call::Hears { client, attempt, heard });
        }
    }

    fn hears(&mut self, client: usize, attempt: u64, heard: Heard, around: &mut Around<'_>) {
        let it = &mut self.clients[client];
        if it.attempt != attempt || it.open.is_none() {
            return; // An answer to an attempt that its sender has stopped waiting for.
        }
        match heard {
            Heard::Refused(Refused::Interrupted) => around.rare.saw(Sight::ClientInterrupted),
            Heard::Refused(Refused::NotPrimary(_)) => around.rare.saw(Sight::NotPrimary),
            _ => {}
        }
        match it.clerk.heard(heard) {
            Next::Try(next) => {
                let open = it.open.as_ref();
                let waited = open.map_or(Duration::ZERO, |open| around.io.now.since(open.since));
                let storm = around.io.now < self.storm_until;
                if storm && it.hasty.is_some_and(|patience| waited > patience) {
                    it.clerk.give_up();
                    around.rare.saw(Sight::GivenUp);
                    self.end(client, None, around);
                } else {
                    self.send(client, next, around);
                }
            }
            Next::Done(Done::TooLarge) | Next::Refused(_) => {
                self.end(client, Some(Ended::Refused), around);
            }
            Next::Done(Done::Written | Done::Deleted(_)) => {
                self.end(client, Some(Ended::Answered(histcheck::Answer::Done)), around);
            }
            Next::Value(value) => {
                let value = value.map(|value| value.to_vec());
                self.end(client, Some(Ended::Answered(histcheck::Answer::Value(value))), around);
            }
            Next::Unknown => self.end(client, None, around),
        }
    }

    /// An operation ended: answered, refused, or nobody will ever know.
    fn end(&mut self, client: usize, ended: Option<Ended>, around: &mut Around<'_>) {
        let name = self.name();
        let it = &mut self.clients[client];
        let Some(Open { id, action, since }) = it.open.take() else { return };
        let asked = Operation::asked(id, it.name, since.0, action);
        let now = around.io.now.0;
        let ended = match ended {
            None => {
                it.name = name;
                asked
            }
            Some(Ended::Refused) => asked.refused(now),
            Some(Ended::Answered(answer)) => asked.answered(now, answer),
        };
        it.ended = Some(ended.clone());
        self.history.push(ended);
        let pause = around.io.rng.between(Duration::from_micros(1), self.shape.think);
        around.after(pause, Call::Begin(client));
    }
}

/// How an operation ended whose end is known.
enum Ended {
    Answered(histcheck::Answer),
    Refused,
}

/// The change that a request asks for, by its name.
fn named(request: &Request) -> Option<(SessionId, RequestNo)> {
    match request {
        Request::Submit(submit) => Some((submit.session, submit.number)),
        _ => None,
    }
}
