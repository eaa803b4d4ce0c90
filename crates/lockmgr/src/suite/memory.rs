//! The smallest home: a table, and nothing that outlives it.

use std::time::Duration;

use protocol::Time;

use super::Home;
use crate::{Command, Name, News, Owner, Policy, Refusal, Reply, Rule, Table, table::LockView};

/// A table in memory. With tokens it is what a durable home must look like from outside.
#[derive(Clone, Debug)]
pub struct Memory<P: Policy = Rule> {
    table: Table<P>,
    now: Time,
    news: Vec<News>,
}

impl<P: Policy> Memory<P> {
    /// A home for this table.
    pub fn new(table: Table<P>) -> Self {
        Self { table, now: Time::ZERO, news: Vec::new() }
    }

    /// What lives in it.
    pub fn table(&self) -> &Table<P> {
        &self.table
    }

    /// What time it is there.
    pub fn now(&self) -> Time {
        self.now
    }

    fn do_what_is_due(&mut self) {
        while let Some(command) = self.table.due(self.now) {
            self.table.apply(self.now, command, &mut self.news);
        }
    }
}

impl<P: Policy> Home for Memory<P> {
    fn fenced(&self) -> bool {
        self.table.state().is_fenced()
    }

    fn apply(&mut self, command: Command) -> Reply {
        self.do_what_is_due();
        self.table.apply(self.now, command, &mut self.news)
    }

    fn renew(&mut self, owner: Owner) -> Result<Option<Duration>, Refusal> {
        self.table.renew(self.now, owner)
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        self.do_what_is_due();
    }

    fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    fn look(&mut self, name: &Name) -> Option<LockView> {
        self.table.look(self.now, name)
    }

    fn restart(&mut self, _away: Duration) -> bool {
        false
    }
}
