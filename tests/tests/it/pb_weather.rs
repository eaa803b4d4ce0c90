//! Acceptance 8.2: a primary and its backup at work, on reliable and on lossy links.

use std::{collections::BTreeMap, time::Duration};

use histcheck::Action;
use protocol::{NodeId, Rng, Time};
use sim::{Fault, Plan, Trouble};
use synod_tests::{
    pb::{Shape, scene::Scene},
    scene::{append, at_most_ms, ms, play, put},
};

/// A calm day that a script may make as long as it likes.
pub fn calm(seed: u64) -> Plan {
    Plan::calm(seed, Duration::from_secs(3600))
}

/// So many servers, the first primary and the second its backup, where every fifth message gets
/// lost, between nodes and between them and clients, if `lossy`.
pub fn servers(count: u16, seed: u64, lossy: bool) -> Result<Scene, Trouble> {
    let loss = if lossy { 200 } else { 0 };
    let mut plan = calm(seed);
    plan.climate.loss = loss;
    // Whoever waits long for each lost message does little in a day.
    plan.climate.patience = Duration::from_millis(100);
    let client_patience = Duration::from_millis(100);
    let shape = Shape { client_loss: loss, client_patience, ..Shape::plain(count) };
    Scene::one_and_two(shape, plan)
}

/// Until `end`, whoever of `clients` has nothing under way does what `next` says.
pub fn work(
    scene: &mut Scene,
    clients: &[usize],
    end: Time,
    mut next: impl FnMut(usize) -> Action,
) -> Result<(), Trouble> {
    while scene.world.now() < end {
        for client in clients {
            if !scene.busy(*client) {
                scene.begin(*client, next(*client));
            }
        }
        scene.pass(Duration::from_millis(20))?;
    }
    Ok(())
}

/// The primary dies; its backup must hold under each of `keys` what was read before, and say so.
fn fail_over(scene: &mut Scene, client: usize, keys: &[&str]) -> Result<Duration, Trouble> {
    let (primary, backup) = scene.paired(Duration::from_secs(10))?;
    let mut values = BTreeMap::new();
    for key in keys {
        values.insert(*key, scene.get(client, key)?);
    }
    scene.crash(primary);
    let begun = scene.world.now();
    for (key, value) in values {
        let held = scene.held(backup, key);
        scene.demand(held == value, || format!("{key}: {value:?} was read, {held:?} is left"))?;
        let seen = scene.get(client, key)?;
        scene.demand(seen == value, || format!("{key}: first {value:?}, then {seen:?}"))?;
    }
    Ok(scene.world.now().since(begun))
}

#[test]
fn s8_2_09_the_backup_has_what_was_last_read() {
    let name = "s8_2_09_the_backup_has_what_was_last_read";
    play(name, 0..100, at_most_ms("both keys read at the successor"), |seed| {
        let mut scene = servers(2, seed, seed % 2 == 1)?;
        let clients = scene.clients(3);
        let mut rng = Rng::new(seed).fork(0x8209);
        let mut number = 0;
        let mut puts = |_| {
            number += 1;
            put(["a", "b"][rng.below(2) as usize], format!("{number}"))
        };
        if seed % 2 == 1 {
            for _ in 0..100 {
                clients.iter().for_each(|client| scene.begin(*client, puts(*client)));
                scene.finish(&clients, Duration::from_secs(30))?;
            }
        } else {
            let end = scene.world.now().plus(Duration::from_secs(5));
            work(&mut scene, &clients, end, puts)?;
        }
        scene.finish(&clients, Duration::from_secs(30))?;
        let took = fail_over(&mut scene, clients[0], &["a", "b"])?;
        Ok((scene.end()?, ms(took)))
    });
}

