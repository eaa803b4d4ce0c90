//! Leases, waits and delays: what ends, what begins anew, and what a death of the home changes.

use std::time::Duration;

use super::{
    Make, Scene,
    scene::{give, is_granted},
};
use crate::{
    Command, MAX_TERM, Mode, Name, News, Patience, Refusal, Release, Reply, Rule, Terms, Ticket,
    policy::SEARCH_AFTER, table::LockView,
};
use Mode::{S, X};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);
const LEASE: Duration = Duration::from_secs(10);

fn scene(make: Make<'_>) -> Scene {
    Scene::new(make(Rule::Detect))
}

/// Waits for `name` so long.
fn queue_for(scene: &mut Scene, owner: crate::Owner, name: &str, wait: Duration) -> Ticket {
    let request = scene.request(owner, &[(name, X)], Patience::For(wait));
    let ticket = request.ticket;
    assert_eq!(scene.home.apply(Command::Acquire(request)), Reply::Waiting);
    ticket
}

/// A request waits as long as it said, and who stood behind it does so no longer.
pub(super) fn wait_deadline(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b, c] = [(); 3].map(|()| scene.session());
    scene.take(a, "k", S);
    let writer = queue_for(&mut scene, b, "k", SECOND);
    let reader = scene.queue(c, "k", S);
    scene.home.pass(SECOND - MOMENT);
    assert_eq!(scene.home.news(), []);
    scene.home.pass(MOMENT);
    let news = scene.home.news();
    assert_eq!(news[0], News::Refused(writer, Refusal::TimedOut));
    assert!(matches!(&news[1..], [News::Granted(ticket, _)] if *ticket == reader), "{news:?}");
    scene.leave(a);
    scene.leave(c);
    assert_eq!(scene.granted(), [], "who waits no longer gets nothing");
}

/// All at once is taken from an owner that is silent for its lease: holds and places in queues.
pub(super) fn lease(make: Make<'_>) {
    let mut scene = scene(make);
    let [b, c] = [(); 2].map(|()| scene.session());
    let a = scene.open(Terms::session(LEASE));
    scene.take(c, "z", X);
    scene.take(a, "x", X);
    scene.take(a, "y", S);
    let own = scene.queue(a, "z", X);
    let x = scene.queue(b, "x", X);
    let y = scene.queue(b, "y", X);
    let z = scene.queue(b, "z", S);
    scene.home.pass(LEASE - MOMENT);
    assert_eq!(scene.home.news(), []);
    scene.home.pass(MOMENT);
    let news = scene.home.news();
    for one in [News::Lost(a, Refusal::Unknown(a)), News::Refused(own, Refusal::Unknown(a))] {
        assert!(news.contains(&one), "{one:?} is not in {news:?}");
    }
    let granted = |wanted: Ticket| {
        news.iter().any(|one| matches!(one, News::Granted(ticket, _) if *ticket == wanted))
    };
    assert_eq!((granted(x), granted(y), granted(z)), (true, true, false), "{news:?}");
    assert_eq!(scene.home.renew(a), Err(Refusal::Unknown(a)));
    assert_eq!(scene.attempt(a, "free", S), Reply::Refused(Refusal::Unknown(a)));
}

/// Whatever an owner says prolongs its lease by all of it.
pub(super) fn renewal(make: Make<'_>) {
    let mut scene = scene(make);
    let a = scene.open(Terms::session(LEASE));
    scene.take(a, "k", X);
    for round in 0..6 {
        scene.home.pass(LEASE - MOMENT);
        assert_eq!(scene.holders("k"), [(a, X)], "round {round}");
        match round % 3 {
            0 => assert_eq!(scene.home.renew(a), Ok(Some(LEASE))),
            1 => assert!(is_granted(&scene.attempt(a, "j", S))),
            _ => assert_eq!(scene.release(a, "j"), Reply::Released),
        }
    }
    scene.home.pass(LEASE);
    assert_eq!(scene.home.news(), [News::Lost(a, Refusal::Unknown(a))]);
    assert_eq!(scene.holders("k"), []);
}

