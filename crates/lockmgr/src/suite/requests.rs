//! A request is one request, however often it is asked.

use std::time::Duration;

use super::{
    Make, Scene,
    scene::{PATIENCE, give, is_granted},
};
use crate::{
    Acquire, Command, Discipline, Full, MAX_LANES, MAX_NAME, MAX_REMEMBERED, MAX_REQUESTS,
    MAX_TERM, MAX_WANTS, Mode, Name, News, Patience, Refusal, Release, Reply, RequestNo, Rule,
    Terms, Ticket, Token, Unsound, Want, Why,
};
use Mode::{S, X};

fn scene(make: Make<'_>) -> Scene {
    Scene::new(make(Rule::Detect))
}

fn cancel(scene: &mut Scene, ticket: Ticket) -> Reply {
    scene.home.apply(Command::Cancel { ticket, why: Why::Asked })
}

fn not_held(name: &str) -> Reply {
    Reply::Refused(Refusal::NotHeld(Name::from(name)))
}

/// What was answered is answered again, and nothing else happens.
pub(super) fn asked_again(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b, c] = [(); 3].map(|()| scene.session());
    let patient = Patience::For(PATIENCE);
    let first = Command::Acquire(scene.request(a, &[("k", X)], patient));
    let second = Command::Acquire(scene.request(b, &[("k", X)], patient));
    let third = Command::Acquire(scene.request(c, &[("k", X)], Patience::Try));
    let granted = scene.home.apply(first.clone());
    assert!(is_granted(&granted));
    assert_eq!(scene.home.apply(first.clone()), granted, "the same token");
    for _ in 0..2 {
        assert_eq!(scene.home.apply(second.clone()), Reply::Waiting);
    }
    assert_eq!(scene.waiters("k").len(), 1, "it stands there once");
    let refused = scene.home.apply(third.clone());
    scene.leave(a);
    let told = scene.grants();
    assert_eq!(told.len(), 1);
    assert_eq!(scene.home.apply(second), Reply::Granted(told[0].1.clone()), "as it was told");
    scene.leave(b);
    assert_eq!(scene.home.apply(third), refused, "though it is free by now");
    assert_eq!(scene.holders("k"), []);
    assert_eq!(scene.home.apply(first), Reply::Refused(Refusal::Unknown(a)), "it left");
}

/// A release that comes twice, late, takes nothing from who holds the name by then.
pub(super) fn released_again(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    scene.take(a, "k", X);
    let release = Command::Release(give(scene.ticket(a), "k"));
    assert_eq!(scene.home.apply(release.clone()), Reply::Released);
    scene.take(b, "k", X);
    assert_eq!(scene.home.apply(release.clone()), Reply::Released, "the first answer");
    assert_eq!(scene.holders("k"), [(b, X)]);
    let waits = scene.queue(a, "k", X);
    assert_eq!(scene.release(b, "k"), Reply::Released);
    assert_eq!(scene.granted(), [waits]);
    assert_eq!(scene.home.apply(release), Reply::Released);
    assert_eq!(scene.holders("k"), [(a, X)], "also its own later hold is another one");
    let vain = Command::Release(give(scene.ticket(b), "k"));
    assert_eq!(scene.home.apply(vain.clone()), not_held("k"));
    assert_eq!(scene.release(a, "k"), Reply::Released);
    scene.take(b, "k", X);
    assert_eq!(scene.home.apply(vain), not_held("k"), "a refusal is an answer too");
    assert_eq!(scene.holders("k"), [(b, X)]);
}

/// With a token, only the hold that has it is given back.
pub(super) fn released_by_token(make: Make<'_>) {
    let mut scene = scene(make);
    let a = scene.session();
    let old = scene.take(a, "k", X);
    assert_eq!(scene.release(a, "k"), Reply::Released);
    let new = scene.take(a, "k", X);
    let wrong = old.or(Some(Token(1)));
    for (token, reply) in [(wrong, not_held("k")), (new, Reply::Released)] {
        let release = Release { token, ..give(scene.ticket(a), "k") };
        assert_eq!(scene.home.apply(Command::Release(release)), reply);
    }
}

