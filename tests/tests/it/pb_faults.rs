//! Acceptance 8.2: a server dies, is cut off, or is slow, and somebody asks at the worst moment.

use std::time::Duration;

use pbservice::Duty;
use protocol::{NodeId, Rng};
use sim::{Fault, Plan, weather::SLOWNESS};
use synod_tests::{
    pb::{Shape, scene::Scene},
    rare::Sight,
    scene::{append, at_most_ms, get, ms, play, put},
};
use viewservice::PING_INTERVAL;

/// A calm day that a script may make as long as it likes.
fn calm(seed: u64) -> Plan {
    Plan::calm(seed, Duration::from_secs(3600))
}

#[test]
fn s8_2_04_the_backup_takes_over_with_everything() {
    let name = "s8_2_04_the_backup_takes_over_with_everything";
    play(name, 0..100, at_most_ms("from the power cut to the next acknowledged put"), |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(2), calm(seed))?;
        let client = scene.client();
        for n in 0..30 {
            scene.ask(client, put(&format!("k{n}"), format!("{n}")))?;
        }
        scene.pass(Duration::from_micros(Rng::new(seed).fork(0x8204).below(100_000)))?;
        let number = scene.safety().map_or(0, |safety| safety.view.number.0);
        scene.crash(1);
        let begun = scene.world.now();
        scene.begin(client, put("after", "1"));
        let limit = PING_INTERVAL * 10;
        scene.until(limit, "a successor", |scene| scene.members() == (2, 0))?;
        let now = scene.safety().map_or(0, |safety| safety.view.number.0);
        scene.demand(now == number + 1, || format!("view {now} after view {number}"))?;
        scene.finish(&[client], limit)?;
        let took = scene.world.now().since(begun);
        for n in 0..30 {
            let seen = scene.get(client, &format!("k{n}"))?;
            scene.demand(seen == Some(format!("{n}").into()), || format!("k{n}: {seen:?}"))?;
        }
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_2_06_a_put_right_after_a_death_returns_and_stays() {
    let name = "s8_2_06_a_put_right_after_a_death_returns_and_stays";
    play(name, 0..100, at_most_ms("a put right after a death"), |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(3), calm(seed))?;
        let client = scene.client();
        scene.ask(client, put("before", "0"))?;
        scene.pass(Duration::from_micros(Rng::new(seed).fork(0x8206).below(100_000)))?;
        let mut slowest = Duration::ZERO;
        for (victim, key, members) in [(2, "one", (1, 3)), (1, "two", (3, 0))] {
            scene.crash(victim);
            let begun = scene.world.now();
            scene.ask(client, put(key, key))?;
            slowest = slowest.max(scene.world.now().since(begun));
            let limit = Duration::from_secs(2);
            scene.until(limit, "the next view", |scene| {
                scene.members() == members && scene.safety().is_some_and(|it| it.acknowledged)
            })?;
            let seen = scene.get(client, key)?;
            scene.demand(seen == Some(key.into()), || format!("{key}: {seen:?}"))?;
        }
        for (key, value) in [("before", "0"), ("one", "one"), ("two", "two")] {
            let seen = scene.get(client, key)?;
            scene.demand(seen == Some(value.into()), || format!("{key}: {seen:?}"))?;
        }
        Ok((scene.end()?, ms(slowest)))
    });
}

/// The primary loses the view service: both ways, or so that nothing it says arrives there.
fn lose_the_service(scene: &mut Scene, seed: u64) {
    match seed % 2 {
        0 => scene.cut(1, 0),
        _ => scene.fault(Fault::Cut(NodeId(1), NodeId(0))),
    }
}

#[test]
fn s8_2_07_an_old_primary_serves_no_old_value() {
    let name = "s8_2_07_an_old_primary_serves_no_old_value";
    play(name, 0..100, at_most_ms("the get that came late"), |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(2), calm(seed))?;
        let (late, other) = (scene.client(), scene.client());
        scene.ask(late, put("a", "1"))?;
        scene.ask(late, get("a"))?;
        lose_the_service(&mut scene, seed);
        let links = &mut scene.world.subject.clients.links;
        links.delay(late, NodeId(1), Some((Duration::from_secs(4), Duration::from_millis(4500))));
        scene.world.subject.clients.patience(late, Duration::from_secs(10));
        let begun = scene.world.now();
        scene.begin(late, get("a"));
        let limit = PING_INTERVAL * 10;
        scene.until(limit, "a successor", |scene| scene.members().0 == 2)?;
        scene.ask(other, put("a", "111"))?;
        // Without the answers of the view service it still believes in its view.
        let believes = scene.server(1, |server| server.duty());
        if seed.is_multiple_of(2) {
            scene.demand(believes == Some(Duty::Paired), || format!("it is {believes:?}"))?;
        }
        scene.finish(&[late], Duration::from_secs(10))?;
        let took = scene.world.now().since(begun);
        let seen = scene.seen(late)?;
        scene.demand(seen == Some(b"111".to_vec()), || format!("{seen:?}"))?;
        scene.demand(took < Duration::from_secs(10), || format!("it took {took:?}"))?;
        if seed.is_multiple_of(2) {
            let fenced = scene.world.subject.rare.count(Sight::PrimaryFenced);
            scene.demand(fenced > 0, || "nobody was fenced".into())?;
        }
        Ok((scene.end()?, ms(took)))
    });
}

