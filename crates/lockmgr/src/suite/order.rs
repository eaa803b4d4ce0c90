//! Who gets what, and in which order.

use std::collections::BTreeSet;

use super::{
    Make, Scene,
    scene::{is_granted, taken},
};
use crate::{
    Acquire, Command, Full, MAX_HOLDS, MAX_OWNERS, MAX_TERM, MAX_WAITING, MAX_WANTS, Mode, Name,
    News, Patience, Refusal, Reply, RequestNo, Rule, Terms, Want,
};
use Mode::{IS, IX, S, SIX, U, X};

fn scene(make: Make<'_>) -> Scene {
    Scene::new(make(Rule::Detect))
}

/// Free is locked, locked is refused, locked is unlocked, free is not unlocked; of two names, each
/// by itself.
pub(super) fn truth_table(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    for (name, other) in [("x", "y"), ("y", "x")] {
        assert!(is_granted(&scene.attempt(a, name, X)), "free");
        assert_eq!(scene.attempt(b, name, X), taken(name, a), "held");
        assert!(is_granted(&scene.attempt(b, other, X)), "another name");
        assert_eq!(scene.release(b, other), Reply::Released);
        assert_eq!(scene.release(a, name), Reply::Released);
        let not_held = Reply::Refused(Refusal::NotHeld(Name::from(name)));
        assert_eq!(scene.release(a, name), not_held, "free already");
        assert_eq!(scene.home.look(&Name::from(name)), None, "nothing is left of it");
    }
}

/// The whole matrix, on real holders. It is written down here a second time.
pub(super) fn matrix(make: Make<'_>) {
    let order = [IS, IX, S, SIX, U, X];
    let rows = ["yyyyyn", "yynnnn", "ynynyn", "ynnnnn", "ynynnn", "nnnnnn"];
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    for (held, row) in order.into_iter().zip(rows) {
        for (wanted, cell) in order.into_iter().zip(row.chars()) {
            scene.take(a, "k", held);
            let reply = scene.attempt(b, "k", wanted);
            if cell == 'y' {
                assert!(is_granted(&reply), "{wanted} goes with {held}");
                assert_eq!(scene.release(b, "k"), Reply::Released);
            } else {
                assert_eq!(reply, taken("k", a), "{wanted} does not go with {held}");
            }
            assert_eq!(scene.release(a, "k"), Reply::Released);
        }
    }
}

/// S and S; S then X, X then S; and who holds X may read.
pub(super) fn shared_and_exclusive(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b, c] = [(); 3].map(|()| scene.session());
    scene.take(a, "k", S);
    scene.take(b, "k", S);
    let writer = scene.queue(c, "k", X);
    assert_eq!(scene.release(a, "k"), Reply::Released);
    assert_eq!(scene.granted(), [], "one reader is left");
    assert_eq!(scene.release(b, "k"), Reply::Released);
    assert_eq!(scene.granted(), [writer]);
    let token = scene.take(c, "other", X);
    assert_eq!(scene.take(c, "other", S), token, "who writes may read, by the same token");
    assert_eq!(scene.holders("other"), [(c, X)]);
    let reader = scene.queue(a, "k", S);
    assert_eq!(scene.release(c, "k"), Reply::Released);
    assert_eq!(scene.granted(), [reader]);
}

/// One after the other, and all at once where they go together.
pub(super) fn batches(make: Make<'_>) {
    let mut scene = scene(make);
    let [first, a, b, c, second, d] = [(); 6].map(|()| scene.session());
    scene.take(first, "k", X);
    let crowd = [(a, S), (b, U), (c, S)].map(|(owner, mode)| scene.queue(owner, "k", mode));
    let writer = scene.queue(second, "k", X);
    let last = scene.queue(d, "k", S);
    assert_eq!(scene.waiters("k"), [&crowd[..], &[writer, last]].concat());
    assert_eq!(scene.release(first, "k"), Reply::Released);
    assert_eq!(scene.granted(), crowd, "the three that go together, and not the last");
    for owner in [a, b, c] {
        assert_eq!(scene.granted(), []);
        assert_eq!(scene.release(owner, "k"), Reply::Released);
    }
    assert_eq!(scene.granted(), [writer]);
    assert_eq!(scene.release(second, "k"), Reply::Released);
    assert_eq!(scene.granted(), [last]);
}

