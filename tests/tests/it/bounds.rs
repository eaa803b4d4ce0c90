//! Acceptance 8.4 and 8.5: how much log is kept, and that what replaces it is worth it.

use std::time::Duration;

use histcheck::Action;
use paxosrsm::engine::{Engine, MultiPaxos};
use protocol::NodeId;
use sim::{Plan, Trouble};
use synod_tests::{
    rare::Sight,
    scene::{Scene, append, at_most_ms, ms, play, put, tokens},
    shape::Shape,
};

/// Payload bytes of the records that `node` still needs: what `wal` counts as live.
fn live(scene: &Scene, node: u16) -> u64 {
    let encode = MultiPaxos::encode();
    let mut bytes = Vec::new();
    for (_, record) in scene.world.view().durable(NodeId(node)) {
        encode(record, &mut bytes);
    }
    bytes.len() as u64
}

/// The longest log of these nodes.
fn longest(scene: &Scene, nodes: &[u16]) -> u64 {
    nodes.iter().map(|node| live(scene, *node)).max().unwrap_or_default()
}

/// A group that takes a snapshot after so many bytes of commands and keeps nothing behind it.
fn shortening(replicas: u16, seed: u64, snapshot_bytes: u64) -> Scene {
    let shape = Shape { snapshot_bytes, trailing: 0, ..Shape::plain(replicas) };
    Scene::new(shape, Plan::calm(seed, Duration::from_secs(3600)))
}

/// What the newest snapshot of `node` covers, and its size.
fn snapshot(scene: &Scene, node: u16) -> (u64, u64) {
    let newest = scene.world.subject.disks.newest(NodeId(node));
    newest.map_or((0, 0), |(upto, image)| (upto.0, image.len() as u64))
}

/// Lets `client` do something and looks every millisecond how long the longest log of `nodes` is.
fn watched(
    scene: &mut Scene,
    client: usize,
    action: Action,
    nodes: &[u16],
) -> Result<u64, Trouble> {
    let mut most = 0;
    scene.begin(client, action);
    while scene.world.subject.clients.busy(client) {
        scene.pass(Duration::from_millis(1))?;
        most = most.max(longest(scene, nodes));
    }
    Ok(most)
}

#[test]
fn s8_4_10_a_bounded_log_and_a_restart_from_a_snapshot() {
    let name = "s8_4_10_a_bounded_log_and_a_restart_from_a_snapshot";
    let figure = |all: &[u64]| format!("log: at most {} bytes", all.last().unwrap_or(&0));
    play(name, 0..100, figure, |seed| {
        let mut scene = shortening(3, seed, 1000);
        let client = scene.client(&[1, 2, 3]);
        let mut most = 0;
        for n in 1..=100 {
            let action = append("counter", format!("[{n}]"));
            most = most.max(watched(&mut scene, client, action, &[1, 2, 3])?);
        }
        scene.demand(most <= 2000, || format!("a log of {most} bytes"))?;
        scene.level(Duration::from_secs(1))?;
        scene.restart_all();
        for node in 1..=3 {
            let (upto, applied) = (snapshot(&scene, node).0, scene.applied(node));
            let from = applied.is_some_and(|applied| applied >= upto && upto >= 50);
            scene.demand(from, || format!("{node} is at {applied:?} with a snapshot of {upto}"))?;
        }
        scene.ask(client, append("counter", "[101]"))?;
        let read = scene.get(client, "counter")?;
        scene.demand(tokens(read.as_ref()) == 101, || format!("{read:?}"))?;
        Ok((scene.end()?, most))
    });
}

/// A megabyte that is asked to be written and never is: large in the log, nothing in the state.
fn futile() -> Action {
    let expect = Some(b"what nobody wrote".to_vec());
    Action::Cas { key: b"k".to_vec(), expect, value: vec![b'x'; 1_000_000] }
}

