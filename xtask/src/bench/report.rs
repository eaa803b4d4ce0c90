//! The file of a run: what was asked, on what, and what came of it.
//!
//! ```text
//! {"schema":1,"topic":"core","date":..,"commit":..,"changed":..,"machine":{..},"plan":{..},
//!  "rows":[{..cell.., SIDE:{QUANTITY:{"median":..,"rounds":[..]}},
//!           "ratio":{"median":..,"least":..,"most":..}}]}
//! ```

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::plan::{Asked, Topic};

/// Counts up whenever a reader of older files would misunderstand newer ones.
const SCHEMA: u64 = 1;

/// Puts together what a run has to say.
pub(super) fn whole(topic: Topic, described: Value, asked: &Asked, figures: Value) -> Value {
    let mut report = described;
    report["schema"] = SCHEMA.into();
    report["topic"] = topic.word().into();
    report["plan"] = asked.plan.clone();
    for program in topic.sides() {
        // Where a program lies is nobody's business.
        if let Some(plan) = report["plan"].as_object_mut() {
            plan.remove(*program);
        }
    }
    if let Value::Object(figures) = figures {
        for (name, value) in figures {
            report[name] = value;
        }
    }
    report
}

/// Whether a report has everything that its readers rest on.
pub(super) fn check(report: &Value) -> Result<()> {
    ensure!(report["schema"] == SCHEMA, "schema {} is not {SCHEMA}", report["schema"]);
    let topic = report["topic"].as_str().and_then(Topic::named).context("an unknown topic")?;
    for name in ["date", "commit"] {
        ensure!(report[name].is_string(), "no {name}");
    }
    ensure!(report["machine"]["cores"].as_u64() > Some(0), "no machine");
    let rounds = report["plan"]["rounds"].as_u64().context("no number of rounds")?;
    let rows = report["rows"].as_array().context("no rows")?;
    ensure!(!rows.is_empty(), "no rows");
    for (number, row) in rows.iter().enumerate() {
        let mut sides = 0;
        for side in topic.sides() {
            let Some(quantities) = row[side].as_object() else { continue };
            sides += 1;
            for (name, quantity) in quantities {
                let measured = quantity["rounds"].as_array().map(Vec::len);
                let whole = measured == usize::try_from(rounds).ok();
                ensure!(
                    whole && quantity["median"].as_f64().is_some_and(|n| n.is_finite() && n >= 0.0),
                    "row {number}, {side}: {name} was not measured in {rounds} rounds"
                );
            }
        }
        let only = report["plan"]["only"].is_string();
        let expected = if only { 1 } else { topic.sides().len() };
        ensure!(sides == expected, "row {number} has {sides} sides of {expected}");
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::check;

    /// A report of two cells.
    pub(crate) fn sample() -> Value {
        let side = |rate: f64| {
            json!({
                "per_second": { "median": rate, "rounds": [rate, rate * 0.9, rate * 1.1] },
                "messages_per_entry": { "median": 4.0, "rounds": [4.0, 4.0, 4.0] },
            })
        };
        let row = |size: u64, ours: f64, theirs: f64| {
            json!({
                "replicas": 3, "window": 1, "batch": 1, "size": size, "bytes": false,
                "all_know": false, "synod": side(ours), "omnipaxos": side(theirs),
                "ratio": { "median": ours / theirs, "least": 0.5, "most": 2.25 },
            })
        };
        json!({
            "schema": 1, "topic": "core", "date": "2026-01-02", "commit": "0123456789",
            "changed": true,
            "machine": {
                "cores": 2, "processor": "Some One", "memory_gib": 24.0, "system": "Linux 6.1",
                "filesystem": "ext4",
            },
            "plan": { "rounds": 3, "seconds": 0.2 },
            "rows": [row(8, 1_920_000.0, 1_200_000.0), row(1024, 15_100.0, 30_200.0)],
        })
    }

    #[test]
    fn a_whole_report_is_accepted() {
        check(&sample()).expect("nothing is missing");
    }

    #[test]
    fn a_report_with_holes_is_refused() {
        let broken: [(&str, Value); 6] = [
            ("/schema", json!(2)),
            ("/topic", json!("cores")),
            ("/rows", json!([])),
            ("/rows/0/synod", json!(null)),
            ("/rows/1/omnipaxos/per_second/median", json!(null)),
            ("/rows/1/synod/per_second/rounds", json!([1.0, 2.0])),
        ];
        for (place, value) in broken {
            let mut report = sample();
            *report.pointer_mut(place).expect("it is there") = value;
            assert!(check(&report).is_err(), "{place}");
        }
    }

    #[test]
    fn one_side_alone_is_enough_if_it_was_asked_for() {
        let mut report = sample();
        for row in 0..2 {
            report["rows"][row]["omnipaxos"] = Value::Null;
        }
        assert!(check(&report).is_err());
        report["plan"]["only"] = "synod".into();
        check(&report).expect("one side");
    }
}