/// Also who would go with the holder stands behind who would not.
pub(super) fn no_barging(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b, c, d] = [(); 4].map(|()| scene.session());
    scene.take(a, "k", S);
    let writer = scene.queue(b, "k", X);
    let reader = scene.queue(c, "k", S);
    assert_eq!(scene.attempt(d, "k", S), taken("k", b), "nor without waiting");
    assert_eq!(scene.attempt(d, "k", IS), taken("k", b));
    scene.leave(a);
    assert_eq!(scene.granted(), [writer]);
    scene.leave(b);
    assert_eq!(scene.granted(), [reader]);
}

/// Who is alone gets more at once, even before who waits already.
pub(super) fn upgrade_alone(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    let shared = scene.take(a, "k", S);
    let writer = scene.queue(b, "k", X);
    let alone = scene.take(a, "k", X);
    assert_eq!(scene.holders("k"), [(a, X)]);
    assert!(alone > shared || !scene.home.fenced(), "another hold, another token");
    scene.take(b, "j", S);
    scene.take(b, "j", IX);
    assert_eq!(scene.holders("j"), [(b, SIX)], "the one and the other");
    assert_eq!(scene.release(a, "k"), Reply::Released);
    assert_eq!(scene.granted(), [writer]);
}

/// Who has something of a name and wants more comes before all who have nothing, and only waits
/// for those that have something too.
pub(super) fn upgrade_first(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b, c, d] = [(); 4].map(|()| scene.session());
    scene.take(a, "k", U);
    scene.take(b, "k", S);
    let writer = scene.queue(c, "k", X);
    let more = scene.queue(a, "k", X);
    assert_eq!(scene.waiters("k"), [more, writer]);
    assert_eq!(scene.holders("k"), [(a, U), (b, S)], "nothing is taken from who waits for more");
    assert_eq!(scene.attempt(d, "k", S), taken("k", a));
    assert_eq!(scene.release(b, "k"), Reply::Released);
    assert_eq!(scene.granted(), [more]);
    assert_eq!(scene.holders("k"), [(a, X)]);
    assert_eq!(scene.release(a, "k"), Reply::Released);
    assert_eq!(scene.granted(), [writer]);
}

/// What was given back is as if it had never been held; who waits gets it first.
pub(super) fn released_and_taken_again(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b] = [(); 2].map(|()| scene.session());
    let first = scene.take(a, "k", X);
    assert_eq!(scene.release(a, "k"), Reply::Released);
    let second = scene.take(a, "k", X);
    assert!(second > first || !scene.home.fenced());
    let next = scene.queue(b, "k", X);
    assert_eq!(scene.release(a, "k"), Reply::Released);
    let again = scene.queue(a, "k", X);
    assert_eq!(scene.granted(), [next]);
    assert_eq!(scene.release(b, "k"), Reply::Released);
    assert_eq!(scene.granted(), [again]);
}

/// A request for many names has none of them until it has all, and still nobody overtakes it in
/// any of their queues.
pub(super) fn all_or_nothing(make: Make<'_>) {
    let mut scene = scene(make);
    let [a, b, c, d] = [(); 4].map(|()| scene.session());
    scene.take(a, "x", X);
    scene.take(d, "z", X);
    let (all, reply) = scene.ask(b, &[("x", X), ("y", S), ("z", X)]);
    assert_eq!(reply, Reply::Waiting);
    assert_eq!(scene.holders("y"), []);
    let late = scene.queue(c, "y", X);
    assert_eq!(scene.release(a, "x"), Reply::Released);
    assert_eq!(scene.granted(), [], "`z` is not there yet");
    scene.leave(d);
    let grants = scene.grants();
    assert_eq!(grants.len(), 1);
    assert_eq!(grants[0].0, all);
    let names: Vec<_> = grants[0].1.iter().map(|grant| (grant.name.clone(), grant.mode)).collect();
    assert_eq!(names, [("x".into(), X), ("y".into(), S), ("z".into(), X)], "in the asked order");
    scene.leave(b);
    assert_eq!(scene.granted(), [late]);
}