/// Who is taken out of a queue never gets the name; who stood behind may.
pub(super) fn cancelled(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b, c, d] = [(); 4].map(|()| scene.session());
    scene.take(a, "k", S);
    let request = scene.request(b, &[("k", X), ("j", S)], Patience::For(PATIENCE));
    let out = request.ticket;
    let request = Command::Acquire(request);
    assert_eq!(scene.home.apply(request.clone()), Reply::Waiting);
    let reader = scene.queue(c, "k", S);
    let last = scene.queue(d, "j", X);
    assert_eq!(cancel(&mut scene, out), Reply::Done);
    let news = scene.home.news();
    assert!(news.contains(&News::Refused(out, Refusal::Cancelled)));
    for (ticket, name) in [(reader, "k"), (last, "j")] {
        let granted = |one: &News| matches!(one, News::Granted(other, _) if *other == ticket);
        assert!(news.iter().any(granted), "nobody is in the way of {ticket} for `{name}` now");
    }
    assert_eq!(scene.home.apply(request), Reply::Refused(Refusal::Cancelled));
    scene.leave(a);
    assert_eq!(scene.granted(), []);
    assert!(is_granted(&cancel(&mut scene, reader)), "too late: it has it");
    assert_eq!(scene.holders("k"), [(c, S)]);
    let late = scene.request(c, &[("free", X)], Patience::Try);
    assert_eq!(cancel(&mut scene, late.ticket), Reply::Done, "there is nothing to take back yet");
    let cancelled = Reply::Refused(Refusal::Cancelled);
    assert_eq!(scene.home.apply(Command::Acquire(late)), cancelled, "it comes after that");
    assert_eq!(scene.holders("free"), []);
}

/// Two clients of one session: their numbers do not clash, and neither says what the other is done
/// with. So many clients are remembered, and the first ones that wait for nothing are forgotten.
pub(super) fn lanes(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    let ask = |lane, count: u64, floor, name: &str| {
        let ticket = Ticket { owner: a, request: RequestNo(RequestNo::first_of(lane).0 + count) };
        let wants = vec![Want::new(name, X)];
        Command::Acquire(Acquire { ticket, floor, wants, patience: Patience::For(PATIENCE) })
    };
    let none = RequestNo(0);
    scene.take(b, "k", X);
    let [first, other] = [0, 5].map(|lane| ask(lane, 1, none, if lane == 0 { "x" } else { "k" }));
    let granted = scene.home.apply(first.clone());
    assert!(is_granted(&granted));
    assert_eq!(scene.home.apply(other.clone()), Reply::Waiting, "another request than the first");
    let done = RequestNo(RequestNo::first_of(5).0 + 1);
    assert!(is_granted(&scene.home.apply(ask(5, 2, done, "y"))));
    assert_eq!(scene.home.apply(first.clone()), granted, "of its own lane only");
    let done = RequestNo(RequestNo::first_of(0).0 + 2);
    assert!(is_granted(&scene.home.apply(ask(0, 2, done, "z"))));
    assert!(matches!(scene.home.apply(first), Reply::Refused(Refusal::Late(_))));
    assert_eq!(scene.home.apply(other), Reply::Waiting);
    // Lane 5 waits, and lane 6 is the next.
    for lane in 6..5 + MAX_LANES as u32 {
        assert!(is_granted(&scene.home.apply(ask(lane, 0, none, "x"))), "lane {lane}");
    }
    assert_eq!(scene.release(b, "k"), Reply::Released);
    assert_eq!(scene.granted().len(), 1, "lane 5 has waited all the time");
    let taken = ask(6, 0, none, "w");
    assert!(is_granted(&scene.home.apply(taken)), "lane 6 was forgotten, and begins anew");
    let known = scene.home.apply(ask(7, 0, none, "v"));
    assert!(matches!(&known, Reply::Granted(grants) if grants[0].name == "x".into()), "{known:?}");
}

