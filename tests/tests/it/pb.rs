//! Acceptance 8.2: a primary and its backup on quiet days, their traffic and their memory.

use std::time::Duration;

use pbservice::Duty;
use protocol::Rng;
use sim::{Plan, Trouble};
use synod_tests::{
    pb::{Shape, scene::Scene},
    scene::{append, at_most_ms, get, ms, play, put},
};
use viewservice::PING_INTERVAL;

/// A calm day that a script may make as long as it likes.
fn calm(seed: u64) -> Plan {
    Plan::calm(seed, Duration::from_secs(3600))
}

#[test]
fn s8_2_01_one_server_serves() {
    let name = "s8_2_01_one_server_serves";
    play(name, 0..100, at_most_ms("a primary"), |seed| {
        let mut scene = Scene::calm(1, seed);
        let client = scene.client();
        let limit = Duration::from_secs(1);
        let took = scene.until(limit, "a primary", |scene| scene.members() == (1, 0))?;
        for key in ["a", "b", "c"] {
            scene.ask(client, put(key, format!("1{key}")))?;
        }
        scene.ask(client, append("a", "+"))?;
        scene.ask(client, append("new", "begun"))?;
        scene.ask(client, put("b", "2b"))?;
        for (key, wanted) in [("a", "1a+"), ("b", "2b"), ("c", "1c"), ("new", "begun")] {
            let seen = scene.get(client, key)?;
            scene.demand(seen == Some(wanted.into()), || format!("{key}: {seen:?}"))?;
        }
        let absent = scene.get(client, "nobody wrote this")?;
        scene.demand(absent.is_none(), || format!("{absent:?}"))?;
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_2_02_a_second_server_becomes_backup_while_the_first_serves() {
    let name = "s8_2_02_a_second_server_becomes_backup_while_the_first_serves";
    play(name, 0..100, at_most_ms("from its start until it has everything"), |seed| {
        let mut plan = calm(seed);
        // Slow enough that somebody is served while the state is on its way.
        plan.climate.delay = (Duration::from_millis(1), Duration::from_millis(4));
        let mut scene = Scene::with(Shape::plain(2), plan, &[2]);
        let clients = scene.clients(4);
        for n in 0..30 {
            let client = clients[n % 4];
            scene.begin(client, put(&format!("large{n}"), vec![b'x'; 20_000]));
            scene.finish(&[client], Duration::from_secs(5))?;
        }
        scene.pass(Duration::from_millis(7 * (seed % 20)))?;
        scene.restart(2);
        let begun = scene.world.now();
        let (mut number, mut meanwhile) = (0, 0);
        while !scene.is_paired() {
            let slow = scene.world.now().since(begun) > PING_INTERVAL * 10;
            scene.demand(!slow, || "no backup after ten intervals".into())?;
            let before = scene.world.subject.clients.history.len();
            let installing = scene.server(1, |server| server.duty()) == Some(Duty::Installing);
            for client in &clients {
                if !scene.busy(*client) {
                    number += 1;
                    let key = ["large3", "large25", "log"][number % 3];
                    scene.begin(*client, append(key, format!("[{number}]")));
                }
            }
            scene.pass(Duration::from_millis(1))?;
            if installing {
                meanwhile += scene.world.subject.clients.history.len() - before;
            }
        }
        let took = scene.world.now().since(begun);
        scene.demand(meanwhile > 0, || "nobody was served during the transfer".into())?;
        scene.finish(&clients, Duration::from_secs(1))?;
        scene.ask(clients[0], put("after", "1"))?;
        let seen = scene.get(clients[0], "log")?;
        scene.demand(seen.is_some(), || "the log is empty".into())?;
        let held = scene.held(2, "after");
        scene.demand(held == Some(b"1".to_vec()), || format!("the backup has {held:?}"))?;
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_2_03_the_view_service_is_hardly_asked() {
    let name = "s8_2_03_the_view_service_is_hardly_asked";
    let figure = |all: &[u64]| {
        let most = all.last().copied().unwrap_or_default() as f64 / 1000.0;
        format!("at most {most:.2} calls per server and ping interval")
    };
    play(name, 0..100, figure, |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(2), calm(seed))?;
        let client = scene.client();
        let calls = |scene: &Scene| {
            let pair = &scene.world.subject;
            pair.views_asked + pair.clients.looked_up
        };
        let (begun, before) = (scene.world.now(), calls(&scene));
        for n in 0..100 {
            scene.ask(client, put("a", format!("{n}")))?;
        }
        let intervals = scene.world.now().since(begun).as_secs_f64() / PING_INTERVAL.as_secs_f64();
        let made = (calls(&scene) - before) as f64;
        scene.demand(made <= 2.0 * intervals + 20.0, || format!("{made} in {intervals}"))?;
        let seen = scene.get(client, "a")?;
        scene.demand(seen == Some("99".into()), || format!("{seen:?}"))?;
        scene.end()?;

        let mut scene = Scene::one_and_two(Shape::plain(3), calm(seed))?;
        let client = scene.client();
        let (begun, before) = (scene.world.now(), calls(&scene));
        for n in 0..500 {
            scene.ask(client, put("a", format!("{n}")))?;
            let seen = scene.get(client, "a")?;
            scene.demand(seen == Some(format!("{n}").into()), || format!("{n}: {seen:?}"))?;
            scene.pass(Duration::from_millis(2))?;
        }
        let intervals = scene.world.now().since(begun).as_secs_f64() / PING_INTERVAL.as_secs_f64();
        let each = (calls(&scene) - before) as f64 / intervals / 3.0;
        scene.demand(each < 2.0, || format!("{each} calls per server and interval"))?;
        Ok((scene.end()?, (each * 1000.0) as u64))
    });
}

#[test]
fn s8_2_05_nobody_answers_when_the_last_data_is_gone() {
    let name = "s8_2_05_nobody_answers_when_the_last_data_is_gone";
    let figure = |all: &[u64]| format!("{} gets asked in vain", all.iter().sum::<u64>());
    play(name, 0..120, figure, |seed| {
        let mut rng = Rng::new(seed).fork(0x8205);
        let mut plan = calm(seed);
        plan.climate.delay = (Duration::from_millis(1), Duration::from_millis(4));
        let mut scene = Scene::with(Shape::plain(3), plan, &[2, 3]);
        let client = scene.client();
        for n in 0..20 {
            scene.ask(client, put(&format!("k{n}"), vec![b'x'; 20_000]))?;
        }
        scene.restart(2);
        scene.paired(Duration::from_secs(5))?;
        match seed % 3 {
            // Both at once, and the third is started then.
            0 => {
                scene.crash(1);
                scene.crash(2);
                scene.pass(rng.between(Duration::ZERO, Duration::from_millis(20)))?;
                scene.restart(3);
            }
            // One after the other; the third is started when the second dies, or a little later.
            1 => {
                scene.crash(1);
                let limit = Duration::from_secs(1);
                scene.until(limit, "a successor", |scene| scene.members() == (2, 0))?;
                scene.ask(client, put("k0", "alone"))?;
                scene.crash(2);
                scene.pass(rng.between(Duration::ZERO, Duration::from_millis(200)))?;
                scene.restart(3);
            }
            // The third has a part of the state already.
            _ => {
                scene.crash(1);
                let limit = Duration::from_secs(1);
                scene.until(limit, "a successor", |scene| scene.members() == (2, 0))?;
                scene.restart(3);
                let part = |scene: &Scene| {
                    scene.server(3, |it| !it.state().is_whole() && it.state().len() > 3)
                };
                scene.until(limit, "a part", |scene| part(scene) == Some(true))?;
                scene.crash(2);
            }
        }
        let others = scene.clients(2);
        scene.begin(client, get("k0"));
        scene.begin(others[0], get("k5"));
        scene.begin(others[1], put("k5", "invented"));
        scene.pass(Duration::from_secs(2))?;
        let blocked = scene.busy(client) && scene.busy(others[0]) && scene.busy(others[1]);
        scene.demand(blocked, || "somebody answered without the data".into())?;
        // Nor when the others come back empty.
        scene.restart(1);
        scene.restart(2);
        scene.pass(Duration::from_secs(2))?;
        let blocked = scene.busy(client) && scene.busy(others[0]) && scene.busy(others[1]);
        scene.demand(blocked, || "somebody answered without the data".into())?;
        let (view, subject) = (scene.world.view(), &scene.world.subject);
        scene.demand(subject.lost(&view), || "the data should be lost".into())?;
        Ok((scene.end()?, 2))
    });
}

#[test]
fn s8_2_18_an_append_travels_and_not_the_value() {
    let name = "s8_2_18_an_append_travels_and_not_the_value";
    let figure = |all: &[u64]| format!("at most {} bytes", all.last().copied().unwrap_or_default());
    // A handful of seeds: a megabyte is looked at after every event.
    play(name, 0..5, figure, |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(2), calm(seed))?;
        let client = scene.client();
        scene.ask(client, put("a", vec![b'x'; (1 << 20) - 2000]))?;
        let before = scene.world.subject.watch.forwarded_bytes();
        for _ in 0..100 {
            scene.ask(client, append("a", "0123456789"))?;
        }
        let cost = scene.world.subject.watch.forwarded_bytes() - before;
        scene.demand(cost < 64 << 10, || format!("100 appends cost {cost} bytes"))?;
        let both = (scene.get(client, "a")?, scene.held(2, "a"));
        scene.demand(both.0 == both.1, || "the backup has another value".into())?;
        let whole = both.1.map_or(0, |value| value.len());
        scene.demand(whole == (1 << 20) - 1000, || format!("{whole} bytes are there"))?;
        Ok((scene.end()?, cost))
    });
}

#[test]
fn s8_2_19_memory_comes_back() {
    let name = "s8_2_19_memory_comes_back";
    let figure = |all: &[u64]| format!("at most {} bytes", all.last().copied().unwrap_or_default());
    // A handful of seeds: many megabytes are compared after every event.
    play(name, 0..3, figure, |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(2), calm(seed))?;
        let clients = scene.clients(5);
        let each = |scene: &mut Scene, value: &dyn Fn(&str) -> histcheck::Action| {
            for key in 0..5 {
                for client in &clients {
                    scene.begin(*client, value(&format!("{client}.{key}")));
                }
                scene.finish(&clients, Duration::from_secs(10))?;
            }
            Ok::<(), Trouble>(())
        };
        for round in 0..3 {
            each(&mut scene, &|key| append(key, vec![b'a' + round; (1 << 20) / 3]))?;
        }
        let held = |scene: &Scene, node| scene.server(node, |it| it.held_bytes()).unwrap_or(0);
        let most = held(&scene, 1).min(held(&scene, 2));
        scene.demand(most > 24 << 20, || format!("only {most} bytes were there"))?;
        each(&mut scene, &|key| put(key, ""))?;
        scene.pass(Duration::from_millis(200))?;
        let left = held(&scene, 1).max(held(&scene, 2));
        scene.demand(left < 2 << 20, || format!("{left} bytes are left"))?;
        let seen = scene.get(clients[4], &format!("{}.4", clients[4]))?;
        scene.demand(seen == Some(Vec::new()), || "somebody's value is left".into())?;
        Ok((scene.end()?, left as u64))
    });
}

