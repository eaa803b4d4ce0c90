//! One planted defect at a time: the history with it is illegal, the same without it is legal.

use std::time::Duration;

use histcheck::{Action, Answer, Operation, Outcome, Text, Verdict, check};

use crate::store::{Mix, Rng, history};

/// Histories tried for each kind of defect.
const SEEDS: u64 = 60;

/// Of those, how many must have a place where the defect can be planted.
const PLANTED: usize = 40;

/// A way to break a history. `None` if this one has no place for it.
type Defect = fn(&[Operation], &mut Rng) -> Option<Vec<Operation>>;

/// Plants `defect` into histories of `mix` and demands that each is found out.
fn found_out(mix: Mix, defect: Defect) {
    let mut planted = 0;
    for seed in 0..SEEDS {
        let honest = history(mix, seed);
        let report = check(&honest, Duration::from_secs(60));
        assert!(report.passed(), "seed {seed}: {report}");
        let Some(broken) = defect(&honest, &mut Rng::new(seed)) else { continue };
        assert_ne!(honest, broken, "seed {seed}: the defect changed nothing");
        let report = check(&broken, Duration::from_secs(60));
        let Verdict::Illegal(violation) = &report.verdict else {
            panic!("seed {seed} not found out: {report}");
        };
        assert!(violation.window.len() <= 6, "seed {seed}: too long to read: {report}");
        planted += 1;
    }
    assert!(planted >= PLANTED, "only {planted} histories had a place for it");
}

fn is_ok(op: &Operation) -> bool {
    matches!(op.outcome, Outcome::Ok(_))
}

fn before(a: &Operation, b: &Operation) -> bool {
    is_ok(a) && a.key() == b.key() && a.finish.is_some_and(|finish| finish < b.call)
}

fn value_seen(op: &Operation) -> Option<&Text> {
    match &op.outcome {
        Outcome::Ok(Answer::Value(seen)) => seen.as_ref(),
        _ => None,
    }
}

fn is_get(op: &Operation) -> bool {
    is_ok(op) && matches!(op.action, Action::Get { .. })
}

fn is_put(op: &Operation) -> bool {
    is_ok(op) && matches!(op.action, Action::Put { .. })
}

fn is_append(op: &Operation) -> bool {
    is_ok(op) && matches!(op.action, Action::Append { .. })
}

fn is_delete(op: &Operation) -> bool {
    is_ok(op) && matches!(op.action, Action::Delete { .. })
}

fn written(op: &Operation) -> Option<&Text> {
    match &op.action {
        Action::Put { value, .. } | Action::Append { value, .. } => Some(value),
        _ => None,
    }
}

/// All (a, b) with `a` before `b` that the two tests accept.
fn pairs(
    all: &[Operation],
    first: fn(&Operation) -> bool,
    then: fn(&Operation) -> bool,
) -> Vec<(&Operation, &Operation)> {
    let firsts = all.iter().filter(|op| first(op));
    firsts
        .flat_map(|a| all.iter().filter(move |b| then(b) && before(a, b)).map(move |b| (a, b)))
        .collect()
}

/// The history with another answer for the operation `id`.
fn answering(all: &[Operation], id: u64, seen: Option<Text>) -> Vec<Operation> {
    let mut all = all.to_vec();
    for op in all.iter_mut().filter(|op| op.id == id) {
        op.outcome = Outcome::Ok(Answer::Value(seen.clone()));
    }
    all
}

#[test]
fn a_stale_read() {
    found_out(Mix::PUTS, |all, rng| {
        let overwritten = pairs(all, is_put, is_put);
        let (old, new) = rng.pick(&overwritten)?;
        let late: Vec<_> = all.iter().filter(|op| is_get(op) && before(new, op)).collect();
        Some(answering(all, rng.pick(&late)?.id, written(old).cloned()))
    });
}

#[test]
fn a_lost_write() {
    found_out(Mix::PUTS, |all, rng| {
        let (_, get) = *rng.pick(&pairs(all, is_put, is_get))?;
        Some(answering(all, get.id, None))
    });
    found_out(Mix::APPENDS, |all, rng| {
        let (append, get) = *rng.pick(&pairs(all, is_append, is_get))?;
        let (lost, seen) = (written(append)?, value_seen(get)?);
        let at = seen.windows(lost.len()).position(|part| part == lost)?;
        Some(answering(all, get.id, Some([&seen[..at], &seen[at + lost.len()..]].concat())))
    });
}

