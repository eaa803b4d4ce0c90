//! Figures as tables, and tables at their place in the documentation.

use anyhow::{Result, bail};
use serde_json::Value;

/// The text of one topic: on what it was measured, how, and the table.
pub(super) fn section(report: &Value) -> String {
    let table = match report["topic"].as_str() {
        Some("core") => core(report),
        Some("peers") => peers(report),
        Some("wal") => wal(report),
        Some("rpc") => rpc(report),
        _ => Vec::new(),
    };
    format!("{}\n\n{}", run(report), grid(&table))
}

/// When, of what and on what.
pub(super) fn measured(report: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let machine = &report["machine"];
    let changed = if report["changed"] == true { " with changes" } else { "" };
    let memory = machine["memory_gib"].as_f64().map_or(String::new(), |gib| format!("{gib} GiB, "));
    format!(
        "Measured {} at commit {}{changed}: {} cores ({}), {memory}{}, {}",
        text(&report["date"]),
        text(&report["commit"]),
        machine["cores"],
        text(&machine["processor"]),
        text(&machine["system"]),
        text(&machine["filesystem"]),
    )
}

/// The same, and how often.
fn run(report: &Value) -> String {
    format!(
        "{}. {} rounds, taking turns, {} s each; medians.",
        measured(report),
        report["plan"]["rounds"],
        report["plan"]["seconds"],
    )
}

type Table = Vec<Vec<String>>;

fn core(report: &Value) -> Table {
    let mut table = headed(&[
        "replicas",
        "window, batch",
        "entry",
        "Synod, entries/s",
        "omnipaxos, entries/s",
        "ratio",
        "messages an entry, Synod / omnipaxos",
    ]);
    for row in rows(report) {
        let entry = match (row["size"].as_u64(), row["bytes"] == true) {
            (Some(8), false) => "8 B (there a number)".to_owned(),
            (size, _) => bytes(size.unwrap_or(0)),
        };
        let strict = if row["all_know"] == true { ", everyone knows before the next" } else { "" };
        table.push(vec![
            row["replicas"].to_string(),
            format!("{}, {}{strict}", row["window"], row["batch"]),
            entry,
            rate(median(&row["synod"]["per_second"])),
            rate(median(&row["omnipaxos"]["per_second"])),
            ratio(&row["ratio"]),
            pair(row, ["synod", "omnipaxos"], "messages_per_entry", few),
        ]);
    }
    table
}

fn peers(report: &Value) -> Table {
    let mut table = headed(&[
        "operation",
        "clients",
        "Synod/s",
        "etcd/s",
        "ratio",
        "p50 ms, Synod / etcd",
        "p99 ms, Synod / etcd",
        "processor us an operation, 3 servers, Synod / etcd",
        "the same, clients",
    ]);
    for row in rows(report) {
        let both = |name: &str| pair(row, ["synod", "etcd"], name, three);
        table.push(vec![
            row["op"].as_str().unwrap_or("-").to_owned(),
            row["clients"].to_string(),
            rate(median(&row["synod"]["per_second"])),
            rate(median(&row["etcd"]["per_second"])),
            ratio(&row["ratio"]),
            both("p50_ms"),
            both("p99_ms"),
            both("server_us"),
            both("client_us"),
        ]);
    }
    table
}

fn wal(report: &Value) -> Table {
    let mut table = headed(&[
        "record",
        "writers",
        "log, records/s",
        "log, records a sync",
        "disk, appending, records/s",
        "ratio",
        "disk, filled file, records/s",
        "ratio",
    ]);
    for row in rows(report) {
        let records = |side: &str| median(&row[side]["per_second"]);
        let syncs = median(&row["wal"]["syncs"]);
        let shared = records("wal").zip(syncs).map(|(records, syncs)| records / syncs.max(1.0));
        table.push(vec![
            bytes(row["size"].as_u64().unwrap_or(0)),
            row["writers"].to_string(),
            rate(records("wal")),
            shared.map_or("-".to_owned(), |n| format!("{n:.1}")),
            rate(records("append")),
            ratio(&row["over_append"]),
            rate(records("zeroed")),
            ratio(&row["over_zeroed"]),
        ]);
    }
    table
}

fn rpc(report: &Value) -> Table {
    let mut table = headed(&[
        "payload",
        "in flight",
        "our network, calls/s",
        "bare tarpc, calls/s",
        "ratio",
        "p50 us, ours / bare",
        "p99 us, ours / bare",
        "processor us a call, both ends, ours / bare",
    ]);
    for row in rows(report) {
        let both = |name: &str| pair(row, ["net", "tarpc"], name, three);
        table.push(vec![
            bytes(row["size"].as_u64().unwrap_or(0)),
            row["in_flight"].to_string(),
            rate(median(&row["net"]["per_second"])),
            rate(median(&row["tarpc"]["per_second"])),
            ratio(&row["ratio"]),
            both("p50_us"),
            both("p99_us"),
            both("cpu_us"),
        ]);
    }
    table
}

/// `ours / theirs`; a side that was not measured is a dash.
fn pair(row: &Value, sides: [&str; 2], name: &str, show: fn(f64) -> String) -> String {
    let [ours, theirs] = sides.map(|side| median(&row[side][name]).map_or("-".to_owned(), show));
    format!("{ours} / {theirs}")
}

fn rows(report: &Value) -> impl Iterator<Item = &Value> {
    report["rows"].as_array().into_iter().flatten()
}

fn headed(names: &[&str]) -> Table {
    vec![names.iter().map(ToString::to_string).collect()]
}

