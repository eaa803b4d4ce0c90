//! The life of a lock service that is killed again and again: tokens never repeat, and a name that
//! was held is held by nobody else when it comes back.

use std::{collections::BTreeMap, time::Duration};

use lockmgr::{
    Acquire, Answer, LockService, Mode, Name, Owner, Patience, Record, Release, RequestNo, Rule,
    Terms, Ticket, Token, Want,
    core::Config,
    message::{Reply, Request},
};
use protocol::{Desk, Lsn, NodeId, Rng, Time, Word};

/// What is asked in one life of all.
const REQUESTS: usize = 200;

/// A checkpoint after so few records that every life sees some.
const EVERY: u64 = 20;

const ME: NodeId = NodeId(0);

/// A service whose disk keeps what it was told in time.
struct Service {
    desk: Desk<LockService>,
    disk: Vec<(Lsn, Record)>,
    last: Lsn,
    asked: u64,
}

impl Service {
    fn recovered(disk: Vec<(Lsn, Record)>, last: Lsn) -> Result<Self, String> {
        let config = Config { rule: Some(Rule::Detect), checkpoint_every: EVERY };
        let core = LockService::recover(config, disk.clone()).map_err(|past| past.to_string())?;
        let mut service = Self { desk: Desk::new(ME, core, last), disk, last, asked: 0 };
        service.desk.wake(Time::ZERO);
        service.attend();
        Ok(service)
    }

    /// Everything that was saved becomes durable, and what may leave leaves.
    fn attend(&mut self) -> Option<Reply> {
        let mut heard = None;
        loop {
            for record in self.desk.records() {
                self.last.0 += 1;
                self.disk.push((self.last, record));
            }
            self.desk.durable(Time::ZERO, self.last);
            match self.desk.next_word() {
                Some(Word::Answer { ticket, reply }) if ticket == self.asked => heard = Some(reply),
                Some(Word::Forget(keep)) => self.disk.retain(|(lsn, _)| *lsn >= keep),
                Some(_) => {}
                None => return heard,
            }
        }
    }

    fn ask(&mut self, request: Request) -> Option<Reply> {
        self.asked += 1;
        self.desk.request(Time::ZERO, self.asked, None, request);
        self.attend()
    }
}

/// One life, or what was wrong with it.
///
/// # Errors
///
/// What a client saw that cannot be.
pub fn life(seed: u64) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let mut service = Service::recovered(Vec::new(), Lsn(0))?;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let terms = Terms::session(Duration::from_secs(60));
        match service.ask(Request::Open(terms)) {
            Some(Ok(Answer::Opened(owner))) => sessions.push(owner),
            other => return Err(format!("no session: {other:?}")),
        }
    }
    let mut largest = Token(0);
    let mut held: BTreeMap<Name, Owner> = BTreeMap::new();
    for number in 1..=REQUESTS as u64 {
        if rng.chance(100) {
            service = Service::recovered(service.disk, service.last)?;
        }
        let owner = sessions[rng.below(3) as usize];
        let name = Name::from(["a", "b", "c", "d"][rng.below(4) as usize]);
        let ticket = Ticket { owner, request: RequestNo(number) };
        if held.get(&name) == Some(&owner) {
            let release =
                Release { ticket, floor: ticket.request, name: name.clone(), token: None };
            match service.ask(Request::Release(release)) {
                Some(Ok(Answer::Done)) => _ = held.remove(&name),
                other => return Err(format!("{owner} holds {name}, and gives it back: {other:?}")),
            }
            continue;
        }
        let wants = vec![Want { name: name.clone(), mode: Mode::X }];
        let acquire = Acquire { ticket, floor: ticket.request, wants, patience: Patience::Try };
        match (service.ask(Request::Acquire(acquire)), held.get(&name)) {
            (Some(Ok(Answer::Granted(grants))), None) => {
                let token = grants[0].token.ok_or("no token")?;
                if token <= largest {
                    return Err(format!("{token:?} is given after {largest:?}"));
                }
                largest = token;
                held.insert(name, owner);
            }
            (Some(Err(_)), Some(_)) => {}
            (reply, holder) => {
                return Err(format!("{name} is {holder:?}'s, and {owner}: {reply:?}"));
            }
        }
    }
    Ok(())
}
