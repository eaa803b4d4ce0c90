//! A stage for golden scripts: a few nodes, and nothing happens unless the script says so.
//!
//! Every line the stage prints is something a reader can follow: who saves what, who says what to
//! whom, what is lost, what is put out. Saves are printed, so save-before-speak is *seen*.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use protocol::{CallId, Core, Desk, Lsn, NodeId, Time, Word};

use crate::world::Record;

/// A message on its way.
struct Flight<C: Core> {
    from: NodeId,
    to: NodeId,
    life: u64,
    call: CallId,
    ticket: u64,
    what: Message<C>,
}

enum Message<C: Core> {
    Request(C::Request),
    Reply(C::Reply),
}

struct Actor<C: Core> {
    desk: Option<Desk<C>>,
    durable: Vec<Record<C>>,
    pending: Vec<Record<C>>,
    saved: Lsn,
    life: u64,
    /// Records become durable as soon as they are saved.
    quick: bool,
}

/// A few nodes on a stage.
pub struct Stage<C: Core> {
    actors: BTreeMap<NodeId, Actor<C>>,
    flights: Vec<Flight<C>>,
    now: Time,
    tickets: BTreeMap<u64, (NodeId, NodeId, u64, CallId)>,
    next_ticket: u64,
    script: String,
    silent: bool,
    /// Words that are not printed, such as heartbeats in a script about something else.
    hidden: fn(&str) -> bool,
}

impl<C: Core> Stage<C> {
    /// An empty stage. Messages whose text `hidden` says yes to are delivered but not printed.
    #[must_use]
    pub fn new(hidden: fn(&str) -> bool) -> Self {
        Self {
            actors: BTreeMap::new(),
            flights: Vec::new(),
            now: Time::ZERO,
            tickets: BTreeMap::new(),
            next_ticket: 1000,
            script: String::new(),
            silent: false,
            hidden,
        }
    }

    /// Everything printed since the last call.
    pub fn printed(&mut self) -> String {
        std::mem::take(&mut self.script)
    }

    /// Whether what happens is printed.
    pub fn silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Hides other words from now on.
    pub fn hide(&mut self, hidden: fn(&str) -> bool) {
        self.hidden = hidden;
    }

    /// A line of the script's own.
    pub fn remark(&mut self, line: &str) {
        self.line(line.to_owned());
    }

    /// Brings a node on stage with what its disk kept; `recover` makes its core.
    pub fn enter(&mut self, node: NodeId, recover: impl FnOnce(Vec<Record<C>>) -> C) {
        let actor = self.actors.entry(node).or_insert_with(|| Actor {
            desk: None,
            durable: Vec::new(),
            pending: Vec::new(),
            saved: Lsn(0),
            life: 0,
            quick: true,
        });
        let core = recover(actor.durable.clone());
        actor.saved = actor.durable.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        actor.desk = Some(Desk::new(node, core, actor.saved));
        self.attend(node);
    }

    /// The core of `node`.
    #[must_use]
    pub fn core(&self, node: NodeId) -> Option<&C> {
        self.actors.get(&node)?.desk.as_ref().map(Desk::core)
    }

    /// Whether records of `node` become durable at once (`true`) or wait for [`sync`](Self::sync).
    pub fn quick_disk(&mut self, node: NodeId, quick: bool) {
        if let Some(actor) = self.actors.get_mut(&node) {
            actor.quick = quick;
        }
    }

    /// Everything that `node` saved becomes durable.
    pub fn sync(&mut self, node: NodeId) {
        let now = self.now;
        let Some(actor) = self.actors.get_mut(&node) else { return };
        actor.durable.append(&mut actor.pending);
        let upto = actor.saved;
        self.line(format!("{node} has synced up to {}", upto.0));
        if let Some(desk) = self.actors.get_mut(&node).and_then(|actor| actor.desk.as_mut()) {
            desk.durable(now, upto);
        }
        self.attend(node);
    }

    /// The node's own process or a client asks it something.
    pub fn ask(&mut self, node: NodeId, request: C::Request) {
        let now = self.now;
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        if let Some(desk) = self.actors.get_mut(&node).and_then(|actor| actor.desk.as_mut()) {
            desk.request(now, ticket, None, request);
        }
        self.attend(node);
    }

