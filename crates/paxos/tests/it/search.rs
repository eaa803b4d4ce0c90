//! Acceptance 8.5-18: every order of events in a small world, on the shipped core.
//!
//! A world is never copied: a state is the list of choices that led to it, and is built again
//! from the beginning. Two states count as one if votes, roles, messages on their way, answers,
//! the time left on every timer, and how often each went off are the same.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use bytes::Bytes;
use paxos::{Config, Output, Paxos, Reply, Request, Slot, Told, core::Role};
use protocol::{CallId, Desk, Lsn, NodeId, Time, Word};

const NODES: usize = 3;
/// States looked at in one search, at most.
const MOST: usize = 12_000;

enum What {
    Request(Request),
    Reply(Reply),
}

struct Flight {
    from: usize,
    to: usize,
    call: CallId,
    what: What,
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// The message that has been on its way for longer than so many others arrives.
    Deliver(usize),
    /// The next timer of this node goes off.
    Wake(usize),
    /// The second command is asked for here.
    Ask(usize),
}

/// Three nodes, and what is on its way between those that can talk.
struct World {
    desks: Vec<Desk<Paxos>>,
    now: Time,
    flights: Vec<Flight>,
    /// Who waits for an answer: the caller and its call, by ticket.
    callers: BTreeMap<u64, (usize, CallId)>,
    ticket: u64,
    told: BTreeMap<u64, Told>,
    handed_out: Vec<Vec<(Slot, String)>>,
    /// This node is cut off: connections to it break.
    away: usize,
    /// Calls that broke, and whose caller has not heard of it.
    broken: Vec<(usize, NodeId, CallId)>,
    asked: bool,
    /// How often each node's timer went off.
    woken: [u32; NODES],
}

/// Answers to the commands carry these tickets.
const FIRST: u64 = 1;
const SECOND: u64 = 2;

impl World {
    fn new() -> Self {
        let members: Vec<NodeId> = (1..=NODES as u16).map(NodeId).collect();
        let desk = |me: &NodeId| {
            let config = Config::new(*me, members.clone());
            let core = Paxos::recover(config, u64::from(me.0), Slot(0), []).expect("sound knobs");
            Desk::new(*me, core, Lsn(0))
        };
        let mut world = Self {
            desks: members.iter().map(desk).collect(),
            now: Time::ZERO,
            flights: Vec::new(),
            callers: BTreeMap::new(),
            ticket: 100,
            told: BTreeMap::new(),
            handed_out: vec![Vec::new(); NODES],
            away: NODES,
            broken: Vec::new(),
            asked: false,
            woken: [0; NODES],
        };
        // The first node wins office; the timers of the others stand still.
        while !leads(&world, 0) {
            world.wake(0);
            while !world.flights.is_empty() {
                world.deliver(0);
            }
        }
        world
    }