/// Before a request in a queue is granted, its owner's lease is looked at again.
pub(super) fn lease_in_the_queue(make: Make<'_>) {
    let mut scene = scene(make);
    let long = scene.session();
    let [short, other] = [(); 2].map(|()| scene.open(Terms::session(LEASE)));
    scene.take(long, "k", X);
    let vain = scene.queue(short, "k", X);
    let waits = scene.queue(other, "k", X);
    scene.home.pass(LEASE - MOMENT);
    assert_eq!(scene.home.renew(other), Ok(Some(LEASE)));
    scene.home.pass(MOMENT);
    assert_eq!(scene.release(long, "k"), Reply::Released);
    let news = scene.home.news();
    assert!(news.contains(&News::Refused(vain, Refusal::Unknown(short))), "{news:?}");
    assert_eq!(scene.holders("k"), [(other, X)]);
    let granted = |one: &News| matches!(one, News::Granted(ticket, _) if *ticket == waits);
    assert!(news.iter().any(granted), "{news:?}");
}

/// Two leases end in the same moment: what the one had is not granted to the other.
pub(super) fn leases_together(make: Make<'_>) {
    let mut scene = scene(make);
    let [first, second] = [(); 2].map(|()| scene.open(Terms::session(LEASE)));
    let last = scene.session();
    scene.take(first, "x", X);
    scene.take(second, "y", X);
    let vain = [scene.queue(second, "x", X)];
    let waits = scene.queue(last, "x", X);
    scene.home.pass(LEASE);
    let news = scene.home.news();
    for ticket in vain {
        let refused = News::Refused(ticket, Refusal::Unknown(ticket.owner));
        assert!(news.contains(&refused), "{refused:?} is not in {news:?}");
    }
    let granted = news.iter().filter_map(|one| match one {
        News::Granted(ticket, _) => Some(*ticket),
        _ => None,
    });
    assert_eq!(granted.collect::<Vec<_>>(), [waits], "{news:?}");
    assert_eq!((scene.holders("x"), scene.holders("y")), (vec![(last, X)], vec![]));
}

/// An owner that was taken for dead wakes up and gives back what is another's by now.
pub(super) fn late_release(make: Make<'_>) {
    let mut scene = scene(make);
    let a = scene.open(Terms::session(LEASE));
    let b = scene.session();
    let old = scene.take(a, "k", X);
    let waits = scene.queue(b, "k", X);
    scene.home.pass(LEASE);
    let grants = scene.grants();
    assert_eq!(grants.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [waits]);
    let new = grants[0].1[0].token;
    assert!(new > old || !scene.home.fenced(), "the resource can tell them apart");
    for token in [None, old, new] {
        let release = Release { token, ..give(scene.ticket(a), "k") };
        let reply = scene.home.apply(Command::Release(release));
        assert_eq!(reply, Reply::Refused(Refusal::Unknown(a)));
    }
    assert_eq!(scene.holders("k"), [(b, X)]);
}

/// What an owner with a delay held when it expired is nobody's for so long; what it gave back is
/// free at once.
pub(super) fn delay(make: Make<'_>) {
    let mut scene = scene(make);
    let terms = Terms { delay: 5 * SECOND, ..Terms::session(LEASE) };
    let [a, polite] = [(); 2].map(|()| scene.open(terms));
    let b = scene.session();
    scene.take(polite, "given", X);
    scene.leave(polite);
    scene.take(b, "given", X);
    scene.take(a, "k", X);
    scene.take(a, "j", S);
    let waits = scene.queue(b, "k", X);
    scene.home.pass(LEASE);
    assert_eq!(scene.granted(), []);
    let quiet = Reply::Refused(Refusal::Quiet(Name::from("j")));
    assert_eq!(scene.attempt(b, "j", S), quiet);
    scene.home.pass(5 * SECOND - MOMENT);
    assert_eq!(scene.granted(), []);
    assert!(scene.home.look(&Name::from("j")).is_some_and(|lock| lock.quiet));
    scene.home.pass(MOMENT);
    assert_eq!(scene.granted(), [waits]);
    assert_eq!(scene.home.look(&Name::from("j")), None);
    assert!(is_granted(&scene.attempt(b, "j", S)));
}

