//! One seed from morning to evening, for a primary and its backup.

use std::{
    panic::{self, AssertUnwindSafe},
    time::Duration,
};

use histcheck::Outcome;
use protocol::{NodeId, Rng, Time};
use sim::{
    Fault, Plan, Trouble, World,
    weather::{DELAYED, SLOWNESS, split},
};
use viewservice::SERVICE_NODE;

use super::{Pair, Shape, verdict};
use crate::{
    day::{CANARY_SONG, Done, REST, canary, words},
    rare::Sight,
    trace,
};

/// How long the storm of a random day lasts.
pub const STORM: Duration = Duration::from_millis(3000);

/// Kinds of fault that an intriguing day may have.
const KINDS: u64 = 11;

/// Whether this seed's day is made for view changes: faults that last about as long as it takes
/// until somebody is given up.
#[must_use]
pub fn intriguing(seed: u64) -> bool {
    Rng::new(seed).fork(0x0017_7164).chance(650)
}

/// The plan of this seed's day.
#[must_use]
pub fn plan(seed: u64, shape: &Shape) -> Plan {
    let mut plan = Plan::storm(seed, &shape.nodes(), STORM);
    if intriguing(seed) {
        plan.faults.clear();
        intrigue(seed, shape, &mut plan);
    }
    if !shape.durable {
        // What nobody has written down does not survive that, and a day without data is a quiet
        // one; a few will do.
        plan.faults.retain(|(_, fault)| *fault != Fault::CrashAll || seed.is_multiple_of(8));
    }
    plan
}

/// Fills a plan with faults long enough that somebody is taken for dead, and short enough that he
/// comes back and has to find out.
fn intrigue(seed: u64, shape: &Shape, plan: &mut Plan) {
    let mut rng = Rng::new(seed).fork(0x0017_7165);
    let (servers, nodes) = (shape.servers(), shape.nodes());
    let kinds = rng.next_u64() | 1 << rng.below(KINDS);
    let length = (Duration::from_millis(20 << rng.below(5)), Duration::from_millis(1200));
    let pause = Duration::from_millis(50 << rng.below(5));
    plan.climate.patience = Duration::from_millis([300, 300, 500, 1000][rng.below(4) as usize]);
    let mut at = Time::ZERO.plus(Duration::from_millis(100 + rng.below(700)));
    while at < plan.storm_until {
        let mut some = || servers[rng.below(servers.len() as u64) as usize];
        let (server, other) = (some(), some());
        let kind = rng.below(KINDS);
        let length = rng.between(length.0, length.1);
        let over = at.plus(length);
        if kinds & 1 << kind != 0 {
            let both = !rng.chance(300);
            one_fault(&mut rng, kind, (at, over), (server, other), both, &nodes, plan);
            // Somebody else may be hit while that lasts.
            at = if rng.chance(300) { at } else { over };
        }
        at = at.plus(rng.between(Duration::from_millis(10), pause * 2));
    }
    plan.faults.sort_by_key(|(at, _)| *at);
}

