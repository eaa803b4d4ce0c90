//! The view service: who is primary now.
//!
//! `safety` says which view may follow, `roll` who seems to live; this file
//! only lets the one ask the other.

use protocol::{Caller, Core, Effects, Event, Lsn, Time, planted};

use crate::{
    message::{Join, Joined, Ping, Pong, Refused, Reply, Request, Status},
    record::Record,
    view::{MAX_ADDR, MAX_LIVES, Role, View},
};

mod roll;
mod safety;

pub use roll::{COOLING, DEAD_PINGS};
pub use safety::{Beliefs, Discontinued, Safety};

use roll::Roll;

/// After so many records everything is written down anew, and what lies before is forgotten.
pub const CHECKPOINT_EVERY: u64 = 1_000;

/// The view service. It has no timer: a view changes only when somebody pings, since a view that
/// nobody is there to hear of helps nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewService {
    safety: Safety,
    roll: Roll,
    /// When the view came into force, in this life.
    since: Time,
    /// Records since the last checkpoint.
    records: u64,
    /// Whether anything has happened in this life yet.
    born: bool,
}

impl ViewService {
    /// A service with the memory of its earlier lives.
    ///
    /// # Errors
    ///
    /// If the records do not fit together.
    pub fn recover(records: impl IntoIterator<Item = (Lsn, Record)>) -> Result<Self, Discontinued> {
        let mut safety = Safety::default();
        let mut since_checkpoint = 0;
        for (at, (_, record)) in records.into_iter().enumerate() {
            since_checkpoint =
                if matches!(record, Record::Checkpoint(_)) { 0 } else { since_checkpoint + 1 };
            safety.replay(record, at == 0)?;
        }
        if planted::is("rewinds-the-view-after-restart") {
            safety = Safety { issued: safety.issued, ..Safety::default() };
        }
        Ok(Self {
            safety,
            roll: Roll::default(),
            since: Time::ZERO,
            records: since_checkpoint,
            born: false,
        })
    }

    /// What is never forgotten.
    #[must_use]
    pub fn safety(&self) -> &Safety {
        &self.safety
    }

    /// The view in force.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.safety.view
    }

    fn join(
        &mut self,
        now: Time,
        caller: &Caller,
        join: Join,
        fx: &mut Effects<Self>,
    ) -> Result<Joined, Refused> {
        if caller.peer() != Some(join.node) {
            return Err(Refused::Unproven);
        }
        self.roll.admit(now, &self.safety.view, join.node)?;
        let (joined, record) = self.safety.issue();
        self.save(vec![record], fx);
        Ok(joined)
    }

    fn ping(
        &mut self,
        now: Time,
        caller: &Caller,
        ping: &Ping,
        fx: &mut Effects<Self>,
    ) -> Result<Pong, Refused> {
        let Ping { server, .. } = ping;
        if caller.peer() != Some(server.member.node) {
            return Err(Refused::Unproven);
        }
        if server.addr.len() > MAX_ADDR || ping.heir.len() > MAX_LIVES {
            return Err(Refused::TooLong);
        }
        self.safety.admit(ping)?;
        self.roll.hear(now, &self.safety.view, ping)?;
        let beliefs = self.roll.beliefs(now, self.view(), server.member.node);
        let before = self.safety.view.clone();
        let records = self.safety.ping(ping, &beliefs);
        self.save(records, fx);
        if self.safety.view.number != before.number {
            self.since = now;
            if ping.lost_backup && before.role(ping.member()) == Role::Primary {
                self.roll.lost(now, &before, server.member.node);
            }
            fx.output(self.safety.view.clone());
        }
        Ok(Pong { view: self.safety.view.clone() })
    }

    fn status(&self, now: Time) -> Status {
        let Safety { issued, view, adopted, acknowledged } = self.safety.clone();
        let servers = self.roll.status(now, &view);
        let stuck = self.roll.stuck(now, &self.safety);
        let since = now.since(self.since);
        Status { view, adopted, acknowledged, since, issued, servers, stuck }
    }

    /// Saves what one event led to. The checkpoint is a picture of what came of all of it, so it
    /// stands behind the last of these records and never between them.
    fn save(&mut self, records: Vec<Record>, fx: &mut Effects<Self>) {
        self.records += records.len() as u64;
        for record in records {
            fx.save(record);
        }
        if self.records >= CHECKPOINT_EVERY {
            let keep = fx.save(Record::Checkpoint(self.safety.clone()));
            fx.forget(keep);
            self.records = 0;
        }
    }
}

impl Core for ViewService {
    type Request = Request;
    type Reply = Reply;
    type Record = Record;
    /// A view that has come into force and is durable.
    type Output = View;

    /// No answer is free: each may rest on a record, if only one that an earlier step saved.
    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        if !self.born {
            self.born = true;
            self.since = now;
            self.roll = Roll::new(&self.safety.view, now);
        }
        let Event::Request { caller, request } = event else { return };
        let reply = match request {
            Request::Join(join) => Reply::Joined(self.join(now, &caller, join, fx)),
            Request::Ping(ping) => Reply::Pong(self.ping(now, &caller, &ping, fx)),
            Request::Get => Reply::View(self.safety.view.clone()),
            Request::Status => Reply::Status(self.status(now)),
        };
        fx.answer(caller, reply);
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}
