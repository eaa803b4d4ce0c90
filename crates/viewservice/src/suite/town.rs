//! A service, five honest servers and the weather between them, in virtual time.

use std::{collections::BTreeMap, time::Duration};

use protocol::{CallId, Desk, Lsn, NodeId, Rng, Time, Word};

use crate::{
    core::ViewService,
    message::{Join, Ping, Refused, Reply, Request, Status, Stuck},
    pinger::{News, Pinger},
    record::Record,
    suite::{SERVERS, Walked, model::Model},
    view::{Incarnation, Member, Role, SERVICE_NODE, Server, View},
};

/// Time that a step takes.
const STEP: Duration = Duration::from_millis(20);

/// A server, and the smallest store there is: the number of the newest write it has.
struct Citizen {
    node: NodeId,
    /// Its state survives a crash.
    durable: bool,
    /// Cut off from the service.
    silent: bool,
    /// Its conversation; `None` while it is down.
    pinger: Option<Pinger>,
    /// Counts its lives.
    life: u64,
    adopted: View,
    has: u64,
    /// What it has carries on that of its own lives from this one on.
    chain: Option<Incarnation>,
    /// As primary: its backup has everything.
    installed: bool,
    /// As primary: it gave up its backup.
    lost: bool,
}

/// On its way to or from the service.
struct Flight {
    at: Time,
    node: NodeId,
    life: u64,
    call: CallId,
    what: What,
}

enum What {
    Request(Request),
    Reply(Reply),
}

/// The world of one walk.
pub struct Town {
    rng: Rng,
    now: Time,
    /// The service; `None` while it is down.
    desk: Option<Desk<ViewService>>,
    disk: Vec<(Lsn, Record)>,
    pending: Vec<(Lsn, Record)>,
    /// Views on the disk, those of forgotten records too.
    durable_views: usize,
    lagging: bool,
    citizens: Vec<Citizen>,
    flights: Vec<Flight>,
    /// Who waits for an answer, by ticket.
    tickets: BTreeMap<u64, (NodeId, u64, CallId)>,
    ticket: u64,
    /// What a bystander was answered last.
    answered: Option<Reply>,
    model: Model,
    /// The newest write that a client was told is done.
    written: u64,
    walked: Walked,
    fair: bool,
}