#[test]
fn a_double_append() {
    found_out(Mix::APPENDS, |all, rng| {
        let (append, get) = *rng.pick(&pairs(all, is_append, is_get))?;
        let doubled = [value_seen(get)?.as_slice(), written(append)?].concat();
        Some(answering(all, get.id, Some(doubled)))
    });
}

#[test]
fn a_value_never_written() {
    found_out(Mix::ALL, |all, rng| {
        let gets: Vec<_> = all.iter().filter(|op| is_get(op)).collect();
        Some(answering(all, rng.pick(&gets)?.id, Some(b"from nowhere".to_vec())))
    });
}

#[test]
fn a_cas_that_succeeded_wrongly() {
    let mix = Mix { weights: [3, 3, 0, 0, 3], ..Mix::ALL };
    found_out(mix, |all, rng| {
        let overwritten = pairs(all, is_put, is_put);
        let (old, new) = rng.pick(&overwritten)?;
        let refused =
            |op: &&Operation| op.outcome == Outcome::Ok(Answer::Swapped(false)) && before(new, op);
        let late: Vec<_> = all.iter().filter(refused).collect();
        let id = rng.pick(&late)?.id;
        let mut all = all.to_vec();
        for op in all.iter_mut().filter(|op| op.id == id) {
            op.outcome = Outcome::Ok(Answer::Swapped(true));
            if let Action::Cas { expect, .. } = &mut op.action {
                *expect = written(old).cloned();
            }
        }
        Some(all)
    });
}

#[test]
fn a_write_seen_and_then_gone() {
    found_out(Mix::APPENDS, |all, rng| {
        let (first, then) = *rng.pick(&pairs(all, is_get, is_get))?;
        let seen = value_seen(first)?;
        let parts: Vec<usize> = (0..seen.len()).filter(|at| seen[*at] == b';').collect();
        let shorter = seen[..*parts.get(parts.len().checked_sub(2)?)? + 1].to_vec();
        Some(answering(all, then.id, Some(shorter)))
    });
}

#[test]
fn reordered_appends() {
    found_out(Mix::APPENDS, |all, rng| {
        let in_order = pairs(all, is_append, is_append);
        let (a, b) = rng.pick(&in_order)?;
        let both: Vec<_> = all.iter().filter(|op| is_get(op) && before(b, op)).collect();
        let get = rng.pick(&both)?;
        let mut parts: Vec<&[u8]> =
            value_seen(get)?.split_inclusive(|byte| *byte == b';').collect();
        let place = |op: &Operation| parts.iter().position(|part| written(op).unwrap() == part);
        let (a, b) = (place(a)?, place(b)?);
        parts.swap(a, b);
        Some(answering(all, get.id, Some(parts.concat())))
    });
}

#[test]
fn a_resurrected_delete() {
    let mix = Mix { weights: [3, 2, 0, 2, 0], ..Mix::ALL };
    found_out(mix, |all, rng| {
        let deleted = pairs(all, is_put, is_delete);
        let (put, delete) = rng.pick(&deleted)?;
        let late: Vec<_> = all.iter().filter(|op| is_get(op) && before(delete, op)).collect();
        Some(answering(all, rng.pick(&late)?.id, written(put).cloned()))
    });
}

#[test]
fn a_version_that_went_back() {
    let mix = Mix { versions: true, weights: [1, 3, 3, 0, 1], ..Mix::ALL };
    found_out(mix, |all, rng| {
        let in_order = pairs(all, is_put, is_put);
        let (a, b) = rng.pick(&in_order)?;
        let mut broken = all.to_vec();
        for op in &mut broken {
            if op.id == a.id {
                op.version = b.version;
            } else if op.id == b.id {
                op.version = a.version;
            }
        }
        Some(broken)
    });
}

#[test]
fn a_version_given_twice() {
    let mix = Mix { versions: true, weights: [0, 3, 3, 0, 0], ..Mix::ALL };
    for seed in 0..SEEDS {
        let mut all = history(mix, seed);
        let puts: Vec<usize> = (0..all.len()).filter(|at| is_put(&all[*at])).collect();
        let twin = puts.iter().skip(1).find(|at| all[**at].key() == all[puts[0]].key());
        let version = all[puts[0]].version;
        all[*twin.expect("many puts on few keys")].version = version;
        let report = check(&all, Duration::from_secs(60));
        assert!(matches!(report.verdict, Verdict::Illegal(_)), "seed {seed}: {report}");
    }
}
