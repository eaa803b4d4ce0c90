//! The server: what it does as primary, as backup, and while it waits.
//!
//! `views`, `primary`, `stream`, `backup` and `keeping` are what safety rests on; `timing` only
//! decides when something is tried.

mod backup;

mod keeping;

mod primary;

mod stream;

mod timing;

mod views;

#[cfg(test)]
mod tests;

use protocol::{CallId, Caller, Core, Effects, Event, Fork, Time, Worlds};
use viewservice::{Member, News, Pinger, View};

use crate::{
    config::Config,
    item::Seq,
    message::{Digest, Duty, Ignored, NotNow, Output, Record, Reply, Request, Status},
    state::State,
};
use keeping::Keeper;
use primary::Primary;

/// What a server is in the newest view it knows.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Part {
    /// Nothing.
    Idle,
    /// The primary.
    Primary(Primary),
    /// The backup: it has the stream of its view up to here.
    Backup(Seq),
}

/// One server of a primary/backup pair, or one that waits to be needed.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Pb {
    config: Config,
    pinger: Pinger,
    view: View,
    part: Part,
    state: State,
    keeper: Keeper,
    /// The disk takes too long: nothing more is taken in.
    disk_ill: bool,
}

impl Pb {
    /// Who it is, once the view service has given it a number.
    #[must_use]
    pub fn member(&self) -> Option<Member> {
        self.pinger.member()
    }

    /// The newest view it knows.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The state it has, whole or not.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What it does in its view.
    #[must_use]
    pub fn duty(&self) -> Duty {
        match &self.part {
            Part::Idle => Duty::Idle,
            Part::Backup(_) => Duty::Backup,
            Part::Primary(primary) => primary.duty(),
        }
    }

    /// Whether it is primary, and would tell the view service that nobody is missing anything: it
    /// has no backup, or its backup has everything. Whoever does not serve acknowledges nothing.
    #[must_use]
    pub fn installed(&self) -> bool {
        match &self.part {
            Part::Primary(primary) => primary.installed(),
            Part::Idle | Part::Backup(_) => false,
        }
    }

    /// The last place of the stream of its view that it knows, and the last that its backup has.
    #[must_use]
    pub fn places(&self) -> (Seq, Seq) {
        match &self.part {
            Part::Idle => (Seq(0), Seq(0)),
            Part::Backup(upto) => (*upto, *upto),
            Part::Primary(primary) => primary.places(),
        }
    }

    /// Bytes it holds on to: keys, values, what waits for the backup, and answers.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let waiting = match &self.part {
            Part::Primary(primary) => primary.held_bytes(),
            Part::Idle | Part::Backup(_) => 0,
        };
        self.state.bytes() + waiting
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let (last, forwarded) = self.places();
        Status {
            member: self.member(),
            view: self.view.clone(),
            duty: self.duty(),
            whole: self.state.is_whole(),
            keys: self.state.len() as u64,
            bytes: self.state.bytes() as u64,
            sessions: self.state.sessions().len() as u64,
            last,
            forwarded,
        }
    }

    /// What it has, in a word.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let (last, _) = self.places();
        let (view, whole) = (self.view.number, self.state.is_whole());
        Digest { view, last, whole, state: self.state.digest() }
    }

    fn request(&mut self, now: Time, caller: Caller, request: Request, fx: &mut Effects<Self>) {
        match request {
            Request::Forward(forward) => self.forward(caller, forward, fx),
            Request::Status => fx.answer(caller, Reply::Status(Box::new(self.status()))),
            Request::Digest => fx.answer(caller, Reply::Digest(self.digest())),
            Request::Open(_) | Request::Submit(_) | Request::Get(_) => {
                let newest = self.view.number;
                let not_primary = match &self.part {
                    Part::Primary(primary) => primary.fenced(),
                    Part::Idle | Part::Backup(_) => Some(newest),
                };
                match not_primary {
                    Some(known) => fx.answer_free(caller, NotNow::NotPrimary(known)),
                    None if self.disk_ill => fx.answer_free(caller, NotNow::Busy),
                    None => self.serve(now, caller, request, fx),
                }
            }
            // Nobody may ask this: the caller hears nothing.
            Request::View(_) => ignore(Ignored::Misplaced, fx),
        }
    }

    fn reply(&mut self, now: Time, call: CallId, reply: Reply, fx: &mut Effects<Self>) {
        match reply {
            Reply::View(reply) => match self.pinger.heard(now, call, reply) {
                News::Nothing => {}
                News::Named(incarnation) => self.keeper.born(incarnation, fx),
                News::Viewed(view) => self.adopt(now, view, fx),
                News::Refused(viewservice::Refused::Superseded { by }) => {
                    let winner = Member { node: self.config.me, incarnation: by };
                    fx.output_free(Output::Superseded(winner));
                }
                News::Refused(why) => {
                    if why == viewservice::Refused::Unknown {
                        // It is not the service that this server's view is of: whoever it makes
                        // primary knows nothing of this one.
                        self.fence(now, self.view.number, fx);
                    }
                    fx.output_free(Output::Unwelcome(why));
                }
            },
            Reply::Forwarded(answer) => self.forwarded(now, call, answer, fx),
            Reply::Client(_) | Reply::Status(_) | Reply::Digest(_) => {
                ignore(Ignored::LateAnswer, fx)
            }
        }
    }
}

impl Core for Pb {
    type Request = Request;
    type Reply = Reply;
    type Record = Record;
    type Output = Output;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Request { caller, request } => self.request(now, caller, request, fx),
            Event::Reply(heard) => {
                let (heard, reply) = heard.take();
                self.reply(now, heard.call(), reply, fx);
            }
            Event::Failed { to, call } => self.failed(now, to, call),
            // Answers and pings wait for the disk by themselves: whose disk hangs for too long is
            // taken for dead. Meanwhile nobody is let in whose answer would only wait with them.
            Event::DiskHealthy(healthy) => self.disk_ill = !healthy,
            Event::Wake => self.wake(now, fx),
        }
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.due())
    }
}

impl Fork for Pb {
    fn fork(&self, worlds: &Worlds) -> Self {
        let part = match &self.part {
            Part::Idle => Part::Idle,
            Part::Primary(primary) => Part::Primary(primary.fork(worlds)),
            Part::Backup(upto) => Part::Backup(*upto),
        };
        Self {
            config: self.config.clone(),
            pinger: self.pinger.clone(),
            view: self.view.clone(),
            part,
            state: self.state.clone(),
            keeper: self.keeper.clone(),
            disk_ill: self.disk_ill,
        }
    }
}

fn ignore(why: Ignored, fx: &mut Effects<Pb>) {
    fx.output_free(Output::Ignored(why));
}