/// One fault and its end.
fn one_fault(
    rng: &mut Rng,
    kind: u64,
    (at, over): (Time, Time),
    (server, other): (NodeId, NodeId),
    both: bool,
    nodes: &[NodeId],
    plan: &mut Plan,
) {
    let cut = |from, to| {
        let back = both.then_some((at, Fault::Cut(to, from)));
        [(at, Fault::Cut(from, to)), (over, Fault::Heal)].into_iter().chain(back)
    };
    match kind {
        0 => {
            let one_way = rng.chance(500);
            let (from, to) = if one_way { (server, SERVICE_NODE) } else { (SERVICE_NODE, server) };
            plan.faults.extend(cut(from, to));
            if rng.chance(500) {
                // And a word of its backup takes so long that the view may have changed since.
                let longest = Duration::from_millis(20 << rng.below(5));
                let slow = |from, to| (at, Fault::Delay(from, to, (longest / 4, longest)));
                plan.faults.extend([slow(server, other), slow(other, server)]);
            }
        }
        1 => plan.faults.extend(cut(server, other)),
        2 => plan.faults.extend([(at, Fault::Crash(server)), (over, Fault::Restart(server))]),
        3 => {
            plan.faults.push((at, Fault::Crash(SERVICE_NODE)));
            plan.faults.push((over, Fault::Restart(SERVICE_NODE)));
        }
        4 => plan.faults.push((at, Fault::Pause(server, over.since(at)))),
        5 => {
            plan.faults.push((at, Fault::Slow(server, SLOWNESS)));
            plan.faults.push((over, Fault::Quick(server)));
        }
        6 => plan.faults.push((at, Fault::SlowDisk(server, over.since(at)))),
        7 => {
            plan.faults.push((at, Fault::Partition(split(rng, nodes))));
            plan.faults.push((over, Fault::Heal));
        }
        8 => {
            plan.faults.push((at, Fault::CrashAll));
            for node in nodes {
                let up = at.plus(rng.between(Duration::ZERO, over.since(at)));
                plan.faults.push((up, Fault::Restart(*node)));
            }
        }
        9 => {
            // Until the other is given up; what was sent arrives when it may be back in its place.
            let over =
                at.plus(rng.between(Duration::from_millis(1100), Duration::from_millis(2200)));
            plan.faults.push((at, Fault::Delay(server, other, DELAYED)));
            plan.faults.push((over, Fault::Heal));
        }
        _ => {
            // One is taken for dead, and another loses power meanwhile and comes back in time.
            plan.faults.extend(cut(server, SERVICE_NODE));
            let down = at.plus(rng.between(Duration::ZERO, Duration::from_millis(400)));
            let up = down.plus(rng.between(Duration::from_millis(20), Duration::from_millis(300)));
            plan.faults.extend([(down, Fault::Crash(other)), (up, Fault::Restart(other))]);
        }
    }
}

/// Runs the day of this seed.
///
/// # Errors
///
/// The first trouble. A panic is trouble as well.
pub fn run(seed: u64) -> Result<Done, Trouble> {
    let shape = Shape::of_seed(seed);
    let plan = plan(seed, &shape);
    live(shape, plan, None)
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
    let mut world = Pair::world(shape, plan);
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

fn trouble(world: &World<Pair>, what: String) -> Trouble {
    Trouble { at: world.now(), node: NodeId(0), what }
}

/// The verdict over a day that came to rest.
///
/// # Errors
///
/// What is wrong with its story.
pub fn judged(world: &World<Pair>) -> Result<Done, Trouble> {
    verdict::judge(world).map_err(|what| trouble(world, what))?;
    let pair = &world.subject;
    let mut rare = pair.rare.clone();
    let toll = &world.toll;
    rare.add(Sight::MessageLost, toll.lost);
    rare.add(Sight::DelayedPath, toll.delayed);
    rare.add(Sight::TornWrite, toll.torn);
    rare.add(Sight::SlowNode, toll.slowed);
    rare.add(Sight::DiskGone, toll.refused);
    rare.add(Sight::TwinCompared, toll.compared);
    rare.add(Sight::RepeatHarmless, toll.repeated);
    rare.add(Sight::DataLost, u64::from(pair.lost(&world.view())));
    let history = &pair.clients.history;
    let count = |wanted: fn(&Outcome) -> bool| {
        history.iter().filter(|operation| wanted(&operation.outcome)).count() as u64
    };
    Ok(Done {
        events: world.events - pair.pulses,
        messages: world.messages,
        crashes: world.crashes,
        acknowledged: count(|outcome| matches!(outcome, Outcome::Ok(_))),
        unknown: count(|outcome| *outcome == Outcome::Unknown),
        passed: Duration::from_nanos(world.now().0),
        hash: world.hash(),
        rare,
    })
}
