//! Acceptance 8.5: a replicated store that is cut in pieces.

use std::time::Duration;

use protocol::{NodeId, Rng};
use sim::Fault;
use synod_tests::scene::{Scene, append, at_most_ms, get, ms, play, put};

#[test]
fn s8_5_04_a_minority_waits_and_then_speaks_the_truth() {
    let name = "s8_5_04_a_minority_waits_and_then_speaks_the_truth";
    play(name, 0..100, at_most_ms("the put of the minority after healing"), |seed| {
        let mut scene = Scene::calm(5, seed);
        let everybody = scene.client(&[1, 2, 3, 4, 5]);
        scene.ask(everybody, put("1", "13"))?;
        scene.partition(&[&[1, 2], &[3, 4, 5]]);
        scene.leader_of(&[3, 4, 5])?;
        let major = scene.client(&[3, 4, 5]);
        scene.ask(major, put("1", "14"))?;
        let (putter, getter) = (scene.client(&[1]), scene.client(&[2]));
        scene.begin(putter, put("1", "15"));
        scene.begin(getter, get("1"));
        scene.pass(Duration::from_secs(1))?;
        let clients = &scene.world.subject.clients;
        let blocked = clients.busy(putter) && clients.busy(getter);
        scene.demand(blocked, || "a minority answered".into())?;
        scene.ask(major, put("1", "16"))?;
        // The putter's server comes back, the getter's does not.
        scene.partition(&[&[1, 3, 4, 5], &[2]]);
        let took = scene.finish(&[putter], Duration::from_secs(3))?;
        let seen = scene.get(major, "1")?;
        scene.demand(seen == Some(b"15".to_vec()), || format!("{seen:?}"))?;
        let blocked = scene.world.subject.clients.busy(getter);
        scene.demand(blocked, || "a server that is cut off answered a get".into())?;
        scene.heal();
        scene.finish(&[getter], Duration::from_secs(10))?;
        let seen = scene.world.subject.clients.ended(getter).map(|got| got.outcome.clone());
        let wanted = histcheck::Outcome::Ok(histcheck::Answer::Value(Some(b"15".to_vec())));
        scene.demand(seen == Some(wanted), || format!("{seen:?}"))?;
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_5_07_a_majority_goes_on_without_those_that_were_busy() {
    let name = "s8_5_07_a_majority_goes_on_without_those_that_were_busy";
    play(name, 0..100, at_most_ms("the majority's first answer"), |seed| {
        let mut scene = Scene::calm(5, seed);
        let mut slowest = 0;
        let (ours, major) = (scene.clients(10, &[1, 2]), scene.client(&[3, 4, 5]));
        for round in 0..5 {
            scene.heal();
            scene.ask(major, put("q", format!("{round}")))?;
            for n in 0..20 {
                for client in &ours {
                    if !scene.world.subject.clients.busy(*client) {
                        scene.begin(*client, put(&format!("k{client}"), format!("{round}.{n}")));
                    }
                }
                scene.pass(Duration::from_millis(20))?;
            }
            scene.partition(&[&[1, 2], &[3, 4, 5]]);
            let cut = scene.world.now();
            let seen = scene.get(major, "q")?;
            let wanted = Some(format!("{round}").into_bytes());
            scene.demand(seen == wanted, || format!("round {round}: {seen:?}"))?;
            scene.ask(major, put("q", format!("{round}b")))?;
            slowest = slowest.max(ms(scene.world.now().since(cut)));
            scene.pass(Duration::from_secs(2))?;
            scene.heal();
            scene.finish(&ours, Duration::from_secs(5))?;
        }
        Ok((scene.end()?, slowest))
    });
}

#[test]
fn s8_5_08_many_partitions_end_in_one_story() {
    let name = "s8_5_08_many_partitions_end_in_one_story";
    play(name, 0..100, at_most_ms("all done after the last healing"), |seed| {
        let mut scene = Scene::lossy(5, seed, 150);
        let mut rng = Rng::new(seed).fork(0x8508);
        let clients: Vec<usize> = (0..10).map(|n| scene.client(&[1 + n % 5])).collect();
        let mut number = 0;
        while ms(Duration::from_nanos(scene.world.now().0)) < 20_000 {
            let mut groups = vec![Vec::new(); 3];
            for node in 1..=5 {
                groups[rng.below(3) as usize].push(NodeId(node));
            }
            scene.fault(Fault::Partition(groups));
            for client in &clients {
                if !scene.world.subject.clients.busy(*client) {
                    number += 1;
                    let own = format!("own{client}");
                    let action = match rng.below(3) {
                        0 => get(&own),
                        _ => append(&own, format!("[{number}]")),
                    };
                    scene.begin(*client, action);
                }
            }
            scene.pass(rng.between(Duration::from_millis(1), Duration::from_millis(200)))?;
        }
        scene.heal();
        let took = scene.finish(&clients, Duration::from_secs(20))?;
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_5_09_a_server_that_switches_sides_carries_the_truth() {
    let name = "s8_5_09_a_server_that_switches_sides_carries_the_truth";
    play(name, 0..100, at_most_ms("read on the other side after"), |seed| {
        let mut scene = Scene::calm(5, seed);
        scene.partition(&[&[1, 2, 3], &[4, 5]]);
        let writer = scene.client(&[1, 2]);
        scene.ask(writer, put("a", "one"))?;
        scene.partition(&[&[1, 2], &[3, 4, 5]]);
        let cut = scene.world.now();
        let reader = scene.client(&[4, 5]);
        let seen = scene.get(reader, "a")?;
        let took = ms(scene.world.now().since(cut));
        scene.demand(seen == Some(b"one".to_vec()), || format!("{seen:?}"))?;
        scene.ask(reader, put("a", "two"))?;
        scene.partition(&[&[1, 2, 3], &[4, 5]]);
        let seen = scene.get(writer, "a")?;
        scene.demand(seen == Some(b"two".to_vec()), || format!("{seen:?}"))?;
        Ok((scene.end()?, took))
    });
}

#[test]
fn s8_5_16_a_server_in_the_minority_never_answers_a_get() {
    let name = "s8_5_16_a_server_in_the_minority_never_answers_a_get";
    play(name, 0..100, at_most_ms("the get's answer after healing"), |seed| {
        let mut scene = Scene::calm(5, seed);
        let everybody = scene.client(&[1, 2, 3, 4, 5]);
        scene.ask(everybody, put("a", "old"))?;
        let leader = scene.leader_of(&[1, 2, 3, 4, 5])?;
        let rest: Vec<u16> = (1..=5).filter(|node| *node != leader).collect();
        // A follower may share its fate; the others are three.
        scene.partition(&[&[leader, rest[0]], &rest[1..]]);
        let readers = [scene.client(&[leader]), scene.client(&[leader]), scene.client(&[rest[0]])];
        // At once, while the leader cannot know yet, and later.
        scene.begin(readers[0], get("a"));
        scene.begin(readers[2], get("a"));
        let major = scene.client(&rest[1..]);
        scene.ask(major, put("a", "new"))?;
        scene.begin(readers[1], get("a"));
        scene.pass(Duration::from_secs(5))?;
        let answered = readers.iter().any(|r| !scene.world.subject.clients.busy(*r));
        scene.demand(!answered, || "a server in the minority answered".into())?;
        scene.heal();
        let took = scene.finish(&readers, Duration::from_secs(10))?;
        for reader in readers {
            let seen = scene.world.subject.clients.ended(reader).map(|got| got.outcome.clone());
            let wanted = histcheck::Outcome::Ok(histcheck::Answer::Value(Some(b"new".to_vec())));
            scene.demand(seen == Some(wanted), || format!("{seen:?}"))?;
        }
        Ok((scene.end()?, ms(took)))
    });
}