/// What lies below the floor is over, and is not asked again.
pub(super) fn floor(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    scene.take(a, "k", X);
    let (own, _) = scene.ask(b, &[("own", X)]);
    let waits = scene.queue(b, "k", X);
    let next = Acquire {
        floor: RequestNo(waits.request.0 + 1),
        ..scene.request(b, &[("j", X)], Patience::Try)
    };
    assert!(is_granted(&scene.home.apply(Command::Acquire(next))));
    assert_eq!(scene.home.news(), [News::Refused(waits, Refusal::Cancelled)]);
    assert_eq!(scene.waiters("k"), []);
    assert_eq!(scene.holders("own"), [(b, X)], "what is held stays held");
    for ticket in [own, waits] {
        let late = Reply::Refused(Refusal::Late(ticket));
        let acquire = Acquire { ticket, ..scene.request(b, &[("k", X)], Patience::Try) };
        assert_eq!(scene.home.apply(Command::Acquire(acquire)), late);
        assert_eq!(scene.home.apply(Command::Release(give(ticket, "own"))), late);
    }
    assert_eq!(scene.holders("own"), [(b, X)]);
}

/// An owner may wait for many things, for each of them once.
pub(super) fn one_wait_for_a_name(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    scene.take(a, "x", X);
    scene.take(a, "y", X);
    let x = scene.queue(b, "x", X);
    let y = scene.queue(b, "y", S);
    let waits = Reply::Refused(Refusal::Waits(Name::from("x")));
    assert_eq!(scene.ask(b, &[("z", X), ("x", S)]).1, waits);
    assert_eq!(scene.holders("z"), []);
    scene.leave(a);
    assert_eq!(scene.granted(), [x, y]);
}

/// Who left, or never was, has nothing and gets nothing; and nobody else is taken for it.
pub(super) fn unknown_owner(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    scene.take(a, "k", X);
    scene.leave(a);
    scene.take(b, "k", X);
    let unknown = Refusal::Unknown(a);
    assert_eq!(scene.attempt(a, "j", X), Reply::Refused(unknown.clone()));
    assert_eq!(scene.release(a, "k"), Reply::Refused(unknown.clone()));
    assert_eq!(scene.home.renew(a), Err(unknown));
    scene.leave(a);
    assert_eq!(scene.holders("k"), [(b, X)]);
    let c = scene.session();
    assert!(c != a && c != b, "an owner never comes back");
}

/// At each bound, and one beyond it.
pub(super) fn bounds(make: Make<'_>) {
    let mut scene = scene(make);
    let a = scene.session();
    let unsound = |what| Reply::Refused(Refusal::Unsound(what));
    for (length, sound) in [(0, false), (1, true), (MAX_NAME, true), (MAX_NAME + 1, false)] {
        let reply = scene.attempt(a, &"n".repeat(length), X);
        let refused = reply == unsound(Unsound::Name);
        assert_eq!((is_granted(&reply), refused), (sound, !sound), "a name of {length} bytes");
    }
    for (count, sound) in [(0, false), (1, true), (MAX_WANTS, true), (MAX_WANTS + 1, false)] {
        let wants = (0..count).map(|it| Want::new(it.to_string().as_str(), S)).collect();
        let acquire = Acquire { wants, ..scene.request(a, &[], Patience::Try) };
        let reply = scene.home.apply(Command::Acquire(acquire));
        let refused = reply == unsound(Unsound::Wants);
        assert_eq!((is_granted(&reply), refused), (sound, !sound), "{count} names");
    }
    assert_eq!(scene.ask(a, &[("x", S), ("x", X)]).1, unsound(Unsound::Wants), "one name twice");
    let instant = Duration::from_nanos(1);
    for (wait, sound) in [(Duration::ZERO, true), (MAX_TERM, true), (MAX_TERM + instant, false)] {
        let request = scene.request(a, &[("x", S)], Patience::For(wait));
        let reply = scene.home.apply(Command::Acquire(request));
        assert_eq!(is_granted(&reply), sound, "{reply:?}");
    }
    for (lease, delay, sound) in [
        (Duration::ZERO, Duration::ZERO, false),
        (MAX_TERM, MAX_TERM, true),
        (MAX_TERM + instant, Duration::ZERO, false),
        (MAX_TERM, MAX_TERM + instant, false),
    ] {
        let reply = scene.home.apply(Command::Open(Terms { delay, ..Terms::session(lease) }));
        let refused = reply == unsound(Unsound::Term);
        assert_eq!((matches!(reply, Reply::Opened(_)), refused), (sound, !sound), "{reply:?}");
    }
    remembered(&mut scene);
    remembered_names(&mut scene);
}

