//! Acceptance 8.4: a replicated machine whose replicas nobody disturbs.

use std::time::Duration;

use bytes::Bytes;
use kvpaxos::Command;
use paxosrsm::{ClientId, Coded, RequestNo, message::Reply, sessions};
use synod_tests::{
    day,
    scene::{Scene, append, at_most_ms, ms, play, tokens},
    verdict::replay,
};

#[test]
fn s8_4_01_an_answer_means_decided_and_applied() {
    play(
        "s8_4_01_an_answer_means_decided_and_applied",
        0..100,
        at_most_ms("level after"),
        |seed| {
            let mut scene = Scene::calm(3, seed);
            let clients = [scene.client(&[1]), scene.client(&[2]), scene.client(&[3])];
            let mut slowest = 0;
            for n in 1..=10 {
                scene.ask(clients[n % 3], append("counter", format!("[{n}]")))?;
                let leader = scene.leader_of(&[1, 2, 3])?;
                let there = scene.held(leader, "counter");
                scene.demand(tokens(there.as_ref()) == n, || {
                    format!("{n}: {there:?} at the leader")
                })?;
                slowest = slowest.max(ms(scene.level(Duration::from_millis(200))?));
                for node in 1..=3 {
                    let there = scene.held(node, "counter");
                    let equal = tokens(there.as_ref()) == n;
                    scene.demand(equal, || format!("{n}: {there:?} at {node}"))?;
                    let read = scene.get(clients[usize::from(node) - 1], "counter")?;
                    scene.demand(tokens(read.as_ref()) == n, || format!("{n}: read {read:?}"))?;
                }
            }
            Ok((scene.end()?, slowest))
        },
    );
}

#[test]
fn s8_4_02_fifty_at_once_are_applied_once_each() {
    play("s8_4_02_fifty_at_once_are_applied_once_each", 0..100, at_most_ms("all fifty"), |seed| {
        let mut scene = Scene::calm(3, seed);
        scene.leader_of(&[1, 2, 3])?;
        let begun = scene.world.now();
        let clients: Vec<usize> = (0..50).map(|n| scene.client(&[1 + n % 3])).collect();
        for client in &clients {
            scene.begin(*client, append("counter", format!("[{client}]")));
        }
        scene.finish(&clients, Duration::from_secs(5))?;
        let took = ms(scene.world.now().since(begun));
        scene.level(Duration::from_secs(1))?;
        for node in 1..=3 {
            let there = scene.held(node, "counter");
            scene.demand(tokens(there.as_ref()) == 50, || format!("{there:?} at {node}"))?;
        }
        Ok((scene.end()?, took))
    });
}

/// The subject of every day demands it after every event: positions come gapless, and equal
/// positions have equal fingerprints on all replicas and in all their lives.
#[test]
fn s8_4_03_each_slot_is_applied_once_in_order_everywhere() {
    let name = "s8_4_03_each_slot_is_applied_once_in_order_everywhere";
    let figure = |all: &[u64]| format!("{} crashes among them", all.iter().sum::<u64>());
    play(name, 10_000..10_100, figure, |seed| {
        let done = day::run(seed)?;
        let crashes = done.crashes;
        Ok((done, crashes))
    });
}

fn raw_append(client: u64, request: u64, token: &str) -> Bytes {
    let command =
        Command::Append(Bytes::from_static(b"counter"), Bytes::copy_from_slice(token.as_bytes()));
    let (client, request) = (ClientId(client), RequestNo(request));
    sessions::Command::Do { client, request, command }.to_bytes()
}

#[test]
fn s8_4_04_identity_is_the_number_and_not_the_contents() {
    let name = "s8_4_04_identity_is_the_number_and_not_the_contents";
    let figure = |all: &[u64]| format!("answered from memory {} times", all.iter().sum::<u64>());
    play(name, 0..100, figure, |seed| {
        let mut scene = Scene::calm(3, seed);
        let leader = scene.leader_of(&[1, 2, 3])?;
        let register = sessions::Command::<Command>::Register.to_bytes();
        let raw = scene.raw(leader, register);
        scene.until(Duration::from_secs(2), "a name", |scene| scene.heard(raw).is_some())?;
        // Two numbers, equal contents; then the second number again, at another replica, twice.
        let other = 1 + leader % 3;
        for (node, request) in [(leader, 1), (other, 2), (other, 2), (leader, 2)] {
            let raw = scene.raw(node, raw_append(1, request, "[x]"));
            scene.until(Duration::from_secs(2), "done", |scene| {
                matches!(scene.heard(raw), Some(Reply::Done(_)))
            })?;
        }
        scene.level(Duration::from_secs(1))?;
        let there = scene.held(leader, "counter");
        scene.demand(tokens(there.as_ref()) == 2, || format!("{there:?}"))?;
        let (replayed, _) = replay(&scene.world.subject).map_err(|what| scene.trouble(what))?;
        scene.demand(replayed.from_memory == 2, || format!("{replayed:?}"))?;
        let kv = &scene.world.subject;
        let mut done = day::Done { events: scene.world.events - kv.pulses, ..day::Done::default() };
        done.acknowledged = 4;
        Ok((done, replayed.from_memory))
    });
}
