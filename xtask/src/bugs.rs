//! Planted bugs: a test that never failed proves nothing.
//!
//! The binary `weather` of the tower tests, built with the feature `planted`, knows the names of
//! all bugs (`weather bugs`, one per line) and hunts for one of them (`weather hunt NAME`): exit
//! code 1 and a line `caught by WHAT after N seeds` if it was caught, 0 if it escaped. The binary
//! `synod-virtual` does the same with some of them, through the whole stack.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    command::{Ended, cargo, limited, stdout},
    scenarios, table,
    workspace::Workspace,
};

/// The environment variable that wakes a bug.
const BUG_VARIABLE: &str = "SYNOD_PLANTED_BUG";

/// The longest a bug may stay uncaught.
const HUNT_LIMIT: Duration = Duration::from_secs(60);

/// The exit code of a hunt that caught its bug.
const CAUGHT: i32 = 1;

/// The test that stands for all hunts on the list of scenarios.
const SCENARIO: &str = "h_11_planted_bugs_of_every_layer_are_hunted";

/// How one hunt ended.
#[derive(Debug, PartialEq, Eq)]
enum Hunt {
    /// Something noticed, after so many seeds.
    Caught { by: String, seeds: String },
    /// Nothing did, or the hunt itself broke.
    Escaped(String),
}

/// Who hunts: the package and its binary.
const HUNTERS: [(&str, &str); 2] = [("synod-tests", "weather"), ("synod-virtual", "synod-virtual")];

/// Hunts every bug; whether all were caught and none is in a release.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let mut rows = vec![["bug", "caught by", "seeds", "seconds"].map(String::from).to_vec()];
    let (mut caught, mut hunted) = (0, Vec::new());
    for hunter in build(workspace)? {
        let names = stdout(Command::new(&hunter).arg("bugs"))?;
        for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
            let mut hunt = Command::new(&hunter);
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
            rows.push(vec![name.to_owned(), by, seeds, seconds]);
            hunted.push(name.to_owned());
        }
    }
    print!("{}", table::render(&rows));
    let names: Vec<&str> = hunted.iter().map(String::as_str).collect();
    let mut leaked = leaked(&workspace.target.join("release").join("synod"), &names)?;
    leaked.sort();
    leaked.dedup();
    for name in &leaked {
        println!("the release binary contains the planted bug {name}");
    }
    let figure = format!("caught {caught} of {} planted bugs", hunted.len());
    println!("{figure}");
    scenarios::leave(&scenarios::folder(&workspace.target), SCENARIO, caught as u64, &figure)?;
    Ok(caught == hunted.len() && leaked.is_empty() && !hunted.is_empty())
}

/// Builds the hunters, and says where they are.
fn build(workspace: &Workspace) -> Result<Vec<String>> {
    let mut build = cargo(&workspace.root);
    build.arg("build");
    for (package, binary) in HUNTERS {
        if !workspace.has_binary(package, binary) {
            bail!("{package} has no binary `{binary}` yet");
        }
        build.args(["--package", package, "--bin", binary]);
    }
    build.args(["--features", "planted", "--message-format", "json-render-diagnostics"]);
    let messages = stdout(&mut build)?;
    let messages: Vec<Value> =
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let path = |binary: &str| {
        let mut built = messages.iter().filter(|message| message["target"]["name"] == binary);
        let path = built.find_map(|message| message["executable"].as_str().map(str::to_owned));
        path.with_context(|| format!("cargo built no `{binary}`"))
    };
    HUNTERS.iter().map(|(_, binary)| path(binary)).collect()
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
