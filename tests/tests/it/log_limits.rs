//! Acceptance 8.9: the log stays short, whatever happens, and nothing is lost or done twice by it.

use std::time::Duration;

use protocol::{NodeId, Rng, codec};
use sim::{Fault, Plan, Trouble};
use synod_tests::{
    scene::{Scene, append, play, put},
    shape::Shape,
};

const NODES: [u16; 3] = [1, 2, 3];

/// A group of three that takes a snapshot after so many bytes and keeps nothing behind it.
fn tight(snapshot_bytes: u64, loss: u64, seed: u64) -> Scene {
    let mut plan = Plan::calm(seed, Duration::from_secs(3600));
    plan.climate.loss = loss;
    let shape = Shape {
        snapshot_bytes,
        trailing: 0,
        client_loss: loss,
        ..Shape::plain(NODES.len() as u16)
    };
    Scene::new(shape, plan)
}

/// The payload bytes that the log of `node` keeps, as `synod wal stats` counts them: a version
/// byte and the record, for each that is not forgotten.
fn live(scene: &Scene, node: u16) -> u64 {
    let view = scene.world.view();
    let bytes = |record: &paxos::Record| {
        1 + codec::encode(record, paxos::record::MAX_RECORD).expect("within its limit").len()
    };
    view.durable(NodeId(node)).iter().map(|(_, record)| bytes(record) as u64).sum()
}

fn live_of_all(scene: &Scene) -> u64 {
    NODES.iter().map(|node| live(scene, *node)).sum()
}

fn most_bytes(words: &str) -> impl FnOnce(&[u64]) -> String + '_ {
    move |figures| format!("{words}: at most {} bytes", figures.last().copied().unwrap_or(0))
}

fn short(scene: &Scene, limit: u64, when: &str) -> Result<u64, Trouble> {
    let bytes = live_of_all(scene);
    scene.demand(bytes <= limit, || format!("{bytes} live bytes {when}, the limit is {limit}"))?;
    Ok(bytes)
}

/// All lose power at once, and serve again.
fn restart_all(scene: &mut Scene, client: usize) -> Result<(), Trouble> {
    scene.fault(Fault::CrashAll);
    scene.pass(Duration::from_millis(50))?;
    NODES.iter().for_each(|node| scene.restart(*node));
    scene.ask(client, put("up", "again"))?;
    Ok(())
}

#[test]
fn s8_9_03_the_disk_is_bounded_by_what_is_stored() {
    let name = "s8_9_03_the_disk_is_bounded_by_what_is_stored";
    play(name, 0..20, most_bytes("live log of three replicas, of puts of 1,000 bytes"), |seed| {
        let mut scene = tight(2000, 0, seed);
        let client = scene.client(&NODES);
        let rounds = 100 + seed % 20;
        // What is not only appended to is judged here, and not token by token.
        scene.ask(client, put("small", ""))?;
        let (mut most, mut tail) = (0, String::new());
        for round in 0..rounds {
            scene.ask(client, put("large", vec![round as u8; 1000]))?;
            scene.ask(client, append("small", "x"))?;
            tail.push('x');
            most = most.max(short(&scene, 20_000, "while it runs")?);
        }
        scene.fault(Fault::CrashAll);
        scene.pass(Duration::from_millis(50))?;
        most = most.max(short(&scene, 20_000, "after all were killed")?);
        restart_all(&mut scene, client)?;
        most = most.max(short(&scene, 20_000, "after the restart")?);
        let (large, small) = (scene.get(client, "large")?, scene.get(client, "small")?);
        let wanted = Some(vec![rounds as u8 - 1; 1000]);
        scene.demand(large == wanted && small == Some(tail.into_bytes()), || {
            "something is missing".into()
        })?;
        Ok((scene.end()?, most))
    });
}

#[test]
fn s8_9_03_appends_cost_what_they_add() {
    let name = "s8_9_03_appends_cost_what_they_add";
    play(name, 0..20, most_bytes("live log of three replicas, of 100 and more appends"), |seed| {
        let mut scene = tight(2000, 0, seed);
        let client = scene.client(&NODES);
        let rounds = 100 + seed % 20;
        let limit = 3 * rounds * 1000 + 20_000;
        scene.ask(client, put("a", ""))?;
        for round in 0..rounds {
            scene.ask(client, append("a", vec![round as u8; 1000]))?;
        }
        let mut most = short(&scene, limit, "while it runs")?;
        restart_all(&mut scene, client)?;
        most = most.max(short(&scene, limit, "after the restart")?);
        let value = scene.get(client, "a")?.unwrap_or_default();
        let whole = (0..rounds).all(|round| {
            let part = value.get(round as usize * 1000..).and_then(|rest| rest.get(..1000));
            part == Some(&vec![round as u8; 1000][..])
        });
        scene.demand(whole && value.len() as u64 == rounds * 1000, || "it changed".into())?;
        Ok((scene.end()?, most))
    });
}

