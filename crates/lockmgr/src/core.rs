//! The lock service: the table, with a memory that outlives it.
//!
//! Every command goes to the log before anybody hears what came of it, also those that time
//! brings. Renewals do not: a new life begins all leases anew.

use std::time::Duration;

use protocol::{Caller, Core, Effects, Event, Lsn, Time, planted};

use crate::{
    Acquire, Command, MAX_WANTS, Name, News, Owner, Refusal, Rule, Table, Unsound, Why, command,
    message::{Answer, MAX_TOLD, NotNow, Refused, Renewed, Reply, Request},
    record::{self, Record},
};

mod looking;

mod parked;

mod past;

pub use parked::LINGER;
pub use past::Past;

use parked::Parked;
use past::Story;

/// After so many records everything is written down anew and what lies before is forgotten, unless
/// that would be written more than once for every two records.
pub const CHECKPOINT_EVERY: u64 = 10_000;

/// If the service is so late for what it wanted to do, it stood still itself: its process was
/// stopped, or its machine. Signs of life may lie unread before it, so it takes nobody for silent.
pub const STOOD_STILL: Duration = Duration::from_secs(1);

/// How a service is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who yields. `None`: as the log says, or [`Rule::Detect`] where there is none.
    pub rule: Option<Rule>,
    /// See [`CHECKPOINT_EVERY`].
    pub checkpoint_every: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { rule: None, checkpoint_every: CHECKPOINT_EVERY }
    }
}

/// The lock service.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct LockService {
    rule: Rule,
    table: Table<Rule>,
    parked: Parked,
    /// Whether the log has begun.
    written: bool,
    /// Whether anything has happened in this life yet.
    awake: bool,
    /// The disk takes too long: nothing more is taken in.
    disk_ill: bool,
    /// What was written since the last checkpoint, by weight, and how much it may be.
    records: u64,
    room: u64,
    every: u64,
}

impl LockService {
    /// A service with the memory of its earlier lives.
    ///
    /// # Errors
    ///
    /// If the records do not fit together, or are of a table under another rule.
    pub fn recover(
        config: Config,
        records: impl IntoIterator<Item = (Lsn, Record)>,
    ) -> Result<Self, Past> {
        let Config { rule, checkpoint_every } = config;
        // The first record says under which rule: it is never part of a checkpoint alone.
        let every = checkpoint_every.max(2);
        let mut story = Story::new(rule);
        for (lsn, record) in records {
            story.take(lsn, record)?;
        }
        let written = story.has_begun();
        let (rule, mut state, records, pieces) = story.end()?;
        if planted::is("token-reused-after-restart") {
            state.rewind_tokens();
        }
        Ok(Self {
            rule,
            table: Table::resume(state, Time::ZERO),
            parked: Parked::default(),
            written,
            awake: false,
            disk_ill: false,
            records,
            room: every.max(2 * pieces),
            every,
        })
    }