#[test]
fn s8_4_11_large_commands_are_let_go() {
    let name = "s8_4_11_large_commands_are_let_go";
    let figure =
        |all: &[u64]| format!("log between them: at most {} kB", all.last().unwrap_or(&0) / 1000);
    // A handful of seeds: each moves forty megabytes through three logs.
    play(name, 0..10, figure, |seed| {
        let mut scene = shortening(3, seed, 500_000);
        let client = scene.client(&[1, 2, 3]);
        scene.ask(client, put("k", "small"))?;
        // While one is being voted on, the one before may still be on its way into a snapshot.
        let (mut most, mut retained) = (0, 0);
        for _ in 0..20 {
            most = most.max(watched(&mut scene, client, futile(), &[1, 2, 3])?);
            scene.pass(Duration::from_millis(10))?;
            retained = retained.max(longest(&scene, &[1, 2, 3]));
        }
        let so = most < 3_000_000 && retained < 2_000_000;
        scene.demand(so, || format!("a log of {most} bytes, then of {retained}"))?;
        // One is away, and nobody keeps a log for it.
        let away = 1 + (seed % 3) as u16;
        let rest = [1 + away % 3, 1 + (away + 1) % 3];
        scene.partition(&[&[away], &rest]);
        let others = scene.client(&rest);
        scene.leader_of(&rest)?;
        for _ in 0..20 {
            scene.ask(others, futile())?;
        }
        scene.heal();
        scene.pass(Duration::from_secs(4))?;
        let kept = longest(&scene, &[1, 2, 3]);
        scene.demand(kept < 2_000_000, || format!("{kept} bytes, 4 s after healing"))?;
        scene.level(Duration::ZERO)?;
        Ok((scene.end()?, retained))
    });
}

#[test]
fn s8_5_13_lagging_server_catches_up_by_image() {
    let name = "s8_5_13_lagging_server_catches_up_by_image";
    const LIMIT: u64 = 1000;
    play(name, 0..100, at_most_ms("level after healing"), |seed| {
        let mut scene = shortening(3, seed, LIMIT);
        let everybody = scene.client(&[1, 2, 3]);
        scene.ask(everybody, put("k", "first"))?;
        scene.level(Duration::from_secs(1))?;
        let away = 1 + (seed % 3) as u16;
        let rest = [1 + away % 3, 1 + (away + 1) % 3];
        scene.partition(&[&[away], &rest]);
        scene.leader_of(&rest)?;
        let client = scene.client(&rest);
        for n in 0..800 {
            scene.ask(client, put("k", format!("{n}")))?;
            let log = longest(&scene, &rest);
            scene.demand(log <= 8 * LIMIT, || format!("after {n}: a log of {log} bytes"))?;
            if n % 100 == 50 {
                let seen = scene.get(client, "k")?;
                let wanted = Some(format!("{n}").into_bytes());
                scene.demand(seen == wanted, || format!("after {n}: {seen:?}"))?;
            }
        }
        let before = scene.world.subject.rare.count(Sight::SnapshotInstalled);
        scene.heal();
        let took = scene.level(Duration::from_secs(5))?;
        let after = scene.world.subject.rare.count(Sight::SnapshotInstalled);
        scene.demand(after > before, || "it was not sent a snapshot".into())?;
        let there = scene.held(away, "k");
        scene.demand(there == Some(b"799".to_vec()), || format!("{there:?} at {away}"))?;
        for node in 1..=3 {
            let size = snapshot(&scene, node).1;
            scene.demand((1..=500).contains(&size), || format!("an image of {size} bytes"))?;
        }
        Ok((scene.end()?, ms(took)))
    });
}

/// Every other seed with a snapshot every few dozen of them.
#[test]
fn s8_5_12_a_thousand_puts_one_after_another() {
    let name = "s8_5_12_a_thousand_puts_one_after_another";
    let figure = |all: &[u64]| {
        format!("each on average at most {} virtual us", all.last().copied().unwrap_or_default())
    };
    play(name, 0..20, figure, |seed| {
        let bytes = if seed % 2 == 0 { 64 << 20 } else { 2000 };
        let mut scene = shortening(3, seed, bytes);
        let client = scene.client(&[1, 2, 3]);
        scene.ask(client, put("k", "first"))?;
        let (begun, mut sum) = (scene.world.now(), 0);
        for n in 0..1000 {
            let put = scene.ask(client, put("k", format!("{n}")))?;
            let took = put.finish.unwrap_or(u64::MAX) - put.call;
            scene.demand(took <= 33_000_000, || format!("the put of {n} took {took} ns"))?;
            sum += took;
        }
        let mean = sum / 1000 / 1000;
        let passed = scene.world.now().since(begun);
        let seen = scene.get(client, "k")?;
        scene.demand(seen == Some(b"999".to_vec()), || format!("{seen:?}"))?;
        scene.demand(passed <= Duration::from_secs(33), || format!("all took {passed:?}"))?;
        let taken = scene.world.subject.rare.count(Sight::SnapshotTaken);
        scene.demand((seed % 2 == 1) == (taken > 20), || format!("{taken} snapshots"))?;
        Ok((scene.end()?, mean))
    });
}
