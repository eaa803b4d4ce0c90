//! Transactions that are tried again until they are done.

use std::{collections::BTreeSet, time::Duration};

use lockmgr::{
    Acquire, Birth, Command, Mode, News, Owner, Patience, Reply, RequestNo, Rule, Table, Terms,
    Ticket, Want,
    policy::SEARCH_AFTER,
    suite::{Home, Memory, PATIENCE},
};

/// A transaction that is tried again, with the same age, until it has all its locks at once.
struct Tried {
    birth: u64,
    locks: Vec<(&'static str, Mode)>,
    owner: Owner,
    tries: u64,
    next: usize,
    waits: Option<Ticket>,
    done: bool,
}

/// Many of them in turn, one request each, until all are done.
pub struct Trial {
    home: Memory,
    tried: Vec<Tried>,
    number: u64,
    /// All that was said to the table.
    pub commands: u64,
    /// Time that passed because everybody who was left waited.
    idle: Duration,
}

impl Trial {
    pub fn new(rule: Rule, programs: &[Vec<(&'static str, Mode)>]) -> Self {
        let home = Memory::new(Table::volatile(rule));
        let tried = Vec::new();
        let mut trial = Self { home, tried, number: 0, commands: 0, idle: Duration::ZERO };
        for (birth, locks) in (1..).zip(programs) {
            let owner = trial.enter(birth, 0);
            let locks = locks.clone();
            trial.tried.push(Tried {
                birth,
                locks,
                owner,
                tries: 0,
                next: 0,
                waits: None,
                done: false,
            });
        }
        trial
    }

    fn apply(&mut self, command: Command) -> Reply {
        self.commands += 1;
        let reply = self.home.apply(command);
        self.hear();
        reply
    }

    fn enter(&mut self, client: u64, tries: u64) -> Owner {
        let owner = Owner { client, number: tries + 1 };
        let terms = Terms::TRANSACTION;
        let reply = self.apply(Command::Enter { owner, birth: Birth(client), terms });
        assert_eq!(reply, Reply::Done);
        owner
    }

    fn hear(&mut self) {
        let mut again = BTreeSet::new();
        for one in self.home.news() {
            let (News::Granted(Ticket { owner, .. }, _)
            | News::Refused(Ticket { owner, .. }, _)
            | News::Lost(owner, _)) = one;
            let at = owner.client as usize - 1;
            if self.tried.get(at).is_none_or(|it| it.owner != owner || it.done) {
                continue;
            }
            if let News::Granted(ticket, _) = one {
                assert_eq!(self.tried[at].waits.take(), Some(ticket));
                self.tried[at].next += 1;
            } else {
                again.insert(at);
            }
        }
        again.into_iter().for_each(|at| self.again(at));
    }

    fn again(&mut self, at: usize) {
        let Tried { birth, tries, owner, .. } = self.tried[at];
        let tries = tries + 1;
        self.tried[at].owner = Owner { client: birth, number: tries + 1 };
        (self.tried[at].next, self.tried[at].waits, self.tried[at].tries) = (0, None, tries);
        self.apply(Command::Leave(owner));
        self.enter(birth, tries);
    }

    fn turn(&mut self, at: usize) -> bool {
        let Tried { owner, waits, done, next, .. } = self.tried[at];
        if done || waits.is_some() {
            return false;
        }
        let Some(&(name, mode)) = self.tried[at].locks.get(next) else {
            self.tried[at].done = true;
            self.apply(Command::Leave(owner));
            return true;
        };
        self.number += 1;
        let ticket = Ticket { owner, request: RequestNo(self.number) };
        let (floor, patience) = (RequestNo(0), Patience::For(PATIENCE));
        let wants = vec![Want::new(name, mode)];
        match self.apply(Command::Acquire(Acquire { ticket, floor, wants, patience })) {
            Reply::Granted(_) => self.tried[at].next += 1,
            Reply::Waiting => self.tried[at].waits = Some(ticket),
            // If it lost everything, it has heard so already.
            _ if self.tried[at].owner == owner => self.again(at),
            _ => {}
        }
        true
    }

    /// Until all are done.
    ///
    /// # Panics
    ///
    /// If they never are, or only because something timed out.
    pub fn run(mut self) -> Self {
        while self.tried.iter().any(|it| !it.done) {
            let mut moved = false;
            for at in 0..self.tried.len() {
                moved |= self.turn(at);
            }
            if !moved {
                self.idle += SEARCH_AFTER;
                self.home.pass(SEARCH_AFTER);
                self.hear();
            }
            assert!(self.commands < 10_000, "they go round for ever");
        }
        assert!(self.idle < PATIENCE, "nothing ended by a timeout");
        assert_eq!(self.home.table().view(self.home.now(), None).names, 0, "all is given back");
        self
    }

    /// How often one of them had to begin again.
    pub fn again_in_all(&self) -> u64 {
        self.tried.iter().map(|it| it.tries).sum()
    }
}
