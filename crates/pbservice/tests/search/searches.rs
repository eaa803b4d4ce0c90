//! The searches of the acceptance list, 8.2-20 to 8.2-22.

use pbservice::Request;
use protocol::NodeId;
use sim::Scenario;

use crate::{
    actors::{What, Without},
    history::Op::{Append, Get, Open},
    model::{ALWAYS, Budget, Found, Goal, NEVER, Search},
    world::World,
};

/// Talk with the view service is quick, and words that do nothing are swept away: that they do
/// nothing is shown by the unit tests, and looked at by the walks.
const TIDY: Without = Without { slow_pings: true, stale_answers: true, stale_forwards: true };
/// The same, except that a forward arrives also when it brings nothing.
const ALL_FORWARDS: Without = Without { stale_forwards: false, ..TIDY };

/// Steps of one walk, at most.
const WALK: usize = 1_000;
/// States that the walks look at.
const WALKED: usize = 500_000;
/// Walks that are healed at the end, and steps of each.
const HEALED: u64 = 2_000;
const STUMBLES: usize = 60;
/// Steps in every order, with any number of view changes.
const DEPTH: usize = 7;

/// Whatever can go wrong without anybody's death.
const ANYTHING: Budget = Budget {
    asks: ALWAYS,
    passes: ALWAYS,
    silences: ALWAYS,
    silent: 2,
    repeats: ALWAYS,
    failures: ALWAYS,
    impatience: ALWAYS,
    service_restarts: ALWAYS,
    ..NEVER
};

/// A world from which a search begins.
fn from(mut world: World, without: Without, left: Budget) -> World {
    (world.without, world.left) = (without, left);
    world.tidy();
    world
}

fn record(name: &str, found: &[(&str, Found)]) {
    let states: usize = found.iter().map(|(_, it)| it.states).sum();
    let parts: Vec<String> = found.iter().map(|(what, it)| format!("{what}: {it}")).collect();
    let figure = parts.join("; ");
    Scenario { seeds: 1, events: states as u64, acknowledged: 0, figure }.write(name);
}

/// Whether a forward of the first append alone is on its way.
fn first_is_on_its_way(world: &World) -> bool {
    world.flights.iter().any(|it| match &*it.what {
        What::Ask(Request::Forward(forward)) => forward.items.len() == 1,
        _ => false,
    })
}

/// The primary has forwarded one client's append, heard nothing, and forwarded it again with the
/// other client's behind it. Both forwards are on their way.
fn two_forwards() -> World {
    let mut world = World::new(2, &[&[Append('a'), Get], &[Append('b')]]).paired();
    world.ask(0, 0, 0);
    world.tidy();
    world.ask(1, 0, 0);
    world.tidy();
    world.fail(0);
    world
}

/// Acceptance 8.2-20: the second forward arrives first, or is the only one that arrives.
#[test]
fn s8_2_20_forwards_in_the_reverse_order() {
    let name = "s8_2_20_forwards_in_the_reverse_order";
    let left = Budget { asks: 2, passes: 1, silences: 1, ..NEVER };
    let any_order = Search::new(
        from(two_forwards(), ALL_FORWARDS, left.clone()),
        &[("everybody is answered", World::is_done)],
    );
    let any_order = any_order.changes(1).exhaust("in any order", None);

    let mut world = two_forwards();
    let is_second =
        |what: &What| matches!(what, What::Ask(Request::Forward(it)) if it.items.len() == 2);
    let second = world.flights.iter().position(|it| is_second(&it.what)).expect("it has left");
    let second = world.flights.remove(second);
    world.deliver(&second, 1);
    let second_first = Search::new(
        from(world, ALL_FORWARDS, left),
        &[
            ("all is done, and the first has arrived behind the second", |world| {
                world.is_done() && !first_is_on_its_way(world)
            }),
            ("all is done, and the first has not arrived", |world| {
                world.is_done() && first_is_on_its_way(world)
            }),
        ],
    );
    let second_first = second_first.changes(1).exhaust("the second first", None);
    record(name, &[("in any order", any_order), ("the second first", second_first)]);
}

/// Acceptance 8.2-21: what a primary committed alone reaches the backup that joins later, and is
/// not lost with the primary, however soon that is cut off.
#[test]
fn s8_2_21_the_backup_alone_has_both_appends() {
    let name = "s8_2_21_the_backup_alone_has_both_appends";
    let mut world = World::new(1, &[&[Append('a')], &[Append('b'), Get]]).alone();
    world.ask(0, 0, 0);
    let mut world = world.calm(|world| world.clients[0].is_done());
    world.start(NodeId(2));
    let left = Budget { asks: 2, passes: 2, silences: 1, failures: 1, cuts: 1, ..NEVER };
    let search = Search::new(
        from(world, TIDY, left),
        &[
            ("the backup alone answers with both", |world| {
                world.cut == Some(NodeId(1)) && world.clients[1].saw.as_deref() == Some("ab")
            }),
            ("cut off before its backup had everything, and nobody is answered", |world| {
                let stuck = world.cut == Some(NodeId(1)) && !world.is_acknowledged();
                stuck && world.view().backup.is_some() && world.clients[1].at == 0
            }),
        ],
    );
    let found = search.changes(2).exhaust("alone, then cut off", None);
    record(name, &[("1 server and 1 more, 2 clients", found)]);
}

