//! Acceptance 8.4: a replicated machine whose replicas are cut off, die and come back.

use std::time::Duration;

use sim::Plan;
use synod_tests::{
    kv::Kv,
    scene::{Scene, append, at_most_ms, ms, play, put, tokens},
    shape::Shape,
    verdict::replay,
};

/// The other nodes of three.
fn others(node: u16) -> [u16; 2] {
    [1 + node % 3, 1 + (node + 1) % 3]
}

#[test]
fn s8_4_05_a_leader_that_is_cut_off_agrees_again() {
    let name = "s8_4_05_a_leader_that_is_cut_off_agrees_again";
    play(name, 0..100, at_most_ms("level after healing"), |seed| {
        let mut scene = Scene::calm(3, seed);
        let old = scene.leader_of(&[1, 2, 3])?;
        let rest = others(old);
        let (mine, theirs) = (scene.client(&[old]), scene.client(&rest));
        scene.ask(theirs, append("log", "[1]"))?;
        scene.partition(&[&[old], &rest]);
        scene.begin(mine, append("log", "[2]"));
        scene.leader_of(&rest)?;
        for n in 3..10 {
            scene.ask(theirs, append("log", format!("[{n}]")))?;
        }
        let busy = scene.world.subject.clients.busy(mine);
        scene.demand(busy, || "a leader that is cut off answered".into())?;
        scene.heal();
        let healed = scene.world.now();
        scene.finish(&[mine], Duration::from_secs(5))?;
        scene.level(Duration::from_secs(5))?;
        let took = ms(scene.world.now().since(healed));
        for node in 1..=3 {
            let there = scene.held(node, "log");
            scene.demand(tokens(there.as_ref()) == 9, || format!("{there:?} at {node}"))?;
        }
        Ok((scene.end()?, took))
    });
}

#[test]
fn s8_4_06_a_hundred_at_an_isolated_replica_wait_and_then_return() {
    let name = "s8_4_06_a_hundred_at_an_isolated_replica_wait_and_then_return";
    play(name, 0..100, at_most_ms("all returned after healing"), |seed| {
        let mut scene = Scene::calm(3, seed);
        let leader = scene.leader_of(&[1, 2, 3])?;
        // Every other time it is the leader that is isolated.
        let alone = if seed % 2 == 0 { leader } else { others(leader)[0] };
        let rest = others(alone);
        let theirs = scene.client(&rest);
        scene.partition(&[&[alone], &rest]);
        let hundred = scene.clients(100, &[alone]);
        for client in &hundred {
            scene.begin(*client, append("log", format!("[{client}]")));
        }
        scene.ask(theirs, put("other", "x"))?;
        scene.get(theirs, "other")?;
        scene.pass(Duration::from_secs(2))?;
        let busy = hundred.iter().filter(|c| scene.world.subject.clients.busy(**c)).count();
        scene.demand(busy == 100, || format!("{} of them returned", 100 - busy))?;
        scene.heal();
        let took = scene.finish(&hundred, Duration::from_secs(1))?;
        Ok((scene.end()?, ms(took)))
    });
}

/// Messages get lost and the leader dies in the middle of a burst, so slots stay open before ones
/// that were voted for. That nothing is applied past a hole is demanded after every event.
#[test]
fn s8_4_07_a_hole_is_finished_or_closed() {
    let figure = |all: &[u64]| format!("{} holes closed with no-ops", all.iter().sum::<u64>());
    play("s8_4_07_a_hole_is_finished_or_closed", 0..300, figure, |seed| {
        let mut plan = Plan::calm(seed, Duration::from_secs(3600));
        plan.climate.loss = 100;
        plan.climate.delay.1 = Duration::from_millis(3);
        let mut shape = Shape::plain(3);
        (shape.window, shape.batch_commands) = (8, 1);
        let mut scene = Scene::new(shape, plan);
        let mut leader = scene.leader_of(&[1, 2, 3])?;
        let mut clients = scene.clients(10, &[1, 2, 3]);
        for round in 0..3 {
            for client in &clients {
                scene.begin(*client, append("log", format!("[{round}.{client}]")));
            }
            scene.pass(Duration::from_micros(1500 + 700 * (seed % 7)))?;
            scene.crash(leader);
            let rest = others(leader);
            let next = scene.leader_of(&rest)?;
            scene.finish(&clients, Duration::from_secs(20))?;
            scene.restart(leader);
            leader = next;
            clients.truncate(8);
        }
        let holes = closed(&scene.world.subject).map_err(|what| scene.trouble(what))?;
        Ok((scene.end()?, holes))
    });
}

fn closed(kv: &Kv) -> Result<u64, String> {
    Ok(replay(kv)?.0.noops)
}

#[test]
fn s8_4_09_restarts_lose_nothing_and_confuse_nothing() {
    let name = "s8_4_09_restarts_lose_nothing_and_confuse_nothing";
    play(name, 0..100, at_most_ms("a whole restart until the next answer"), |seed| {
        let mut scene = Scene::calm(3, seed);
        let client = scene.client(&[1, 2, 3]);
        for n in 1..=100 {
            scene.ask(client, append("counter", format!("[{n}]")))?;
        }
        scene.restart_all();
        let down = scene.world.now();
        scene.ask(client, append("counter", "[101]"))?;
        let took = ms(scene.world.now().since(down));
        let read = scene.get(client, "counter")?;
        scene.demand(tokens(read.as_ref()) == 101, || format!("{read:?}"))?;
        // A hundred others are under way when everybody loses power once more.
        let hundred = scene.clients(100, &[1, 2, 3]);
        for other in &hundred {
            scene.begin(*other, append("pending", format!("[p{other}]")));
        }
        scene.pass(Duration::from_micros(1200 + 100 * (seed % 20)))?;
        scene.restart_all();
        scene.ask(client, append("counter", "[102]"))?;
        scene.finish(&hundred, Duration::from_secs(20))?;
        let (counter, pending) = (scene.get(client, "counter")?, scene.get(client, "pending")?);
        let counts = (tokens(counter.as_ref()), tokens(pending.as_ref()));
        scene.demand(counts == (102, 100), || format!("{counts:?}"))?;
        Ok((scene.end()?, took))
    });
}
