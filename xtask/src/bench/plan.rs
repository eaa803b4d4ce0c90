//! What the flags ask for.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What can be measured beside somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// The pure core beside another consensus library.
    Core,
    /// Three nodes beside three nodes of another store.
    Peers,
    /// The log beside the raw disk.
    Wal,
    /// Calls through our network beside bare tarpc.
    Rpc,
}

/// What one word of a list means.
type Read = fn(&str) -> Option<Value>;

impl Topic {
    const ALL: [Self; 4] = [Self::Core, Self::Peers, Self::Wal, Self::Rpc];

    /// Its name in commands, files and markers.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Peers => "peers",
            Self::Wal => "wal",
            Self::Rpc => "rpc",
        }
    }

    /// The topic of this name.
    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.word() == word)
    }

    /// Who is measured; ours first.
    pub(super) fn sides(self) -> &'static [&'static str] {
        match self {
            Self::Core => &["synod", "omnipaxos"],
            Self::Peers => &["synod", "etcd"],
            Self::Wal => &["wal", "append", "zeroed"],
            Self::Rpc => &["net", "tarpc"],
        }
    }

    /// Everything that is measured unless flags say otherwise.
    fn plan(self) -> Value {
        match self {
            Self::Core => json!({ "cells": every_cell(), "rounds": 3, "seconds": 0.2 }),
            Self::Peers => json!({
                "ops": ["put", "get"], "clients": [1, 16, 64, 256], "size": 256, "keys": 10_000,
                "rounds": 3, "warmup": 1.5, "seconds": 4.0,
            }),
            Self::Wal => json!({
                "writers": [1, 16, 64], "sizes": [256, 4096], "rounds": 3, "seconds": 0.7,
            }),
            Self::Rpc => json!({
                "in_flight": [1, 16, 64, 256], "sizes": [64, 1024], "rounds": 3, "seconds": 0.7,
            }),
        }
    }

    /// What a list flag changes, and what its words mean.
    fn list(self, flag: &str) -> Option<(&'static str, Read)> {
        match (self, flag) {
            (Self::Core, "--cell") => Some(("cells", cell)),
            (Self::Peers, "--clients") => Some(("clients", count)),
            (Self::Peers, "--op") => Some(("ops", op)),
            (Self::Wal, "--writers") => Some(("writers", count)),
            (Self::Wal | Self::Rpc, "--size") => Some(("sizes", count)),
            (Self::Rpc, "--in-flight") => Some(("in_flight", count)),
            _ => None,
        }
    }

    /// What a flag with one number changes.
    fn number(self, flag: &str) -> Option<&'static str> {
        match (self, flag) {
            (_, "--rounds") => Some("rounds"),
            (Self::Peers, "--size") => Some("size"),
            (Self::Peers, "--keys") => Some("keys"),
            _ => None,
        }
    }

    fn flags(self) -> &'static str {
        match self {
            Self::Core => "--cell R,W,B,SIZE[,bytes][,all-know]",
            Self::Peers => "--clients N,N --op put,get --size BYTES --keys N --warmup SECONDS",
            Self::Wal => "--writers N,N --size BYTES,BYTES",
            Self::Rpc => "--in-flight N,N --size BYTES,BYTES",
        }
    }
}

/// A plan, and what happens to its figures.
#[derive(Debug)]
pub(super) struct Asked {
    /// What the measuring program is told.
    pub(super) plan: Value,
    /// Whether the table goes into the documentation.
    pub(super) write: bool,
}

impl Asked {
    /// Whether this side is measured.
    pub(super) fn wants(&self, side: &str) -> bool {
        self.plan["only"].as_str().is_none_or(|only| only == side)
    }
}

/// Reads the flags of a topic.
pub(super) fn parse(topic: Topic, flags: &[&str]) -> Result<Asked> {
    let mut asked = Asked { plan: topic.plan(), write: false };
    let mut part = false;
    let mut rest = flags.iter();
    while let Some(flag) = rest.next() {
        if *flag == "--write" {
            asked.write = true;
            continue;
        }
        let mut value = || rest.next().copied().with_context(|| format!("{flag} needs a value"));
        let unclear = |text: &str| format!("{flag} does not understand \"{text}\"");
        if let Some((field, read)) = topic.list(flag) {
            let text = value()?;
            let read: Option<Vec<Value>> = match field {
                // Cells have commas inside, so each has its own flag; the first takes the place
                // of the whole set.
                "cells" if part => {
                    let known = asked.plan[field].as_array().cloned().unwrap_or_default();
                    read(text).map(|cell| known.into_iter().chain([cell]).collect())
                }
                "cells" => read(text).map(|cell| vec![cell]),
                _ => text.split(',').map(read).collect(),
            };
            asked.plan[field] = read.with_context(|| unclear(text))?.into();
            part = true;
        } else if let Some(field) = topic.number(flag) {
            let text = value()?;
            asked.plan[field] = count(text).with_context(|| unclear(text))?;
            part |= field != "rounds";
        } else if *flag == "--seconds" || (topic == Topic::Peers && *flag == "--warmup") {
            let text = value()?;
            let read =
                text.parse().ok().filter(|n: &f64| n.is_finite() && (0.01..=600.0).contains(n));
            asked.plan[flag.trim_start_matches('-')] = read.with_context(|| unclear(text))?.into();
        } else if *flag == "--only" {
            let text = value()?;
            if !topic.sides().contains(&text) {
                bail!("--only takes one of: {}", topic.sides().join(", "));
            }
            asked.plan["only"] = text.into();
            part = true;
        } else {
            let (word, known) = (topic.word(), topic.flags());
            bail!(
                "bench {word} does not know {flag}; it takes: --rounds N --seconds S --only SIDE \
                 --write {known}"
            );
        }
    }
    if asked.write && (part || asked.plan["rounds"].as_u64() < Some(3)) {
        bail!("--write takes whole tables of at least 3 rounds: leave the other flags away");
    }
    Ok(asked)
}

