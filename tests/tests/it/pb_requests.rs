//! Acceptance 8.2: what single requests come to, at whichever server they come to, and however often.

use std::time::Duration;

use bytes::Bytes;
use pbservice::{
    Answer, Change, Done, Duty, Refused, Reply, Request, RequestNo, SessionId,
    message::{Get, Open, Submit},
};
use sim::{Plan, Trouble};
use synod_tests::{
    pb::{Shape, scene::Scene},
    rare::Sight,
    scene::{append, at_most_ms, ms, play, put},
};

/// A calm day that a script may make as long as it likes.
fn calm(seed: u64) -> Plan {
    Plan::calm(seed, Duration::from_secs(3600))
}

#[test]
fn s8_2_16_only_the_primary_answers_and_a_stale_one_finds_out() {
    let name = "s8_2_16_only_the_primary_answers_and_a_stale_one_finds_out";
    play(name, 0..100, at_most_ms("the stale primary's refusal"), |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(3), calm(seed))?;
        let client = scene.client();
        scene.ask(client, put("a", "1"))?;
        let known = scene.safety().map(|safety| safety.view.number).unwrap_or_default();
        let refused = Reply::Client(Err(Refused::NotPrimary(known)));
        let ask = || Request::Get(Get { key: Bytes::from("a") });
        for node in [2, 3] {
            for request in [ask(), Request::Open(Open), submit(1, 1, Change::Delete("a".into()))] {
                let heard = scene.ask_raw(node, request)?;
                scene.demand(heard == refused, || format!("server {node} says {heard:?}"))?;
            }
        }
        // Cut from the view service only, the primary does not know that it is none any more.
        scene.cut(1, 0);
        let limit = Duration::from_secs(1);
        scene.until(limit, "a successor", |scene| scene.members().0 == 2)?;
        scene.pass(Duration::from_millis(150))?;
        let before = scene.world.subject.rare.count(Sight::StaleForward);
        let begun = scene.world.now();
        let heard = scene.ask_raw(1, ask())?;
        let took = scene.world.now().since(begun);
        let interrupted = heard == Reply::Client(Err(Refused::Interrupted));
        scene.demand(interrupted, || format!("the stale primary says {heard:?}"))?;
        let refusals = scene.world.subject.rare.count(Sight::StaleForward) - before;
        scene.demand(refusals == 1, || format!("{refusals} forwards were refused"))?;
        let known = scene.server(2, |server| server.view().number).unwrap_or_default();
        let heard = scene.ask_raw(1, ask())?;
        let told = heard == Reply::Client(Err(Refused::NotPrimary(known)));
        scene.demand(told, || format!("then it says {heard:?}, and {known} is known"))?;
        Ok((scene.end()?, ms(took)))
    });
}

fn submit(session: u64, number: u64, change: Change) -> Request {
    let (session, number) = (SessionId(session), RequestNo(number));
    Request::Submit(Submit { session, number, change })
}

/// Asks `node` for a change as it is, and what came of it.
fn done(scene: &mut Scene, node: u16, request: Request) -> Result<Done, Trouble> {
    match scene.ask_raw(node, request)? {
        Reply::Client(Ok(Answer::Done(done))) => Ok(done),
        other => Err(scene.trouble(format!("server {node} says {other:?}"))),
    }
}

