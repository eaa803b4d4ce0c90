//! A world, handed to the checker: what may happen next, and what must hold.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use pbservice::Duty::{Backup, Fenced, Idle};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path, Property};

use crate::{
    actors::Who,
    dice::{Dice, Mood},
    world::World,
};

/// No limit.
pub(crate) const ALWAYS: u8 = u8::MAX;

/// How often each thing that need not happen may still happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// A request is asked for so many times.
    pub(crate) asks: u8,
    /// A ping interval passes somewhere.
    pub(crate) passes: u8,
    /// The view service hears some of the servers only, and takes the others for dead.
    pub(crate) silences: u8,
    /// So many at a time.
    pub(crate) silent: u8,
    /// Something arrives and is going to arrive again.
    pub(crate) repeats: u8,
    /// A forward is given up.
    pub(crate) failures: u8,
    /// A primary finds that its backup takes too long.
    pub(crate) impatience: u8,
    /// A server ends, and another life of it begins with nothing.
    pub(crate) restarts: u8,
    /// Another life of a server begins while the first goes on.
    pub(crate) twins: u8,
    /// The view service ends and begins again.
    pub(crate) service_restarts: u8,
    /// The primary of the view is cut off from everybody, for good.
    pub(crate) cuts: u8,
}

fn spend(left: &mut u8) -> bool {
    match *left {
        0 => return false,
        ALWAYS => {}
        _ => *left -= 1,
    }
    true
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A client's request arrives at this process.
    Ask(usize, usize),
    /// The one that the client had before arrives there, late.
    AskLate(usize, usize),
    /// This flight arrives, at this process if it matters.
    Deliver(usize, usize),
    /// It does, and stays on its way.
    Repeat(usize, usize),
    Fail(usize),
    Pause(usize),
    Pass(usize),
    Impatience(usize),
    /// The view service hears only these processes, a bit for each.
    HearOnly(u8),
    Restart(usize),
    Twin(usize),
    RestartService,
    Cut,
}

/// A search: where it begins, and what should be found.
pub(crate) struct Search {
    start: World,
    goals: Vec<Goal>,
    /// The view changes so often.
    changes: u64,
    /// States looked at.
    looked_at: AtomicUsize,
}

