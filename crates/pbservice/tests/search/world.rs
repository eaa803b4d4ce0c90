//! A small world: the view service, servers, what is on its way between them, and clients that
//! ask whomever they like.
//!
//! Each server has a clock of its own, and nothing is known of how fast they go: what is safe must
//! not rest on it. A client does not look for the primary; any server may be asked at any time,
//! again and again, under the same number.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use pbservice::{
    Answer, Change, Output, Pb, Refused, Reply, Request, RequestNo, SessionId,
    config::{BACKUP_PATIENCE, FORWARD_PAUSE},
    message::{Get, Open, Submit},
};
use protocol::{CallId, Desk, Lsn, NodeId, Time, Word};
use viewservice::{PING_INTERVAL, SERVICE_NODE, ViewService};

use crate::{
    actors::{Client, Flight, Process, What, Who, Without},
    canon::Canon,
    history::{History, Op, Ret},
    model::{ALWAYS, Budget},
};

/// So often, and at such a pace, the view service hears those who go on until it takes all others
/// for dead.
const ROUNDS: (u32, Duration) = (3, Duration::from_millis(250));
/// After so long a name may be taken by another life.
const FREE: Duration = Duration::from_millis(150);
/// The one key of these worlds.
const KEY: &[u8] = b"k";
/// Marks the request of a peer, which is answered within the step.
const PEER: u64 = u64::MAX;
/// Marks a client that opens its session before the search begins.
const OPENING: u64 = u64::MAX - 1;
/// Requests of one client, at most.
const PROGRAM: usize = 100;