/// The first answer is lost. With even seeds the primary dies, and the same request comes to its
/// backup; with odd ones the backup dies first and another gets the state, then the primary dies.
#[test]
fn s8_2_17_the_table_of_requests_follows_the_data() {
    let name = "s8_2_17_the_table_of_requests_follows_the_data";
    play(name, 0..100, at_most_ms("the lost answer, at the successor"), |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(3), calm(seed))?;
        let other = scene.client();
        let session = match scene.ask_raw(1, Request::Open(Open))? {
            Reply::Client(Ok(Answer::Opened(SessionId(session)))) => session,
            said => return Err(scene.trouble(format!("{said:?}"))),
        };
        let (key, value) = (Bytes::from("raw"), Bytes::from("old"));
        done(&mut scene, 1, submit(session, 1, Change::Put(key.clone(), value)))?;
        let delete = submit(session, 2, Change::Delete(key));
        let first = done(&mut scene, 1, delete.clone())?;
        scene.demand(first == Done::Deleted(true), || format!("{first:?}"))?;
        // A client that hears nothing goes on asking, and its append is done all the while.
        let deaf = scene.client();
        scene.ask(deaf, append("log", "[one]"))?;
        scene.world.subject.clients.links.deaf(deaf, true);
        scene.begin(deaf, append("log", "[two]"));
        let limit = Duration::from_secs(1);
        scene.until(limit, "done", |scene| scene.held(2, "log") == Some(b"[one][two]".to_vec()))?;
        let successor = if seed.is_multiple_of(2) {
            2
        } else {
            scene.crash(2);
            let limit = Duration::from_secs(3);
            scene.until(limit, "another backup", |scene| {
                scene.is_paired() && scene.members() == (1, 3)
            })?;
            3
        };
        scene.crash(1);
        let begun = scene.world.now();
        scene.world.subject.clients.links.deaf(deaf, false);
        scene.finish(&[deaf], Duration::from_secs(5))?;
        let took = scene.world.now().since(begun);
        scene.demand(scene.members().0 == successor, || format!("{:?}", scene.members()))?;
        let seen = scene.get(other, "log")?;
        scene.demand(seen == Some(b"[one][two]".to_vec()), || format!("{seen:?}"))?;
        // Done again, the delete would take what somebody else has put there since.
        done(&mut scene, successor, submit(session, 3, Change::Put("raw".into(), "new".into())))?;
        let late = scene.ask_raw(successor, delete)?;
        scene.demand(late == Reply::Client(Err(Refused::Late)), || format!("{late:?}"))?;
        let put_again = submit(session, 3, Change::Put("raw".into(), "newer".into()));
        let again = done(&mut scene, successor, put_again)?;
        let seen = scene.held(successor, "raw");
        let once = again == Done::Written && seen == Some(b"new".to_vec());
        scene.demand(once, || format!("{again:?}, and there is {seen:?}"))?;
        Ok((scene.end()?, ms(took)))
    });
}

/// The same result for a request that is repeated at the successor, not only the same effect.
#[test]
fn s8_2_17_a_repeated_request_has_its_first_result() {
    let name = "s8_2_17_a_repeated_request_has_its_first_result";
    play(name, 0..100, at_most_ms("the successor's answer"), |seed| {
        let mut scene = Scene::one_and_two(Shape::plain(3), calm(seed))?;
        let Reply::Client(Ok(Answer::Opened(SessionId(session)))) =
            scene.ask_raw(1, Request::Open(Open))?
        else {
            return Err(scene.trouble("no session".into()));
        };
        let key = Bytes::from("k");
        done(&mut scene, 1, submit(session, 1, Change::Put(key.clone(), "v".into())))?;
        let delete = submit(session, 2, Change::Delete(key));
        let first = done(&mut scene, 1, delete.clone())?;
        let successor = if seed.is_multiple_of(2) {
            2
        } else {
            scene.crash(2);
            let limit = Duration::from_secs(3);
            scene
                .until(limit, "another", |scene| scene.is_paired() && scene.members() == (1, 3))?;
            3
        };
        scene.crash(1);
        let begun = scene.world.now();
        let limit = Duration::from_secs(1);
        scene.until(limit, "a successor", |scene| {
            scene.server(successor, |it| matches!(it.duty(), Duty::Alone | Duty::Installing))
                == Some(true)
        })?;
        let again = done(&mut scene, successor, delete)?;
        let took = scene.world.now().since(begun);
        let same = (first, again) == (Done::Deleted(true), Done::Deleted(true));
        scene.demand(same, || format!("first {first:?}, then {again:?}"))?;
        Ok((scene.end()?, ms(took)))
    });
}