/// So many answers are kept for an owner that may ask again, and no more.
fn remembered(scene: &mut Scene) {
    let b = scene.open(Terms { discipline: Discipline::Free, ..Terms::session(MAX_TERM) });
    for number in 0..MAX_REQUESTS {
        assert!(is_granted(&scene.attempt(b, "k", X)), "number {number}");
    }
    assert_eq!(scene.attempt(b, "k", X), Reply::Refused(Refusal::Full(Full::Requests)));
    assert_eq!(scene.release(b, "k"), Reply::Released, "what it has can be given back");
    let next = scene.request(b, &[("k", X)], Patience::Try);
    let next = Acquire { floor: next.ticket.request, ..next };
    assert!(is_granted(&scene.home.apply(Command::Acquire(next))), "it is done with the others");
}

/// The names of all those answers are bounded too, however few they are.
fn remembered_names(scene: &mut Scene) {
    let b = scene.session();
    let mut many = || {
        let wants = (0..MAX_WANTS).map(|it| Want::new(it.to_string().as_str(), S)).collect();
        let acquire = Acquire { wants, ..scene.request(b, &[], Patience::Try) };
        scene.home.apply(Command::Acquire(acquire))
    };
    for _ in 0..MAX_REMEMBERED / MAX_WANTS {
        assert!(is_granted(&many()));
    }
    assert_eq!(many(), Reply::Refused(Refusal::Full(Full::Requests)));
    assert_eq!(scene.release(b, "0"), Reply::Released, "what it has can be given back");
}

/// A transaction that gave something back takes nothing more; if it tries, it loses all.
pub(super) fn two_phases(make: Make<'_>) {
    let mut scene = scene(make);
    let a = scene.transaction();
    let b = scene.session();
    scene.take(a, "x", X);
    scene.take(a, "y", X);
    let waits = scene.queue(b, "y", X);
    scene.take(b, "w", X);
    let more = scene.queue(a, "w", X);
    let taking = Reply::Refused(Refusal::Waits(Name::from("w")));
    assert_eq!(scene.release(a, "x"), taking, "it takes still");
    assert_eq!(cancel(&mut scene, more), Reply::Done);
    scene.home.news();
    assert_eq!(scene.release(a, "x"), Reply::Released);
    assert_eq!(scene.granted(), []);
    let shrinking = Refusal::Shrinking(a);
    assert_eq!(scene.ask(a, &[("z", S)]).1, Reply::Refused(shrinking.clone()));
    let news = scene.home.news();
    assert!(news.contains(&News::Lost(a, shrinking.clone())), "{news:?}");
    let granted = |one: &News| matches!(one, News::Granted(ticket, _) if *ticket == waits);
    assert!(news.iter().any(granted), "all of it is free at once: {news:?}");
    assert_eq!(scene.attempt(a, "z", S), Reply::Refused(shrinking), "until it has left");
    scene.leave(a);
    assert_eq!(scene.attempt(a, "z", S), Reply::Refused(Refusal::Unknown(a)));
}
