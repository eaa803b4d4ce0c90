//! A home that dies all the time.

use std::time::Duration;

use super::Home;
use crate::{Command, Name, News, Owner, Refusal, Reply, table::LockView};

/// Another home, whose process dies before every command. All terms begin anew each time, so only
/// what does not speak of time can be checked with it.
pub struct Restless {
    home: Box<dyn Home>,
    news: Vec<News>,
}

impl Restless {
    /// This home, from now on without rest.
    #[must_use]
    pub fn new(home: Box<dyn Home>) -> Self {
        Self { home, news: Vec::new() }
    }

    fn die(&mut self) {
        // News that nobody took would die too: an owner that hears none asks again.
        self.news.extend(self.home.news());
        assert!(self.home.restart(Duration::ZERO), "it came back before");
    }
}

impl Home for Restless {
    fn fenced(&self) -> bool {
        self.home.fenced()
    }

    fn apply(&mut self, command: Command) -> Reply {
        self.die();
        self.home.apply(command)
    }

    fn renew(&mut self, owner: Owner) -> Result<Option<Duration>, Refusal> {
        self.die();
        self.home.renew(owner)
    }

    fn pass(&mut self, time: Duration) {
        self.home.pass(time);
    }

    fn news(&mut self) -> Vec<News> {
        self.news.extend(self.home.news());
        std::mem::take(&mut self.news)
    }

    fn look(&mut self, name: &Name) -> Option<LockView> {
        self.die();
        self.home.look(name)
    }

    fn restart(&mut self, away: Duration) -> bool {
        self.news.extend(self.home.news());
        self.home.restart(away)
    }
}
