//! Ways into a circle that do not begin with a wait: somebody gets something at once, and others
//! wait for it from then on.

use lockmgr::{
    Mode::{S, X},
    Name, News, Owner, Patience, Refusal, Reply, Rule, Table,
    policy::SEARCH_AFTER,
    suite::{Memory, Scene},
};

/// Sessions, the oldest first.
fn scene<const N: usize>(rule: Rule) -> (Scene, [Owner; N]) {
    let mut scene = Scene::new(Box::new(Memory::new(Table::volatile(rule))));
    let owners = [(); N].map(|()| scene.session());
    (scene, owners)
}

/// An older reader passes a younger writer in the queue and has the name at once. The writer would
/// wait for it, and must not.
#[test]
fn who_is_passed_by_an_older_one_dies() {
    let (mut scene, [old, mid, young]) = scene(Rule::WaitDie);
    scene.take(mid, "j", X);
    scene.take(young, "k", S);
    let passed = scene.queue(mid, "k", X);
    scene.take(old, "k", S);
    let died = Refusal::Died { name: Name::from("k"), by: old };
    assert_eq!(scene.home.news(), [News::Refused(passed, died)]);
    let waits = scene.queue(old, "j", X);
    assert_eq!(scene.release(mid, "j"), Reply::Released);
    assert_eq!(scene.granted(), [waits]);
}

/// A reader becomes a writer at once. An older one, which waits for another name, had nobody in its
/// way here, and would wait for a younger one from now on.
#[test]
fn who_gets_more_at_once_is_wounded_by_an_older_one() {
    let (mut scene, [oldest, old, young]) = scene(Rule::WoundWait);
    scene.take(oldest, "j", X);
    scene.take(young, "k", S);
    let (both, reply) = scene.ask(old, &[("k", S), ("j", S)]);
    assert_eq!(reply, Reply::Waiting);
    let taken = Refusal::Taken { name: Name::from("k"), by: old };
    assert_eq!(scene.attempt(young, "k", X), Reply::Refused(taken), "a try pushes nobody aside");
    let wounded = Refusal::Wounded { name: Name::from("k"), by: old };
    assert_eq!(scene.ask(young, &[("k", X)]).1, Reply::Refused(wounded.clone()));
    assert_eq!(scene.home.news(), [News::Lost(young, wounded)]);
    scene.leave(oldest);
    assert_eq!(scene.granted(), [both]);
}

/// The same where all may wait: what closes the circle is a grant, and those on it have looked long
/// ago.
#[test]
fn a_circle_closed_by_a_grant_is_found() {
    let (mut scene, [a, b]) = scene(Rule::Detect);
    let [other] = [(); 1].map(|()| scene.session());
    scene.take(b, "p", X);
    scene.take(other, "y", X);
    scene.take(a, "x", S);
    let first = scene.queue(a, "p", X);
    let (both, reply) = scene.ask(b, &[("x", S), ("y", S)]);
    assert_eq!(reply, Reply::Waiting);
    scene.home.pass(SEARCH_AFTER);
    assert_eq!(scene.home.news(), [], "nobody waits in a circle yet");
    scene.take(a, "x", X);
    scene.home.pass(SEARCH_AFTER);
    let news = scene.home.news();
    let [News::Refused(victim, Refusal::Deadlock(chain))] = &news[..] else { panic!("{news:?}") };
    assert_eq!(*victim, both);
    let waiters: Vec<_> = chain.iter().map(|link| link.waiter).collect();
    assert_eq!(waiters, [first, both]);
}

/// An owner waits for two things. The second request puts itself before another's, and the circle
/// goes on through the first.
#[test]
fn a_circle_through_another_request_of_the_same_owner_is_found() {
    let (mut scene, [a, b, other]) = scene(Rule::Detect);
    scene.take(b, "p", X);
    scene.take(other, "x", S);
    scene.take(other, "y", X);
    scene.take(a, "x", S);
    scene.queue(a, "p", X);
    let (both, reply) = scene.ask(b, &[("x", S), ("y", S)]);
    assert_eq!(reply, Reply::Waiting);
    scene.home.pass(SEARCH_AFTER);
    scene.queue(a, "x", X);
    scene.home.pass(SEARCH_AFTER);
    let news = scene.home.news();
    let [News::Refused(victim, Refusal::Deadlock(chain))] = &news[..] else { panic!("{news:?}") };
    assert_eq!((*victim, chain.len()), (both, 2), "{chain:?}");
}