/// What is to be seen of these names, but for how long who has waited.
fn seen(scene: &mut Scene, names: &[&str]) -> Vec<LockView> {
    let seen = names.iter().filter_map(|name| scene.home.look(&Name::from(*name)));
    let mut seen: Vec<_> = seen.collect();
    for waiter in seen.iter_mut().flat_map(|lock| &mut lock.queue) {
        waiter.waited = Duration::ZERO;
    }
    seen
}

/// Holders, their tokens, queues in their order, delays, and answers to requests.
pub(super) fn restart_keeps_all(make: Make<'_>) {
    let mut scene = scene(make);
    let dies = scene.open(Terms { delay: MAX_TERM, ..Terms::session(SECOND) });
    let [a, b, c, d] = [(); 4].map(|()| scene.session());
    scene.take(dies, "rests", X);
    scene.home.pass(SECOND);
    let first = Command::Acquire(scene.request(a, &[("x", X)], Patience::Try));
    let granted = scene.home.apply(first.clone());
    let readers = [a, b].map(|owner| scene.take(owner, "y", S));
    let more = scene.queue(a, "y", X);
    let [third, fourth] = [(c, X), (d, S)].map(|(owner, mode)| scene.queue(owner, "x", mode));
    let circle = scene.queue(b, "x", S);
    let names = ["rests", "x", "y"];
    let before = seen(&mut scene, &names);
    scene.home.news();
    for away in [Duration::ZERO, MAX_TERM] {
        if !scene.home.restart(away) {
            return;
        }
        assert_eq!(seen(&mut scene, &names), before);
        assert_eq!(scene.home.news(), [], "nothing has happened");
        assert_eq!(scene.home.apply(first.clone()), granted, "nor is forgotten");
    }
    scene.home.pass(SEARCH_AFTER);
    let news = scene.home.news();
    let [News::Refused(victim, Refusal::Deadlock(chain))] = &news[..] else {
        panic!("the circle is still there, and nothing else: {news:?}");
    };
    assert_eq!((*victim, chain.len()), (circle, 2), "{chain:?}");
    assert_eq!(scene.release(b, "y"), Reply::Released);
    let grants = scene.grants();
    assert_eq!(grants[0].0, more);
    let newest = grants[0].1[0].token;
    assert!(readers.iter().all(|old| newest > *old) || !scene.home.fenced());
    assert!(scene.home.restart(Duration::ZERO), "it came back before");
    scene.leave(a);
    assert_eq!(scene.granted(), [third]);
    scene.leave(c);
    let grants = scene.grants();
    assert_eq!(grants[0].0, fourth);
    assert!(grants[0].1[0].token > newest || !scene.home.fenced(), "tokens grow over all lives");
    let e = scene.session();
    assert!([dies, a, b, c, d].iter().all(|old| *old != e), "an owner never comes back");
}

/// Nobody knows how long the home was away, so every lease, wait and delay begins anew: never
/// shorter than it was said to be, and never for ever.
pub(super) fn restart_begins_anew(make: Make<'_>) {
    let mut scene = scene(make);
    let dies = scene.open(Terms { delay: LEASE, ..Terms::session(SECOND) });
    scene.take(dies, "rests", X);
    scene.home.pass(SECOND);
    let a = scene.open(Terms::session(LEASE));
    let b = scene.session();
    scene.take(a, "x", X);
    scene.take(b, "y", X);
    let waits = queue_for(&mut scene, a, "y", LEASE - SECOND);
    scene.home.news();
    for _ in 0..3 {
        scene.home.pass(LEASE - 2 * SECOND);
        if !scene.home.restart(MAX_TERM) {
            return;
        }
        assert_eq!(scene.home.news(), []);
    }
    scene.home.pass(LEASE - SECOND - MOMENT);
    assert_eq!((scene.holders("x"), scene.waiters("y")), (vec![(a, X)], vec![waits]));
    scene.home.pass(MOMENT);
    assert_eq!(scene.home.news(), [News::Refused(waits, Refusal::TimedOut)]);
    scene.home.pass(SECOND - MOMENT);
    assert_eq!(scene.holders("x"), [(a, X)]);
    assert!(scene.home.look(&Name::from("rests")).is_some());
    scene.home.pass(MOMENT);
    assert_eq!(scene.home.news(), [News::Lost(a, Refusal::Unknown(a))]);
    assert_eq!(scene.home.look(&Name::from("rests")), None);
}
