//! The table by itself: who gets what, in which order.

use std::time::Duration;

use lockmgr::{
    Acquire, Birth, Command, Discipline, Mode, Name, News, Owner, Patience, Refusal, Release,
    Reply, RequestNo, Rule, Table, Terms, Ticket, Want,
};
use protocol::Time;

/// A table in a leader's memory, and what it told.
struct Scene {
    table: Table,
    now: Time,
    news: Vec<News>,
    numbers: u64,
}

impl Scene {
    fn new(rule: Rule) -> Self {
        Self { table: Table::volatile(rule), now: Time::ZERO, news: Vec::new(), numbers: 0 }
    }

    fn tell(&mut self, command: Command) -> Reply {
        self.until(self.now);
        self.table.apply(self.now, command, &mut self.news)
    }

    fn until(&mut self, now: Time) {
        self.now = now;
        while let Some(command) = self.table.due(now) {
            self.table.apply(now, command, &mut self.news);
        }
    }

    /// Transaction number `born`, as old as that.
    fn transaction(&mut self, born: u64) -> Owner {
        let owner = Owner { client: 1, number: born };
        let terms = Terms::TRANSACTION;
        let reply = self.tell(Command::Enter { owner, birth: Birth(born), terms });
        assert_eq!(reply, Reply::Done);
        owner
    }

    fn ask(&mut self, owner: Owner, wants: &[(&str, Mode)]) -> (Ticket, Reply) {
        self.numbers += 1;
        let ticket = Ticket { owner, request: RequestNo(self.numbers) };
        let wants = wants.iter().map(|&(name, mode)| Want::new(name, mode)).collect();
        let patience = Patience::For(Duration::from_secs(5));
        let acquire = Acquire { ticket, floor: RequestNo(0), wants, patience };
        (ticket, self.tell(Command::Acquire(acquire)))
    }

    fn release(&mut self, owner: Owner, name: &str) -> Reply {
        self.numbers += 1;
        let ticket = Ticket { owner, request: RequestNo(self.numbers) };
        let (floor, name, token) = (RequestNo(0), Name::from(name), None);
        self.tell(Command::Release(Release { ticket, floor, name, token }))
    }

    fn granted(&mut self) -> Vec<Ticket> {
        let news = std::mem::take(&mut self.news);
        let granted = news.into_iter().filter_map(|one| match one {
            News::Granted(ticket, _) => Some(ticket),
            _ => None,
        });
        granted.collect()
    }
}

fn is_granted(reply: &Reply) -> bool {
    matches!(reply, Reply::Granted(_))
}

#[test]
fn a_reader_waits_behind_a_writer_that_waits() {
    let mut scene = Scene::new(Rule::Detect);
    let [a, b, c] = [1, 2, 3].map(|born| scene.transaction(born));
    assert!(is_granted(&scene.ask(a, &[("k", Mode::S)]).1));
    let (writer, reply) = scene.ask(b, &[("k", Mode::X)]);
    assert_eq!(reply, Reply::Waiting);
    let (reader, reply) = scene.ask(c, &[("k", Mode::S)]);
    assert_eq!(reply, Reply::Waiting);
    assert_eq!(scene.tell(Command::Leave(a)), Reply::Done);
    assert_eq!(scene.granted(), [writer]);
    assert_eq!(scene.tell(Command::Leave(b)), Reply::Done);
    assert_eq!(scene.granted(), [reader]);
}

#[test]
fn all_that_is_wanted_or_nothing() {
    let mut scene = Scene::new(Rule::WoundWait);
    let [a, b, c] = [1, 2, 3].map(|born| scene.transaction(born));
    assert!(is_granted(&scene.ask(a, &[("x", Mode::X)]).1));
    let (both, reply) = scene.ask(b, &[("x", Mode::X), ("y", Mode::X)]);
    assert_eq!(reply, Reply::Waiting);
    // It has nothing of it yet, and still nobody overtakes it.
    assert_eq!(scene.table.held_by(b).count(), 0);
    let (late, reply) = scene.ask(c, &[("y", Mode::X)]);
    assert_eq!(reply, Reply::Waiting);
    scene.tell(Command::Leave(a));
    assert_eq!(scene.granted(), [both]);
    scene.tell(Command::Leave(b));
    assert_eq!(scene.granted(), [late]);
}