#[test]
fn s8_2_08_an_old_primary_whose_backup_is_gone_serves_nothing() {
    let name = "s8_2_08_an_old_primary_whose_backup_is_gone_serves_nothing";
    play(name, 0..100, at_most_ms("the get that came late"), |seed| {
        let mut scene = Scene::with(Shape::plain(3), calm(seed), &[2, 3]);
        scene.until(Duration::from_secs(1), "a primary", |scene| scene.members() == (1, 0))?;
        scene.restart(2);
        scene.paired(Duration::from_secs(2))?;
        let (late, other) = (scene.client(), scene.client());
        scene.ask(late, put("a", "1"))?;
        scene.ask(late, get("a"))?;
        lose_the_service(&mut scene, seed);
        let links = &mut scene.world.subject.clients.links;
        links.delay(late, NodeId(1), Some((Duration::from_secs(5), Duration::from_millis(5200))));
        scene.world.subject.clients.patience(late, Duration::from_secs(6));
        let begun = scene.world.now();
        scene.begin(late, get("a"));
        let limit = PING_INTERVAL * 10;
        scene.until(limit, "a successor", |scene| scene.members().0 == 2)?;
        scene.ask(other, put("a", "111"))?;
        scene.restart(3);
        scene.until(Duration::from_secs(2), "another backup", |scene| {
            scene.is_paired() && scene.members() == (2, 3)
        })?;
        scene.ask(other, put("a", "2"))?;
        scene.crash(2);
        scene.until(limit, "the next successor", |scene| scene.members().0 == 3)?;
        scene.finish(&[late], Duration::from_secs(10))?;
        let took = scene.world.now().since(begun);
        let seen = scene.seen(late)?;
        scene.demand(seen == Some(b"2".to_vec()), || format!("{seen:?}"))?;
        scene.demand(took < Duration::from_secs(10), || format!("it took {took:?}"))?;
        let newcomer = scene.client();
        let seen = scene.get(newcomer, "a")?;
        scene.demand(seen == Some(b"2".to_vec()), || format!("{seen:?}"))?;
        Ok((scene.end()?, ms(took)))
    });
}

/// Everybody works at a primary that becomes ten times slower, its clock as well: it is given up,
/// and what it still says to those who stay with it is an error or true.
#[test]
fn s8_2_23_a_slow_primary_is_fenced_and_serves_nothing_old() {
    let name = "s8_2_23_a_slow_primary_is_fenced_and_serves_nothing_old";
    play(name, 0..100, at_most_ms("until the successor's first put"), |seed| {
        let mut rng = Rng::new(seed).fork(0x8223);
        let mut scene = Scene::one_and_two(Shape::plain(2 + seed as u16 % 2), calm(seed))?;
        let (loyal, other) = (scene.clients(3), scene.client());
        for client in &loyal {
            scene.ask(*client, put(&format!("own{client}"), "0"))?;
        }
        scene.pass(rng.between(Duration::ZERO, Duration::from_millis(100)))?;
        scene.fault(Fault::Slow(NodeId(1), SLOWNESS));
        let begun = scene.world.now();
        let (mut number, mut took) = (0, None);
        while scene.world.now().since(begun) < Duration::from_secs(4) {
            if scene.members().0 == 2 && !scene.busy(other) {
                took.get_or_insert(scene.world.now().since(begun));
                number += 1;
                scene.begin(other, put("shared", format!("{number}")));
            }
            for client in &loyal {
                if !scene.busy(*client) {
                    number += 1;
                    let action = match rng.below(3) {
                        0 => append(&format!("own{client}"), format!("[{number}]")),
                        _ => get("shared"),
                    };
                    scene.begin(*client, action);
                }
            }
            scene.pass(rng.between(Duration::from_millis(1), Duration::from_millis(30)))?;
        }
        scene.fault(Fault::Quick(NodeId(1)));
        scene.finish(&loyal, Duration::from_secs(5))?;
        let Some(took) = took else {
            return Err(scene.trouble("the slow primary was not given up".into()));
        };
        Ok((scene.end()?, ms(took)))
    });
}
