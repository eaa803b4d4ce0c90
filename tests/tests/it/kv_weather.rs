//! Acceptance 8.5: a replicated store that has to live through whole seasons.

use std::time::Duration;

use protocol::{NodeId, Rng};
use sim::{Fault, Plan, weather::split};
use synod_tests::{
    scene::{Scene, append, at_most_ms, get, ms, play, put},
    shape::Shape,
};

/// The longest time that anybody waited for an answer.
fn longest_wait(scene: &Scene) -> Duration {
    let history = scene.world.subject.clients.record();
    let now = scene.world.now().0;
    let waits = history.iter().map(|it| it.finish.unwrap_or(now) - it.call);
    Duration::from_nanos(waits.max().unwrap_or_default())
}

/// Five seconds of calm, one in which two of five are cut off, the leader often among them, and
/// five of calm: clients that may ask anybody hardly notice.
#[test]
fn s8_5_10_one_partition_costs_no_client_a_long_wait() {
    let name = "s8_5_10_one_partition_costs_no_client_a_long_wait";
    play(name, 0..100, at_most_ms("the longest wait"), |seed| {
        let mut scene = Scene::calm(5, seed);
        let mut rng = Rng::new(seed).fork(0x8510);
        let clients = scene.clients(5, &[1, 2, 3, 4, 5]);
        let leader = scene.leader_of(&[1, 2, 3, 4, 5])?;
        let mut rest: Vec<u16> = (1..=5).filter(|node| *node != leader).collect();
        let mut minor = vec![rest.remove(rng.below(4) as usize)];
        // Every third time the leader stays with the majority.
        let other = if seed % 3 == 0 { rest.remove(rng.below(3) as usize) } else { leader };
        minor.push(other);
        let major: Vec<u16> = (1..=5).filter(|node| !minor.contains(node)).collect();
        let mut number = 0;
        for (partition, seconds) in [(false, 5), (true, 1), (false, 5)] {
            match partition {
                true => scene.partition(&[&minor, &major]),
                false => scene.heal(),
            }
            let end = scene.world.now().plus(Duration::from_secs(seconds));
            while scene.world.now() < end {
                for client in &clients {
                    if !scene.world.subject.clients.busy(*client) {
                        number += 1;
                        let own = format!("own{client}");
                        let action = match number % 3 {
                            0 => get(&own),
                            _ => append(&own, format!("[{number}]")),
                        };
                        scene.begin(*client, action);
                    }
                }
                scene.pass(Duration::from_millis(20))?;
            }
        }
        scene.finish(&clients, Duration::from_secs(3))?;
        let waited = longest_wait(&scene);
        scene.demand(waited < Duration::from_secs(3), || format!("somebody waited {waited:?}"))?;
        Ok((scene.end()?, ms(waited)))
    });
}

/// Messages are lost, doubled and overtaken, the servers fall apart in other ways every second,
/// logs are shortened all the while, and after each of three rounds everybody loses power at once.
#[test]
fn s8_5_11_one_story_under_everything_at_once() {
    let name = "s8_5_11_one_story_under_everything_at_once";
    play(name, 0..100, at_most_ms("all done after the last healing"), |seed| {
        let mut rng = Rng::new(seed).fork(0x8511);
        let mut plan = Plan::calm(seed, Duration::from_secs(3600));
        (plan.climate.loss, plan.climate.duplication) = (100, 200);
        // Every other time some messages take up to 2.2 s; else many are overtaken, but sooner.
        let (slowest, stragglers) = if seed % 2 == 0 { (220, 30) } else { (5, 300) };
        plan.climate.delay.1 = Duration::from_millis(slowest);
        plan.climate.stragglers = stragglers;
        plan.climate.sync.1 = Duration::from_millis(5);
        // As long as real clients and replicas wait: an answer must have a chance to arrive.
        plan.climate.patience = Duration::from_secs(1);
        let mut shape = Shape::plain(7);
        shape.client_patience = Duration::from_secs(1);
        (shape.client_loss, shape.snapshot_bytes, shape.trailing) = (100, 4000, 10);
        let mut scene = Scene::new(shape, plan);
        let clients: Vec<usize> =
            (0..15).map(|n| scene.client(&[1 + n % 7, 1 + (n + 3) % 7])).collect();
        let (mut number, mut slowest) = (0, 0);
        for _ in 0..3 {
            let end = scene.world.now().plus(Duration::from_secs(5));
            while scene.world.now() < end {
                let nodes: Vec<NodeId> = (1..=7).map(NodeId).collect();
                scene.fault(Fault::Partition(split(&mut rng, &nodes)));
                let pause = rng.between(Duration::from_millis(1000), Duration::from_millis(1200));
                let until = scene.world.now().plus(pause);
                while scene.world.now() < until {
                    for client in &clients {
                        if !scene.world.subject.clients.busy(*client) {
                            number += 1;
                            let key = format!("k{}", rng.below(10));
                            let action = match rng.below(3) {
                                0 => get(&key),
                                1 => append(&key, format!("[{number}]")),
                                _ => put(&key, format!("({number})")),
                            };
                            scene.begin(*client, action);
                        }
                    }
                    scene.pass(Duration::from_millis(10))?;
                }
            }
            scene.pass(Duration::from_millis(rng.below(50)))?;
            scene.restart_all();
            scene.heal();
            slowest = slowest.max(ms(scene.finish(&clients, Duration::from_secs(60))?));
        }
        Ok((scene.end()?, slowest))
    });
}
