//! Acceptance 8.5-17: puts over a version, which nobody remembers, when messages get lost.

use std::time::Duration;

use bytes::Bytes;
use kvpaxos::{Command, Expect, PutError, Response, Version, versioned::verdict};
use paxosrsm::{
    Clerk, Coded,
    clerk::{Heard, Next, Try},
    message::Reply,
};
use protocol::{NodeId, Rng, Time};
use sim::Trouble;
use synod_tests::{
    day::Done,
    scene::{Scene, play, put},
};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(300);
const KEY: &[u8] = b"k";

/// A client that puts over versions: the shipped clerk, over links that lose words.
struct Putter {
    clerk: Clerk,
    rng: Rng,
    /// Requests and answers lost, per mille.
    loss: u64,
    /// The try under way: its ticket unless it was lost, and when it is given up.
    waiting: Option<(Option<u64>, Time)>,
    /// The try to make next, and when.
    next: Option<(Try, Time)>,
    /// Tries of the put under way that were sent.
    tries: u64,
}

impl Putter {
    fn new(seed: u64, loss: u64) -> Self {
        let clerk = Clerk::new((1..=3).map(NodeId).collect(), seed);
        let rng = Rng::new(seed).fork(0x8517);
        Self { clerk, rng, loss, waiting: None, next: None, tries: 0 }
    }

    /// Begins to put `value` over what `expect` says.
    fn begin(&mut self, scene: &Scene, expect: Expect, value: &str) {
        let value = Bytes::copy_from_slice(value.as_bytes());
        let command = Command::Cas(Bytes::from_static(KEY), expect, value);
        assert!(command.is_versioned());
        (self.tries, self.waiting) = (0, None);
        self.next = Some((self.clerk.bare(command.to_bytes()), scene.world.now()));
    }

    /// Looks whether something is to be done now; the outcome, when there is one.
    fn poll(&mut self, scene: &mut Scene) -> Option<Result<Version, PutError>> {
        let now = scene.world.now();
        if let Some((attempt, _)) = self.next.take_if(|(_, at)| *at <= now) {
            self.tries += 1;
            let lost = self.rng.chance(self.loss);
            let ticket = (!lost).then(|| scene.raw(attempt.to.0, attempt.bytes));
            self.waiting = Some((ticket, now.plus(PATIENCE)));
            return None;
        }
        let (ticket, until) = self.waiting?;
        let heard = match ticket.and_then(|ticket| scene.heard(ticket)) {
            Some(_) if self.rng.chance(self.loss) => {
                // It gets lost on its way back.
                self.waiting = Some((None, until));
                return None;
            }
            Some(Reply::Done(done)) => Heard::Done(done.0.clone()),
            Some(Reply::Refused(refused)) => Heard::Refused(*refused),
            Some(other) => panic!("a put was answered with {other:?}"),
            None if now < until => return None,
            None => Heard::Silence,
        };
        self.waiting = None;
        match self.clerk.heard(heard) {
            Next::Try(next) => {
                let at = now.plus(next.after);
                self.next = Some((next, at));
                None
            }
            Next::Done(bytes) => {
                let response = Response::decode(&bytes).expect("a response");
                Some(verdict(&response, self.clerk.exposed()))
            }
            other => panic!("a put over a version ended with {other:?}"),
        }
    }

    /// One put from beginning to end.
    fn put(
        &mut self,
        scene: &mut Scene,
        expect: Expect,
        value: &str,
    ) -> Result<Result<Version, PutError>, Trouble> {
        self.begin(scene, expect, value);
        for _ in 0..20_000 {
            if let Some(outcome) = self.poll(scene) {
                return Ok(outcome);
            }
            scene.pass(Duration::from_millis(1))?;
        }
        Err(scene.trouble("a put over a version never ended".into()))
    }
}

/// What the leader holds: the value and its version.
fn held(scene: &mut Scene) -> Result<(String, Version), Trouble> {
    scene.level(Duration::from_secs(2))?;
    let leader = scene.leader_of(&[1, 2, 3])?;
    let view = scene.world.view();
    let found = view.core(NodeId(leader)).and_then(|core| core.machine().machine().get(KEY));
    let (value, version) = found.ok_or_else(|| scene.trouble("the key is gone".into()))?;
    Ok((String::from_utf8_lossy(value).into_owned(), *version))
}

/// How many sessions a replica remembers, at most.
fn sessions(scene: &Scene) -> Option<usize> {
    scene.world.view().cores().map(|(_, core)| core.machine().len()).max()
}

/// The end of a scene whose clients are this file's own.
fn end(scene: Scene, acknowledged: u64) -> Result<Done, Trouble> {
    let mut done = scene.end()?;
    done.acknowledged += acknowledged;
    Ok(done)
}

