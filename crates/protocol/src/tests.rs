//! The rules of the desk, one test each, on a core of twenty lines.

use crate::{
    Caller, Core, Desk, Effects, Event, Fork, Free, Heard, Lsn, NodeId, Rng, Time, Word, Worlds,
    Wrap,
};

/// Counts what it was told to remember; asks itself before it announces.
#[derive(Debug, Default)]
struct Clerk {
    waiting: Vec<Caller>,
    heard: Vec<NodeId>,
}

#[derive(Clone, Debug, PartialEq)]
enum Ask {
    Remember(u32),
    Repeat,
    Redirect,
    Vote,
}

#[derive(Clone, Debug, PartialEq)]
enum Say {
    Done(u32),
    Elsewhere,
    Yes,
}

/// An answer that rests on nothing.
struct Elsewhere;
impl Free for Elsewhere {
    const WHY: &'static str = "it only says who else might know";
}
impl From<Elsewhere> for Say {
    fn from(_: Elsewhere) -> Self {
        Self::Elsewhere
    }
}

impl Core for Clerk {
    type Request = Ask;
    type Reply = Say;
    type Record = u32;
    type Output = &'static str;

    fn step(&mut self, _now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Request { caller, request: Ask::Remember(n) } => {
                fx.answer(caller, Say::Done(n));
                fx.save(n);
            }
            Event::Request { caller, request: Ask::Repeat } => fx.answer(caller, Say::Done(0)),
            Event::Request { caller, request: Ask::Redirect } => fx.answer_free(caller, Elsewhere),
            Event::Request { caller, request: Ask::Vote } => {
                if caller.peer().is_some() {
                    fx.save(7);
                    fx.answer(caller, Say::Yes);
                } else {
                    self.waiting.push(caller);
                    fx.send(NodeId(1), Ask::Vote);
                }
            }
            Event::Reply(heard) => {
                self.heard.push(heard.from());
                fx.output("counted");
            }
            Event::Failed { .. } | Event::DiskHealthy(_) | Event::Wake => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

fn desk() -> Desk<Clerk> {
    Desk::new(NodeId(1), Clerk::default(), Lsn(0))
}

fn words(desk: &mut Desk<Clerk>) -> Vec<String> {
    std::iter::from_fn(|| desk.next_word())
        .map(|word| match word {
            Word::Send { to, request, .. } => format!("send {to} {request:?}"),
            Word::Answer { ticket, reply } => format!("answer {ticket} {reply:?}"),
            Word::Output(output) => format!("output {output}"),
            Word::Forget(keep) => format!("forget {}", keep.0),
        })
        .collect()
}

#[test]
fn an_answer_said_before_its_save_in_the_same_step_still_waits() {
    let mut desk = desk();
    desk.request(Time(0), 1, None, Ask::Remember(5));
    assert_eq!(desk.records().collect::<Vec<_>>(), [5]);
    assert!(words(&mut desk).is_empty());
    desk.durable(Time(1), Lsn(1));
    assert_eq!(words(&mut desk), ["answer 1 Done(5)"]);
}

/// The classic mistake of gating on the step's own records: a duplicate saves nothing.
#[test]
fn a_repeated_answer_waits_for_the_original_record() {
    let mut desk = desk();
    desk.request(Time(0), 1, None, Ask::Remember(5));
    desk.request(Time(0), 2, None, Ask::Repeat);
    assert!(words(&mut desk).is_empty());
    desk.durable(Time(1), Lsn(1));
    assert_eq!(words(&mut desk), ["answer 1 Done(5)", "answer 2 Done(0)"]);
}

#[test]
fn a_free_word_overtakes_held_ones() {
    let mut desk = desk();
    desk.request(Time(0), 1, None, Ask::Remember(5));
    desk.request(Time(0), 2, None, Ask::Redirect);
    assert_eq!(words(&mut desk), ["answer 2 Elsewhere"]);
}

#[test]
fn a_vote_for_oneself_passes_the_own_log() {
    let mut desk = desk();
    desk.request(Time(0), 1, None, Ask::Vote);
    assert_eq!(desk.records().collect::<Vec<_>>(), [7]);
    assert!(desk.core().heard.is_empty(), "counted before it was saved");
    desk.durable(Time(1), Lsn(1));
    assert_eq!(desk.core().heard, [NodeId(1)]);
    assert_eq!(words(&mut desk), ["output counted"]);
}

#[test]
#[should_panic(expected = "never saved")]
fn a_log_that_reports_too_much_is_a_bug() {
    desk().durable(Time(0), Lsn(1));
}

/// A core around a clerk: its free answers stay free, its records stay ahead of its words.
struct Coat(Clerk);

impl Core for Coat {
    type Request = Ask;
    type Reply = Say;
    type Record = u32;
    type Output = &'static str;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        let wrap = Wrap { request: |r| r, reply: |r| r, record: |r| r + 100, output: |o| o };
        let inner = match event {
            Event::Request { caller, request } => Event::Request { caller, request },
            Event::Reply(heard) => Event::Reply(heard.map(|reply| reply)),
            _ => Event::Wake,
        };
        fx.nest(wrap, |fx| self.0.step(now, inner, fx));
    }

    fn deadline(&self) -> Option<Time> {
        self.0.deadline()
    }
}

#[test]
fn a_nested_core_keeps_its_gates() {
    let mut desk = Desk::new(NodeId(1), Coat(Clerk::default()), Lsn(0));
    desk.request(Time(0), 1, None, Ask::Remember(5));
    desk.request(Time(0), 2, None, Ask::Redirect);
    assert_eq!(desk.records().collect::<Vec<_>>(), [105]);
    assert!(matches!(desk.next_word(), Some(Word::Answer { ticket: 2, .. })));
    assert!(desk.next_word().is_none());
    desk.durable(Time(1), Lsn(1));
    assert!(matches!(desk.next_word(), Some(Word::Answer { ticket: 1, .. })));
}

#[test]
fn heard_keeps_its_origin_when_reworded() {
    let heard = Heard { from: NodeId(3), call: crate::CallId(9), reply: 1 };
    let (origin, reply) = heard.map(|n| n + 1).take();
    assert_eq!((origin.from(), reply), (NodeId(3), 2));
}

#[test]
fn the_generator_is_the_same_for_ever() {
    let mut rng = Rng::new(1);
    let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
    assert_eq!(first, [10451216379200822465, 13757245211066428519, 17911839290282890590]);
    assert!((0..1000).all(|_| rng.below(7) < 7));
}

impl Fork for Clerk {
    fn fork(&self, worlds: &Worlds) -> Self {
        let waiting = self.waiting.iter().map(|caller| caller.fork(worlds)).collect();
        Self { waiting, heard: self.heard.clone() }
    }
}

/// Two worlds that were one go on as one would have, each by itself.
#[test]
fn a_copied_desk_answers_in_its_own_world() {
    let mut one = Desk::new(NodeId(1), Clerk::default(), Lsn(0));
    one.request(Time::ZERO, 9, None, Ask::Vote);
    one.records().for_each(drop);
    one.durable(Time::ZERO, one.saved());
    while one.next_word().is_some() {}
    let said = |desk: &mut Desk<Clerk>| {
        desk.request(Time::ZERO, 11, None, Ask::Remember(3));
        let records: Vec<u32> = desk.records().collect();
        desk.durable(Time::ZERO, desk.saved());
        let word = format!("{:?}", desk.next_word());
        (records, word, desk.saved(), desk.core().waiting.len(), desk.core().heard.clone())
    };
    let mut two = one.fork();
    assert_eq!(said(&mut one), said(&mut two));
    assert_eq!(one.saved(), two.saved());
}

/// What a desk holds back would be said in both worlds, so it is not copied.
#[test]
#[should_panic(expected = "a desk with words or records on it is copied")]
fn a_desk_that_holds_something_is_not_copied() {
    let mut desk = Desk::new(NodeId(1), Clerk::default(), Lsn(0));
    desk.request(Time::ZERO, 9, None, Ask::Remember(1));
    let _ = desk.fork();
}
