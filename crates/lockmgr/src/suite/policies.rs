//! Each policy ends a circle in its own way.

use std::time::Duration;

use super::{Make, Scene};
use crate::{
    Command, Mode, Name, News, Owner, Patience, Refusal, Reply, Rule, Ticket,
    policy::{RULES, SEARCH_AFTER},
};
use Mode::X;

/// Sooner than [`PATIENCE`](super::PATIENCE).
const SOON: Duration = Duration::from_secs(1);

/// The older one holds `x`, the younger one `y`.
struct Two {
    scene: Scene,
    old: Owner,
    young: Owner,
}

impl Two {
    fn new(make: &mut dyn FnMut(Rule) -> Box<dyn super::Home>, rule: Rule) -> Self {
        let mut scene = Scene::new(make(rule));
        let [old, young] = [(); 2].map(|()| scene.session());
        scene.take(old, "x", X);
        scene.take(young, "y", X);
        Self { scene, old, young }
    }

    /// The younger one goes on: it asked in vain, and gives back what it has.
    fn young_yields(mut self, waits: Ticket) {
        assert_eq!(self.scene.holders("y"), [(self.young, X)], "a session loses the one request");
        assert_eq!(self.scene.release(self.young, "y"), Reply::Released);
        assert_eq!(self.scene.granted(), [waits]);
    }
}

/// Each wants what the other has.
pub(super) fn each_ends_a_circle(make: Make<'_>) {
    for rule in RULES {
        let two = Two::new(make, rule);
        match rule {
            Rule::WoundWait => wounds(two),
            Rule::WaitDie => dies(two),
            Rule::NoWait => does_not_wait(two),
            Rule::Detect => is_found(two),
            Rule::TimeoutOnly => times_out(two),
        }
    }
}

fn wounds(two: Two) {
    let Two { mut scene, old, young } = two;
    let waits = scene.queue(young, "x", X);
    let (ticket, reply) = scene.ask(old, &[("y", X)]);
    assert!(matches!(reply, Reply::Granted(_)), "{ticket}: {reply:?}");
    let wounded = Refusal::Wounded { name: Name::from("y"), by: old };
    let news = scene.home.news();
    for one in [News::Lost(young, wounded.clone()), News::Refused(waits, wounded)] {
        assert!(news.contains(&one), "{one:?} is not in {news:?}");
    }
    assert_eq!((scene.holders("x"), scene.holders("y")), (vec![(old, X)], vec![(old, X)]));
}

fn dies(two: Two) {
    let Two { mut scene, old, young } = two;
    let waits = scene.queue(old, "y", X);
    let died = Refusal::Died { name: Name::from("x"), by: old };
    assert_eq!(scene.ask(young, &[("x", X)]).1, Reply::Refused(died));
    Two { scene, old, young }.young_yields(waits);
}

fn does_not_wait(two: Two) {
    let Two { mut scene, old, young } = two;
    for (owner, name, by) in [(old, "y", young), (young, "x", old)] {
        let taken = Refusal::Taken { name: Name::from(name), by };
        assert_eq!(scene.ask(owner, &[(name, X)]).1, Reply::Refused(taken));
    }
}

fn is_found(two: Two) {
    let Two { mut scene, old, young } = two;
    let waits = scene.queue(old, "y", X);
    let victim = scene.queue(young, "x", X);
    scene.home.pass(SEARCH_AFTER);
    let news = scene.home.news();
    let [News::Refused(ticket, Refusal::Deadlock(chain))] = &news[..] else {
        panic!("one is told of one circle, not {news:?}");
    };
    assert_eq!(*ticket, victim, "the youngest");
    let links: Vec<_> =
        chain.iter().map(|link| (link.waiter, link.name.clone(), link.blocker)).collect();
    assert_eq!(links, [(waits, "y".into(), young), (victim, "x".into(), old)], "all of it");
    Two { scene, old, young }.young_yields(waits);
}

fn times_out(two: Two) {
    let Two { mut scene, old, young } = two;
    let patient = scene.queue(young, "x", X);
    let request = scene.request(old, &[("y", X)], Patience::For(SOON));
    let hasty = request.ticket;
    assert_eq!(scene.home.apply(Command::Acquire(request)), Reply::Waiting);
    scene.home.pass(SOON);
    assert_eq!(scene.home.news(), [News::Refused(hasty, Refusal::TimedOut)]);
    assert_eq!(scene.release(old, "x"), Reply::Released);
    assert_eq!(scene.granted(), [patient]);
}
