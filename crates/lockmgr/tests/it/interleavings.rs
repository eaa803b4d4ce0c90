//! Acceptance 8.10-15: three transactions, three names, every order of events, on the shipped
//! table, under each policy.
//!
//! A transaction asks for one thing after the other, may leave at any moment, and waits for one
//! request at a time. Where time matters, it is an event like any other. What each policy promises
//! is read off what the table shows, not off the table's own graph.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use lockmgr::{
    Acquire, Birth, Command, MAX_TERM, Mode, Name, News, Owner, Patience, Reply, RequestNo, Rule,
    Table, Terms, Ticket, Want, Why,
    policy::{RULES, SEARCH_AFTER},
};
use protocol::Time;
use sim::Scenario;
use stateright::{Checker, Expectation, Model, Property};

const NAMES: [&str; 3] = ["a", "b", "c"];
const TRANSACTIONS: usize = 3;

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// This transaction asks for this choice.
    Ask(usize, usize),
    /// This one gives everything back, done or not.
    Leave(usize),
    /// So much time passes that everybody who waits has looked for a circle.
    Search,
    /// This one has waited as long as it would.
    TimeOut(usize),
}

/// One transaction, from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Life {
    asked: usize,
    granted: usize,
    waits: bool,
    lost: bool,
    left: bool,
}

#[derive(Clone)]
struct World {
    table: Table,
    now: Time,
    lives: [Life; TRANSACTIONS],
    /// What each of them asked for last.
    wants: [Vec<Want>; TRANSACTIONS],
}

/// What can be seen of a name: who holds it, and who waits, and whether that one has looked.
type Seen = (Vec<(Owner, Mode)>, Vec<(Owner, Mode, bool)>);

impl World {
    fn new(rule: Rule) -> Self {
        let mut table = Table::volatile(rule);
        let terms = Terms::TRANSACTION;
        for at in 0..TRANSACTIONS {
            let enter = Command::Enter { owner: owner(at), birth: Birth(at as u64), terms };
            assert_eq!(table.apply(Time::ZERO, enter, &mut Vec::new()), Reply::Done);
        }
        let lives = [Life::default(); TRANSACTIONS];
        Self { table, now: Time::ZERO, lives, wants: [const { Vec::new() }; TRANSACTIONS] }
    }

    fn apply(&mut self, command: Command) -> Reply {
        let mut news = Vec::new();
        let reply = self.table.apply(self.now, command, &mut news);
        for one in news {
            match one {
                News::Granted(ticket, _) => {
                    let life = &mut self.lives[ticket.owner.number as usize];
                    assert!(life.waits, "only who waits is told");
                    (life.waits, life.granted) = (false, life.granted + 1);
                }
                News::Refused(ticket, _) => self.lives[ticket.owner.number as usize].waits = false,
                News::Lost(owner, _) => self.lives[owner.number as usize].lost = true,
            }
        }
        reply
    }

    fn take(&mut self, step: Step, choices: &[Vec<Want>]) {
        match step {
            Step::Ask(at, choice) => {
                self.wants[at] = choices[choice].clone();
                self.lives[at].asked += 1;
                let acquire = Acquire {
                    ticket: self.ticket(at),
                    floor: RequestNo(0),
                    wants: self.wants[at].clone(),
                    patience: Patience::For(MAX_TERM),
                };
                match self.apply(Command::Acquire(acquire)) {
                    Reply::Waiting => self.lives[at].waits = true,
                    Reply::Granted(_) => self.lives[at].granted += 1,
                    _ => {}
                }
            }
            Step::Leave(at) => {
                self.apply(Command::Leave(owner(at)));
                self.lives[at] = Life { left: true, ..Life::default() };
            }
            Step::Search => {
                self.now = self.now.plus(SEARCH_AFTER);
                while let Some(command) = self.table.due(self.now) {
                    self.apply(command);
                }
            }
            Step::TimeOut(at) => {
                let ticket = self.ticket(at);
                self.apply(Command::Cancel { ticket, why: Why::TimedOut });
            }
        }
    }

    /// The last request of a transaction.
    fn ticket(&self, at: usize) -> Ticket {
        Ticket { owner: owner(at), request: RequestNo(self.lives[at].asked as u64) }
    }

    fn seen(&self) -> [Seen; NAMES.len()] {
        NAMES.map(|name| {
            let Some(lock) = self.table.look(self.now, &Name::from(name)) else {
                return Seen::default();
            };
            let holders = lock.holders.iter().map(|held| (held.owner, held.mode)).collect();
            let queue = lock.queue.iter();
            let queue = queue.map(|it| (it.ticket.owner, it.mode, it.waited >= SEARCH_AFTER));
            (holders, queue.collect())
        })
    }

    /// Who waits for whom.
    fn edges(&self) -> Vec<(Owner, Owner)> {
        let mut edges = Vec::new();
        for (holders, queue) in self.seen() {
            for (at, (waiter, mode, _)) in queue.iter().enumerate() {
                if holders.contains(&(*waiter, *mode)) {
                    continue;
                }
                let ahead = queue[..at].iter().map(|(owner, mode, _)| (*owner, *mode));
                for (other, has) in holders.iter().copied().chain(ahead) {
                    if other != *waiter && conflict(*mode, has) {
                        edges.push((*waiter, other));
                    }
                }
            }
        }
        edges
    }

    /// Whether some wait for each other in a circle.
    fn is_stuck(&self) -> bool {
        let mut edges = self.edges();
        while let Some(at) =
            edges.iter().position(|(_, to)| !edges.iter().any(|(from, _)| from == to))
        {
            edges.swap_remove(at);
        }
        !edges.is_empty()
    }