    /// A stranger, or a peer of the script's choosing, says something to `node`.
    pub fn say(&mut self, from: NodeId, node: NodeId, request: C::Request) {
        let now = self.now;
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        self.line(format!("{from} -> {node}  {request:?}"));
        if let Some(desk) = self.actors.get_mut(&node).and_then(|actor| actor.desk.as_mut()) {
            desk.request(now, ticket, Some(from), request);
        }
        self.attend(node);
    }

    /// A reply of the script's choosing reaches `node`.
    pub fn answer(&mut self, from: NodeId, node: NodeId, call: CallId, reply: C::Reply) {
        let now = self.now;
        self.line(format!("{from} -> {node}  {reply:?}"));
        if let Some(desk) = self.actors.get_mut(&node).and_then(|actor| actor.desk.as_mut()) {
            desk.reply(now, from, call, reply);
        }
        self.attend(node);
    }

    /// Time passes; `node` wakes if it is due.
    pub fn wake(&mut self, node: NodeId, after: Duration) {
        self.now = self.now.plus(after);
        let now = self.now;
        if let Some(desk) = self.actors.get_mut(&node).and_then(|actor| actor.desk.as_mut())
            && desk.deadline().is_some_and(|at| at <= now)
        {
            desk.wake(now);
        }
        self.attend(node);
    }

    /// Wakes whoever is due without letting time pass, delivers everything on its way, and goes on
    /// until nothing moves.
    pub fn deliver_all(&mut self) {
        loop {
            self.wake_due();
            if self.flights.is_empty() {
                return;
            }
            self.deliver_one(0);
        }
    }

    /// Delivers the first message on its way that `wanted` says yes to, if any.
    pub fn deliver(&mut self, wanted: impl Fn(NodeId, NodeId, &str) -> bool) -> bool {
        let found = self.flights.iter().position(|flight| {
            let text = text(&flight.what);
            wanted(flight.from, flight.to, &text)
        });
        if let Some(at) = found {
            self.deliver_one(at);
        }
        found.is_some()
    }

    /// Delivers the first request on its way that `wanted` says yes to, and leaves a second copy
    /// of it behind.
    pub fn repeat(&mut self, wanted: impl Fn(NodeId, NodeId, &str) -> bool) -> bool {
        let found = self.flights.iter().position(|flight| {
            let request = matches!(flight.what, Message::Request(_));
            request && wanted(flight.from, flight.to, &text(&flight.what))
        });
        let Some(at) = found else { return false };
        let (first, Message::Request(request)) = (&self.flights[at], &self.flights[at].what) else {
            return false;
        };
        let (from, to, life, call) = (first.from, first.to, first.life, first.call);
        let what = Message::Request(request.clone());
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        self.tickets.insert(ticket, (from, to, life, call));
        self.flights.insert(at + 1, Flight { from, to, life, call, ticket, what });
        self.deliver_one(at);
        true
    }

    /// The first call on its way that `wanted` says yes to is answered with `reply` and arrives
    /// nowhere: words that the one who was called never said.
    pub fn answer_instead(
        &mut self,
        wanted: impl Fn(NodeId, NodeId, &str) -> bool,
        reply: C::Reply,
    ) -> bool {
        let found = self.flights.iter().position(|flight| {
            let request = matches!(flight.what, Message::Request(_));
            request && wanted(flight.from, flight.to, &text(&flight.what))
        });
        let Some(at) = found else { return false };
        let flight = self.flights.remove(at);
        self.answer(flight.to, flight.from, flight.call, reply);
        true
    }

    /// Loses every message on its way that `unlucky` says yes to; their callers hear of it if
    /// `told`.
    pub fn lose(&mut self, told: bool, unlucky: impl Fn(NodeId, NodeId, &str) -> bool) {
        let flights = std::mem::take(&mut self.flights);
        for flight in flights {
            let what = text(&flight.what);
            if !unlucky(flight.from, flight.to, &what) {
                self.flights.push(flight);
                continue;
            }
            if !(self.hidden)(&what) {
                self.line(format!("{} -> {}  {what}   LOST", flight.from, flight.to));
            }
            let (caller, other) = match flight.what {
                Message::Request(_) => (flight.from, flight.to),
                Message::Reply(_) => (flight.to, flight.from),
            };
            let now = self.now;
            if told
                && let Some(actor) = self.actors.get_mut(&caller)
                && actor.life == flight.life
                && let Some(desk) = actor.desk.as_mut()
            {
                desk.failed(now, other, flight.call);
                self.attend(caller);
            }
        }
    }

