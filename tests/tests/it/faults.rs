//! H-07: each fault of the list is really injected, and the store survives it.

use std::time::Duration;

use protocol::{NodeId, Rng};
use sim::{Fault, Plan, Trouble, weather};
use synod_tests::{
    scene::{Scene, append, get, put, tokens},
    shape::Shape,
};

/// Seeds of each fault: few, since random days have all of them as well.
const SEEDS: std::ops::Range<u64> = 0..30;

/// So many in all, and it is a failure if there were none.
fn counted(what: &'static str) -> impl FnOnce(&[u64]) -> String {
    move |all| {
        let sum: u64 = all.iter().sum();
        assert!(sum > 0, "it never happened: {what}");
        format!("{sum} {what}")
    }
}

fn play(
    name: &str,
    what: &'static str,
    act: impl Fn(u64) -> Result<(synod_tests::day::Done, u64), Trouble>,
) {
    synod_tests::scene::play(name, SEEDS, counted(what), act);
}

/// Appends by some clients at the same time; all of them are there once in the end.
fn work(scene: &mut Scene, clients: &[usize], rounds: usize) -> Result<(), Trouble> {
    for round in 0..rounds {
        for client in clients {
            let when = scene.world.now();
            scene.begin(*client, append("work", format!("[{client}.{round} at {when}]")));
        }
        scene.finish(clients, Duration::from_secs(60))?;
    }
    Ok(())
}

fn demand_tokens(scene: &mut Scene, reader: usize, wanted: usize) -> Result<(), Trouble> {
    let seen = scene.get(reader, "work")?;
    scene.demand(tokens(seen.as_ref()) == wanted, || format!("{wanted} wanted, found {seen:?}"))
}

#[test]
fn h_07_messages_get_lost() {
    play("h_07_messages_get_lost", "messages lost", |seed| {
        let mut scene = Scene::lossy(3, seed, 200);
        let clients = scene.clients(5, &[1, 2, 3]);
        work(&mut scene, &clients, 5)?;
        demand_tokens(&mut scene, clients[0], 25)?;
        let lost = scene.world.toll.lost;
        Ok((scene.end()?, lost))
    });
}

#[test]
fn h_07_the_nodes_are_in_three_groups() {
    let what = "messages swallowed between three groups";
    play("h_07_the_nodes_are_in_three_groups", what, |seed| {
        let mut scene = Scene::calm(5, seed);
        let clients: Vec<usize> = (1..=5).map(|node| scene.client(&[node])).collect();
        work(&mut scene, &clients, 1)?;
        scene.partition(&[&[1, 2], &[3, 4], &[5]]);
        for client in &clients {
            scene.begin(*client, append("work", format!("[{client}.x]")));
        }
        scene.pass(Duration::from_secs(3))?;
        let answered = clients.iter().filter(|c| !scene.world.subject.clients.busy(**c)).count();
        // The answer of what was chosen before the cut may still have been on its way: nothing
        // was asked then, so nobody may hear anything.
        scene.demand(answered == 0, || format!("{answered} answers without a majority"))?;
        scene.partition(&[&[1, 2, 3], &[4], &[5]]);
        scene.finish(&clients[..3], Duration::from_secs(10))?;
        let blocked = scene.world.subject.clients.busy(clients[4]);
        scene.demand(blocked, || "a node on its own answered".into())?;
        scene.heal();
        scene.finish(&clients, Duration::from_secs(10))?;
        demand_tokens(&mut scene, clients[0], 10)?;
        let swallowed = scene.world.toll.three_groups;
        Ok((scene.end()?, swallowed))
    });
}

#[test]
fn h_07_the_leader_is_deaf() {
    play("h_07_the_leader_is_deaf", "messages not heard", |seed| {
        let mut scene = Scene::calm(3, seed);
        let client = scene.client(&[1, 2, 3]);
        scene.ask(client, append("work", "[1]"))?;
        let leader = scene.leader_of(&[1, 2, 3])?;
        scene.fault(Fault::Deaf(NodeId(leader)));
        // Its own calls are answered, so it may well go on leading.
        for n in 2..12 {
            scene.ask(client, append("work", format!("[{n}]")))?;
        }
        demand_tokens(&mut scene, client, 11)?;
        let unheard = scene.world.toll.unheard;
        Ok((scene.end()?, unheard))
    });
}

#[test]
fn h_07_a_path_takes_four_seconds() {
    play("h_07_a_path_takes_four_seconds", "messages on a path of 4-5 s", |seed| {
        let mut scene = Scene::calm(3, seed);
        let (slow, other) = (scene.client(&[1, 2, 3]), scene.client(&[1, 2, 3]));
        scene.ask(other, put("a", "old"))?;
        let leader = scene.leader_of(&[1, 2, 3])?;
        let follower = NodeId(1 + leader % 3);
        for (from, to) in [(NodeId(leader), follower), (follower, NodeId(leader))] {
            scene.fault(Fault::Delay(from, to, weather::DELAYED));
        }
        // A client's way to the leader is as long: its get arrives when the value is another.
        scene.world.subject.clients.delay(slow, Some(weather::DELAYED));
        scene.begin(slow, get("a"));
        scene.pass(Duration::from_secs(1))?;
        scene.ask(other, put("a", "new"))?;
        scene.pass(Duration::from_secs(9))?;
        scene.world.subject.clients.delay(slow, None);
        scene.finish(&[slow], Duration::from_secs(10))?;
        work(&mut scene, &[slow, other], 5)?;
        demand_tokens(&mut scene, other, 10)?;
        let delayed = scene.world.toll.delayed;
        Ok((scene.end()?, delayed))
    });
}