/// A hundred puts of one client, each over the version that the one before it left. Nobody else
/// writes, so a put that was done twice would leave a version too many.
#[test]
fn s8_5_17_versioned_puts_may_be_repeated() {
    let figure = |all: &[u64]| format!("{} answers of maybe", all.iter().sum::<u64>());
    play("s8_5_17_versioned_puts_may_be_repeated", 0..100, figure, |seed| {
        let mut scene = Scene::lossy(3, seed, 50);
        let creator = scene.client(&[1, 2, 3]);
        scene.ask(creator, put("k", "0"))?;
        // Its repetitions have arrived by then; from here on nobody has a session.
        scene.pass(Duration::from_secs(1))?;
        let before = sessions(&scene);
        let mut putter = Putter::new(seed, 150);
        let absent = putter.put(&mut scene, Expect::Version(Version(7)), "x")?;
        let refused = absent == Err(PutError::Version(Version(1)))
            || absent == Err(PutError::Maybe(Some(Version(1))));
        scene.demand(refused, || format!("{absent:?}"))?;
        let (mut version, mut maybes) = (Version(1), 0);
        for n in 1..=100 {
            let value = n.to_string();
            match putter.put(&mut scene, Expect::Version(version), &value)? {
                Ok(new) => version = new,
                Err(PutError::Maybe(found)) => {
                    let tries = putter.tries;
                    scene.demand(tries > 1, || "maybe, and it was not repeated".into())?;
                    // Nobody else writes: it was the earlier try.
                    maybes += 1;
                    version = found.ok_or_else(|| scene.trouble("the key is gone".into()))?;
                }
                Err(other) => return Err(scene.trouble(format!("put {n}: {other:?}"))),
            }
            scene.demand(version == Version(n + 1), || format!("put {n}: version {version:?}"))?;
        }
        let there = held(&mut scene)?;
        scene.demand(there == ("100".into(), Version(101)), || format!("{there:?}"))?;
        scene.demand(maybes > 0, || "maybe never occurred".into())?;
        // And nothing of it is remembered.
        let after = sessions(&scene);
        scene.demand(before == after, || format!("{before:?} sessions became {after:?}"))?;
        Ok((end(scene, 101)?, maybes))
    });
}

/// Ten clients race for one key; whoever is refused goes on from the version it was told. Each
/// success raises the version by one; every other seed loses messages, and then some cannot know.
#[test]
fn s8_5_17_racing_clients_and_the_final_version() {
    let name = "s8_5_17_racing_clients_and_the_final_version";
    let figure = |all: &[u64]| format!("{} puts were done", all.iter().sum::<u64>());
    play(name, 0..100, figure, |seed| {
        let loss = 150 * (seed % 2);
        let mut scene = Scene::lossy(3, seed, loss / 3);
        let creator = scene.client(&[1, 2, 3]);
        scene.ask(creator, put("k", "0"))?;
        let mut racers: Vec<(Putter, Version)> =
            (0..10).map(|n| (Putter::new(seed * 10 + n, loss), Version(1))).collect();
        for (number, (putter, version)) in racers.iter_mut().enumerate() {
            putter.begin(&scene, Expect::Version(*version), &number.to_string());
        }
        let (mut done, mut maybes, mut running) = (1, 0, 10);
        let stop = scene.world.now().plus(Duration::from_secs(1));
        while running > 0 {
            for (number, (putter, version)) in racers.iter_mut().enumerate() {
                match putter.poll(&mut scene) {
                    None => continue,
                    Some(Ok(new)) => (done, *version) = (done + 1, new),
                    Some(Err(PutError::Version(found))) => *version = found,
                    Some(Err(PutError::Maybe(Some(found)))) => {
                        (maybes, *version) = (maybes + 1, found);
                    }
                    Some(Err(other)) => return Err(scene.trouble(format!("{other:?}"))),
                }
                if scene.world.now() < stop {
                    putter.begin(&scene, Expect::Version(*version), &number.to_string());
                } else {
                    running -= 1;
                }
            }
            scene.pass(Duration::from_millis(1))?;
        }
        let (_, Version(last)) = held(&mut scene)?;
        let explained = (done..=done + maybes).contains(&last) && (loss > 0 || maybes == 0);
        scene.demand(explained, || format!("version {last} after {done} done, {maybes} maybe"))?;
        Ok((end(scene, last)?, last))
    });
}

/// What each answer means, first and repeated.
#[test]
fn s8_5_17_maybe_is_said_only_after_a_repetition() {
    let other = Response::Differs(Some(Version(9)));
    assert_eq!(verdict(&other, false), Err(PutError::Version(Version(9))));
    assert_eq!(verdict(&other, true), Err(PutError::Maybe(Some(Version(9)))));
    assert_eq!(verdict(&Response::Differs(None), false), Err(PutError::NoKey));
    assert_eq!(verdict(&Response::Differs(None), true), Err(PutError::Maybe(None)));
    for repeated in [false, true] {
        let written = Response::Written(Version(3));
        assert_eq!(verdict(&written, repeated), Ok(Version(3)));
    }
}