#[test]
fn an_older_one_takes_what_it_needs_unless_it_is_pinned() {
    let mut scene = Scene::new(Rule::WoundWait);
    let [old, mid, young] = [1, 2, 3].map(|born| scene.transaction(born));
    assert!(is_granted(&scene.ask(young, &[("k", Mode::X)]).1));
    assert!(is_granted(&scene.ask(old, &[("k", Mode::X)]).1));
    let by = Refusal::Wounded { name: Name::from("k"), by: old };
    assert_eq!(scene.news, [News::Lost(young, by.clone())]);
    assert_eq!(scene.ask(young, &[("j", Mode::X)]).1, Reply::Refused(by));
    scene.tell(Command::Leave(old));
    assert!(is_granted(&scene.ask(mid, &[("k", Mode::X)]).1));
    assert_eq!(scene.tell(Command::Pin(mid)), Reply::Done);
    let elder = scene.transaction(0);
    let (waits, reply) = scene.ask(elder, &[("k", Mode::X)]);
    assert_eq!(reply, Reply::Waiting);
    scene.news.clear();
    scene.tell(Command::Leave(mid));
    assert_eq!(scene.granted(), [waits]);
}

#[test]
fn a_circle_is_found_and_its_youngest_told_the_whole_of_it() {
    let mut scene = Scene::new(Rule::Detect);
    let [a, b, c] = [1, 2, 3].map(|born| scene.transaction(born));
    for (owner, name) in [(a, "a"), (b, "b"), (c, "c")] {
        assert!(is_granted(&scene.ask(owner, &[(name, Mode::X)]).1));
    }
    let (first, _) = scene.ask(a, &[("b", Mode::X)]);
    let (second, _) = scene.ask(b, &[("c", Mode::X)]);
    let (victim, reply) = scene.ask(c, &[("a", Mode::X)]);
    assert_eq!(reply, Reply::Waiting);
    scene.until(Time::ZERO.plus(Duration::from_millis(19)));
    assert_eq!(scene.news, []);
    scene.until(Time::ZERO.plus(Duration::from_millis(20)));
    let [News::Refused(ticket, Refusal::Deadlock(chain)), ..] = &scene.news[..] else {
        panic!("{:?}", scene.news);
    };
    assert_eq!(*ticket, victim);
    let waiters: Vec<_> = chain.iter().map(|link| link.waiter).collect();
    assert_eq!(waiters, [first, second, victim]);
    assert_eq!(scene.granted(), [second]);
}

#[test]
fn a_lease_that_ran_out_in_the_queue_is_not_granted() {
    let mut scene = Scene::new(Rule::Detect);
    let lease = |secs| Command::Open(Terms::session(Duration::from_secs(secs)));
    let Reply::Opened(long) = scene.tell(lease(10)) else { panic!("no session") };
    let Reply::Opened(short) = scene.tell(lease(1)) else { panic!("no session") };
    assert!(is_granted(&scene.ask(long, &[("k", Mode::X)]).1));
    let (ticket, reply) = scene.ask(short, &[("k", Mode::X)]);
    assert_eq!(reply, Reply::Waiting);
    scene.now = Time::ZERO.plus(Duration::from_secs(1));
    assert_eq!(scene.release(long, "k"), Reply::Released);
    assert!(scene.news.contains(&News::Refused(ticket, Refusal::Unknown(short))));
    assert_eq!(scene.granted(), []);
    assert_eq!(scene.table.look(scene.now, &Name::from("k")), None);
    let terms = Terms { discipline: Discipline::Free, lease: None, delay: Duration::ZERO };
    assert_ne!(scene.tell(Command::Open(terms)), Reply::Opened(short), "a name comes back");
}

