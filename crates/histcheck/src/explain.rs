//! From *there is no order* to the few operations a person should look at.

use std::time::{Duration, Instant};

use crate::{
    history::{Answer, Outcome},
    linearizable::Violation,
    problem::{Item, Problem},
    search::{Found, Limit, search},
};

/// Choices for one question asked while explaining. What a few operations prove is found out with
/// few; a question that needs more is better replaced by the next.
const QUESTION_CHOICES: u64 = 20_000;

/// The same while looking for the earliest answer that breaks the history: all else builds on it.
const EARLIEST_CHOICES: u64 = 500_000;

/// The longest an explanation may take; what is left of the deadline bounds it as well.
const EXPLAIN_TIME: Duration = Duration::from_secs(5);

/// Explains why `items`, the operations of `key` by call, cannot be ordered.
///
/// First the earliest answer that breaks the history: what is linearizable is so at every moment
/// before, so halving finds it. Then, of everything up to it, as little as possible: whatever can
/// be distrusted (it may have happened, it may have heard something else) without an order
/// appearing is no part of the reason.
pub(crate) fn explain(key: &[u8], items: &[Item<'_>], until: Instant) -> Violation {
    let until = until.min(Instant::now() + EXPLAIN_TIME);
    let mut kept = earliest(items, until);
    let culprit = latest_trusted(&kept);
    // That something else was there is rarely the reason, and hard to search with.
    let mut weaker = kept.clone();
    for (at, item) in weaker.iter_mut().enumerate() {
        item.trusted &=
            at == culprit || item.operation.outcome != Outcome::Ok(Answer::Swapped(false));
    }
    if has_no_order(&weaker, until, QUESTION_CHOICES) {
        kept = weaker;
    }
    let mut size = kept.len();
    while size > 0 && Instant::now() < until {
        for from in (0..kept.len()).step_by(size) {
            let chunk = from..(from + size).min(kept.len());
            if !chunk.clone().any(|at| kept[at].trusted && at != culprit) {
                continue;
            }
            let mut weaker = kept.clone();
            for at in chunk.filter(|at| *at != culprit) {
                weaker[at].trusted = false;
            }
            if has_no_order(&weaker, until, QUESTION_CHOICES) {
                kept = weaker;
            }
        }
        size /= 2;
    }
    let trusted = kept.iter().filter(|item| item.trusted);
    Violation {
        key: key.to_vec(),
        culprit: kept[culprit].operation.clone(),
        window: trusted.map(|item| item.operation.clone()).collect(),
    }
}

/// The shortest beginning of the history, by answers, that has no order.
fn earliest<'a>(items: &[Item<'a>], until: Instant) -> Vec<Item<'a>> {
    let end = |item: &Item<'_>| (item.operation.finish.unwrap_or(u64::MAX), item.operation.id);
    let mut ends: Vec<(u64, u64)> = items.iter().filter(|item| item.trusted).map(&end).collect();
    ends.sort_unstable();
    let beginning = |last: (u64, u64)| -> Vec<Item<'a>> {
        let called = items.iter().filter(|item| item.operation.call <= last.0);
        called.map(|item| Item { trusted: item.trusted && end(item) <= last, ..*item }).collect()
    };
    let shortest =
        ends.partition_point(|last| !has_no_order(&beginning(*last), until, EARLIEST_CHOICES));
    match ends.get(shortest) {
        Some(last) => beginning(*last),
        None => items.to_vec(),
    }
}

fn has_no_order(items: &[Item<'_>], until: Instant, choices: u64) -> bool {
    let limit = Limit { until, choices };
    search(&Problem::new(items), limit) == Found::NoOrder
}

/// Which item's answer came last.
fn latest_trusted(items: &[Item<'_>]) -> usize {
    let trusted = (0..items.len()).filter(|at| items[*at].trusted);
    let end =
        |at: &usize| (items[*at].operation.finish.unwrap_or(u64::MAX), items[*at].operation.id);
    trusted.max_by_key(end).expect("only a trusted answer can contradict an order")
}