    /// Carries out everything a node wants until it wants nothing more now. Its disk is quick.
    fn attend(&mut self, at: usize) {
        loop {
            let records = self.desks[at].records().count();
            if records > 0 {
                let saved = self.desks[at].saved();
                self.desks[at].durable(self.now, saved);
            }
            let Some(word) = self.desks[at].next_word() else {
                let mine = |(caller, ..): &(usize, NodeId, CallId)| *caller == at;
                if let Some(broken) = self.broken.iter().position(mine) {
                    let (_, to, call) = self.broken.remove(broken);
                    self.desks[at].failed(self.now, to, call);
                    continue;
                }
                if self.desks[at].deadline().is_some_and(|due| due <= self.now) {
                    self.desks[at].wake(self.now);
                    continue;
                }
                if records == 0 {
                    return;
                }
                continue;
            };
            match word {
                Word::Send { to, call, request } => {
                    self.send(at, usize::from(to.0) - 1, call, What::Request(request));
                }
                Word::Answer { ticket, reply } => match self.callers.remove(&ticket) {
                    Some((caller, call)) => self.send(at, caller, call, What::Reply(reply)),
                    None => {
                        if let Reply::Told(told) = reply {
                            self.told.insert(ticket, told);
                        }
                    }
                },
                Word::Output(Output::Decided { slot, value, .. }) => {
                    self.handed_out[at].push((slot, format!("{value:?}")));
                }
                Word::Output(_) | Word::Forget(_) => {}
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, call: CallId, what: What) {
        if from != self.away && to != self.away {
            self.flights.push(Flight { from, to, call, what });
        } else if matches!(what, What::Request(_)) {
            self.broken.push((from, NodeId(to as u16 + 1), call));
        }
    }

    fn deliver(&mut self, which: usize) {
        let Flight { from, to, call, what } = self.flights.remove(which);
        let peer = NodeId(from as u16 + 1);
        match what {
            What::Request(request) => {
                self.ticket += 1;
                self.callers.insert(self.ticket, (from, call));
                self.desks[to].request(self.now, self.ticket, Some(peer), request);
            }
            What::Reply(reply) => self.desks[to].reply(self.now, peer, call, reply),
        }
        self.attend(to);
    }

    fn wake(&mut self, at: usize) {
        let Some(due) = self.desks[at].deadline() else { return };
        self.woken[at] += 1;
        self.now = self.now.max(due);
        self.desks[at].wake(self.now);
        self.attend(at);
    }

    fn append(&mut self, at: usize, ticket: u64, command: &'static str) {
        let command = Bytes::from_static(command.as_bytes());
        self.desks[at].request(self.now, ticket, None, Request::Append(command));
        self.attend(at);
    }

    fn cut(&mut self, away: usize) {
        self.away = away;
        self.flights.retain(|flight| flight.from != away && flight.to != away);
    }

    fn choose(&mut self, choice: Choice) {
        match choice {
            Choice::Deliver(which) => self.deliver(which),
            Choice::Wake(at) => self.wake(at),
            Choice::Ask(at) => {
                self.asked = true;
                self.append(at, SECOND, "second");
            }
        }
    }

    /// Where the command with this ticket was chosen, as its asker was told.
    fn slot(&self, ticket: u64) -> Option<Slot> {
        match self.told.get(&ticket) {
            Some(Told::Appended(slot)) => Some(*slot),
            _ => None,
        }
    }

    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for desk in &self.desks {
            desk.core().ledger().hash(&mut hasher);
            desk.core().role().hash(&mut hasher);
            desk.deadline().map(|due| due.0.saturating_sub(self.now.0)).hash(&mut hasher);
        }
        let words = self.flights.iter().map(|flight| match &flight.what {
            What::Request(request) => format!("{} {} {request:?}", flight.from, flight.to),
            What::Reply(reply) => format!("{} {} {reply:?}", flight.from, flight.to),
        });
        let mut words: Vec<String> = words.collect();
        words.sort_unstable();
        words.hash(&mut hasher);
        format!("{:?}", self.told).hash(&mut hasher);
        (self.asked, self.away, self.woken, &self.handed_out).hash(&mut hasher);
        hasher.finish()
    }

    /// S1 and more: one value to a slot, one order everywhere, and who was told is right.
    fn check(&self) -> Result<(), String> {
        let mut chosen = BTreeMap::new();
        for desk in &self.desks {
            for (slot, entry) in desk.core().ledger().entries_from(Slot(0)) {
                if entry.chosen && *chosen.entry(slot).or_insert(&entry.value) != &entry.value {
                    return Err(format!("S1 agreement: two values in slot {slot}"));
                }
            }
        }
        let longest = self.handed_out.iter().max_by_key(|log| log.len()).expect("nodes");
        if self.handed_out.iter().any(|log| !longest.starts_with(log)) {
            return Err("S12 order: two logs differ".into());
        }
        let (first, second) = (self.slot(FIRST), self.slot(SECOND));
        if second.is_some_and(|second| first.is_none_or(|first| second <= first)) {
            return Err(format!("the second command is in {second:?}, the first in {first:?}"));
        }
        for (slot, command) in [(first, "first"), (second, "second")] {
            let there = slot.is_none_or(|slot| {
                longest.iter().any(|(at, value)| *at == slot && value.contains(command))
            });
            if !there {
                return Err(format!("{command} was acknowledged and is not in its slot"));
            }
        }
        Ok(())
    }
}

fn leads(world: &World, at: usize) -> bool {
    matches!(world.desks[at].core().role(), Role::Leader(_))
}

/// What a search came to.
#[derive(Debug, Default)]
struct Searched {
    states: usize,
    /// Every state that so few choices lead to was looked at.
    depth: usize,
    /// States in which the goal is reached, and the choices to the nearest.
    goals: usize,
    nearest: Option<Vec<Choice>>,
    /// States without the goal in which nothing can happen any more.
    lost: usize,
    /// Whether every state was seen.
    whole: bool,
}

/// Looks at every state that can be reached from `root`, nearest first, up to [`MOST`]. Beyond a
/// goal nothing is looked at.
fn search(
    root: impl Fn() -> World,
    choices: impl Fn(&World) -> Vec<Choice>,
    goal: impl Fn(&World) -> bool,
) -> Searched {
    let mut searched = Searched { whole: true, ..Searched::default() };
    let mut seen = BTreeSet::from([root().key()]);
    let mut waiting = VecDeque::from([Vec::<Choice>::new()]);
    while let Some(path) = waiting.pop_front() {
        let again = || {
            let mut world = root();
            path.iter().for_each(|choice| world.choose(*choice));
            world
        };
        let world = again();
        searched.states += 1;
        if searched.whole {
            searched.depth = path.len();
        }
        if let Err(what) = world.check() {
            panic!("{what}, after {path:?}");
        }
        if goal(&world) {
            searched.goals += 1;
            searched.nearest.get_or_insert(path);
            continue;
        }
        let next = choices(&world);
        searched.lost += usize::from(next.is_empty());
        if seen.len() >= MOST {
            searched.whole = false;
            continue;
        }
        for choice in next {
            let mut child = again();
            child.choose(choice);
            if seen.insert(child.key()) {
                waiting.push_back(path.iter().copied().chain([choice]).collect());
            }
        }
    }
    searched
}

fn deliveries(world: &World) -> Vec<Choice> {
    (0..world.flights.len()).map(Choice::Deliver).collect()
}

/// The first node leads, the third is away: the first command, asked for and on its way.
fn first_of_two() -> World {
    let mut world = World::new();
    world.cut(2);
    world.append(0, FIRST, "first");
    world
}

#[test]
fn s8_5_18_search_decides_through_overlapping_majorities() {
    // Without timers: in every order of messages the majority decides.
    let first = search(first_of_two, deliveries, |world| world.slot(FIRST).is_some());
    assert!(first.whole && first.lost == 0 && first.goals > 0, "{first:?}");
    // The second follows it at the same leader, whatever of the first is still on its way.
    let way = first.nearest.clone().expect("a goal");
    let after_first = || {
        let mut world = first_of_two();
        way.iter().for_each(|choice| world.choose(*choice));
        world
    };
    let same = || {
        let mut world = after_first();
        world.choose(Choice::Ask(0));
        world
    };
    let second = search(same, deliveries, |world| world.slot(SECOND).is_some());
    assert!(second.whole && second.lost == 0 && second.goals > 0, "{second:?}");
    // With timers: the leader is cut off, and the other two must find out, choose a leader and
    // keep what only one of them has voted for.
    let other = || {
        let mut world = after_first();
        world.cut(0);
        world
    };
    let one_timer = |world: &World| [deliveries(world), vec![Choice::Wake(1)]].concat();
    let third = search(other, one_timer, |world| leads(world, 1));
    assert!(third.goals > 0, "nobody won in {} states: {third:?}", third.states);
    let way = third.nearest.clone().expect("a goal");
    let new_leader = || {
        let mut world = other();
        way.iter().for_each(|choice| world.choose(*choice));
        world
    };
    let timers = |world: &World| {
        let mut choices = deliveries(world);
        choices.extend((1..NODES).map(Choice::Wake));
        let may_ask = |at: &usize| !world.asked && leads(world, *at);
        choices.extend((1..NODES).filter(may_ask).map(Choice::Ask));
        choices
    };
    let fourth = search(new_leader, timers, |world| world.slot(SECOND).is_some());
    assert!(fourth.goals > 0, "nobody decided in {} states: {fourth:?}", fourth.states);
    let states = first.states + second.states + third.states + fourth.states;
    let depth = third.depth.min(fourth.depth);
    let figure = format!(
        "{states} states, every one to depth {depth}; {} times the goal",
        third.goals + fourth.goals
    );
    sim::Scenario { seeds: 1, events: states as u64, acknowledged: 2, figure }
        .write("s8_5_18_search_decides_through_overlapping_majorities");
}
