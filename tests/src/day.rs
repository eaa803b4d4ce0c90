//! One seed from morning to evening.

use std::{
    panic::{self, AssertUnwindSafe},
    time::Duration,
};

use histcheck::Outcome;
use protocol::{NodeId, Rng, Time};
use sim::{Fault, Plan, Trouble, World, weather::split};

use crate::{
    kv::Kv,
    rare::{Rare, Sight},
    shape::{Shape, mutinous},
    trace, verdict,
};

/// How long the storm of a random day lasts.
pub const STORM: Duration = Duration::from_millis(2500);
/// How long the store may take to come to rest when everything is healed.
pub const REST: Duration = Duration::from_secs(30);

/// The environment variable that names a seed which must fail: whoever never saw a failure
/// reported does not know that one would be.
pub const CANARY: &str = "SYNOD_CANARY";
/// What a seed says that was told to fail.
pub const CANARY_SONG: &str = "canary: this seed was told to fail";

/// Whether this seed must fail.
#[must_use]
pub fn canary(seed: u64) -> bool {
    std::env::var(CANARY).is_ok_and(|named| named.parse() == Ok(seed))
}

/// What a day was worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Events that happened.
    pub events: u64,
    /// Messages between nodes.
    pub messages: u64,
    /// Times a node lost power.
    pub crashes: u64,
    /// Operations acknowledged.
    pub acknowledged: u64,
    /// Operations of unknown outcome.
    pub unknown: u64,
    /// The virtual time that passed.
    pub passed: Duration,
    /// Two runs share it only if the same things happened in the same order.
    pub hash: u64,
    /// What hardly ever happens.
    pub rare: Rare,
}

/// The plan of this seed's day.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let shape = Shape::of_seed(seed);
    let mut plan = Plan::storm(seed, &shape.nodes(), STORM);
    if shape.forgetful() {
        // A clerk believes *expired* to its first try: nothing was done. That rests on a call being
        // made once over one connection, which sockets promise and the weather's duplicates do not.
        plan.climate.duplication = 0;
    }
    if mutinous(seed) {
        mutiny(seed, &shape, &mut plan);
    }
    plan
}

/// Turns a plan into that of a day on which nobody stays in office: many short faults, and disks
/// that hang now and then while all else is quick. So a vote may reach a leader that has lost and
/// regained its office since it asked for it, and what was left half done is somebody else's.
fn mutiny(seed: u64, shape: &Shape, plan: &mut Plan) {
    let mut rng = Rng::new(seed).fork(0x3D_71_4F);
    plan.climate.delay.1 = Duration::from_micros(400 + rng.below(3000));
    plan.climate.stragglers = 200;
    plan.climate.loss = rng.below(300);
    plan.climate.stalls = rng.below(120);
    plan.climate.sync.1 = Duration::from_millis(1);
    plan.faults.clear();
    let nodes = shape.nodes();
    let pace = Duration::from_millis(20 << rng.below(2));
    let kinds = [1, 3, 4][rng.below(3) as usize];
    let mut at = Time::ZERO.plus(Duration::from_millis(100));
    while at < plan.storm_until {
        let mut anybody = || nodes[rng.below(nodes.len() as u64) as usize];
        let (node, other) = (anybody(), anybody());
        let length = rng.between(Duration::from_millis(5), pace);
        let end = match rng.below(kinds) {
            0 => {
                plan.faults.push((at, Fault::Pause(node, length)));
                None
            }
            1 => {
                plan.faults.push((at, Fault::Cut(node, other)));
                Some(Fault::Heal)
            }
            2 => {
                plan.faults.push((at, Fault::Partition(split(&mut rng, &nodes))));
                Some(Fault::Heal)
            }
            _ => {
                plan.faults.push((at, Fault::Crash(node)));
                Some(Fault::Restart(node))
            }
        };
        plan.faults.extend(end.map(|end| (at.plus(length), end)));
        at = at.plus(rng.between(Duration::from_millis(5), 2 * pace));
    }
    plan.faults.sort_by_key(|(at, _)| *at);
}

/// Runs the day of this seed.
///
/// # Errors
///
/// The first trouble. A panic is trouble as well.
pub fn run(seed: u64) -> Result<Done, Trouble> {
    live(Shape::of_seed(seed), plan(seed), None)
}

/// Runs a day of this shape and plan. With `transcript`, everything that happened is put there.
///
/// # Errors
///
/// The first trouble. A panic is trouble as well.
pub fn live(
    shape: Shape,
    plan: Plan,
    transcript: Option<&mut Vec<String>>,
) -> Result<Done, Trouble> {
    let canary = canary(plan.seed);
    let mut world = Kv::world(shape, plan);
    if transcript.is_some() || trace::wanted() {
        world.trace();
    }
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        world.run(REST)?;
        if canary {
            return Err(trouble(&world, CANARY_SONG.into()));
        }
        judged(&world)
    }));
    trace::add(world.transcript());
    if let Some(transcript) = transcript {
        transcript.extend_from_slice(world.transcript());
    }
    ended.unwrap_or_else(|panic| Err(trouble(&world, format!("a panic: {}", words(&*panic)))))
}

fn trouble(world: &World<Kv>, what: String) -> Trouble {
    Trouble { at: world.now(), node: NodeId(0), what }
}

/// What a panic said.
#[must_use]
pub fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
    said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The verdict over a day that came to rest.
///
/// # Errors
///
/// What is wrong with its story.
pub fn judged(world: &World<Kv>) -> Result<Done, Trouble> {
    let kv = &world.subject;
    let replayed = verdict::judge(kv).map_err(|what| trouble(world, what))?;
    let mut rare = kv.rare.clone();
    rare.add(Sight::SecondLeaderChose, kv.judge.takeovers);
    rare.add(Sight::HoleFilled, replayed.noops);
    rare.add(Sight::AnsweredFromMemory, replayed.from_memory);
    let toll = &world.toll;
    rare.add(Sight::MessageLost, toll.lost);
    rare.add(Sight::ThreeGroups, toll.three_groups);
    rare.add(Sight::DeafMissed, toll.unheard);
    rare.add(Sight::DelayedPath, toll.delayed);
    rare.add(Sight::TornWrite, toll.torn);
    rare.add(Sight::SlowNode, toll.slowed);
    rare.add(Sight::DiskGone, toll.refused);
    rare.add(Sight::TwinCompared, toll.compared);
    rare.add(Sight::RepeatHarmless, toll.repeated);
    let history = &kv.clients.history;
    let count = |wanted: fn(&Outcome) -> bool| {
        history.iter().filter(|operation| wanted(&operation.outcome)).count() as u64
    };
    let chain = world.view().cores().map(|(_, core)| core.chain()).next().unwrap_or_default();
    Ok(Done {
        events: world.events - kv.pulses,
        messages: world.messages,
        crashes: world.crashes,
        acknowledged: count(|outcome| matches!(outcome, Outcome::Ok(_))),
        unknown: count(|outcome| *outcome == Outcome::Unknown),
        passed: Duration::from_nanos(world.now().0),
        hash: world.hash() ^ chain,
        rare,
    })
}
