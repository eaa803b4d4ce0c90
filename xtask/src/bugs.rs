//! Planted bugs: a test that never failed proves nothing.
//!
//! The binary `weather` of the tower tests, built with the feature `planted`, knows the names of
//! all bugs (`weather bugs`, one per line) and hunts for one of them (`weather hunt NAME`): exit
//! code 1 and a line `caught by WHAT after N seeds` if it was caught, 0 if it escaped.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    command::{Ended, cargo, limited, stdout},
    table,
    workspace::Workspace,
};

/// The environment variable that wakes a bug.
const BUG_VARIABLE: &str = "SYNOD_PLANTED_BUG";

/// The longest a bug may stay uncaught.
const HUNT_LIMIT: Duration = Duration::from_secs(60);

/// The exit code of a hunt that caught its bug.
const CAUGHT: i32 = 1;

/// How one hunt ended.
#[derive(Debug, PartialEq, Eq)]
enum Hunt {
    /// Something noticed, after so many seeds.
    Caught { by: String, seeds: String },
    /// Nothing did, or the hunt itself broke.
    Escaped(String),
}

/// Hunts every bug; whether all were caught and none is in a release.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    if !workspace.has_binary("synod-tests", "weather") {
        bail!("synod-tests has no binary `weather` yet");
    }
    let weather = build(workspace)?;
    let names = stdout(Command::new(&weather).arg("bugs"))?;
    let names: Vec<&str> = names.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut rows = vec![["bug", "caught by", "seeds", "seconds"].map(String::from).to_vec()];
    let mut caught = 0;
    for name in &names {
        let mut hunt = Command::new(&weather);
        hunt.current_dir(&workspace.root).args(["hunt", name]).env(BUG_VARIABLE, name);
        let ended = limited(&mut hunt, HUNT_LIMIT)?;
        let (by, seeds) = match judge(&ended) {
            Hunt::Caught { by, seeds } => {
                caught += 1;
                (by, seeds)
            }
            Hunt::Escaped(why) => (format!("ESCAPED: {why}"), "-".into()),
        };
        let seconds = format!("{:.1}", ended.took.as_secs_f64());
        rows.push(vec![(*name).to_owned(), by, seeds, seconds]);
    }
    print!("{}", table::render(&rows));
    let leaked = leaked(&workspace.target.join("release").join("synod"), &names)?;
    for name in &leaked {
        println!("the release binary contains the planted bug {name}");
    }
    println!("caught {caught} of {} planted bugs", names.len());
    Ok(caught == names.len() && leaked.is_empty() && !names.is_empty())
}

/// Builds the hunter, and says where it is.
fn build(workspace: &Workspace) -> Result<String> {
    let mut build = cargo(&workspace.root);
    build.args(["build", "--package", "synod-tests", "--bin", "weather"]);
    build.args(["--features", "planted", "--message-format", "json-render-diagnostics"]);
    let messages = stdout(&mut build)?;
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let weather = messages
        .find(|message| message["target"]["name"] == "weather" && !message["executable"].is_null());
    let path = weather.as_ref().and_then(|message| message["executable"].as_str());
    Ok(path.context("cargo built no `weather`")?.to_owned())
}

fn judge(ended: &Ended) -> Hunt {
    let last = ended.stdout.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
    match ended.status.map(|status| status.code()) {
        None => Hunt::Escaped(format!("nothing noticed in {} s", HUNT_LIMIT.as_secs())),
        Some(Some(0)) => Hunt::Escaped("nothing noticed".into()),
        Some(Some(CAUGHT)) if !last.is_empty() => {
            let by = last.split_once("caught by ").map_or(last, |(_, rest)| rest);
            let (by, after) = by.rsplit_once(" after ").unwrap_or((by, ""));
            let seeds = after.split_whitespace().next().filter(|n| n.parse::<u64>().is_ok());
            Hunt::Caught { by: by.trim().to_owned(), seeds: seeds.unwrap_or("-").to_owned() }
        }
        Some(code) => {
            let reason = ended.stderr.lines().next_back().unwrap_or("it said nothing");
            let code = code.map_or_else(|| "a signal".into(), |code| format!("exit code {code}"));
            Hunt::Escaped(format!("the hunt itself ended with {code}: {reason}"))
        }
    }
}

/// The bugs whose names lie in a release binary, if there is one.
fn leaked(binary: &Path, names: &[&str]) -> Result<Vec<String>> {
    if !binary.exists() {
        return Ok(Vec::new());
    }
    let bytes = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    Ok(names_in(&bytes, names))
}

fn names_in(bytes: &[u8], names: &[&str]) -> Vec<String> {
    let holds = |name: &&&str| bytes.windows(name.len()).any(|part| part == name.as_bytes());
    names.iter().filter(holds).map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::{Hunt, judge, names_in};
    use crate::command::limited;

    fn judged(script: &str) -> Hunt {
        let mut shell = Command::new("sh");
        let limit = Duration::from_secs(60);
        judge(&limited(shell.args(["-c", script]), limit).expect("there is a shell"))
    }

    #[test]
    fn only_a_word_and_the_right_code_count_as_caught() {
        let caught = judged("echo seed 3 fails; echo caught by agreement after 12 seeds; exit 1");
        assert_eq!(caught, Hunt::Caught { by: "agreement".into(), seeds: "12".into() });
        let brief = judged("echo something odd; exit 1");
        assert_eq!(brief, Hunt::Caught { by: "something odd".into(), seeds: "-".into() });
        for script in ["exit 0", "exit 1", "echo x; exit 101", "echo x; kill -9 $$"] {
            assert!(matches!(judged(script), Hunt::Escaped(_)), "{script}");
        }
    }

    #[test]
    fn names_are_found_anywhere_in_a_binary() {
        let names = ["skip-sync", "vote-twice"];
        assert_eq!(names_in(b"\0\x01vote-twice\xFF", &names), ["vote-twice"]);
        assert!(names_in(b"vote-once", &names).is_empty());
    }
}
