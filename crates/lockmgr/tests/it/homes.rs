//! The homes of this crate do what every home must do.

use std::time::Duration;

use lockmgr::{
    Command, Name, News, Owner, Refusal, Reply, Rule, Table,
    suite::{self, Home, Memory},
    table::LockView,
};
use protocol::Time;

#[test]
fn the_volatile_home() {
    println!("{} checks", suite::all(|rule| Box::new(Memory::new(Table::volatile(rule)))));
}

#[test]
fn the_volatile_home_has_limits() {
    suite::limits(&mut |rule| Box::new(Memory::new(Table::volatile(rule))));
}

/// A home whose log is a list in memory: nothing but the commands outlives its process.
struct Listed {
    rule: Rule,
    table: Table,
    now: Time,
    news: Vec<News>,
    log: Vec<Command>,
}

impl Listed {
    fn new(rule: Rule) -> Self {
        let table = Table::fenced(rule);
        Self { rule, table, now: Time::ZERO, news: Vec::new(), log: Vec::new() }
    }

    fn log_and_apply(&mut self, command: Command) -> Reply {
        self.log.push(command.clone());
        self.table.apply(self.now, command, &mut self.news)
    }
}

impl Home for Listed {
    fn fenced(&self) -> bool {
        true
    }

    fn apply(&mut self, command: Command) -> Reply {
        self.pass(Duration::ZERO);
        self.log_and_apply(command)
    }

    fn renew(&mut self, owner: Owner) -> Result<Option<Duration>, Refusal> {
        self.table.renew(self.now, owner)
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        while let Some(command) = self.table.due(self.now) {
            self.log_and_apply(command);
        }
    }

    fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    fn look(&mut self, name: &Name) -> Option<LockView> {
        self.table.look(self.now, name)
    }

    fn restart(&mut self, away: Duration) -> bool {
        let mut state = Table::fenced(self.rule).state().clone();
        for command in &self.log {
            state.apply(command.clone(), &mut Vec::new());
        }
        assert_eq!(&state, self.table.state(), "the commands are the table");
        self.now = self.now.plus(away);
        self.table = Table::resume(state, self.now);
        true
    }
}

#[test]
fn a_home_that_is_a_list_of_commands() {
    println!("{} checks", suite::all(|rule| Box::new(Listed::new(rule))));
}
