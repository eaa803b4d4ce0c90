//! The durable home: a lock service behind its desk.

use std::time::Duration;

use lockmgr::{
    Answer, Command, Name, News, Owner, Refusal, Refused, Reply, Rule,
    core::Config,
    message::Request,
    suite::{self, Home},
    table::LockView,
};
use sim::Scenario;

use crate::desk::Service;

/// A service with a checkpoint after so few records that most checks see some.
struct Durable(Service);

impl Durable {
    fn new(rule: Rule) -> Self {
        Self(Service::new(Config { rule: Some(rule), checkpoint_every: 5 }))
    }
}

impl Home for Durable {
    fn fenced(&self) -> bool {
        true
    }

    fn apply(&mut self, command: Command) -> Reply {
        match self.0.ask(Request::Tell(command)) {
            Ok(Answer::Told(reply)) => reply,
            Err(Refused::Table(refusal)) => Reply::Refused(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn renew(&mut self, owner: Owner) -> Result<Option<Duration>, Refusal> {
        match self.0.ask(Request::Renew(owner)) {
            Ok(Answer::Renewed(renewed)) => Ok(renewed.lease),
            Err(Refused::Table(refusal)) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.0.pass(time);
    }

    fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.0.outputs)
    }

    fn look(&mut self, name: &Name) -> Option<LockView> {
        match self.0.ask(Request::Look(name.clone())) {
            Ok(Answer::Lock(seen)) => seen,
            other => panic!("{other:?}"),
        }
    }

    fn restart(&mut self, away: Duration) -> bool {
        self.0.restart_after(away);
        true
    }
}

#[test]
fn the_durable_home() {
    let checks = suite::all(|rule| Box::new(Durable::new(rule)));
    assert!(checks >= 40, "only {checks} checks");
    let figure = format!("{checks} checks, 20 of them with a death before each command");
    Scenario { seeds: 1, events: checks as u64, acknowledged: 0, figure }.write("the_durable_home");
}