/// The same, but the second request is granted before it has looked: who waited behind it waits on.
#[test]
fn a_circle_closed_by_a_request_that_was_granted_meanwhile_is_found() {
    let (mut scene, [a, b, reader, other]) = scene(Rule::Detect);
    scene.take(b, "p", X);
    scene.take(reader, "x", S);
    scene.take(other, "y", X);
    scene.take(a, "x", S);
    let first = scene.queue(a, "p", X);
    let (both, reply) = scene.ask(b, &[("x", S), ("y", S)]);
    assert_eq!(reply, Reply::Waiting);
    scene.home.pass(SEARCH_AFTER);
    let more = scene.queue(a, "x", X);
    scene.leave(reader);
    assert_eq!(scene.granted(), [more]);
    scene.home.pass(SEARCH_AFTER);
    let news = scene.home.news();
    let [News::Refused(victim, Refusal::Deadlock(chain))] = &news[..] else { panic!("{news:?}") };
    assert_eq!(*victim, both);
    let waiters: Vec<_> = chain.iter().map(|link| link.waiter).collect();
    assert_eq!(waiters, [first, both]);
}

/// Two hold a name and want all of it. The first has looked long before the second asks.
#[test]
fn a_circle_of_two_that_want_more_is_found_by_the_second() {
    let (mut scene, [a, b]) = scene(Rule::Detect);
    scene.take(a, "k", S);
    scene.take(b, "k", S);
    let first = scene.queue(a, "k", X);
    scene.home.pass(SEARCH_AFTER);
    let second = scene.queue(b, "k", X);
    scene.home.pass(SEARCH_AFTER);
    let news = scene.home.news();
    let [News::Refused(victim, Refusal::Deadlock(chain))] = &news[..] else { panic!("{news:?}") };
    assert_eq!((*victim, chain.len()), (second, 2), "{chain:?}");
    assert_eq!(scene.release(b, "k"), Reply::Released);
    assert_eq!(scene.granted(), [first]);
}

/// Who holds a name as it wants it waits for nobody there, though others stand before it.
#[test]
fn what_is_held_is_not_waited_for() {
    let (mut scene, [a, b, other]) = scene(Rule::Detect);
    scene.take(other, "y", X);
    scene.take(a, "x", S);
    scene.take(b, "x", S);
    let more = scene.queue(b, "x", X);
    let (both, reply) = scene.ask(a, &[("x", S), ("y", S)]);
    assert_eq!(reply, Reply::Waiting);
    scene.home.pass(SEARCH_AFTER);
    assert_eq!(scene.home.news(), [], "{both} waits for `y` alone");
    scene.leave(other);
    assert_eq!(scene.granted(), [both]);
    scene.leave(a);
    assert_eq!(scene.granted(), [more]);
}

/// A place before all others is for who has something: it is not kept when that is given back.
#[test]
fn what_is_waited_for_is_not_given_back() {
    let (mut scene, [a, b, c]) = scene(Rule::Detect);
    scene.take(a, "k", S);
    scene.take(b, "k", S);
    let fresh = scene.queue(c, "k", X);
    let more = scene.queue(a, "k", X);
    let waits = Reply::Refused(Refusal::Waits(Name::from("k")));
    let release = scene.ticket(a);
    let release = lockmgr::Command::Release(lockmgr::Release {
        ticket: release,
        floor: lockmgr::RequestNo(0),
        name: Name::from("k"),
        token: None,
    });
    assert_eq!(scene.home.apply(release.clone()), waits);
    scene.leave(b);
    assert_eq!(scene.granted(), [more]);
    assert_eq!(scene.home.apply(release), waits, "what was answered is answered");
    assert_eq!(scene.release(a, "k"), Reply::Released);
    assert_eq!(scene.granted(), [fresh]);
}

/// A refusal is an answer: the same request, arriving late once more, is not granted behind its
/// owner's back.
#[test]
fn what_was_refused_is_not_granted_later() {
    let (mut scene, [a, b]) = scene(Rule::Detect);
    scene.take(a, "k", X);
    let first = scene.queue(b, "k", X);
    let request = scene.request(b, &[("k", X), ("j", X)], Patience::Try);
    let again = lockmgr::Command::Acquire(request);
    let waits = Reply::Refused(Refusal::Waits(Name::from("k")));
    assert_eq!(scene.home.apply(again.clone()), waits);
    scene.leave(a);
    assert_eq!(scene.granted(), [first]);
    assert_eq!(scene.home.apply(again), waits);
    assert_eq!(scene.holders("j"), []);
}

/// A crowd before one name: nobody in it can be on a circle, and nobody looks through all of it.
#[test]
fn timing_a_crowd_before_one_name_is_not_searched_by_each_of_it() {
    const CROWD: usize = 10_000;
    for mode in [X, S] {
        let (mut scene, [first]) = scene(Rule::Detect);
        scene.take(first, "k", X);
        for _ in 0..CROWD {
            let owner = scene.session();
            scene.queue(owner, "k", mode);
        }
        let began = std::time::Instant::now();
        scene.home.pass(SEARCH_AFTER);
        let took = began.elapsed();
        println!("{CROWD} requests in {mode} have looked in {took:?}");
        assert!(took < std::time::Duration::from_secs(1), "{took:?} for {mode}");
        assert_eq!(scene.home.news(), []);
        assert_eq!(scene.release(first, "k"), Reply::Released);
        assert_eq!(scene.granted().len(), if mode == S { CROWD } else { 1 });
    }
}