#[test]
fn s8_2_24_nobody_waits_on_a_quiet_day() {
    let name = "s8_2_24_nobody_waits_on_a_quiet_day";
    play(name, 0..100, at_most_ms("the longest wait"), |seed| {
        let mut scene = Scene::calm(3, seed);
        let mut rng = Rng::new(seed).fork(0x8224);
        let clients = scene.clients(4);
        scene.paired(Duration::from_secs(2))?;
        let end = scene.world.now().plus(Duration::from_secs(30));
        let mut number = 0;
        while scene.world.now() < end {
            for client in &clients {
                if !scene.busy(*client) {
                    number += 1;
                    let key = format!("k{}", rng.below(6));
                    let action = match rng.below(3) {
                        0 => get(&key),
                        1 => append(&key, format!("[{number}]")),
                        _ => put(&key, format!("({number})")),
                    };
                    scene.begin(*client, action);
                }
            }
            scene.pass(rng.between(Duration::from_millis(1), Duration::from_millis(100)))?;
        }
        scene.finish(&clients, Duration::from_secs(1))?;
        let waited = scene.longest_wait();
        scene.demand(waited < Duration::from_secs(1), || format!("somebody waited {waited:?}"))?;
        let seen = scene.members();
        scene.demand(scene.safety().is_some_and(|it| it.view.number.0 == 2), || {
            format!("{seen:?}")
        })?;
        Ok((scene.end()?, ms(waited)))
    });
}