/// Each combination of replicas, window, batch and size, and two that show what else matters.
fn every_cell() -> Vec<Value> {
    let mut cells = Vec::new();
    for replicas in [3, 5] {
        for (window, batch) in [(1, 1), (10, 1), (100, 1), (1000, 1), (1000, 100)] {
            for size in [8, 64, 1024] {
                cells.push(json!({
                    "replicas": replicas, "window": window, "batch": batch, "size": size,
                }));
            }
        }
    }
    cells.extend(
        ["3,1,1,8,bytes", "3,1000,100,8,bytes", "3,1,1,64,all-know"]
            .map(|text| cell(text).expect("one of ours")),
    );
    cells
}

/// `3,1,1,64`, perhaps with words behind.
fn cell(text: &str) -> Option<Value> {
    let mut parts = text.split(',');
    let mut number = || parts.next().and_then(count);
    let mut cell = json!({
        "replicas": number()?, "window": number()?, "batch": number()?, "size": number()?,
    });
    if !(2..=9).contains(&cell["replicas"].as_u64()?) {
        return None;
    }
    for word in parts {
        match word {
            "bytes" => cell["bytes"] = true.into(),
            "all-know" => cell["all_know"] = true.into(),
            _ => return None,
        }
    }
    Some(cell)
}

/// A number of at least one.
fn count(text: &str) -> Option<Value> {
    /// Above every number that makes sense here.
    const MOST: u64 = 10_000_000;
    text.parse::<u64>().ok().filter(|number| (1..=MOST).contains(number)).map(Value::from)
}

fn op(text: &str) -> Option<Value> {
    ["put", "get"].contains(&text).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Topic, parse};

    #[test]
    fn nothing_said_means_everything() {
        let core = parse(Topic::Core, &[]).expect("no flags are fine");
        assert_eq!(core.plan["cells"].as_array().map(Vec::len), Some(33));
        let peers = parse(Topic::Peers, &["--write"]).expect("a whole table");
        assert_eq!(peers.plan["clients"], json!([1, 16, 64, 256]));
        assert!(peers.write && peers.wants("etcd"));
    }

    #[test]
    fn a_part_can_be_asked_for() {
        let flags = ["--cell", "3,1,1,64", "--cell", "5,10,1,8,bytes,all-know", "--only", "synod"];
        let asked = parse(Topic::Core, &flags).expect("two cells");
        let cells = json!([
            { "replicas": 3, "window": 1, "batch": 1, "size": 64 },
            { "replicas": 5, "window": 10, "batch": 1, "size": 8, "bytes": true, "all_know": true },
        ]);
        assert_eq!(asked.plan["cells"], cells);
        assert!(asked.wants("synod") && !asked.wants("omnipaxos"));
        let flags = ["--clients", "256,1", "--op", "put", "--rounds", "5", "--seconds", "1.5"];
        let asked = parse(Topic::Peers, &flags).expect("some clients");
        assert_eq!(asked.plan["clients"], json!([256, 1]));
        assert_eq!((&asked.plan["ops"], &asked.plan["rounds"]), (&json!(["put"]), &json!(5)));
        assert_eq!(asked.plan["seconds"], json!(1.5));
    }

    #[test]
    fn what_is_not_understood_is_refused_in_words() {
        let why = |topic, flags: &[&str]| parse(topic, flags).expect_err("a mistake").to_string();
        assert!(why(Topic::Wal, &["--clients", "3"]).contains("does not know --clients"));
        assert!(why(Topic::Rpc, &["--size"]).contains("needs a value"));
        assert!(why(Topic::Rpc, &["--size", "0"]).contains("does not understand \"0\""));
        assert!(why(Topic::Core, &["--cell", "1,1,1,8"]).contains("does not understand"));
        assert!(why(Topic::Core, &["--cell", "3,1,1"]).contains("does not understand"));
        assert!(why(Topic::Peers, &["--only", "zookeeper"]).contains("synod, etcd"));
        assert!(why(Topic::Peers, &["--seconds", "-1"]).contains("does not understand"));
    }

    #[test]
    fn a_part_never_replaces_a_whole_table() {
        for flags in [["--rounds", "2"], ["--clients", "1"], ["--only", "synod"]] {
            let flags = [flags[0], flags[1], "--write"];
            let why = parse(Topic::Peers, &flags).expect_err("a part").to_string();
            assert!(why.contains("whole tables"), "{why}");
        }
        assert!(
            parse(Topic::Peers, &["--seconds", "1", "--write"]).is_ok(),
            "short is not partial"
        );
    }

    #[test]
    fn other_words_are_not_ours() {
        assert_eq!(Topic::named("put"), None);
        assert_eq!(Topic::named("core"), Some(Topic::Core));
    }
}
