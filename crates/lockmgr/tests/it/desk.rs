//! One lock service in virtual time, with a disk that is as quick as a test wants.

use std::{collections::BTreeMap, time::Duration};

use lockmgr::{
    Acquire, Answer, LockService, Mode, Name, News, Owner, Patience, Record, Refused, Release,
    RequestNo, Terms, Ticket, Token, Want,
    core::Config,
    message::{Reply, Request},
};
use protocol::{Desk, Lsn, NodeId, Time, Word};

pub const ME: NodeId = NodeId(1);

pub struct Service {
    desk: Desk<LockService>,
    config: Config,
    pub disk: Vec<(Lsn, Record)>,
    saved: Vec<(Lsn, Record)>,
    /// Whether the disk is as quick as the service.
    pub quick: bool,
    /// Whether the disk keeps what it was told to forget.
    pub hoards: bool,
    /// Where each checkpoint began that the log was told to forget everything before.
    pub forgotten: Vec<Lsn>,
    pub now: Time,
    asked: u64,
    numbers: u64,
    heard: BTreeMap<u64, Reply>,
    pub outputs: Vec<News>,
}

impl Service {
    pub fn new(config: Config) -> Self {
        let core = LockService::recover(config.clone(), []).expect("nothing is a memory");
        let mut service = Self {
            desk: Desk::new(ME, core, Lsn(0)),
            config,
            disk: Vec::new(),
            saved: Vec::new(),
            quick: true,
            hoards: false,
            forgotten: Vec::new(),
            now: Time::ZERO,
            asked: 0,
            numbers: 0,
            heard: BTreeMap::new(),
            outputs: Vec::new(),
        };
        service.desk.wake(Time::ZERO);
        service.attend();
        service
    }

    /// The service was away for so long when it comes back.
    pub fn restart_after(&mut self, away: Duration) {
        let now = self.now.plus(away);
        self.now = now;
        self.recover();
    }

    /// The service dies, with all that is not on its disk, and comes back.
    pub fn restart(&mut self) {
        self.now = Time::ZERO;
        self.recover();
    }

    fn recover(&mut self) {
        let core = LockService::recover(self.config.clone(), self.disk.clone());
        let saved = self.disk.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        self.desk = Desk::new(ME, core.expect("its own records"), saved);
        self.saved.clear();
        self.heard.clear();
        self.desk.wake(self.now);
        self.attend();
    }

    pub fn core(&self) -> &LockService {
        self.desk.core()
    }

    fn attend(&mut self) {
        loop {
            let mut last = self.saved.last().or(self.disk.last()).map_or(0, |(lsn, _)| lsn.0);
            for record in self.desk.records() {
                last += 1;
                self.saved.push((Lsn(last), record));
            }
            if self.quick && !self.saved.is_empty() {
                self.disk.append(&mut self.saved);
                self.desk.durable(self.now, Lsn(last));
            }
            match self.desk.next_word() {
                Some(Word::Answer { ticket, reply }) => _ = self.heard.insert(ticket, reply),
                Some(Word::Output(output)) => self.outputs.push(output),
                Some(Word::Forget(keep)) => {
                    self.forgotten.push(keep);
                    if !self.hoards {
                        self.disk.retain(|(lsn, _)| *lsn >= keep);
                    }
                }
                Some(other) => panic!("the service says something unasked: {other:?}"),
                None => return,
            }
        }
    }

    /// Everything that was saved becomes durable.
    pub fn sync(&mut self) {
        self.quick = true;
        self.attend();
        self.quick = false;
    }

    pub fn ill(&mut self, ill: bool) {
        self.desk.disk_healthy(self.now, !ill);
        self.attend();
    }

    /// Time passes, and the service wakes as often as it wants to.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while let Some(at) = self.desk.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.desk.wake(self.now);
            self.attend();
        }
        self.now = end;
    }

    /// Time passes at once: the service slept through all of it.
    pub fn leap(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        if self.desk.deadline().is_some_and(|at| at <= self.now) {
            self.desk.wake(self.now);
        }
        self.attend();
    }

    /// Asks; the answer comes when it comes.
    pub fn send(&mut self, request: Request) -> u64 {
        self.asked += 1;
        self.desk.request(self.now, self.asked, None, request);
        self.attend();
        self.asked
    }

    pub fn heard(&mut self, asked: u64) -> Option<Reply> {
        self.heard.remove(&asked)
    }

    /// Asks, and is answered at once.
    pub fn ask(&mut self, request: Request) -> Reply {
        let asked = self.send(request);
        self.heard(asked).expect("it is answered")
    }

    pub fn open(&mut self, lease: Duration) -> Owner {
        match self.ask(Request::Open(Terms::session(lease))) {
            Ok(Answer::Opened(owner)) => owner,
            other => panic!("{other:?}"),
        }
    }

    pub fn wants(&mut self, owner: Owner, name: &str, mode: Mode, wait: Patience) -> Acquire {
        self.numbers += 1;
        let ticket = Ticket { owner, request: RequestNo(self.numbers) };
        let wants = vec![Want::new(name, mode)];
        Acquire { ticket, floor: RequestNo(0), wants, patience: wait }
    }

    /// Takes a name that is free.
    pub fn take(&mut self, owner: Owner, name: &str, mode: Mode) -> Token {
        let acquire = self.wants(owner, name, mode, Patience::Try);
        match self.ask(Request::Acquire(acquire)) {
            Ok(Answer::Granted(grants)) => grants[0].token.expect("a durable table gives tokens"),
            other => panic!("{other:?}"),
        }
    }

    pub fn release(&mut self, owner: Owner, name: &str, token: Option<Token>) -> Reply {
        self.numbers += 1;
        let ticket = Ticket { owner, request: RequestNo(self.numbers) };
        let (floor, name) = (RequestNo(0), Name::from(name));
        self.ask(Request::Release(Release { ticket, floor, name, token }))
    }
}

pub fn granted(reply: Option<Reply>) -> Token {
    match reply {
        Some(Ok(Answer::Granted(grants))) => grants[0].token.expect("a token"),
        other => panic!("{other:?}"),
    }
}

pub fn refused(reply: Option<Reply>) -> lockmgr::Refusal {
    match reply {
        Some(Err(Refused::Table(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}
