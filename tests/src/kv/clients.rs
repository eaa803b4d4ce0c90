//! Clients: the shipped clerk, a network that loses things, and a record of what was heard.

mod words;

mod workload;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use histcheck::{Action, Answer, Operation};
use kvpaxos::Question;
use paxosrsm::{
    Clerk, Coded, Refused,
    clerk::{Heard, Next, Try},
    message::{Query, Reply, Request, Submit},
};
use protocol::{NodeId, Rng, Time};
use sim::Io;

use super::{Alarm, Alarms, Node};
use crate::{
    rare::{Rare, Sight},
    shape::Shape,
};
use words::{answered, command, key};

/// How long a message travels between a client and a server.
const TRAVEL: (Duration, Duration) = (Duration::from_micros(50), Duration::from_micros(300));

/// Something that is going to happen to a client.
#[derive(Debug)]
pub(super) enum Call {
    /// It begins its next operation.
    Begin(usize),
    /// Its request arrives at a server.
    Deliver { client: usize, attempt: u64, to: NodeId, bytes: Bytes, changes: bool },
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

    fn travel(&mut self) -> Duration {
        self.io.rng.between(TRAVEL.0, TRAVEL.1)
    }
}

/// A script wants this client to do this.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Which client.
    pub client: usize,
    /// What.
    pub action: Action,
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
    /// It gives up after so long, while the storm lasts.
    hasty: Option<Duration>,
    workload: bool,
    /// It has done its last operation, which it begins after the storm.
    done: bool,
    /// What it last saw of each key.
    seen: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
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
    tickets: BTreeMap<u64, (usize, u64)>,
    /// Answers to requests that a script sent by itself, by its ticket.
    pub raw: BTreeMap<u64, Reply<paxos::Reply>>,
    next_ticket: u64,
    next_operation: u64,
    next_name: u64,
    shape: Shape,
    storm_until: Time,
    rng: Rng,
    /// Clients whose requests take so long.
    delays: BTreeMap<usize, (Duration, Duration)>,
}

/// Tickets from here on are a script's own.
pub const RAW: u64 = 1 << 40;

impl Clients {
    pub(super) fn new(shape: &Shape, seed: u64, storm_until: Time) -> Self {
        let mut clients = Self {
            clients: Vec::new(),
            history: Vec::new(),
            orders: VecDeque::new(),
            tickets: BTreeMap::new(),
            raw: BTreeMap::new(),
            next_ticket: 0,
            next_operation: 0,
            next_name: 0,
            shape: shape.clone(),
            storm_until,
            rng: Rng::new(seed).fork(0xC1_1E_47),
            delays: BTreeMap::new(),
        };
        for _ in 0..shape.clients {
            let mut servers = shape.nodes();
            if clients.rng.chance(shape.pinned) {
                servers = vec![servers[clients.rng.below(servers.len() as u64) as usize]];
            }
            let client = clients.add(servers);
            let hasty = clients.rng.chance(shape.hasty);
            let patience = Duration::from_millis(200 << clients.rng.below(4));
            clients.clients[client].hasty = hasty.then_some(patience);
            clients.clients[client].workload = true;
            clients.clients[client].done = false;
        }
        clients
    }

