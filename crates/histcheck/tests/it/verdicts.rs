//! What a report says, and what it refuses to say.

use std::time::{Duration, Instant};

use histcheck::{Action, Answer, GaveUp, Operation, Step, Verb, Verdict, check};

use crate::store::{Mix, Rng, history};

const LONG: Duration = Duration::from_secs(60);

fn put(id: u64, client: u64, call: u64, value: &str) -> Operation {
    Operation::asked(id, client, call, Action::Put { key: b"k".to_vec(), value: value.into() })
}

fn get(id: u64, client: u64, call: u64) -> Operation {
    Operation::asked(id, client, call, Action::Get { key: b"k".to_vec() })
}

fn saw(value: &str) -> Answer {
    Answer::Value(Some(value.into()))
}

#[test]
fn nothing_checked_is_no_pass() {
    let nothing = check(&[], LONG);
    assert!(nothing.is_vacuous() && !nothing.passed());
    assert_eq!(nothing.verdict, Verdict::Ok);

    let unheard: Vec<_> = (0..9).map(|id| put(id, id, id, "x")).collect();
    let unheard = check(&unheard, LONG);
    assert!(unheard.is_vacuous() && !unheard.passed());
    assert_eq!(unheard.counts.unknown, 9);

    // Nobody wrote, so a read could not have been wrong; only writes, so nobody looked.
    let unwritten = check(&[get(1, 1, 1).answered(2, Answer::Value(None))], LONG);
    assert!(unwritten.is_vacuous());
    let unread = check(&[put(1, 1, 1, "x").answered(2, Answer::Done)], LONG);
    assert!(unread.is_vacuous());
    assert!(unread.to_string().contains("vacuous"), "{unread}");
}

#[test]
fn an_unknown_write_may_come_late_or_never_but_not_early() {
    let read = get(2, 2, 30).answered(40, saw("x"));
    assert!(check(&[put(1, 1, 10, "x"), read.clone()], LONG).passed());
    assert!(matches!(check(&[put(1, 1, 41, "x"), read], LONG).verdict, Verdict::Illegal(_)));
    let never = get(2, 2, 30).answered(40, Answer::Value(None));
    assert!(check(&[put(1, 1, 10, "x"), never], LONG).passed());
}

#[test]
fn a_refused_write_has_no_effect() {
    let all = [put(1, 1, 10, "x").refused(20), get(2, 2, 15).answered(40, saw("x"))];
    assert!(matches!(check(&all, LONG).verdict, Verdict::Illegal(_)));
}

#[test]
fn the_end_and_the_start_of_one_client_at_one_instant_are_in_order() {
    let write = put(1, 1, 10, "x").answered(20, Answer::Done);
    let missing = Answer::Value(None);
    let same = [write.clone(), get(2, 1, 20).answered(30, missing.clone())];
    assert!(matches!(check(&same, LONG).verdict, Verdict::Illegal(_)));
    let other = [write, get(2, 2, 20).answered(30, missing)];
    assert!(check(&other, LONG).passed());
}

#[test]
fn a_violation_names_the_few_that_matter() {
    let mut all = history(Mix { keys: 1, ..Mix::PUTS }, 5);
    let end = all.iter().filter_map(|op| op.finish).max().unwrap_or(0) + 10;
    all.push(put(1001, 91, end, "first").answered(end + 1, Answer::Done));
    all.push(put(1002, 92, end + 2, "second").answered(end + 3, Answer::Done));
    all.push(get(1003, 93, end + 4).answered(end + 5, saw("first")));
    // The same key as the history's: the checker must not mistake the crowd for the reason.
    for op in &mut all {
        if let Action::Put { key, .. } | Action::Get { key } = &mut op.action {
            *key = b"k".to_vec();
        }
    }
    let report = check(&all, LONG);
    let Verdict::Illegal(violation) = &report.verdict else { panic!("{report}") };
    assert_eq!(violation.window.iter().map(|op| op.id).collect::<Vec<_>>(), [1001, 1002, 1003]);
    assert_eq!(violation.culprit.id, 1003);
    assert_eq!(violation.key, b"k");
    assert!(report.to_string().starts_with("NOT linearizable"), "{report}");
}

#[test]
fn contention_is_counted() {
    let alone = [
        put(1, 1, 10, "x").answered(20, Answer::Done),
        get(2, 2, 30).answered(40, saw("x")),
        get(3, 2, 50).answered(60, saw("x")),
    ];
    let report = check(&alone, LONG);
    assert_eq!((report.counts.constrained, report.counts.contended), (2, 0));
    let crowded = [
        put(1, 1, 10, "x").answered(35, Answer::Done),
        get(2, 2, 30).answered(40, saw("x")),
        get(3, 2, 41).answered(60, saw("x")),
        get(4, 3, 59).answered(61, saw("x")),
    ];
    let report = check(&crowded, LONG);
    assert_eq!((report.counts.constrained, report.counts.contended), (3, 3));
}

#[test]
fn keys_that_transactions_change_are_left_alone_and_said_so() {
    let step = |verb, with: &str| Step { verb, key: b"k".to_vec(), with: with.into() };
    let txn = |verb| {
        let steps = vec![step(verb, "x")];
        Operation::asked(9, 9, 1, Action::Txn { steps }).answered(2, Answer::Done)
    };
    let read = get(2, 2, 30).answered(40, saw("x"));
    let report = check(&[txn(Verb::Write), read.clone()], LONG);
    assert_eq!((report.verdict, report.counts.skipped_keys), (Verdict::Ok, 1));
    assert_eq!((report.counts.transactions, report.counts.constrained), (1, 0));
    let report = check(&[txn(Verb::Read), put(1, 1, 1, "y"), read], LONG);
    assert!(matches!(report.verdict, Verdict::Illegal(_)));
}

/// The hardest question for any checker: forty compare-and-swaps and writes at the same time, few
/// values, and an answer at the end that none of the many orders gives.
fn hopeless() -> Vec<Operation> {
    let mut rng = Rng::new(4);
    let mut all: Vec<Operation> = (0..60)
        .map(|id| {
            let mut text = || vec![b'a' + rng.below(4) as u8];
            let (key, expect, value) = (b"k".to_vec(), Some(text()), text());
            let action = Action::Cas { key, expect, value };
            Operation::asked(id, id, 1, action).answered(1_000, Answer::Swapped(id % 2 == 0))
        })
        .collect();
    all.push(put(100, 100, 1, "a").answered(1_000, Answer::Done));
    all.push(get(101, 101, 1_001).answered(1_002, saw("z")));
    all
}

#[test]
fn a_deadline_is_kept_and_is_no_violation() {
    let all = hopeless();
    let begun = Instant::now();
    let report = check(&all, Duration::ZERO);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(matches!(report.verdict, Verdict::Unknown(GaveUp::Deadline { keys: 1 })), "{report}");
    assert!(!report.passed());
}