#[test]
fn h_07_nodes_are_killed_and_go_on_from_their_disks() {
    let name = "h_07_nodes_are_killed_and_go_on_from_their_disks";
    play(name, "power cuts", |seed| {
        let mut scene = Scene::calm(3, seed);
        let mut rng = Rng::new(seed).fork(0x07);
        let clients = scene.clients(4, &[1, 2, 3]);
        for round in 0..6 {
            let node = 1 + rng.below(3) as u16;
            for client in &clients {
                scene.begin(*client, append("work", format!("[{client}.{round}]")));
            }
            scene.pass(rng.between(Duration::from_micros(10), Duration::from_millis(2)))?;
            scene.crash(node);
            scene.finish(&clients, Duration::from_secs(20))?;
            scene.restart(node);
        }
        demand_tokens(&mut scene, clients[0], 24)?;
        let crashes = scene.world.crashes;
        Ok((scene.end()?, crashes))
    });
}

#[test]
fn h_07_a_node_without_its_disk_refuses_to_start() {
    let name = "h_07_a_node_without_its_disk_refuses_to_start";
    play(name, "starts refused", |seed| {
        let mut scene = Scene::calm(3, seed);
        let client = scene.client(&[1, 2, 3]);
        scene.ask(client, append("work", "[1]"))?;
        let leader = scene.leader_of(&[1, 2, 3])?;
        // Every other time it is the leader's disk.
        let lost = if seed % 2 == 0 { leader } else { 1 + leader % 3 };
        scene.fault(Fault::LoseDisk(NodeId(lost)));
        scene.ask(client, append("work", "[2]"))?;
        scene.restart(lost);
        let up = scene.world.view().core(NodeId(lost)).is_some();
        scene.demand(!up, || "it runs without its disk".into())?;
        // With another one down there is no majority: a node that forgot its votes is none.
        let other = 1 + lost % 3;
        scene.crash(other);
        scene.begin(client, append("work", "[3]"));
        for _ in 0..5 {
            scene.restart(lost);
            scene.pass(Duration::from_secs(1))?;
        }
        let busy = scene.world.subject.clients.busy(client);
        scene.demand(busy, || "somebody voted without a memory".into())?;
        scene.restart(other);
        scene.finish(&[client], Duration::from_secs(10))?;
        demand_tokens(&mut scene, client, 3)?;
        let refused = scene.world.toll.refused;
        Ok((scene.end()?, refused))
    });
}

#[test]
fn h_07_a_power_cut_tears_what_is_being_written() {
    play("h_07_a_power_cut_tears_what_is_being_written", "torn writes", |seed| {
        let mut plan = Plan::calm(seed, Duration::from_secs(3600));
        plan.climate.sync = (Duration::from_millis(5), Duration::from_millis(20));
        let mut shape = Shape::plain(3);
        (shape.window, shape.batch_commands) = (8, 1);
        let mut scene = Scene::new(shape, plan);
        let clients = scene.clients(10, &[1, 2, 3]);
        work(&mut scene, &clients, 1)?;
        for round in 0..4 {
            let leader = scene.leader_of(&[1, 2, 3])?;
            for client in &clients {
                scene.begin(*client, append("work", format!("[{client}.r{round}]")));
            }
            scene.pass(Duration::from_micros(1500 + 900 * (seed % 7)))?;
            scene.crash(leader);
            scene.crash(1 + leader % 3);
            scene.pass(Duration::from_millis(20))?;
            scene.restart(1 + leader % 3);
            scene.finish(&clients, Duration::from_secs(30))?;
            scene.restart(leader);
        }
        demand_tokens(&mut scene, clients[0], 50)?;
        let torn = scene.world.toll.torn;
        Ok((scene.end()?, torn))
    });
}

/// The leader becomes ten times slower, its clock included, and later as quick as before.
#[test]
fn h_07_a_node_is_ten_times_slower() {
    play("h_07_a_node_is_ten_times_slower", "events that waited their turn", |seed| {
        let mut scene = Scene::calm(3, seed);
        let clients = scene.clients(6, &[1, 2, 3]);
        work(&mut scene, &clients, 2)?;
        let leader = scene.leader_of(&[1, 2, 3])?;
        let slow = if seed % 3 == 0 { 1 + leader % 3 } else { leader };
        scene.fault(Fault::Slow(NodeId(slow), weather::SLOWNESS));
        work(&mut scene, &clients, 10)?;
        scene.pass(Duration::from_secs(3))?;
        scene.fault(Fault::Quick(NodeId(slow)));
        work(&mut scene, &clients, 3)?;
        demand_tokens(&mut scene, clients[0], 90)?;
        let slowed = scene.world.toll.slowed;
        Ok((scene.end()?, slowed))
    });
}

/// Crash images of the real log on a simulated disk: every write torn at every sector.
#[test]
fn h_07_the_log_survives_torn_writes() {
    let report = wal::suite::hunt_crash_images(2).expect("no crash image loses anything");
    sim::Scenario { seeds: 1, figure: format!("{report:?}"), ..sim::Scenario::default() }
        .write("h_07_the_log_survives_torn_writes");
}
