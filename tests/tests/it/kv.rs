//! Acceptance 8.5: a replicated store, on reliable and on lossy links.

use std::time::Duration;

use sim::Trouble;
use synod_tests::{
    day::Done,
    scene::{Scene, append, at_most_ms, get, ms, play, put, tokens},
    verdict::replay,
};

#[test]
fn s8_5_01_what_is_written_at_one_is_seen_at_all() {
    let name = "s8_5_01_what_is_written_at_one_is_seen_at_all";
    play(name, 0..100, at_most_ms("everything"), |seed| {
        let mut scene = Scene::calm(3, seed);
        let clients = [scene.client(&[1]), scene.client(&[2]), scene.client(&[3])];
        for round in 0..10 {
            let writer = clients[round % 3];
            scene.ask(writer, put("a", format!("{round}")))?;
            scene.ask(clients[(round + 1) % 3], append("a", "+"))?;
            for reader in clients {
                let seen = scene.get(reader, "a")?;
                let wanted = Some(format!("{round}+").into_bytes());
                scene.demand(seen == wanted, || format!("round {round}: {seen:?}"))?;
            }
        }
        let absent = scene.get(clients[0], "nobody wrote this")?;
        scene.demand(absent.is_none(), || format!("{absent:?}"))?;
        let took = ms(Duration::from_nanos(scene.world.now().0));
        Ok((scene.end()?, took))
    });
}

/// Fifteen clients write one key at servers of their own, twenty times; everybody agrees after
/// each round.
fn rounds(seed: u64, loss: u64) -> Result<(Done, u64), Trouble> {
    let mut scene = Scene::lossy(3, seed, loss);
    let clients: Vec<usize> = (0..15).map(|n| scene.client(&[1 + (n + seed as u16) % 3])).collect();
    for round in 0..20 {
        for client in &clients {
            scene.begin(*client, put("a", format!("{round}.{client}")));
        }
        scene.finish(&clients, Duration::from_secs(60))?;
        for client in &clients[..3] {
            scene.begin(*client, get("a"));
        }
        scene.finish(&clients[..3], Duration::from_secs(60))?;
        let seen = |client: usize| {
            scene.world.subject.clients.ended(client).map(|operation| operation.outcome.clone())
        };
        let equal = seen(clients[0]) == seen(clients[1]) && seen(clients[1]) == seen(clients[2]);
        scene.demand(equal, || format!("round {round}: the servers differ"))?;
    }
    let took = ms(Duration::from_nanos(scene.world.now().0));
    Ok((scene.end()?, took))
}

#[test]
fn s8_5_02_fifteen_clients_agree_after_each_round() {
    let name = "s8_5_02_fifteen_clients_agree_after_each_round";
    play(name, 0..120, at_most_ms("twenty rounds, a third of them at 20 % loss"), |seed| {
        rounds(seed, [0, 0, 200][(seed % 3) as usize])
    });
}

#[test]
fn s8_5_05_lossy_links_repeat_and_lose_nothing() {
    let name = "s8_5_05_lossy_links_repeat_and_lose_nothing";
    play(name, 0..100, at_most_ms("everything"), |seed| {
        let mut scene = Scene::lossy(3, seed, 150);
        let one = scene.client(&[1, 2, 3]);
        scene.ask(one, put("a", "x"))?;
        scene.ask(one, append("a", "y"))?;
        let seen = scene.get(one, "a")?;
        scene.demand(seen == Some(b"xy".to_vec()), || format!("{seen:?}"))?;
        // Each of five clients has a key of its own, and all have one together.
        let five = scene.clients(5, &[1, 2, 3]);
        for round in 0..6 {
            for client in &five {
                let key = format!("own{client}");
                let before = scene.get(*client, &key)?;
                for n in 0..3 {
                    scene.ask(*client, append(&key, format!("[{round}.{n}]")))?;
                }
                scene.pass(Duration::from_millis(5))?;
                for _ in 0..2 {
                    let after = scene.get(*client, &key)?;
                    let grown = tokens(before.as_ref()) + 3 == tokens(after.as_ref());
                    scene.demand(grown, || format!("{before:?} became {after:?}"))?;
                }
            }
        }
        for n in 0..5 {
            for client in &five {
                scene.begin(*client, append("shared", format!("[{client}.{n}]")));
            }
            scene.finish(&five, Duration::from_secs(60))?;
        }
        let seen = scene.get(one, "shared")?;
        scene.demand(tokens(seen.as_ref()) == 25, || format!("{seen:?}"))?;
        let took = ms(Duration::from_nanos(scene.world.now().0));
        Ok((scene.end()?, took))
    });
}

#[test]
fn s8_5_06_twenty_five_clients_append_to_one_key() {
    let name = "s8_5_06_twenty_five_clients_append_to_one_key";
    play(name, 0..200, at_most_ms("125 appends, half of the seeds at 20 % loss"), |seed| {
        let mut scene = Scene::lossy(3, seed, 200 * (seed % 2));
        let clients = scene.clients(25, &[1, 2, 3]);
        for n in 0..5 {
            for client in &clients {
                scene.begin(*client, append("a", format!("[{client}.{n}]")));
            }
            scene.finish(&clients, Duration::from_secs(60))?;
        }
        let seen = scene.get(clients[0], "a")?;
        scene.demand(tokens(seen.as_ref()) == 125, || format!("{seen:?}"))?;
        let took = ms(Duration::from_nanos(scene.world.now().0));
        Ok((scene.end()?, took))
    });
}

#[test]
fn s8_5_15_an_append_costs_the_log_its_argument_only() {
    let name = "s8_5_15_an_append_costs_the_log_its_argument_only";
    let figure = |all: &[u64]| format!("at most {} bytes", all.last().copied().unwrap_or_default());
    // A handful of seeds: each moves a megabyte a hundred times through the machine.
    play(name, 0..5, figure, |seed| {
        let mut scene = Scene::calm(3, seed);
        let client = scene.client(&[1, 2, 3]);
        scene.ask(client, put("a", vec![b'x'; (1 << 20) - 2000]))?;
        let bytes = |scene: &Scene| {
            let replayed = replay(&scene.world.subject).map_err(|what| scene.trouble(what))?;
            Ok::<u64, Trouble>(replayed.0.bytes)
        };
        let before = bytes(&scene)?;
        for _ in 0..100 {
            scene.ask(client, append("a", "0123456789"))?;
        }
        let whole = scene.get(client, "a")?.map_or(0, |value| value.len());
        scene.demand(whole == (1 << 20) - 1000, || format!("{whole} bytes are there"))?;
        let grown = bytes(&scene)? - before;
        scene.demand(grown < 64 << 10, || format!("100 appends cost {grown} bytes"))?;
        Ok((scene.end()?, grown))
    });
}