    /// One more client, of these servers, that does what a script orders.
    pub fn add(&mut self, servers: Vec<NodeId>) -> usize {
        let clerk = Clerk::new(servers, self.rng.next_u64());
        let name = self.name();
        self.clients.push(Client {
            clerk,
            name,
            attempt: 0,
            open: None,
            hasty: None,
            workload: false,
            done: true,
            seen: BTreeMap::new(),
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

    /// The requests of `client` take so long to arrive from now on, or as long as usual.
    pub fn delay(&mut self, client: usize, between: Option<(Duration, Duration)>) {
        match between {
            Some(between) => drop(self.delays.insert(client, between)),
            None => drop(self.delays.remove(&client)),
        }
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
            Call::Deliver { client, attempt, to, bytes, changes } => {
                self.deliver(client, attempt, to, bytes, changes, around);
            }
            Call::Hears { client, attempt, heard } => self.hears(client, attempt, heard, around),
        }
    }

    fn begin(&mut self, client: usize, action: Action, around: &mut Around<'_>) {
        self.next_operation += 1;
        let it = &mut self.clients[client];
        let attempt = match command(&action) {
            Some(command) => it.clerk.submit(command.to_bytes()),
            None => {
                let key = key(&action);
                it.clerk.query(Question::Get(Bytes::copy_from_slice(key)).to_bytes())
            }
        };
        it.open = Some(Open { id: self.next_operation, action, since: around.io.now });
        self.send(client, attempt, around);
    }

    /// One attempt: the request on its way, and the moment its sender stops waiting.
    fn send(&mut self, client: usize, next: Try, around: &mut Around<'_>) {
        let it = &mut self.clients[client];
        it.attempt += 1;
        let attempt = it.attempt;
        let Try { to, after, bytes, changes } = next;
        let silence = Call::Hears { client, attempt, heard: Heard::Silence };
        around.after(after + self.shape.client_patience, silence);
        if !around.io.rng.chance(self.shape.client_loss) {
            let travel = match self.delays.get(&client) {
                Some((least, most)) => around.io.rng.between(*least, *most),
                None => around.travel(),
            };
            let deliver = Call::Deliver { client, attempt, to, bytes, changes };
            around.after(after + travel, deliver);
        }
    }

    fn deliver(
        &mut self,
        client: usize,
        attempt: u64,
        to: NodeId,
        bytes: Bytes,
        changes: bool,
        around: &mut Around<'_>,
    ) {
        if around.down.contains(&to) {
            // Usually the machine refuses; sometimes there is nobody to refuse.
            if around.io.rng.chance(700) {
                let travel = around.travel();
                around.after(travel, Call::Hears { client, attempt, heard: Heard::Unreachable });
            }
            return;
        }
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, (client, attempt));
        let request = match changes {
            true => Request::Submit(Submit(bytes)),
            false => Request::Query(Query(bytes)),
        };
        around.io.request(Duration::ZERO, to, self.next_ticket, request);
    }

    /// A server answered; the answer may get lost.
    pub(super) fn answered(
        &mut self,
        ticket: u64,
        reply: Reply<paxos::Reply>,
        around: &mut Around<'_>,
    ) {
        if ticket >= RAW {
            self.raw.insert(ticket, reply);
            return;
        }
        let Some((client, attempt)) = self.tickets.remove(&ticket) else { return };
        if around.io.rng.chance(self.shape.client_loss) {
            return;
        }
        let heard = match reply {
            Reply::Done(done) => Heard::Done(done.0),
            Reply::Refused(refused) => Heard::Refused(refused),
            _ => return,
        };
        let travel = around.travel();
        around.after(travel, Call::Hears { client, attempt, heard });
    }

    fn hears(&mut self, client: usize, attempt: u64, heard: Heard, around: &mut Around<'_>) {
        let it = &mut self.clients[client];
        if it.attempt != attempt || it.open.is_none() {
            return; // An answer to an attempt that its sender has stopped waiting for.
        }
        match heard {
            Heard::Refused(Refused::Busy) => around.rare.saw(Sight::RefusedBusy),
            Heard::Refused(Refused::Unknown) => around.rare.saw(Sight::DeposedInFlight),
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
            Next::Done(bytes) => self.end(client, Some(Ok(bytes)), around),
            Next::Refused(refused) => self.end(client, Some(Err(refused)), around),
            Next::Unknown => {
                around.rare.saw(Sight::SessionExpired);
                self.end(client, None, around);
            }
        }
    }

    /// An operation ended: answered, refused, or nobody will ever know.
    fn end(
        &mut self,
        client: usize,
        heard: Option<Result<Bytes, Refused>>,
        around: &mut Around<'_>,
    ) {
        let name = self.name();
        let it = &mut self.clients[client];
        let Some(Open { id, action, since }) = it.open.take() else { return };
        let (key, now) = (key(&action).to_vec(), around.io.now.0);
        let asked = Operation::asked(id, it.name, since.0, action);
        let ended = match heard {
            None => {
                it.name = name;
                asked
            }
            Some(Err(_)) => asked.refused(now),
            Some(Ok(bytes)) => answered(asked, now, bytes),
        };
        match (&ended.action, &ended.outcome) {
            (_, histcheck::Outcome::Ok(Answer::Value(value))) => {
                it.seen.insert(key, value.clone());
            }
            (Action::Put { value, .. }, histcheck::Outcome::Ok(_)) => {
                it.seen.insert(key, Some(value.clone()));
            }
            _ => {}
        }
        it.ended = Some(ended.clone());
        self.history.push(ended);
        let pause = around.io.rng.between(Duration::from_micros(1), self.shape.think);
        around.after(pause, Call::Begin(client));
    }
}