/// What should be possible, and when it has come about.
pub(crate) type Goal = (&'static str, fn(&World) -> bool);

const EXPLAINED: &str = "every answer can be explained";
const REMEMBERED: &str = "no client is forgotten";
const WHOLE: &str = "nobody leads without the state";

/// Nothing goes wrong; and if it may, one server at a time falls silent.
pub(crate) const NEVER: Budget = Budget {
    asks: 0,
    passes: 0,
    silences: 0,
    silent: 1,
    repeats: 0,
    failures: 0,
    impatience: 0,
    restarts: 0,
    twins: 0,
    service_restarts: 0,
    cuts: 0,
};

impl Model for Search {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // Nobody is left who could be told anything wrong.
        if world.is_done() {
            return;
        }
        let up = |at: &usize| world.processes[*at].up;
        let all: Vec<usize> = (0..world.processes.len()).filter(up).collect();
        let node = |at: usize| world.processes[at].node;
        let left = &world.left;
        for (at, flight) in world.flights.iter().enumerate() {
            let places: Vec<usize> = match flight.to {
                Who::Server(to) => all.iter().copied().filter(|it| node(*it) == to).collect(),
                _ => vec![0],
            };
            for place in places {
                actions.push(Action::Deliver(at, place));
                if left.repeats > 0 {
                    actions.push(Action::Repeat(at, place));
                }
            }
        }
        for (at, client) in world.clients.iter().enumerate() {
            // Who does not lead refuses, and nothing comes of that.
            let leads = |at: &usize| {
                let leads = !matches!(world.processes[*at].core().duty(), Idle | Backup | Fenced);
                leads && world.cut != Some(node(*at))
            };
            for process in all.iter().copied().filter(leads) {
                if !client.is_done() && client.asked < left.asks {
                    actions.push(Action::Ask(at, process));
                }
                if client.at > 0 && left.repeats > 0 {
                    actions.push(Action::AskLate(at, process));
                }
            }
        }
        if left.silences > 0 {
            let named = |at: &&usize| {
                let named = world.processes[**at].core().member().is_some();
                named && world.cut != Some(node(**at))
            };
            let named = all.iter().filter(named).fold(0u8, |bits, at| bits | 1 << at);
            let some = (1..=named).filter(|these| these & named == *these).filter(|these| {
                let silent = all.len() - these.count_ones() as usize;
                (1..=usize::from(left.silent)).contains(&silent)
            });
            actions.extend(some.map(Action::HearOnly));
        }
        for at in all {
            let process = &world.processes[at];
            let mut may = |allowed: bool, action| allowed.then(|| actions.push(action));
            may(left.failures > 0 && process.is_forwarding(), Action::Fail(at));
            may(process.is_pausing(), Action::Pause(at));
            may(left.passes > 0, Action::Pass(at));
            may(left.impatience > 0 && process.is_forwarding(), Action::Impatience(at));
            may(left.restarts > 0, Action::Restart(at));
            may(left.twins > 0, Action::Twin(at));
        }
        let mut may = |allowed: bool, action| allowed.then(|| actions.push(action));
        may(left.service_restarts > 0, Action::RestartService);
        may(left.cuts > 0, Action::Cut);
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let left = &mut world.left;
        let allowed = match action {
            Action::Repeat(..) | Action::AskLate(..) => spend(&mut left.repeats),
            Action::Fail(_) => spend(&mut left.failures),
            Action::Pass(_) => spend(&mut left.passes),
            Action::Impatience(_) => spend(&mut left.impatience),
            Action::HearOnly(_) => spend(&mut left.silences),
            Action::Restart(_) => spend(&mut left.restarts),
            Action::Twin(_) => spend(&mut left.twins),
            Action::RestartService => spend(&mut left.service_restarts),
            Action::Cut => spend(&mut left.cuts),
            Action::Ask(..) | Action::Deliver(..) | Action::Pause(_) => true,
        };
        assert!(allowed, "{action:?} was offered");
        match action {
            Action::Ask(client, process) => {
                let number = world.clients[client].at;
                world.ask(client, number, process);
            }
            Action::AskLate(client, process) => {
                let number = world.clients[client].at - 1;
                world.ask(client, number, process);
            }
            Action::Deliver(flight, process) => {
                let flight = world.flights.remove(flight);
                world.deliver(&flight, process);
            }
            Action::Repeat(flight, process) => {
                let flight = world.flights[flight].clone();
                world.deliver(&flight, process);
            }
            Action::Fail(process) => world.fail(process),
            Action::Pause(process) => world.pass_pause(process),
            Action::Pass(process) => world.pass_interval(process),
            Action::Impatience(process) => world.lose_patience(process),
            Action::HearOnly(these) => {
                let bits = 0..world.processes.len();
                let these: Vec<usize> = bits.filter(|at| these & 1 << at != 0).collect();
                world.hear_only(&these);
            }
            Action::Restart(process) => {
                world.kill(process);
                world.start_again(world.processes[process].node);
            }
            Action::Twin(process) => world.start_again(world.processes[process].node),
            Action::RestartService => world.restart_service(),
            Action::Cut => world.cut = world.primary(),
        }
        world.steps = world.steps.map(|steps| steps + 1);
        world.tidy();
        (world.digest != before.digest).then_some(world)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.view().number.0 - self.start.view().number.0 <= self.changes
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let reached: [fn(&Self, &World) -> bool; 4] =
            [reached::<0>, reached::<1>, reached::<2>, reached::<3>];
        let goals = self.goals.iter().zip(reached);
        let goals = goals.map(|((name, _), reached)| Property::sometimes(name, reached));
        [
            Property::always(EXPLAINED, |search: &Self, world: &World| {
                search.looked_at.fetch_add(1, Ordering::Relaxed);
                world.history.explained
            }),
            Property::always(REMEMBERED, |_, world: &World| !world.forgotten),
            Property::always(WHOLE, |_, world: &World| !world.hollow),
        ]
        .into_iter()
        .chain(goals)
        .collect()
    }
}