/// Each token is larger than all before it, whatever its name; or there are none.
pub(super) fn tokens(make: Make<'_>) {
    let mut scene = scene(make);
    let mut last = None;
    let mut seen = BTreeSet::new();
    let mut order: Vec<_> = (0..3).map(|_| scene.session()).collect();
    let waits = order.remove(2);
    for round in 0..4 {
        for name in ["x", "y"] {
            for &owner in &order {
                let (ticket, reply) = scene.ask(owner, &[(name, S), ("own", IS)]);
                let Reply::Granted(grants) = reply else { panic!("{ticket}: {reply:?}") };
                // Only a hold that is new has a new token.
                let token = grants[0].token;
                assert_eq!(token.is_some(), scene.home.fenced());
                assert!(token > last || token.is_none(), "{token:?} after {last:?}");
                last = last.max(grants[1].token).max(token);
                assert!(token.is_none() || seen.insert(token), "{token:?} twice");
            }
            let waiting = scene.queue(waits, name, X);
            for &owner in &order {
                assert_eq!(scene.release(owner, name), Reply::Released);
            }
            let grants = scene.grants();
            assert_eq!(grants.len(), 1, "round {round}");
            assert_eq!(grants[0].0, waiting);
            let token = grants[0].1[0].token;
            assert!(token > last || token.is_none(), "{token:?} after {last:?}");
            last = last.max(token);
            assert_eq!(scene.release(waits, name), Reply::Released);
        }
    }
}

/// The tables have ends: at the limit, and one beyond it. Not among [`all`](super::all), since a
/// home with a disk would be busy for long.
///
/// # Panics
///
/// With the broken promise.
pub fn limits(make: Make<'_>) {
    let mut home = make(Rule::Detect);
    let open = Command::Open(Terms::session(MAX_TERM));
    for _ in 0..MAX_OWNERS {
        assert!(matches!(home.apply(open.clone()), Reply::Opened(_)));
    }
    assert_eq!(home.apply(open), Reply::Refused(Refusal::Full(Full::Owners)));

    let mut scene = Scene::new(make(Rule::Detect));
    let owners: Vec<_> = (0..MAX_HOLDS / MAX_WANTS / 128).map(|_| scene.session()).collect();
    let mut number = 0;
    let mut names = |count: usize| -> Vec<Want> {
        number += count;
        (number - count..number).map(|it| Want::new(it.to_string().as_str(), S)).collect()
    };
    let ask = |scene: &mut Scene, owner, wants, patience| {
        // Done with all before: the names of what may still be asked about are bounded too.
        let request = scene.request(owner, &[], patience);
        let acquire = Acquire { wants, floor: request.ticket.request, ..request };
        scene.home.apply(Command::Acquire(acquire))
    };
    for &owner in &owners {
        for _ in 0..128 {
            assert!(is_granted(&ask(&mut scene, owner, names(MAX_WANTS), Patience::Try)));
        }
    }
    let full = Reply::Refused(Refusal::Full(Full::Holds));
    assert_eq!(ask(&mut scene, owners[0], names(1), Patience::Try), full);
    assert_eq!(scene.release(owners[0], "0"), Reply::Released);
    assert!(is_granted(&ask(&mut scene, owners[1], names(1), Patience::Try)));
    assert_eq!(ask(&mut scene, owners[0], names(1), Patience::Try), full);

    crowd(make);
}

fn crowd(make: Make<'_>) {
    let mut scene = Scene::new(make(Rule::TimeoutOnly));
    let holder = scene.session();
    let each = 128;
    let names: Vec<_> = (0..each).map(|it| it.to_string()).collect();
    for name in &names {
        scene.take(holder, name, X);
    }
    let mut waiting = 0;
    let mut last = None;
    while waiting < MAX_WAITING {
        let owner = scene.session();
        for name in &names {
            last = Some(scene.queue(owner, name, IS));
            waiting += 1;
        }
    }
    let late = scene.session();
    let full = Reply::Refused(Refusal::Full(Full::Waiting));
    assert_eq!(scene.ask(late, &[("0", IS)]).1, full);
    let last = last.expect("many wait");
    let done = News::Refused(last, Refusal::Cancelled);
    let acquire = Acquire {
        floor: RequestNo(last.request.0 + 1),
        ..scene.request(last.owner, &[("own", X)], Patience::Try)
    };
    scene.home.apply(Command::Acquire(acquire));
    assert!(scene.home.news().contains(&done));
    scene.queue(late, "0", IS);
}