/// The process stood still for longer than all terms: nothing ends before it has been as long as it
/// was said to be, counted from when somebody can be heard again.
#[test]
fn after_a_pause_every_term_begins_anew() {
    let mut scene = Scene::new(Rule::Detect);
    let second = Duration::from_secs(1);
    let terms = Terms { delay: 3 * second, ..Terms::session(second) };
    let Reply::Opened(dies) = scene.tell(Command::Open(terms)) else { panic!("no session") };
    assert!(is_granted(&scene.ask(dies, &[("rests", Mode::X)]).1));
    scene.until(Time::ZERO.plus(second));
    let terms = Terms::session(2 * second);
    let Reply::Opened(a) = scene.tell(Command::Open(terms)) else { panic!("no session") };
    let b = scene.transaction(1);
    assert!(is_granted(&scene.ask(a, &[("k", Mode::X)]).1));
    let (waits, reply) = scene.ask(b, &[("rests", Mode::X)]);
    assert_eq!(reply, Reply::Waiting);
    scene.news.clear();
    let back = Time::ZERO.plus(60 * second);
    scene.table.forgive(back);
    scene.until(back.plus(2 * second - Duration::from_millis(1)));
    assert_eq!(scene.news, []);
    scene.until(back.plus(2 * second));
    assert_eq!(scene.news, [News::Lost(a, Refusal::Unknown(a))]);
    scene.until(back.plus(3 * second - Duration::from_millis(1)));
    assert_eq!(scene.granted(), []);
    scene.until(back.plus(3 * second));
    assert_eq!(scene.granted(), [waits], "its wait is longer than the delay");
}

/// What is prepared is others' to decide about, however long that takes.
#[test]
fn a_pinned_owner_never_times_out() {
    let mut scene = Scene::new(Rule::WoundWait);
    let owner = Owner { client: 1, number: 7 };
    let terms = Terms { lease: Some(Duration::from_secs(1)), ..Terms::TRANSACTION };
    scene.tell(Command::Enter { owner, birth: Birth(7), terms });
    assert!(is_granted(&scene.ask(owner, &[("k", Mode::X)]).1));
    assert_eq!(scene.tell(Command::Pin(owner)), Reply::Done);
    scene.until(Time::ZERO.plus(Duration::from_secs(3_600)));
    assert_eq!(scene.tell(Command::Expire(vec![owner])), Reply::Done);
    assert_eq!((scene.table.held_by(owner).count(), &scene.news[..]), (1, &[][..]));
    assert_eq!(scene.table.renew(scene.now, owner), Ok(None));
}

/// Whose end has been handed out is not heard any more, though it is not applied yet.
#[test]
fn who_is_being_ended_does_not_live() {
    let mut scene = Scene::new(Rule::Detect);
    let terms = Terms::session(Duration::from_secs(1));
    let Reply::Opened(owner) = scene.tell(Command::Open(terms)) else { panic!("no session") };
    let now = Time::ZERO.plus(Duration::from_secs(1));
    assert_eq!(scene.table.due(now), Some(Command::Expire(vec![owner])));
    assert_eq!(scene.table.renew(now, owner), Err(Refusal::Unknown(owner)));
}

/// A transaction that was wounded is told so, whatever it asks.
#[test]
fn who_was_wounded_and_gives_back_hears_of_the_wound() {
    let mut scene = Scene::new(Rule::WoundWait);
    let [old, young] = [1, 2].map(|born| scene.transaction(born));
    assert!(is_granted(&scene.ask(young, &[("k", Mode::X)]).1));
    assert!(is_granted(&scene.ask(old, &[("k", Mode::X)]).1));
    let wounded = Refusal::Wounded { name: Name::from("k"), by: old };
    assert_eq!(scene.release(young, "k"), Reply::Refused(wounded));
}

#[test]
fn a_session_never_gets_a_name_that_somebody_brought() {
    let mut scene = Scene::new(Rule::Detect);
    let (owner, birth) = (Owner::session(2), Birth(9));
    scene.tell(Command::Enter { owner, birth, terms: Terms::TRANSACTION });
    assert!(is_granted(&scene.ask(owner, &[("k", Mode::X)]).1));
    let open = || Command::Open(Terms::session(Duration::from_secs(1)));
    assert_eq!(scene.tell(open()), Reply::Opened(Owner::session(1)));
    assert_eq!(scene.tell(open()), Reply::Opened(Owner::session(3)));
    assert_eq!(scene.table.held_by(owner).count(), 1);
}