fn reached<const GOAL: usize>(search: &Search, world: &World) -> bool {
    (search.goals[GOAL].1)(world)
}

/// How a search went.
pub(crate) struct Found {
    /// States looked at; on walks, some of them more than once.
    pub(crate) states: usize,
    /// Steps, over all states.
    pub(crate) steps: usize,
    /// The longest way from the beginning to a state, at the shortest.
    pub(crate) depth: usize,
    /// Which of those that can be reached.
    pub(crate) which: &'static str,
}

impl Search {
    pub(crate) fn new(start: World, goals: &[Goal]) -> Self {
        let changes = u64::MAX;
        Self { start, goals: goals.to_vec(), changes, looked_at: AtomicUsize::new(0) }
    }

    /// Leaves out worlds in which the view has changed more often than this.
    pub(crate) fn changes(self, changes: u64) -> Self {
        Self { changes, ..self }
    }

    /// Looks at every state that can be reached in at most `depth` steps, or at every state there
    /// is.
    pub(crate) fn exhaust(self, name: &str, depth: Option<usize>) -> Found {
        let began = Instant::now();
        let checker = self.checker().finish_when(HasDiscoveries::AnyFailures);
        let checker = match depth {
            // The checker counts the states of a path, and does not look at the last one.
            Some(depth) => checker.target_max_depth(depth + 2),
            None => checker,
        };
        let checker = checker.spawn_bfs().join();
        let found = Found {
            states: checker.model().looked_at.load(Ordering::Relaxed),
            steps: checker.state_count(),
            depth: depth.unwrap_or(checker.max_depth() - 1),
            which: if depth.is_some() { "all to that depth" } else { "all there are" },
        };
        println!("{name}: {found} in {:.1} s", began.elapsed().as_secs_f64());
        judge(&checker);
        found
    }

    /// Goes so many steps at random.
    pub(crate) fn stumble(&self, seed: u64, steps: usize) -> World {
        let mut world = self.start.clone();
        let mut mood = Mood::new(seed);
        let mut actions = Vec::new();
        for _ in 0..steps {
            actions.clear();
            self.actions(&world, &mut actions);
            let Some(action) = actions.get(mood.choose(&world, &actions)) else {
                break;
            };
            world = self.next_state(&world, *action).unwrap_or(world);
        }
        world
    }

    /// Walks at random, at most `depth` steps at a time, until so many states were looked at.
    pub(crate) fn wander(self, name: &str, seed: u64, depth: usize, states: usize) -> Found {
        let began = Instant::now();
        let checker = self
            .checker()
            .finish_when(HasDiscoveries::AnyFailures)
            .target_max_depth(depth)
            .target_state_count(states)
            .spawn_simulation(seed, Dice)
            .join();
        let found = Found {
            states: checker.model().looked_at.load(Ordering::Relaxed),
            steps: checker.state_count(),
            depth: checker.max_depth(),
            which: "on walks of at most that depth",
        };
        println!("{name}: seed {seed}: {found} in {:.1} s", began.elapsed().as_secs_f64());
        judge(&checker);
        found
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, which } = self;
        write!(f, "{states} states, {which}; {steps} steps, depth {depth}")
    }
}

/// Demands what must hold and what should be found, and tells the story if something is amiss.
fn judge(checker: &impl Checker<Search>) {
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match (property.expectation, found) {
            (Expectation::Sometimes, None) => panic!("never found: {}", property.name),
            (Expectation::Always, Some(path)) => {
                tell(path);
                panic!("not so: {}", property.name);
            }
            _ => {}
        }
    }
}

/// Prints what happened, step by step.
fn tell(path: Path<World, Action>) {
    for (world, action) in path.into_vec() {
        if let Some(action) = action {
            println!("  {}", world.describe(action));
        } else {
            println!("  in the end: {}", world.state_of_things());
        }
    }
}