#[test]
fn s8_9_06_an_append_that_races_a_kill_happens_once() {
    let name = "s8_9_06_an_append_that_races_a_kill_happens_once";
    let words = |figures: &[u64]| {
        let kills: u64 = figures.iter().sum();
        format!("{kills} appends raced a kill, each is there once")
    };
    play(name, 0..20, words, |seed| {
        let mut scene = Scene::lossy(3, seed, 100);
        let mut rng = Rng::new(seed).fork(0x8906);
        let client = scene.client(&NODES);
        for round in 0..50 {
            scene.begin(client, append("a", format!("[{round}]")));
            scene.pass(rng.between(Duration::ZERO, Duration::from_millis(200)))?;
            // The one that leads, more often than not.
            let victim = match scene.leader() {
                Some(leader) if rng.chance(600) => leader,
                _ => 1 + rng.below(3) as u16,
            };
            scene.crash(victim);
            scene.pass(rng.between(Duration::from_millis(1), Duration::from_millis(50)))?;
            scene.restart(victim);
            scene.finish(&[client], Duration::from_secs(20))?;
        }
        let value = scene.get(client, "a")?.unwrap_or_default();
        let wanted: String = (0..50).map(|round| format!("[{round}]")).collect();
        scene.demand(value == wanted.as_bytes(), || {
            format!("{:?} instead", String::from_utf8_lossy(&value))
        })?;
        Ok((scene.end()?, 50))
    });
}

/// The log of one replica, in bytes, with a snapshot every ten entries.
const SHORT: u64 = 2000;

/// Thirty rounds in which somebody is missing, and what must be so in each of them.
fn thirty_rounds(scene: &mut Scene, client: usize, rng: &mut Rng) -> Result<u64, Trouble> {
    let mut most = 0;
    for round in 0..30 {
        let victim = 1 + rng.below(3) as u16;
        let crash = rng.chance(500);
        match crash {
            true => scene.crash(victim),
            false => {
                let others: Vec<u16> = NODES.into_iter().filter(|node| *node != victim).collect();
                scene.partition(&[&[victim], &others]);
            }
        }
        for n in 0..10 + rng.below(10) {
            scene.ask(client, put(&format!("k{}", n % 5), format!("{round}.{n}")))?;
        }
        match crash {
            true => scene.restart(victim),
            false => scene.heal(),
        }
        scene.level(Duration::from_secs(10))?;
        // A snapshot under way is done in a moment.
        scene.pass(Duration::from_millis(20))?;
        for node in NODES {
            let bytes = live(scene, node);
            most = most.max(bytes);
            scene.demand(bytes < SHORT, || format!("round {round}: {node} keeps {bytes} bytes"))?;
        }
    }
    Ok(most)
}

fn snapshots_keep_the_log_short(name: &str, loss: u64) {
    play(name, 0..20, most_bytes("live log of one replica, of 30 rounds and more"), |seed| {
        // Ten puts make about so many bytes.
        let mut scene = tight(400, loss, seed);
        let mut rng = Rng::new(seed).fork(0x8911);
        let client = scene.client(&NODES);
        let most = thirty_rounds(&mut scene, client, &mut rng)?;
        let mut index = 0;
        for life in 0..5 {
            restart_all(&mut scene, client)?;
            scene.level(Duration::from_secs(10))?;
            let now = NODES.iter().filter_map(|node| scene.applied(*node)).min().unwrap_or(0);
            scene.demand(now > index, || format!("restart {life}: {now} after {index}"))?;
            index = now;
        }
        // Until a snapshot has just become durable, then twice without power.
        let newest = |scene: &Scene| {
            NODES.map(|node| scene.world.subject.disks.newest(NodeId(node)).map(|(upto, _)| upto))
        };
        let before = newest(&scene);
        let mut last = 0;
        while newest(&scene) == before {
            last += 1;
            scene.demand(last < 100, || "no snapshot was taken".into())?;
            scene.ask(client, put("last", format!("{last}")))?;
        }
        restart_all(&mut scene, client)?;
        restart_all(&mut scene, client)?;
        let seen = scene.get(client, "last")?;
        scene.demand(seen == Some(format!("{last}").into_bytes()), || format!("{seen:?}"))?;
        Ok((scene.end()?, most))
    });
}

#[test]
fn s8_9_11_a_snapshot_every_ten_entries_keeps_the_log_short() {
    snapshots_keep_the_log_short("s8_9_11_a_snapshot_every_ten_entries_keeps_the_log_short", 0);
}

#[test]
fn s8_9_11_a_lossy_network_makes_the_log_no_longer() {
    snapshots_keep_the_log_short("s8_9_11_a_lossy_network_makes_the_log_no_longer", 100);
}
