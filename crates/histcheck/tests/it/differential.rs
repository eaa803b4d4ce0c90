//! On small histories the checker and the slow judge agree, legal or not.

use std::time::Duration;

use histcheck::{Action, Answer, Operation, Outcome, Text, Verdict, check};

use crate::{
    brute,
    store::{Mix, Rng, history},
};

/// Tiny histories compared; enough that each kind of verdict occurs thousands of times.
const HISTORIES: u64 = 40_000;

/// A history in which everything is possible: few values, random answers, random times.
fn nonsense(rng: &mut Rng) -> Vec<Operation> {
    let text = |rng: &mut Rng| -> Text { ["a", "b", "ab", ""][rng.below(4)].into() };
    let seen = |rng: &mut Rng| (rng.below(4) > 0).then(|| text(rng));
    let span = 1 + rng.below(12);
    (0..1 + rng.below(6) as u64)
        .map(|id| {
            let key = b"k".to_vec();
            let action = match rng.below(9) {
                0..=3 => Action::Get { key },
                4 => Action::Put { key, value: text(rng) },
                5 | 6 => Action::Append { key, value: text(rng) },
                7 => Action::Delete { key },
                _ => Action::Cas { key, expect: seen(rng), value: text(rng) },
            };
            let answer = match &action {
                Action::Get { .. } => Answer::Value(seen(rng)),
                Action::Cas { .. } => Answer::Swapped(rng.below(2) == 0),
                _ => Answer::Done,
            };
            let call = rng.below(span) as u64;
            // Every operation its own client: then one instant for end and start means overlap.
            let operation = Operation::asked(id, id, call, action);
            match rng.below(10) {
                0 => operation,
                1 => operation.refused(call + 1),
                _ => operation.answered(call + rng.below(6) as u64, answer),
            }
        })
        .collect()
}

/// A history of a store with unique values in which up to two answers have been made up.
fn nearly_true(rng: &mut Rng) -> Vec<Operation> {
    let weights =
        [[3, 2, 2, 1, 1], [2, 1, 2, 0, 0], [3, 2, 0, 1, 2], [2, 3, 1, 1, 0]][rng.below(4)];
    let operations = 2 + rng.below(6);
    let mix = Mix { operations, clients: 3, keys: 1, unknown: 120, versions: false, weights };
    let mut all = history(mix, rng.next());
    for _ in 0..rng.below(3) {
        let at = rng.below(all.len());
        let parts = rng.below(3);
        let text: String = (0..parts).map(|_| format!("{};", rng.below(operations))).collect();
        let text = (parts > 0).then(|| text.into_bytes());
        match &mut all[at].outcome {
            Outcome::Ok(Answer::Value(seen)) => *seen = text,
            Outcome::Ok(Answer::Swapped(swapped)) => *swapped = !*swapped,
            _ => {}
        }
        if let Action::Cas { expect, .. } = &mut all[at].action {
            *expect = (parts > 0).then(|| format!("{};", rng.below(operations)).into_bytes());
        }
    }
    all
}

#[test]
fn agrees_with_every_order_tried_where_nothing_is_unique() {
    agrees(nonsense);
}

#[test]
fn agrees_with_every_order_tried_where_values_are_unique() {
    agrees(nearly_true);
}

fn agrees(generate: fn(&mut Rng) -> Vec<Operation>) {
    let mut rng = Rng::new(1);
    let mut seen = [0u32; 2];
    for at in 0..HISTORIES {
        let history = generate(&mut rng);
        let legal = brute::is_linearizable(&history);
        let report = check(&history, Duration::from_secs(60));
        assert_eq!(report.verdict == Verdict::Ok, legal, "history {at}: {history:#?}\n{report}");
        seen[usize::from(legal)] += 1;
        if let Verdict::Illegal(violation) = &report.verdict {
            // The window must be a proof by itself, with everything else doubted.
            let inside = |op: &Operation| violation.window.iter().any(|kept| kept.id == op.id);
            let doubted: Vec<Operation> =
                history.iter().map(|op| if inside(op) { op.clone() } else { doubt(op) }).collect();
            assert!(!brute::is_linearizable(&doubted), "history {at}: {history:#?}\n{report}");
            assert!(inside(&violation.culprit));
        }
    }
    assert!(seen.iter().all(|count| *count > 5_000), "{seen:?}");
}

fn doubt(operation: &Operation) -> Operation {
    if operation.outcome == Outcome::Fail {
        return operation.clone();
    }
    Operation { outcome: Outcome::Unknown, finish: None, ..operation.clone() }
}
