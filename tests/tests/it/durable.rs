//! Acceptance 8.9, the half of it that is logic: what was acknowledged outlives every power cut.

use std::time::Duration;

use protocol::Rng;
use sim::{Fault, Plan};
use synod_tests::{
    day,
    scene::{Scene, append, at_most_ms, ms, play, put, tokens},
    shape::Shape,
    topology::power_cuts,
};

#[test]
fn s8_9_01_data_is_there_after_all_lost_power() {
    let name = "s8_9_01_data_is_there_after_all_lost_power";
    play(name, 0..100, at_most_ms("the first answer after power is back"), |seed| {
        let mut scene = Scene::calm(3, seed);
        let client = scene.client(&[1, 2, 3]);
        scene.ask(client, append("a", "[1]"))?;
        scene.ask(client, append("a", "[2]"))?;
        scene.fault(Fault::CrashAll);
        scene.begin(client, append("a", "[3]"));
        scene.pass(Duration::from_secs(3))?;
        let waits = scene.world.subject.clients.busy(client);
        scene.demand(waits, || "somebody answered with all servers down".into())?;
        (1..=3).for_each(|node| scene.restart(node));
        let took = scene.finish(&[client], Duration::from_secs(5))?;
        let seen = scene.get(client, "a")?;
        scene.demand(seen == Some(b"[1][2][3]".to_vec()), || format!("{seen:?}"))?;
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_9_02_each_in_turn_misses_writes_and_comes_back() {
    let name = "s8_9_02_each_in_turn_misses_writes_and_comes_back";
    play(name, 0..100, at_most_ms("level again after"), |seed| {
        let mut plan = Plan::calm(seed, Duration::from_secs(3600));
        plan.climate.stragglers = 20;
        let mut shape = Shape::plain(3);
        // Half of the days, what was missed is gone from the logs and comes as a snapshot.
        (shape.snapshot_bytes, shape.trailing) = (if seed % 2 == 0 { 300 } else { 1 << 20 }, 0);
        let mut scene = Scene::new(shape, plan);
        let client = scene.client(&[1, 2, 3]);
        let mut slowest = 0;
        for node in 1..=3 {
            scene.crash(node);
            for n in 0..20 {
                scene.ask(client, append("a", format!("[{node}.{n}]")))?;
                scene.ask(client, put(&format!("k{n}"), format!("{node}")))?;
            }
            scene.restart(node);
            slowest = slowest.max(ms(scene.level(Duration::from_secs(3))?));
            let there = scene.held(node, "a");
            let wanted = 20 * usize::from(node);
            scene.demand(tokens(there.as_ref()) == wanted, || format!("{there:?} at {node}"))?;
            let read = scene.get(client, "a")?;
            scene.demand(read == there, || format!("read {read:?}"))?;
            let there = scene.held(node, "k19");
            scene.demand(there == Some(format!("{node}").into()), || format!("{there:?}"))?;
        }
        Ok((scene.end()?, slowest))
    });
}

/// Each promise, vote and refusal is compared with the speaker's disk as it leaves (S9), and each
/// ballot with the life that used it first (S4), while nodes lose power at every kind of moment.
#[test]
fn s8_9_09_no_promise_is_lost_and_no_ballot_used_twice() {
    let name = "s8_9_09_no_promise_is_lost_and_no_ballot_used_twice";
    let figure = |all: &[u64]| format!("{} power cuts", all.iter().sum::<u64>());
    play(name, 0..150, figure, |seed| {
        let mut shape = Shape::of_seed(seed);
        shape.timeout = Some(Duration::from_millis(20 << (seed % 3)));
        let plan = power_cuts(seed, &shape.nodes());
        let done = day::live(shape, plan, None)?;
        let crashes = done.crashes;
        Ok((done, crashes))
    });
}

/// All of five, then the leader, then two followers lose power, round after round, and now and
/// then a leader dies before anybody heard what it wrote.
#[test]
fn s8_9_10_restarts_of_all_of_the_leader_and_of_followers() {
    let name = "s8_9_10_restarts_of_all_of_the_leader_and_of_followers";
    let figure = |all: &[u64]| format!("{} power cuts", all.iter().sum::<u64>());
    play(name, 0..100, figure, |seed| {
        let mut plan = Plan::calm(seed, Duration::from_secs(3600));
        plan.climate.loss = 100 * (seed % 2);
        let mut shape = Shape::plain(5);
        shape.timeout = Some(Duration::from_millis(40));
        let mut scene = Scene::new(shape, plan);
        let mut rng = Rng::new(seed).fork(0x8910);
        let client = scene.client(&[1, 2, 3, 4, 5]);
        for round in 0..5 {
            scene.ask(client, append("a", format!("[{round}.1]")))?;
            scene.restart_all();
            scene.ask(client, append("a", format!("[{round}.2]")))?;
            let leader = scene.leader_of(&[1, 2, 3, 4, 5])?;
            scene.crash(leader);
            scene.ask(client, append("a", format!("[{round}.3]")))?;
            let others = [1 + leader % 5, 1 + (leader + 1) % 5];
            scene.crash(others[0]);
            scene.restart(leader);
            scene.ask(client, append("a", format!("[{round}.4]")))?;
            scene.restart(others[0]);
        }
        // Figure 8: a leader writes and dies, with a majority always about to be there again.
        for round in 0..200 {
            if let Some(leader) = scene.leader() {
                if !scene.world.subject.clients.busy(client) {
                    scene.begin(client, append("a", format!("[f{round}]")));
                }
                scene.pass(rng.between(Duration::from_micros(100), Duration::from_millis(13)))?;
                scene.crash(leader);
            } else {
                scene.pass(Duration::from_millis(13))?;
            }
            let up = scene.world.view().cores().count();
            if up < 3 {
                scene.restart(1 + rng.below(5) as u16);
                scene.restart(1 + rng.below(5) as u16);
            }
        }
        let crashes = scene.world.crashes;
        Ok((scene.end()?, crashes))
    });
}