fn median(quantity: &Value) -> Option<f64> {
    quantity["median"].as_f64()
}

/// `2.15 (1.98-2.20)`: of the medians, and the range of single rounds.
fn ratio(ratio: &Value) -> String {
    let part = |name: &str| ratio[name].as_f64().map(|n| format!("{n:.2}"));
    match (part("median"), part("least"), part("most")) {
        (Some(median), Some(least), Some(most)) => format!("{median} ({least}-{most})"),
        _ => "-".to_owned(),
    }
}

/// Three digits and a unit: `1.92 M`, `15.1 k`, `930`.
fn rate(number: Option<f64>) -> String {
    match number {
        None => "-".to_owned(),
        Some(n) if n >= 999_500.0 => format!("{} M", three(n / 1e6)),
        Some(n) if n >= 999.5 => format!("{} k", three(n / 1e3)),
        Some(n) => three(n),
    }
}

fn three(n: f64) -> String {
    let digits = if n < 9.995 { 2 } else { usize::from(n < 99.95) };
    format!("{n:.digits$}")
}

fn few(n: f64) -> String {
    if n < 0.1 { format!("{n:.3}") } else { format!("{n:.2}") }
}

fn bytes(size: u64) -> String {
    if size >= 1024 && size.is_multiple_of(1024) {
        format!("{} KiB", size / 1024)
    } else {
        format!("{size} B")
    }
}

/// A table as Markdown has them.
fn grid(table: &Table) -> String {
    let mut text = String::new();
    for (number, row) in table.iter().enumerate() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
        if number == 0 {
            text.push_str(&format!("|{}\n", "---|".repeat(row.len())));
        }
    }
    text
}

/// `page` with `section` between the markers of `topic`.
pub(super) fn placed(page: &str, topic: &str, section: &str) -> Result<String> {
    let (begin, end) =
        (format!("<!-- bench {topic} -->"), format!("<!-- end of bench {topic} -->"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        bail!("the page has no markers `{begin}` and `{end}`");
    };
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", section.trim()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{bytes, placed, rate, section};
    use crate::bench::report::tests::sample;

    #[test]
    fn figures_have_three_digits() {
        let shown = [930.0, 1_090.0, 15_100.0, 999_600.0, 1_920_000.0, 114e6, 2.5].map(Some);
        let words = ["930", "1.09 k", "15.1 k", "1.00 M", "1.92 M", "114 M", "2.50"];
        assert_eq!(shown.map(rate), words);
        assert_eq!(rate(None), "-");
        assert_eq!([8, 1024, 1500].map(bytes), ["8 B", "1 KiB", "1500 B"]);
    }

    #[test]
    fn a_report_becomes_a_table() {
        let text = section(&sample());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("Measured 2026-01-02 at commit 0123456789 with changes: 2 c"));
        assert!(lines[0].ends_with("3 rounds, taking turns, 0.2 s each; medians."), "{text}");
        assert_eq!(
            lines[4..],
            [
                "| 3 | 1, 1 | 8 B (there a number) | 1.92 M | 1.20 M | 1.60 (0.50-2.25) | 4.00 / 4.00 |",
                "| 3 | 1, 1 | 1 KiB | 15.1 k | 30.2 k | 0.50 (0.50-2.25) | 4.00 / 4.00 |",
            ]
        );
    }

    /// A report of another topic, with one row.
    fn other(topic: &str, row: Value) -> String {
        let mut report = sample();
        report["topic"] = topic.into();
        report["rows"] = json!([row]);
        section(&report).lines().last().expect("a row").to_owned()
    }

    fn quantities(names: [&str; 5], figure: f64) -> Value {
        names.map(|name| (name.to_owned(), json!({ "median": figure }))).into_iter().collect()
    }

    #[test]
    fn every_topic_has_its_table() {
        let names = ["per_second", "p50_ms", "p99_ms", "server_us", "client_us"];
        let row = json!({
            "op": "put", "clients": 64, "synod": quantities(names, 1500.0),
            "etcd": quantities(names, 3.0), "ratio": { "median": 500.0, "least": 1.0, "most": 501.0 },
        });
        assert_eq!(
            other("peers", row),
            "| put | 64 | 1.50 k | 3.00 | 500.00 (1.00-501.00) | 1500 / 3.00 | 1500 / 3.00 | \
             1500 / 3.00 | 1500 / 3.00 |"
        );
        let names = ["per_second", "p50_us", "p99_us", "cpu_us", "more"];
        let row = json!({ "size": 64, "in_flight": 16, "net": quantities(names, 12.0) });
        assert_eq!(
            other("rpc", row),
            "| 64 B | 16 | 12.0 | - | - | 12.0 / - | 12.0 / - | 12.0 / - |"
        );
        let disk = json!({ "per_second": { "median": 4000.0 }, "syncs": { "median": 250.0 } });
        let row = json!({ "size": 4096, "writers": 16, "wal": disk, "append": disk });
        assert_eq!(other("wal", row), "| 4 KiB | 16 | 4.00 k | 16.0 | 4.00 k | - | - | - |");
    }

    #[test]
    fn a_table_replaces_only_its_own() {
        let page = "a\n<!-- bench core -->\nold\n<!-- end of bench core -->\nb\n";
        let placed_once = placed(page, "core", "new\n").expect("markers are there");
        assert_eq!(placed_once, "a\n<!-- bench core -->\n\nnew\n\n<!-- end of bench core -->\nb\n");
        assert_eq!(placed(&placed_once, "core", "new").expect("again"), placed_once);
        assert!(placed(page, "wal", "new").is_err());
    }
}