impl Town {
    /// The world of `seed`: nobody has begun to live but the service.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let citizen = |number: u16| Citizen {
            node: NodeId(number),
            durable: rng.chance(600),
            silent: false,
            pinger: None,
            life: 0,
            adopted: View::default(),
            has: 0,
            chain: None,
            installed: false,
            lost: false,
        };
        let citizens = (1..=SERVERS).map(citizen).collect();
        let mut town = Self {
            rng,
            now: Time::ZERO,
            desk: None,
            disk: Vec::new(),
            pending: Vec::new(),
            durable_views: 0,
            lagging: false,
            citizens,
            flights: Vec::new(),
            tickets: BTreeMap::new(),
            ticket: 0,
            answered: None,
            model: Model::new(),
            written: 0,
            walked: Walked::default(),
            fair: false,
        };
        town.begin_service();
        town
    }

    /// What it has come through.
    #[must_use]
    pub fn walked(&self) -> Walked {
        self.walked
    }

    /// The view in force.
    #[must_use]
    pub fn view(&self) -> &View {
        self.model.newest()
    }

    /// One step in bad weather.
    ///
    /// # Errors
    ///
    /// What rule was broken.
    pub fn storm(&mut self) -> Result<(), String> {
        let who = self.rng.below(u64::from(SERVERS)) as usize;
        let silent = self.citizens[who].silent;
        self.citizens[who].silent ^= self.rng.chance(if silent { 100 } else { 50 });
        match self.citizens[who].pinger {
            None if self.rng.chance(100) => self.begin_life(who, true),
            Some(_) if self.rng.chance(8) => self.end_life(who),
            _ => {}
        }
        if self.rng.chance(10) {
            self.citizens[who].lost = self.citizens[who].adopted.backup.is_some();
        }
        if self.rng.chance(20) {
            self.lagging ^= true;
        }
        match self.desk {
            Some(_) if self.rng.chance(5) => self.end_service(),
            None if self.rng.chance(100) => self.begin_service(),
            _ => {}
        }
        // Many names are burned at once, so that checkpoints fall anywhere.
        if self.rng.chance(4) && self.desk.is_some() {
            for _ in 0..self.rng.below(600) {
                self.hear(NodeId(99), 0, CallId(0), Request::Join(Join { node: NodeId(99) }))?;
            }
        }
        self.pass()
    }

    /// The weather clears: everybody lives, and everybody is heard.
    ///
    /// # Errors
    ///
    /// As [`storm`](Self::storm).
    pub fn clear_up(&mut self) -> Result<(), String> {
        (self.fair, self.lagging) = (true, false);
        if self.desk.is_none() {
            self.begin_service();
        }
        for who in 0..self.citizens.len() {
            (self.citizens[who].silent, self.citizens[who].lost) = (false, false);
            if self.citizens[who].pinger.is_none() {
                self.begin_life(who, true);
            }
        }
        self.sync()
    }

    /// One step in fair weather.
    ///
    /// # Errors
    ///
    /// As [`storm`](Self::storm).
    pub fn calm(&mut self) -> Result<(), String> {
        self.pass()
    }

    fn begin_life(&mut self, who: usize, with_disk: bool) {
        let citizen = &mut self.citizens[who];
        if !citizen.durable || !with_disk {
            (citizen.has, citizen.chain) = (0, None);
        }
        let addr = format!("host{}:1", citizen.node.0);
        citizen.pinger = Some(Pinger::new(citizen.node, addr, citizen.chain));
        citizen.adopted = View::default();
        (citizen.installed, citizen.lost) = (false, false);
        citizen.life += 1;
        self.walked.lives += 1;
    }

    fn end_life(&mut self, who: usize) {
        self.citizens[who].pinger = None;
    }

    fn begin_service(&mut self) {
        let core = ViewService::recover(self.disk.clone()).expect("its own records");
        let saved = self.disk.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        let mut desk = Desk::new(SERVICE_NODE, core, saved);
        desk.wake(self.now);
        self.model.begins(self.now, self.durable_views);
        self.desk = Some(desk);
        self.walked.restarts += 1;
    }

    /// The service dies; some of its last records happen to be on the disk.
    fn end_service(&mut self) {
        let kept = self.rng.below(self.pending.len() as u64 + 1) as usize;
        let kept: Vec<_> = self.pending.drain(..).take(kept).collect();
        self.keep(kept);
        self.pending.clear();
        self.desk = None;
        self.tickets.clear();
    }

    fn keep(&mut self, records: Vec<(Lsn, Record)>) {
        let views = records.iter().filter(|(_, record)| matches!(record, Record::Viewed(_)));
        self.durable_views += views.count();
        self.disk.extend(records);
    }

    /// Time passes, and what is due happens.
    fn pass(&mut self) -> Result<(), String> {
        self.now = self.now.plus(STEP);
        for who in 0..self.citizens.len() {
            self.speak(who);
        }
        loop {
            let due = self.flights.iter().position(|flight| flight.at <= self.now);
            let Some(flight) = due.map(|at| self.flights.swap_remove(at)) else { break };
            match flight.what {
                What::Request(request) => {
                    self.hear(flight.node, flight.life, flight.call, request)?;
                }
                What::Reply(reply) => self.told(flight.node, flight.life, flight.call, reply)?,
            }
        }
        if !self.lagging || self.rng.chance(50) {
            self.sync()?;
        }
        for who in 0..self.citizens.len() {
            self.transfer(who);
            self.write(who)?;
        }
        Ok(())
    }

    /// A server makes the call that is due.
    fn speak(&mut self, who: usize) {
        let now = self.now;
        let citizen = &mut self.citizens[who];
        let Some(pinger) = &mut citizen.pinger else { return };
        let (view, installed, lost) = (citizen.adopted.number, citizen.installed, citizen.lost);
        let Some(request) = pinger.due(now, view, installed, lost) else { return };
        self.ticket += 1;
        let call = CallId(self.ticket);
        pinger.called(call);
        let (node, life, silent) = (citizen.node, citizen.life, citizen.silent);
        if !silent {
            self.send(node, life, call, What::Request(request));
        }
    }

    /// Something is on its way: once, not at all, or twice.
    fn send(&mut self, node: NodeId, life: u64, call: CallId, what: What) {
        let copies = match self.rng.below(100) {
            _ if self.fair => 1,
            0..4 => 0,
            4..8 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let most = if self.fair || self.rng.chance(900) { 20 } else { 400 };
            let delay = self.rng.between(Duration::ZERO, Duration::from_millis(most));
            let what = match &what {
                What::Request(request) => What::Request(request.clone()),
                What::Reply(reply) => What::Reply(reply.clone()),
            };
            self.flights.push(Flight { at: self.now.plus(delay), node, life, call, what });
        }
    }

    /// The service hears a request.
    fn hear(
        &mut self,
        node: NodeId,
        life: u64,
        call: CallId,
        request: Request,
    ) -> Result<(), String> {
        let Some(desk) = &mut self.desk else { return Ok(()) };
        self.ticket += 1;
        self.tickets.insert(self.ticket, (node, life, call));
        let ping = match &request {
            Request::Ping(ping) => Some(ping.clone()),
            _ => None,
        };
        desk.request(self.now, self.ticket, Some(node), request);
        let from = desk.saved().0;
        let records: Vec<Record> = desk.records().collect();
        let first = from + 1 - records.len() as u64;
        if let Some(ping) = &ping {
            self.walked.pings += 1;
            self.judge(ping, &records)?;
        }
        self.pending.extend((first..).map(Lsn).zip(records));
        self.listen()
    }

    /// What a ping led to.
    fn judge(&mut self, ping: &Ping, records: &[Record]) -> Result<(), String> {
        self.model.hears(self.now, ping);
        let mut views = records.iter().filter_map(|record| match record {
            Record::Viewed(view) => Some(view),
            _ => None,
        });
        let Some(next) = views.next() else { return Ok(()) };
        if views.next().is_some() {
            return Err(format!("two views at one ping: {ping:?}"));
        }
        let before = self.model.newest().primary.clone().map(|it| it.member);
        let primary = next.primary.clone().map(|it| it.member);
        self.model.replaces(self.now, ping, next)?;
        self.walked.views += 1;
        if let (Some(before), Some(primary)) = (before, primary) {
            self.walked.successions += u64::from(before.node != primary.node);
            self.walked.heirs += u64::from(primary.outlived(before));
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), String> {
        let pending = std::mem::take(&mut self.pending);
        self.keep(pending);
        self.model.durable(self.durable_views);
        let Some(desk) = &mut self.desk else { return Ok(()) };
        let saved = desk.saved();
        desk.durable(self.now, saved);
        self.listen()
    }

    /// What the service says now.
    fn listen(&mut self) -> Result<(), String> {
        while let Some(word) = self.desk.as_mut().and_then(Desk::next_word) {
            match word {
                Word::Answer { ticket, reply } => {
                    match &reply {
                        Reply::Joined(Ok(joined)) => self.model.names(joined.incarnation)?,
                        Reply::Pong(Ok(pong)) => self.model.tells(&pong.view)?,
                        Reply::View(view) => self.model.tells(view)?,
                        _ => {}
                    }
                    match self.tickets.remove(&ticket) {
                        Some((node, life, call)) => {
                            self.send(node, life, call, What::Reply(reply));
                        }
                        None => self.answered = Some(reply),
                    }
                }
                Word::Output(view) => self.model.tells(&view)?,
                Word::Forget(keep) => self.disk.retain(|(lsn, _)| *lsn >= keep),
                Word::Send { request, .. } => return Err(format!("it calls: {request:?}")),
            }
        }
        Ok(())
    }

    /// A server is answered.
    fn told(&mut self, node: NodeId, life: u64, call: CallId, reply: Reply) -> Result<(), String> {
        let now = self.now;
        let here = |it: &&mut Citizen| it.node == node && it.life == life && !it.silent;
        let Some(citizen) = self.citizens.iter_mut().find(here) else { return Ok(()) };
        let Some(pinger) = &mut citizen.pinger else { return Ok(()) };
        match pinger.heard(now, call, reply) {
            News::Viewed(view) if view.number > citizen.adopted.number => citizen.adopt(view),
            News::Refused(Refused::Superseded { .. }) => citizen.pinger = None,
            News::Nothing | News::Named(_) | News::Viewed(_) | News::Refused(Refused::Taken) => {}
            News::Refused(refused) => {
                return Err(format!("{node} is honest, and was refused: {refused}"));
            }
        }
        if self.fair {
            for who in 0..self.citizens.len() {
                if self.citizens[who].pinger.is_none() {
                    self.begin_life(who, true);
                }
            }
        }
        Ok(())
    }

    /// The server that is `server` now, if that life goes on.
    fn living(&self, server: Option<&Server>) -> Option<usize> {
        let member = server?.member;
        self.citizens.iter().position(|it| it.member() == Some(member))
    }

    /// A primary may give its backup everything.
    fn transfer(&mut self, who: usize) {
        let primary = &self.citizens[who];
        if primary.role() != Role::Primary || primary.installed || !self.rng.chance(300) {
            return;
        }
        let Some(to) = self.living(primary.adopted.backup.as_ref()) else { return };
        if self.citizens[to].adopted.number != primary.adopted.number {
            return;
        }
        let has = primary.has;
        let backup = &mut self.citizens[to];
        (backup.has, backup.chain) = (has, backup.member().map(|it| it.incarnation));
        let primary = &mut self.citizens[who];
        (primary.installed, primary.lost) = (true, false);
        if let Some(pinger) = &mut primary.pinger {
            pinger.hurry();
        }
    }

    /// Whoever believes to be primary may answer a client, alone or with its backup.
    fn write(&mut self, who: usize) -> Result<(), String> {
        let primary = &self.citizens[who];
        if primary.role() != Role::Primary || !self.rng.chance(100) {
            return Ok(());
        }
        let backup = self.living(primary.adopted.backup.as_ref());
        let number = primary.adopted.number;
        let together = primary.adopted.backup.is_some() && primary.installed;
        // A backup that knows a later view refuses, and one that is away does not answer.
        let agrees = backup.is_some_and(|it| self.citizens[it].adopted.number == number);
        if together && !agrees {
            return Ok(());
        }
        if primary.has != self.written {
            let (node, has, written) = (primary.node, primary.has, self.written);
            let view = &primary.adopted;
            return Err(format!("{node} serves in {view} and has {has} of {written} writes"));
        }
        self.written += 1;
        self.walked.writes += 1;
        self.citizens[who].has = self.written;
        if let Some(backup) = backup.filter(|_| together) {
            self.citizens[backup].has = self.written;
        }
        Ok(())
    }

    fn ask(&mut self, request: Request) -> Result<Reply, String> {
        let desk = self.desk.as_mut().ok_or("the service is down")?;
        self.ticket += 1;
        desk.request(self.now, self.ticket, None, request);
        self.sync()?;
        self.answered.take().ok_or_else(|| "a bystander got no answer".to_owned())
    }

    /// How the service sees the world.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub fn status(&mut self) -> Result<Status, String> {
        match self.ask(Request::Status)? {
            Reply::Status(status) => Ok(status),
            other => Err(format!("a status is answered by {other:?}")),
        }
    }

    /// There is a primary that knows its view, and a backup that has everything.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn serves_with_a_backup(&mut self) -> Result<(), String> {
        let status = self.status()?;
        let view = &status.view;
        let both = [&view.primary, &view.backup].map(|it| self.living(it.as_ref()));
        let [Some(primary), Some(backup)] = both else {
            return Err(format!("all is calm, and {view} is not what it could be: {status:?}"));
        };
        let current = |who: usize| self.citizens[who].adopted == *view;
        if !status.acknowledged || !current(primary) || !current(backup) {
            return Err(format!("all is calm, and {view} is not acknowledged: {status:?}"));
        }
        Ok(())
    }

    /// Nobody who is here could go on from the view that the service waits in.
    ///
    /// # Errors
    ///
    /// Who could.
    pub fn is_rightly_stuck(&mut self, stuck: &Stuck) -> Result<(), String> {
        let status = self.status()?;
        let could = |place: &Option<Server>| {
            let place = place.as_ref()?;
            let same = self.citizens.iter().find(|it| it.node == place.member.node)?;
            let from = same.chain.filter(|_| same.durable);
            let is = same.member() == Some(place.member);
            let inherits = from.is_some_and(|from| from <= place.member.incarnation);
            (is || inherits).then_some(same.node)
        };
        let heir = could(&status.view.primary)
            .or_else(|| could(&status.view.backup).filter(|_| status.acknowledged));
        heir.map_or(Ok(()), |node| Err(format!("{node} could go on: {stuck}")))
    }
}

impl Citizen {
    fn member(&self) -> Option<Member> {
        self.pinger.as_ref()?.member()
    }

    fn role(&self) -> Role {
        self.member().map_or(Role::Idle, |member| self.adopted.role(member))
    }

    fn adopt(&mut self, view: View) {
        self.adopted = view;
        (self.installed, self.lost) = (false, false);
        match self.role() {
            // It begins to be filled; what it had is given up.
            Role::Backup => (self.has, self.chain) = (0, None),
            Role::Primary => {
                self.chain = self.chain.or(self.member().map(|it| it.incarnation));
                self.installed = self.adopted.backup.is_none();
            }
            Role::Idle => {}
        }
    }
}