/// The whole.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) service: Arc<ViewService>,
    service_now: Time,
    /// Worked out when the world is tidied.
    service_canon: Option<u64>,
    pub(crate) processes: Vec<Process>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) clients: Vec<Client>,
    pub(crate) history: History,
    /// Somebody was told to lead and has nothing to lead with.
    pub(crate) hollow: bool,
    /// A client was told that its session, or its request, is none of the latest.
    pub(crate) forgotten: bool,
    /// Nothing comes from or to this server any more.
    pub(crate) cut: Option<NodeId>,
    /// What is left out, for a search to come to an end.
    pub(crate) without: Without,
    /// Steps so far, if they are counted. Then no two states on one way count as one.
    pub(crate) steps: Option<u64>,
    /// What else may still go wrong.
    pub(crate) left: Budget,
    pub(crate) digest: u64,
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl World {
    /// So many servers that begin now, and clients with these errands. Nothing has happened yet.
    pub(crate) fn new(servers: u16, programs: &[&[Op]]) -> Self {
        let client = |(at, program): (usize, &&[Op])| Client {
            program: Arc::from(*program),
            session: at as u64 + 1,
            at: 0,
            asked: 0,
            saw: None,
        };
        let mut world = Self {
            service: Arc::new(ViewService::recover([]).expect("nothing is a sound log")),
            service_now: Time::ZERO,
            service_canon: None,
            processes: Vec::new(),
            flights: Vec::new(),
            clients: programs.iter().enumerate().map(client).collect(),
            history: History::default(),
            hollow: false,
            forgotten: false,
            cut: None,
            without: Without::default(),
            steps: None,
            left: Budget::default(),
            digest: 0,
        };
        world.begin_service();
        for node in 1..=servers {
            world.start(NodeId(node));
        }
        world.tidy();
        world
    }

    /// Another life of the server begins, when its name is free.
    pub(crate) fn start_again(&mut self, node: NodeId) {
        self.pass_at_service(FREE);
        self.start(node);
    }

    /// A process begins to run the server `node`.
    pub(crate) fn start(&mut self, node: NodeId) {
        let at = self.processes.len();
        self.processes.push(Process::new(node, format!("a{at}")));
        self.attend(at, None);
    }

    /// The view service begins again, with what it has on disk.
    pub(crate) fn restart_service(&mut self) {
        let memory = viewservice::Record::Checkpoint(self.service.safety().clone());
        let service = ViewService::recover([(Lsn(1), memory)]);
        self.service = Arc::new(service.expect("its own words"));
        self.begin_service();
    }

    fn begin_service(&mut self) {
        let mut desk = Desk::new(SERVICE_NODE, (*self.service).clone(), Lsn(0));
        desk.wake(self.service_now);
        self.keep_service(&desk);
    }

    /// For a long time the view service hears only these processes, again and again, and they
    /// hear only its last word, if that.
    pub(crate) fn hear_only(&mut self, these: &[usize]) {
        let mut pings = Vec::new();
        for process in these {
            self.pass_interval(*process);
            let ping = |it: &Flight| (it.from, it.to) == (Who::Process(*process), Who::Service);
            let at = self.flights.iter().rposition(ping).expect("it has just pinged");
            pings.push(self.flights.remove(at));
        }
        let mut words = Vec::new();
        for _ in 0..ROUNDS.0 {
            self.pass_at_service(ROUNDS.1);
            words.clear();
            for ping in &pings {
                let before = self.flights.len();
                self.deliver(ping, 0);
                words.extend(self.flights.drain(before..));
            }
        }
        self.flights.append(&mut words);
    }

    fn keep_service(&mut self, desk: &Desk<ViewService>) {
        self.service = Arc::new(desk.core().clone());
        self.service_canon = None;
    }

    /// Equal for equal states of the view service.
    pub(crate) fn service_digest(&mut self) -> u64 {
        let (service, now) = (&self.service, self.service_now);
        *self.service_canon.get_or_insert_with(|| Canon::new(service, now).digest)
    }

    /// Time passes at the view service.
    pub(crate) fn pass_at_service(&mut self, by: Duration) {
        self.service_now = self.service_now.plus(by);
        self.service_canon = None;
    }

    /// The view service hears something, and answers at once: its disk is quick.
    fn ask_service(&mut self, process: usize, call: CallId, request: viewservice::Request) {
        let mut desk = Desk::new(SERVICE_NODE, (*self.service).clone(), Lsn(0));
        let node = self.processes[process].node;
        desk.request(self.service_now, PEER, Some(node), request);
        let records = desk.records().count();
        desk.durable(self.service_now, Lsn(records as u64));
        while let Some(word) = desk.next_word() {
            if let Word::Answer { reply, .. } = word {
                let what = What::Reply(Reply::View(reply));
                self.flights.push(Flight::new(Who::Service, Who::Process(process), call, what));
            }
        }
        self.keep_service(&desk);
    }

    /// The client's request `number` arrives at a process.
    pub(crate) fn ask(&mut self, client: usize, number: usize, process: usize) {
        let op = self.clients[client].program[number];
        if number == self.clients[client].at {
            if self.clients[client].asked == 0 {
                self.history.asks(client, op);
            }
            let asked = &mut self.clients[client].asked;
            *asked = if self.left.asks == ALWAYS { 1 } else { *asked + 1 };
        }
        let key = Bytes::from_static(KEY);
        let request = match op {
            Op::Open => Request::Open(Open),
            Op::Get => Request::Get(Get { key }),
            Op::Append(tail) => Request::Submit(Submit {
                session: SessionId(self.clients[client].session),
                number: RequestNo(number as u64 + 1),
                change: Change::Append(key, Bytes::from(tail.to_string())),
            }),
        };
        let ticket = (client * PROGRAM + number) as u64;
        self.put_in(process, None, |desk, now| desk.request(now, ticket, None, request));
    }

    /// The clients open their sessions at a process that leads.
    pub(crate) fn open_sessions(&mut self, process: usize) {
        for _ in 0..self.clients.len() {
            let open = Request::Open(Open);
            self.put_in(process, None, |desk, now| desk.request(now, OPENING, None, open));
        }
    }

    /// So much time passes at a process.
    fn pass(&mut self, process: usize, by: Duration) {
        let it = &mut self.processes[process];
        it.now = it.now.plus(by);
        self.attend(process, None);
    }

    /// A ping interval passes at a process.
    pub(crate) fn pass_interval(&mut self, process: usize) {
        self.pass(process, PING_INTERVAL);
    }

    /// A primary that waited a moment tries to reach its backup again.
    pub(crate) fn pass_pause(&mut self, process: usize) {
        self.pass(process, FORWARD_PAUSE);
    }

    /// A primary waits for its backup for so long that it reports it lost.
    pub(crate) fn lose_patience(&mut self, process: usize) {
        self.pass(process, BACKUP_PATIENCE + PING_INTERVAL);
    }

    /// The forward under way is given up. It may arrive all the same.
    pub(crate) fn fail(&mut self, process: usize) {
        let Some(call) = self.processes[process].canon().forward else { return };
        let backup = self.processes[process].core().view().backup.clone();
        let to = backup.map_or(SERVICE_NODE, |it| it.member.node);
        self.put_in(process, None, |desk, now| desk.failed(now, to, call));
        self.pass(process, FORWARD_PAUSE);
    }

    /// A process ends without a word.
    pub(crate) fn kill(&mut self, process: usize) {
        self.processes[process].up = false;
    }

    /// What is on its way arrives, at this process if several run the server.
    pub(crate) fn deliver(&mut self, flight: &Flight, process: usize) {
        let Flight { from, call, what, .. } = flight;
        let (from, call) = (*from, *call);
        match (&**what, from, flight.to) {
            (What::Ask(Request::View(request)), Who::Process(it), _) => {
                self.ask_service(it, call, request.clone());
            }
            (What::Ask(request), Who::Process(it), _) => {
                let (node, request) = (self.processes[it].node, request.clone());
                self.put_in(process, Some((it, call)), |desk, now| {
                    desk.request(now, PEER, Some(node), request);
                });
            }
            (What::Reply(reply), _, Who::Process(to)) => {
                let node = match from {
                    Who::Process(it) => self.processes[it].node,
                    _ => SERVICE_NODE,
                };
                self.put_in(to, None, |desk, now| desk.reply(now, node, call, reply.clone()));
            }
            (What::Answer(number, ret), _, Who::Client(client)) => {
                if self.clients[client].at == *number {
                    self.history.hears(client, ret.clone());
                    let client = &mut self.clients[client];
                    (client.at, client.asked) = (number + 1, 0);
                    match ret {
                        Ret::Opened(session) => client.session = *session,
                        Ret::Value(value) => client.saw = Some(value.clone()),
                        Ret::Done => {}
                    }
                }
            }
            (what, from, to) => panic!("{from:?} says {what:?} to {to:?}"),
        }
    }

    /// Something happens to the desk of a process.
    fn put_in(
        &mut self,
        process: usize,
        asker: Option<(usize, CallId)>,
        event: impl FnOnce(&mut Desk<Pb>, Time),
    ) {
        let it = &mut self.processes[process];
        event(&mut Arc::make_mut(&mut it.desk).0, it.now);
        self.attend(process, asker);
    }

    /// Everything that a process has to say is on its way, and it has nothing to do by itself
    /// before time passes.
    fn attend(&mut self, at: usize, asker: Option<(usize, CallId)>) {
        let mut words = Vec::new();
        let it = &mut self.processes[at];
        it.canon = None;
        loop {
            let due = it.due() <= it.now;
            let desk = &mut Arc::make_mut(&mut it.desk).0;
            while let Some(word) = desk.next_word() {
                words.push(word);
            }
            if !due {
                break;
            }
            desk.wake(it.now);
        }
        for word in words {
            self.say(at, asker, word);
        }
    }

    fn say(&mut self, at: usize, asker: Option<(usize, CallId)>, word: Word<Pb>) {
        let from = Who::Process(at);
        match word {
            Word::Send { to, call, request } => {
                let to = if to == SERVICE_NODE { Who::Service } else { Who::Server(to) };
                self.flights.push(Flight::new(from, to, call, What::Ask(request)));
            }
            Word::Answer { ticket: PEER, reply } => {
                let (asker, call) = asker.expect("a peer is answered within the step");
                let to = Who::Process(asker);
                self.flights.push(Flight::new(from, to, call, What::Reply(reply)));
            }
            Word::Answer { ticket: OPENING, .. } => {}
            Word::Answer { ticket, reply } => {
                let (client, number) = (ticket as usize / PROGRAM, ticket as usize % PROGRAM);
                let ret = match reply {
                    Reply::Client(Ok(Answer::Done(_))) => Ret::Done,
                    Reply::Client(Ok(Answer::Value(value))) => {
                        let value = value.unwrap_or_default();
                        Ret::Value(String::from_utf8_lossy(&value).into_owned())
                    }
                    Reply::Client(Ok(Answer::Opened(session))) => Ret::Opened(session.0),
                    Reply::Client(Err(Refused::Expired | Refused::Late)) => {
                        self.forgotten |= number == self.clients[client].at;
                        return;
                    }
                    // After another refusal a client asks on.
                    _ => return,
                };
                let what = What::Answer(number, ret);
                self.flights.push(Flight::new(from, Who::Client(client), CallId(0), what));
            }
            Word::Output(Output::Superseded(_)) => self.processes[at].up = false,
            Word::Output(Output::Hollow(_)) => self.hollow = true,
            Word::Output(_) | Word::Forget(_) => {}
        }
    }
}