/// Acceptance 8.2-22, the first part.
#[test]
fn s8_2_22_one_client_and_one_server() {
    let name = "s8_2_22_one_client_and_one_server";
    let program: &[_] = &[Open, Append('a'), Append('b'), Get];
    let world = World::new(1, &[program]).calm(World::is_acknowledged);
    let left = Budget { asks: 3, passes: ALWAYS, repeats: 2, ..NEVER };
    let world = from(world, Without::default(), left);
    let found = Search::new(world, &[("everything is done", saw_ab)]).exhaust("1 and 1", None);
    record(name, &[("1 client, 1 server", found)]);
}

fn saw_ab(world: &World) -> bool {
    world.clients[0].saw.as_deref() == Some("ab")
}

/// Acceptance 8.2-22, the second part: with no view change, with one, and with any number.
#[test]
fn s8_2_22_one_client_and_three_servers() {
    let name = "s8_2_22_one_client_and_three_servers";
    let start = |program, left| from(World::new(3, &[program]).paired(), TIDY, left);
    let long: &[_] = &[Append('a'), Append('b'), Get];
    let short: &[_] = &[Append('a'), Get];
    let done: Goal = ("everything is done", World::is_done);
    let moved: Goal =
        ("another primary answers", |world| world.is_done() && world.primary() != Some(NodeId(1)));

    let left = Budget { asks: 2, passes: ALWAYS, failures: 2, repeats: 1, ..NEVER };
    let none = Search::new(start(long, left), &[done]).changes(0).exhaust("no change", None);

    let left = Budget { asks: 2, passes: ALWAYS, silences: 1, failures: 1, repeats: 1, ..NEVER };
    let one = Search::new(start(long, left), &[done, moved]);
    let one = one.changes(1).exhaust("one change", None);

    let left = Budget { asks: 2, passes: ALWAYS, silences: 1, impatience: 1, ..NEVER };
    let another = Search::new(
        start(short, left),
        &[
            done,
            moved,
            ("with another backup", |world| {
                let backup = world.view().backup.as_ref();
                world.is_done() && backup.is_some_and(|it| it.member.node == NodeId(3))
            }),
        ],
    );
    let another = another.changes(1).exhaust("one change, or another backup", None);

    let left = Budget { asks: 2, passes: ALWAYS, silences: ALWAYS, failures: 1, ..NEVER };
    let any = Search::new(start(short, left), &[done, moved]);
    let any = any.exhaust("any number of changes", Some(DEPTH));
    record(
        name,
        &[
            ("no change", none),
            ("one change", one),
            ("one change, or another backup", another),
            ("any number of changes", any),
        ],
    );
}

/// Acceptance 8.2-22, the last part: anything at all, on long ways chosen at random.
#[test]
fn s8_2_22_two_clients_and_three_servers_at_random() {
    let name = "s8_2_22_two_clients_and_three_servers_at_random";
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("seed {seed}; replay: SEED={seed} cargo test -p pbservice --test search {name}");
    let programs: [&[_]; 2] = [&[Append('a'), Append('b'), Get], &[Append('x'), Append('y'), Get]];
    let deaths = Budget { restarts: 2, twins: 1, ..ANYTHING };
    let walk = |what, left| {
        let mut world = World::new(3, &programs).paired();
        world.steps = Some(0);
        let world = from(world, Without::default(), left);
        let goals: [Goal; 2] = [
            ("everything is done", World::is_done),
            ("done after many views", |it| it.is_done() && it.view().number.0 > 10),
        ];
        Search::new(world, &goals).wander(what, seed, WALK, WALKED / 2)
    };
    let alive = walk("nobody dies", ANYTHING);
    let dying = walk("servers die and come back empty", deaths);
    record(name, &[("nobody dies", alive), ("servers die and come back empty", dying)]);
}

/// Whatever went wrong: when it is over, everybody is answered.
#[test]
fn whatever_went_wrong_everybody_is_answered_in_the_end() {
    let name = "whatever_went_wrong_everybody_is_answered_in_the_end";
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = given.map_or(1..=HEALED, |seed| seed..=seed);
    let programs: [&[_]; 2] = [&[Append('a'), Append('b'), Get], &[Append('x'), Append('y'), Get]];
    let world = from(World::new(3, &programs).paired(), Without::default(), ANYTHING);
    let search = Search::new(world, &[]);
    for seed in seeds {
        let mut world = search.stumble(seed, STUMBLES);
        let before = world.state_of_things();
        assert!(
            world.heals() && world.history.explained,
            "seed {seed}: from {before} to {}; \
             replay: SEED={seed} cargo test -p pbservice --test search {name}",
            world.state_of_things()
        );
    }
}
