//! Acceptance 8.1-17: every order of events in a small world, on the shipped rules.
//!
//! Three servers, and a service whose disk may lag and which may die at any moment. Whatever was
//! ever said may be heard at any later time, any number of times, or never. Who is believed dead
//! and who is appointed is up to chance: every belief is tried at every ping.
//!
//! Beside the rules about views there is a store, as small as can be: the number of the newest
//! write that somebody was told is done. Whoever could answer a client must have it.

mod town;

use protocol::NodeId;
use sim::Scenario;
use stateright::{Checker, Expectation, Model, Property};
use viewservice::{Member, Server, View, ViewNum, core::Beliefs};

use town::{
    ADOPTION, DATA, DIFFERENCE, Habits, NAMES, NODES, NUMBERS, PATIENCE, SUCCESSION, Step, Town,
};

/// Events in a row, in every order.
const EVENTS: usize = 12;

/// The world the search begins with.
struct Search(Town);

impl Model for Search {
    type State = Town;
    type Action = Step;

    fn init_states(&self) -> Vec<Town> {
        vec![self.0.clone()]
    }

    fn actions(&self, town: &Town, steps: &mut Vec<Step>) {
        town.steps(steps);
    }

    fn next_state(&self, town: &Town, step: Step) -> Option<Town> {
        if let Step::Hear { ping, beliefs } = &step
            && town.memory.clone().ping(ping, beliefs).is_empty()
        {
            return None;
        }
        let mut next = town.clone();
        next.take(step);
        (next != *town).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn pair(town: &Town, primary: u16, backup: u16) -> bool {
            let View { primary: is, backup: too, .. } = &town.disk.view;
            let node = |server: &Option<Server>| server.as_ref().map(|it| it.member.node.0);
            (node(is), node(too)) == (Some(primary), Some(backup))
        }
        vec![
            Property::always(SUCCESSION, |_, town: &Town| !town.broken.contains(SUCCESSION)),
            Property::always(PATIENCE, |_, town: &Town| !town.broken.contains(PATIENCE)),
            Property::always(ADOPTION, |_, town: &Town| !town.broken.contains(ADOPTION)),
            Property::always(DIFFERENCE, |_, town: &Town| !town.broken.contains(DIFFERENCE)),
            Property::always(NAMES, |_, town: &Town| !town.broken.contains(NAMES)),
            Property::always(NUMBERS, |_, town: &Town| !town.broken.contains(NUMBERS)),
            Property::always(DATA, |_, town: &Town| !town.broken.contains(DATA)),
            Property::sometimes("n1 with n2", |_, town: &Town| pair(town, 1, 2)),
            Property::sometimes("n1 with n3", |_, town: &Town| pair(town, 1, 3)),
            Property::sometimes("n2 with n1", |_, town: &Town| pair(town, 2, 1)),
            Property::sometimes("n2 with n3", |_, town: &Town| pair(town, 2, 3)),
            Property::sometimes("n3 with n1", |_, town: &Town| pair(town, 3, 1)),
            Property::sometimes("n3 with n2", |_, town: &Town| pair(town, 3, 2)),
        ]
    }
}

/// View 2 with n1 as primary and n2 as backup, acknowledged, and n3 idle.
fn pair(habits: Habits) -> Town {
    let mut town = Town::empty(habits);
    for node in 1..=NODES {
        town.take(Step::Join { node });
        town.take(Step::Sync);
    }
    let hear = |town: &mut Town, node: u16, volunteer: Option<u16>| {
        let of = |node: u16| {
            let incarnation = town.lives[usize::from(node) - 1].name.expect("named");
            Server { member: Member { node: NodeId(node), incarnation }, addr: String::new() }
        };
        let last =
            town.said.iter().rfind(|ping| ping.member() == of(node).member).expect("it spoke");
        let beliefs = Beliefs { volunteer: volunteer.map(of), ..Beliefs::default() };
        let ping = last.clone();
        town.take(Step::Hear { ping, beliefs });
        town.take(Step::Sync);
    };
    let adopt = |town: &mut Town, node| {
        let view = town.memory.view.clone();
        town.take(Step::Adopt { node, view })
    };
    hear(&mut town, 1, None);
    adopt(&mut town, 1);
    hear(&mut town, 1, Some(2));
    adopt(&mut town, 1);
    adopt(&mut town, 2);
    town.take(Step::Transfer { primary: 1, backup: 2 });
    hear(&mut town, 1, None);
    assert!(town.memory.acknowledged && town.memory.view.number == ViewNum(2), "{town:?}");
    town
}

/// Looks at every state that so many events lead to. Returns what was broken, each with the events
/// that did it, and how many different states there were.
fn search(start: Town, events: usize) -> (Vec<String>, usize) {
    // The first state is one deep, and the last layer is generated and not looked at.
    let depth = events + 2;
    // More threads would reach some states by a longer way first, and cut them off too early.
    let checker = Search(start).checker().threads(1).target_max_depth(depth).spawn_bfs().join();
    let mut broken = Vec::new();
    for property in Search(Town::default()).properties() {
        let goal = matches!(property.expectation, Expectation::Sometimes);
        let found = checker.discovery(property.name);
        if let (false, Some(path)) = (goal, &found) {
            broken.push(format!("{}: {:#?}", property.name, path.clone().into_actions()));
        }
        assert!(!goal || found.is_some(), "it never came to {}", property.name);
    }
    (broken, checker.unique_state_count())
}

/// No rule is broken in these worlds, within [`EVENTS`] events.
fn all_is_well(name: &str, worlds: &[(&str, Town)]) {
    let mut figures = Vec::new();
    let mut states = 0;
    for (world, start) in worlds {
        let (broken, seen) = search(start.clone(), EVENTS);
        println!("{world}: {seen} states built, every one within {EVENTS} events judged");
        assert!(broken.is_empty(), "{world}: {}", broken.join("\n"));
        figures.push(format!("{seen} states built {world}"));
        states += seen as u64;
    }
    let figure = format!("every order of {EVENTS} events: {}", figures.join(", "));
    Scenario { seeds: 1, events: states, acknowledged: 0, figure }.write(name);
}

#[test]
fn s8_1_17_every_order_of_events_from_the_beginning() {
    let lag = Habits { lag: true, ..Habits::default() };
    let worlds = [
        ("from the beginning", Town::empty(Habits::default())),
        ("from the beginning, the disk lagging", Town::empty(lag)),
    ];
    all_is_well("s8_1_17_every_order_of_events_from_the_beginning", &worlds);
}

#[test]
fn s8_1_17_every_order_of_events_from_a_pair() {
    let lag = Habits { lag: true, ..Habits::default() };
    let name = "s8_1_17_every_order_of_events_from_a_pair";
    all_is_well(name, &[("from a pair, the disk lagging", pair(lag))]);
}

/// A search that never found anything proves nothing: two classic mistakes of servers, which no
/// view service can make good.
#[test]
fn the_search_finds_what_careless_servers_lose() {
    let hasty = Habits { hasty: true, ..Habits::default() };
    let nameless = Habits { nameless: true, ..Habits::default() };
    for habits in [hasty, nameless] {
        let (broken, states) = search(pair(habits), 6);
        println!("{habits:?}: {states} states");
        assert!(broken.iter().any(|what| what.starts_with(DATA)), "{habits:?}: {broken:?}");
        let rules = broken.iter().filter(|what| !what.starts_with(DATA)).count();
        assert_eq!(rules, 0, "the views themselves are in order: {broken:?}");
    }
}