    /// The node loses power; `keep` of its unsynced records happen to be on the disk.
    pub fn crash(&mut self, node: NodeId, keep: usize) {
        if let Some(actor) = self.actors.get_mut(&node) {
            actor.desk = None;
            let kept = keep.min(actor.pending.len());
            actor.durable.extend(actor.pending.drain(..kept));
            actor.pending.clear();
            actor.life += 1;
        }
        self.line(format!("{node} loses power"));
    }

    /// Lets every node that is due at this instant wake.
    pub fn wake_due(&mut self) {
        let nodes: Vec<NodeId> = self.actors.keys().copied().collect();
        for node in nodes {
            let now = self.now;
            while let Some(desk) = self.actors.get_mut(&node).and_then(|actor| actor.desk.as_mut())
                && desk.deadline().is_some_and(|at| at <= now)
            {
                desk.wake(now);
                self.attend(node);
            }
        }
    }

    fn deliver_one(&mut self, at: usize) {
        let flight = self.flights.remove(at);
        let now = self.now;
        let (from, to) = (flight.from, flight.to);
        let what = text(&flight.what);
        if !(self.hidden)(&what) {
            self.line(format!("{from} -> {to}  {what}"));
        }
        let Some(actor) = self.actors.get_mut(&to) else { return };
        let Some(desk) = actor.desk.as_mut() else { return };
        match flight.what {
            Message::Request(request) => desk.request(now, flight.ticket, Some(from), request),
            Message::Reply(reply) if actor.life == flight.life => {
                desk.reply(now, from, flight.call, reply);
            }
            Message::Reply(_) => return,
        }
        self.attend(to);
    }

    fn attend(&mut self, node: NodeId) {
        loop {
            let Some(actor) = self.actors.get_mut(&node) else { return };
            let Some(desk) = actor.desk.as_mut() else { return };
            let records: Vec<C::Record> = desk.records().collect();
            let saved_some = !records.is_empty();
            for record in records {
                actor.saved.0 += 1;
                let line = format!("{node} saves {record:?}");
                actor.pending.push((actor.saved, record));
                if !self.silent {
                    let _ = writeln!(self.script, "{line}");
                }
            }
            if actor.quick && saved_some {
                actor.durable.append(&mut actor.pending);
                desk.durable(self.now, actor.saved);
                continue;
            }
            let life = actor.life;
            let Some(word) = desk.next_word() else { return };
            self.speak(node, life, word);
        }
    }

    fn speak(&mut self, node: NodeId, life: u64, word: Word<C>) {
        match word {
            Word::Send { to, call, request } => {
                self.next_ticket += 1;
                let ticket = self.next_ticket;
                self.tickets.insert(ticket, (node, to, life, call));
                let what = Message::Request(request);
                self.flights.push(Flight { from: node, to, life, call, ticket, what });
            }
            Word::Answer { ticket, reply } => match self.tickets.remove(&ticket) {
                Some((caller, _, life, call)) => {
                    let what = Message::Reply(reply);
                    self.flights.push(Flight { from: node, to: caller, life, call, ticket, what });
                }
                None => self.line(format!("{node} answers {reply:?}")),
            },
            Word::Output(output) => {
                let what = format!("{output:?}");
                if !(self.hidden)(&what) {
                    self.line(format!("{node} puts out {what}"));
                }
            }
            Word::Forget(keep) => {
                if let Some(actor) = self.actors.get_mut(&node) {
                    actor.durable.retain(|(lsn, _)| *lsn >= keep);
                }
                self.line(format!("{node} forgets its records below {}", keep.0));
            }
        }
    }

    fn line(&mut self, line: String) {
        if !self.silent {
            let _ = writeln!(self.script, "{line}");
        }
    }
}

fn text<C: Core>(message: &Message<C>) -> String {
    match message {
        Message::Request(request) => format!("{request:?}"),
        Message::Reply(reply) => format!("{reply:?}"),
    }
}