/// Whether a value is these clients' pieces, `[client.0]`, `[client.1]`, ... up to so many of each,
/// each once and each client's in order.
pub fn in_order(
    value: Option<&Vec<u8>>,
    clients: &[usize],
    each: Option<usize>,
) -> Result<(), String> {
    let text = String::from_utf8_lossy(value.map_or(&[], Vec::as_slice)).into_owned();
    let mut next: BTreeMap<usize, usize> = clients.iter().map(|client| (*client, 0)).collect();
    for piece in text.split_inclusive(']') {
        let numbers = piece.strip_prefix('[').and_then(|piece| piece.strip_suffix(']'));
        let parts = numbers.and_then(|numbers| numbers.split_once('.'));
        let parts = parts.and_then(|(client, n)| Some((client.parse().ok()?, n.parse().ok()?)));
        let Some((client, n)): Option<(usize, usize)> = parts else {
            return Err(format!("{piece} is nobody's"));
        };
        match next.get_mut(&client) {
            Some(wanted) if *wanted == n => *wanted += 1,
            wanted => return Err(format!("{piece} is there when {wanted:?} was next")),
        }
    }
    match each {
        Some(each) if next.values().any(|count| *count != each) => {
            Err(format!("there are {next:?}"))
        }
        _ => Ok(()),
    }
}

#[test]
fn s8_2_10_appends_are_there_once_and_in_order() {
    let name = "s8_2_10_appends_are_there_once_and_in_order";
    play(name, 0..100, at_most_ms("the value read at the successor"), |seed| {
        let mut scene = servers(2, seed, seed % 2 == 1)?;
        let clients = scene.clients(3);
        for n in 0..100 {
            for client in &clients {
                scene.begin(*client, append("log", format!("[{client}.{n}]")));
            }
            scene.finish(&clients, Duration::from_secs(30))?;
        }
        let seen = scene.get(clients[0], "log")?;
        in_order(seen.as_ref(), &clients, Some(100)).map_err(|what| scene.trouble(what))?;
        let took = fail_over(&mut scene, clients[1], &["log"])?;
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_2_11_lossy_servers_append_exactly_once() {
    let name = "s8_2_11_lossy_servers_append_exactly_once";
    play(name, 0..120, at_most_ms("a hundred appends"), |seed| {
        // Everything is lossy, or what concerns the backup only, or the primary only.
        let mut scene = servers(2, seed, seed % 3 == 0)?;
        if seed % 3 > 0 {
            let node = NodeId(1 + (seed % 3) as u16 % 2);
            scene.fault(Fault::Lossy(node, 200));
            scene.world.subject.clients.links.lossy(node, 200);
        }
        let client = scene.client();
        let begun = scene.world.now();
        let mut wanted = String::new();
        for n in 0..100 {
            scene.ask(client, append("log", format!("[{n}]")))?;
            wanted.push_str(&format!("[{n}]"));
        }
        let took = scene.world.now().since(begun);
        let seen = scene.get(client, "log")?;
        scene.demand(seen == Some(wanted.into_bytes()), || format!("{seen:?}"))?;
        let lost = scene.world.toll.lost;
        scene.demand(lost > 0, || "nothing got lost between the servers".into())?;
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_2_12_replicas_are_equal_after_lossy_appends() {
    let name = "s8_2_12_replicas_are_equal_after_lossy_appends";
    play(name, 0..100, at_most_ms("the value read at the successor"), |seed| {
        let mut scene = servers(2, seed, true)?;
        let clients = scene.clients(10);
        let end = scene.world.now().plus(Duration::from_secs(5));
        let mut next = BTreeMap::<usize, usize>::new();
        work(&mut scene, &clients, end, |client| {
            let n = next.entry(client).or_default();
            *n += 1;
            append("log", format!("[{client}.{}]", *n - 1))
        })?;
        scene.finish(&clients, Duration::from_secs(30))?;
        let seen = scene.get(clients[0], "log")?;
        in_order(seen.as_ref(), &clients, None).map_err(|what| scene.trouble(what))?;
        let took = fail_over(&mut scene, clients[0], &["log"])?;
        Ok((scene.end()?, ms(took)))
    });
}