    /// Everything that decides what can happen from here on.
    fn shape(&self) -> ([Seen; NAMES.len()], [Life; TRANSACTIONS]) {
        (self.seen(), self.lives)
    }
}

fn owner(at: usize) -> Owner {
    Owner { client: 1, number: at as u64 }
}

/// Only `S` and `X` occur here.
fn conflict(one: Mode, other: Mode) -> bool {
    (one, other) != (Mode::S, Mode::S)
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shape().fmt(f)
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shape().hash(state);
    }
}

struct Search {
    rule: Rule,
    choices: Vec<Vec<Want>>,
    requests: usize,
}

impl Model for Search {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.rule)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for (at, life) in world.lives.iter().enumerate().filter(|(_, life)| !life.left) {
            steps.push(Step::Leave(at));
            if !life.waits && !life.lost && life.asked < self.requests {
                steps.extend((0..self.choices.len()).map(|choice| Step::Ask(at, choice)));
            }
            if life.waits && self.rule == Rule::TimeoutOnly {
                steps.push(Step::TimeOut(at));
            }
        }
        if self.rule == Rule::Detect && world.lives.iter().any(|life| life.waits) {
            steps.push(Step::Search);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.take(step, &self.choices);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("mutual exclusion", |_, world: &World| {
                world.seen().iter().all(|(holders, _)| {
                    holders.len() < 2 || holders.iter().all(|(_, mode)| *mode == Mode::S)
                })
            }),
            Property::always("no lost wake-up", |_, world: &World| {
                let edges = world.edges();
                let kept = |at| edges.iter().any(|(waiter, _)| *waiter == owner(at));
                (0..TRANSACTIONS).all(|at| world.lives[at].waits == kept(at))
            }),
            Property::always("nobody stands still for ever", Self::goes_on),
            Property::sometimes("all hold something at once", |_, world: &World| {
                world.lives.iter().all(|life| life.granted > 0)
            }),
        ];
        if self.rule != Rule::NoWait {
            properties.push(Property::sometimes("somebody waits", |_, world: &World| {
                world.lives.iter().any(|life| life.waits)
            }));
        }
        match self.rule {
            Rule::WoundWait => properties.push(Property::sometimes("a wound", Self::somebody_lost)),
            Rule::WaitDie | Rule::NoWait => {
                properties.push(Property::sometimes("a refusal", |_, world: &World| {
                    let refused = |life: &Life| life.asked > life.granted + usize::from(life.waits);
                    world.lives.iter().any(refused)
                }));
            }
            Rule::Detect => {
                properties
                    .push(Property::sometimes("a circle", |_, world: &World| world.is_stuck()));
                properties.push(Property::sometimes("a victim", Self::somebody_lost));
            }
            Rule::TimeoutOnly => {
                properties
                    .push(Property::sometimes("a circle", |_, world: &World| world.is_stuck()));
            }
        }
        properties
    }
}

impl Search {
    /// What stands for freedom from deadlocks. Prevention: no circle, ever. Detection: none that
    /// outlives the search. Deadlines alone: circles there are, and each wait in them has an end.
    fn goes_on(&self, world: &World) -> bool {
        match self.rule {
            Rule::NoWait => world.lives.iter().all(|life| !life.waits),
            Rule::WoundWait | Rule::WaitDie => !world.is_stuck(),
            Rule::Detect => {
                let mut later = world.clone();
                later.take(Step::Search, &[]);
                !later.is_stuck()
            }
            Rule::TimeoutOnly => !world.is_stuck() || world.table.deadline().is_some(),
        }
    }

    fn somebody_lost(&self, world: &World) -> bool {
        world.lives.iter().any(|life| life.lost)
    }
}

fn wants(list: &[(&str, Mode)]) -> Vec<Want> {
    list.iter().map(|&(name, mode)| Want::new(name, mode)).collect()
}

/// Everything within these choices. Returns how many different states there were.
fn exhaust(rule: Rule, what: &str, choices: &[Vec<Want>], requests: usize) -> usize {
    let search = || Search { rule, choices: choices.to_vec(), requests };
    let checker = search().checker().threads(2).spawn_bfs().join();
    assert!(checker.is_done(), "every state was looked at");
    for property in search().properties() {
        let found = checker.discovery(property.name);
        match property.expectation {
            Expectation::Sometimes => assert!(found.is_some(), "{rule}: never {}", property.name),
            _ => {
                let path = found.map(|path| path.into_actions());
                assert_eq!(path, None, "{rule}, {what}: {}", property.name);
            }
        }
    }
    let states = checker.unique_state_count();
    println!("{rule}, {what}: {states} states, all of them");
    states
}

#[test]
fn s8_10_15_every_order_of_events_under_each_policy() {
    use Mode::{S, X};
    let writers: Vec<_> = NAMES.iter().map(|name| wants(&[(name, X)])).collect();
    let both: Vec<_> =
        NAMES.iter().flat_map(|name| [S, X].map(|mode| wants(&[(name, mode)]))).collect();
    let several = [
        wants(&[("a", S), ("b", S)]),
        wants(&[("b", X), ("c", X)]),
        wants(&[("a", X)]),
        wants(&[("b", X)]),
        wants(&[("c", S)]),
    ];
    let (mut figures, mut events) = (Vec::new(), 0);
    for rule in RULES {
        let states = exhaust(rule, "three writers", &writers, 3)
            + exhaust(rule, "readers and writers", &both, 2)
            + exhaust(rule, "several names at once", &several, 2);
        figures.push(format!("{rule} {states}"));
        events += states as u64;
    }
    let figure = format!("3 transactions, 3 names, states, all: {}", figures.join(", "));
    Scenario { seeds: 1, events, acknowledged: 0, figure }
        .write("s8_10_15_every_order_of_events_under_each_policy");
}