    /// Who yields.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Table<Rule> {
        &self.table
    }

    /// How many callers wait for an answer.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// The first thing of a life: nobody knows how long the last one has been over, so whatever
    /// has a time begins now.
    fn wake_up(&mut self, now: Time, fx: &mut Effects<Self>) {
        self.awake = true;
        if now > Time::ZERO {
            self.table = Table::resume(self.table.state().clone(), now);
        }
        if !self.written {
            self.written = true;
            self.save(Record::Born { rule: self.rule }, fx);
        }
    }

    /// What time has brought comes before everything else.
    fn pass_time(&mut self, now: Time, fx: &mut Effects<Self>) {
        while let Some(command) = self.table.due(now) {
            self.apply(now, command, fx);
        }
        while let Some(caller) = self.parked.ring(now) {
            fx.answer(caller, Ok(Answer::Waiting));
        }
    }

    /// Applies one command, writes it down, and tells everybody whom it concerns but its author.
    fn apply(&mut self, now: Time, command: Command, fx: &mut Effects<Self>) -> command::Reply {
        self.save(Record::Applied(command.clone()), fx);
        let mut news = Vec::new();
        let reply = self.table.apply(now, command, &mut news);
        for one in news {
            self.pass_on(&one, fx);
            fx.output(one);
        }
        reply
    }

    /// Answers the caller whom a piece of news has an answer for, if one waits.
    fn pass_on(&mut self, news: &News, fx: &mut Effects<Self>) {
        let (News::Granted(ticket, _) | News::Refused(ticket, _)) = news else { return };
        let Some(caller) = self.parked.over(*ticket) else { return };
        let reply = match news.clone() {
            News::Granted(_, grants) => Ok(Answer::Granted(grants)),
            News::Refused(_, refusal) | News::Lost(_, refusal) => Err(refusal.into()),
        };
        fx.answer(caller, reply);
    }

    fn save(&mut self, record: Record, fx: &mut Effects<Self>) -> Lsn {
        self.records += match &record {
            Record::Applied(command) => record::weight(command),
            Record::Born { .. } | Record::Piece(_) => 1,
        };
        fx.save(record)
    }

    /// Writes everything down, if it is time: all of it in one step, so that no record of another
    /// kind stands between its parts.
    fn checkpoint(&mut self, fx: &mut Effects<Self>) {
        if self.records < self.room {
            return;
        }
        let keep = fx.save(Record::Born { rule: self.rule });
        let mut pieces = 0;
        for piece in self.table.state().pieces() {
            fx.save(Record::Piece(piece));
            pieces += 1;
        }
        fx.forget(keep);
        self.records = 0;
        self.room = self.every.max(2 * pieces);
    }

    fn request(&mut self, now: Time, caller: Caller, request: Request, fx: &mut Effects<Self>) {
        if self.disk_ill {
            // A renewal counts: that the disk is slow is not the fault of whoever holds a lock. But
            // no answer is held while nobody knows for how long: clients ask again and again.
            if let Request::Renew(owner) = request {
                self.table.renew(now, owner).ok();
            }
            return fx.answer_free(caller, NotNow::Busy);
        }
        if let Err(unsound) = check(&request) {
            return fx.answer(caller, Err(Refusal::Unsound(unsound).into()));
        }
        let reply = match request {
            Request::Open(terms) => self.apply(now, Command::Open(terms), fx),
            Request::Acquire(acquire) => return self.acquire(now, caller, acquire, fx),
            Request::Release(release) => self.apply(now, Command::Release(release), fx),
            Request::Cancel(ticket) => {
                self.apply(now, Command::Cancel { ticket, why: Why::Asked }, fx)
            }
            Request::Close(owner) => self.apply(now, Command::Leave(owner), fx),
            Request::Renew(owner) => {
                let renewed = self.renew(now, owner).map(Answer::Renewed);
                return fx.answer(caller, renewed.map_err(Refused::Table));
            }
            Request::Look(name) => {
                let seen = self.table.look(now, &name);
                return fx.answer(caller, Ok(Answer::Lock(seen)));
            }
            Request::View(after) => {
                let view = self.view(now, after.as_ref());
                return fx.answer(caller, Ok(Answer::View(Box::new(view))));
            }
            Request::Tell(command) => {
                let told = self.apply(now, command, fx);
                return fx.answer(caller, Ok(Answer::Told(told)));
            }
        };
        fx.answer(caller, answer(reply));
    }

    fn acquire(&mut self, now: Time, caller: Caller, acquire: Acquire, fx: &mut Effects<Self>) {
        let (ticket, floor) = (acquire.ticket, acquire.floor);
        let reply = if self.parked.waits(ticket, floor) {
            // It waits, and says nothing new: the log need not hear of it each time.
            let known = self.table.renew(now, ticket.owner);
            assert!(known.is_ok(), "who waits is known");
            command::Reply::Waiting
        } else {
            self.apply(now, Command::Acquire(acquire), fx)
        };
        if reply != command::Reply::Waiting {
            return fx.answer(caller, answer(reply));
        }
        if let Some(earlier) = self.parked.park(ticket, floor, caller, now) {
            fx.answer(earlier, Ok(Answer::Waiting));
        }
    }

    fn renew(&mut self, now: Time, owner: Owner) -> Result<Renewed, Refusal> {
        let lease = self.table.renew(now, owner)?;
        let mut holds: Vec<_> = self.table.held_by(owner).take(MAX_TOLD + 1).collect();
        let more = holds.len() > MAX_TOLD;
        holds.truncate(MAX_TOLD);
        let waits = self.table.show_owner(now, owner).map_or(0, |shown| shown.waits as u64);
        Ok(Renewed { lease, holds, more, waits })
    }

    fn view(&self, now: Time, after: Option<&Name>) -> crate::View {
        looking::bounded(self.table.view(now, after))
    }
}

/// Whether a request may come into the log: what the table would refuse for its size is refused
/// before it takes room there.
fn check(request: &Request) -> Result<(), Unsound> {
    match request {
        Request::Open(terms) if terms.lease.is_none() => Err(Unsound::Term),
        Request::Acquire(acquire) | Request::Tell(Command::Acquire(acquire)) => {
            if acquire.wants.is_empty() || acquire.wants.len() > MAX_WANTS {
                return Err(Unsound::Wants);
            }
            let sound = acquire.wants.iter().all(|want| want.name.is_sound());
            if sound { Ok(()) } else { Err(Unsound::Name) }
        }
        Request::Release(release) | Request::Tell(Command::Release(release))
            if !release.name.is_sound() =>
        {
            Err(Unsound::Name)
        }
        _ => Ok(()),
    }
}

/// What the table says, as a client hears it.
fn answer(reply: command::Reply) -> Reply {
    match reply {
        command::Reply::Opened(owner) => Ok(Answer::Opened(owner)),
        command::Reply::Granted(grants) => Ok(Answer::Granted(grants)),
        command::Reply::Waiting => Ok(Answer::Waiting),
        command::Reply::Released | command::Reply::Done => Ok(Answer::Done),
        command::Reply::Refused(refusal) => Err(refusal.into()),
    }
}

impl Core for LockService {
    type Request = Request;
    type Reply = Reply;
    type Record = Record;
    /// What somebody who is not the author of a command should know.
    type Output = News;

    /// No answer is free: each may rest on a record, if only one that an earlier step saved.
    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        if !self.awake {
            self.wake_up(now, fx);
        }
        if self.deadline().is_some_and(|due| now.since(due) > STOOD_STILL) {
            self.table.forgive(now);
        }
        self.pass_time(now, fx);
        match event {
            Event::Request { caller, request } => self.request(now, caller, request, fx),
            Event::DiskHealthy(healthy) => self.disk_ill = !healthy,
            // It calls nobody.
            Event::Reply(_) | Event::Failed { .. } | Event::Wake => {}
        }
        self.checkpoint(fx);
    }

    fn deadline(&self) -> Option<Time> {
        self.table.deadline().into_iter().chain(self.parked.next()).min()
    }
}
