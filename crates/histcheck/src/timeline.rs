//! A history as a picture: one page of HTML that needs nothing else.
//!
//! Each key has a row for each client that used it, and each operation is a bar from its call to
//! its answer. What was done to the servers stands above. Where the history is illegal, the page
//! opens at the answers that contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    file::{History, Mark},
    history::{Action, Operation, Outcome, shown},
    linearizable::{Report, Verdict},
};

/// Operations on one page. More are left out, those furthest from what matters first.
pub const MAX_SHOWN: usize = 60_000;

/// The page around the data.
const PAGE: &str = include_str!("timeline/page.html");

/// Where the data goes.
const PLACE: &str = "/*DATA*/";

/// What operations without a key of their own are listed under.
const TRANSACTIONS: &str = "transactions";

/// The history as a page of HTML that stands alone: no file beside it, nothing from a network.
/// `report` is what [`check`](crate::check) said about the same operations.
#[must_use]
pub fn timeline(history: &History, report: &Report) -> String {
    // A `<` could end the script that the data stands in.
    let data = data(history, report).to_string().replace('<', "\\u003c");
    let (before, after) = PAGE.split_once(PLACE).expect("the page has a place for the data");
    [before, &data, after].concat()
}

fn data(history: &History, report: &Report) -> Value {
    let (culprit, window) = match &report.verdict {
        Verdict::Illegal(violation) => {
            (Some(violation.culprit.id), violation.window.iter().map(|op| op.id).collect())
        }
        Verdict::Ok | Verdict::Unknown(_) => (None, BTreeSet::new()),
    };
    let chosen = chosen(&history.operations, culprit, &window);
    let names: BTreeSet<Vec<u8>> = chosen.iter().map(|operation| name(operation)).collect();
    let places: BTreeMap<&Vec<u8>, usize> =
        names.iter().enumerate().map(|(place, name)| (name, place)).collect();
    let operations: Vec<Value> = chosen
        .iter()
        .map(|operation| {
            let bad = match window.contains(&operation.id) {
                true if culprit == Some(operation.id) => 2,
                true => 1,
                false => 0,
            };
            bar(operation, places[&name(operation)], bad)
        })
        .collect();
    let times = chosen.iter().flat_map(|op| [Some(op.call), op.finish]).flatten();
    let times: Vec<u64> = times.chain(history.marks.iter().map(|mark| mark.at)).collect();
    let (from, to) = (times.iter().min().copied(), times.iter().max().copied());
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(0));
    let kind = match &report.verdict {
        Verdict::Ok => "ok",
        Verdict::Illegal(_) => "illegal",
        Verdict::Unknown(_) => "unknown",
    };
    let words = match &report.verdict {
        Verdict::Ok => "linearizable".to_owned(),
        Verdict::Illegal(_) => "not linearizable".to_owned(),
        Verdict::Unknown(_) => report.verdict.to_string(),
    };
    let why = match &report.verdict {
        Verdict::Illegal(violation) => Some(violation.to_string()),
        Verdict::Ok | Verdict::Unknown(_) => None,
    };
    let hidden = history.operations.len() - chosen.len();
    let note = match hidden {
        0 => String::new(),
        hidden => format!("{hidden} operations are not shown: a page has room for {MAX_SHOWN}."),
    };
    json!({
        "verdict": {"kind": kind, "words": words},
        "facts": facts(history, report),
        "why": why,
        "bad": culprit.is_some(),
        "from": from,
        "to": to.max(from + 1),
        "keys": names.iter().map(|name| label(name)).collect::<Vec<_>>(),
        "marks": history.marks.iter().map(mark).collect::<Vec<_>>(),
        "operations": operations,
        "note": note,
    })
}

/// The operations that are shown: all, or those nearest to the violation, or else the last.
fn chosen<'a>(
    operations: &'a [Operation],
    culprit: Option<u64>,
    window: &BTreeSet<u64>,
) -> Vec<&'a Operation> {
    let mut chosen: Vec<&Operation> = operations.iter().collect();
    if chosen.len() > MAX_SHOWN {
        let about = operations.iter().find(|op| Some(op.id) == culprit).map(|op| op.call);
        let about = about.or_else(|| operations.iter().map(|op| op.call).max()).unwrap_or(0);
        chosen.sort_by_key(|op| (!window.contains(&op.id), op.call.abs_diff(about), op.id));
        chosen.truncate(MAX_SHOWN);
    }
    chosen.sort_by_key(|op| (op.call, op.id));
    chosen
}

/// The key, as the bytes it is; what has none comes first.
fn name(operation: &Operation) -> Vec<u8> {
    operation.key().map_or_else(Vec::new, <[u8]>::to_vec)
}

fn label(name: &[u8]) -> String {
    if name.is_empty() { TRANSACTIONS.to_owned() } else { shown(name) }
}

/// One bar: id, client, call, return, key, kind, outcome, part of the violation, words.
fn bar(operation: &Operation, place: usize, bad: u8) -> Value {
    let kind = if matches!(operation.action, Action::Get { .. }) { "r" } else { "w" };
    let outcome = match operation.outcome {
        Outcome::Ok(_) => "ok",
        Outcome::Fail => "fail",
        Outcome::Unknown => "unknown",
    };
    let finish = operation.finish.filter(|_| operation.outcome != Outcome::Unknown);
    json!([
        operation.id,
        operation.client,
        operation.call,
        finish,
        place,
        kind,
        outcome,
        bad,
        operation.words()
    ])
}

fn mark(mark: &Mark) -> Value {
    let mut value = json!({"at": mark.at, "mark": mark.mark, "kind": mark.kind});
    if let Some(until) = mark.until {
        value["until"] = json!(until);
    }
    value
}

/// What there is, and where it comes from.
fn facts(history: &History, report: &Report) -> String {
    let mut facts = report.counts.to_string();
    if let Some(header) = &history.header {
        if let Some(command) = &header.command {
            facts.push_str(&format!(". Recorded by: {command}"));
        }
        if let Some(version) = &header.version {
            facts.push_str(&format!(" (version {version})"));
        }
    }
    facts
}
