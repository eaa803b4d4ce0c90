//! A service, five honest servers and the weather between them, in virtual time.

use std::{collections::BTreeMap, time::Duration};

use protocol::{CallId, Desk, Lsn, NodeId, Rng, Time, Word};

use crate::{
    core::ViewService,
    message::{Join, Ping, Reply, Request, Status},
    record::Record,
    suite::{SERVERS, Walked, citizen::Citizen, model::Model},
    view::{SERVICE_NODE, View},
};

/// Time that a step takes.
const STEP: Duration = Duration::from_millis(20);

/// On its way to or from the service.
pub(super) struct Flight {
    at: Time,
    node: NodeId,
    life: u64,
    call: CallId,
    what: What,
}

pub(super) enum What {
    Request(Request),
    Reply(Reply),
}

/// The world of one walk.
pub struct Town {
    pub(super) rng: Rng,
    pub(super) now: Time,
    /// The service; `None` while it is down.
    pub(super) desk: Option<Desk<ViewService>>,
    pub(super) disk: Vec<(Lsn, Record)>,
    pub(super) pending: Vec<(Lsn, Record)>,
    /// Views on the disk, those of forgotten records too.
    pub(super) durable_views: usize,
    pub(super) lagging: bool,
    pub(super) citizens: Vec<Citizen>,
    pub(super) flights: Vec<Flight>,
    /// Who waits for an answer, by ticket.
    pub(super) tickets: BTreeMap<u64, (NodeId, u64, CallId)>,
    pub(super) ticket: u64,
    /// What a bystander was answered last.
    pub(super) answered: Option<Reply>,
    pub(super) model: Model,
    /// The newest write that a client was told is done.
    pub(super) written: u64,
    pub(super) walked: Walked,
    pub(super) fair: bool,
}

impl Town {
    /// The world of `seed`: nobody has begun to live but the service.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let citizen = |number| Citizen::new(number, rng.chance(600));
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
            None if self.rng.chance(100) => {
                let with_disk = self.rng.chance(900);
                self.begin_life(who, with_disk);
            }
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

    /// Something is on its way: once, not at all, or twice.
    pub(super) fn send(&mut self, node: NodeId, life: u64, call: CallId, what: What) {
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

    pub(super) fn ask(&mut self, request: Request) -> Result<Reply, String> {
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
}
