//! All test executables, built once and then run one by one.
//!
//! `cargo test -p NAME` would choose other features for shared dependencies and build half the
//! tower again for every layer. So everything is built together, and each executable is run the
//! way cargo would: in its package's folder.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    command::{Ended, cargo, limited},
    scenarios,
    tower::rank,
    workspace::{Workspace, packages},
};

/// The longest one executable may run. A whole run is budgeted at 25 minutes; who needs this is
/// stuck.
const EXECUTABLE_LIMIT: Duration = Duration::from_secs(20 * 60);

/// The longest anything may take that only answers a question.
const QUESTION_LIMIT: Duration = Duration::from_secs(60);

/// What an executable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// It holds tests.
    Tests,
    /// It is an example that every run shows: see [`is_shown`].
    Tour,
}

/// One executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executable {
    pub(crate) package: String,
    pub(crate) kind: Kind,
    /// The name of the target: `it`, or the crate's own name for tests beside the code.
    pub(crate) target: String,
    pub(crate) path: PathBuf,
    /// Where cargo would run it.
    pub(crate) folder: PathBuf,
}

/// Everything that was built.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// In the order of the tower.
    pub(crate) executables: Vec<Executable>,
    /// Plain binaries by name, for tests that start real processes.
    pub(crate) binaries: Vec<(String, PathBuf)>,
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

/// Examples that every run shows: a crate's tours, and implementations of a seam that stand beside
/// those in the tree. The others measure something, or wait for somebody.
pub(crate) fn is_shown(example: &str) -> bool {
    example.starts_with("tour") || example.starts_with("third_")
}

/// Builds all tests, tours and binaries together.
pub(crate) fn build(workspace: &Workspace) -> Result<Built> {
    let mut build = cargo(&workspace.root);
    build.args(["build", "--workspace", "--bins", "--examples", "--tests"]);
    build.args(["--message-format", "json-render-diagnostics"]);
    let output = build.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Built::of_messages(workspace, &String::from_utf8(output.stdout)?))
}

impl Built {
    fn of_messages(workspace: &Workspace, messages: &str) -> Self {
        let mut built = Self::default();
        for line in messages.lines() {
            let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
            let target = &message["target"];
            let (Some(path), Some(name), Some(manifest)) = (
                message["executable"].as_str().map(PathBuf::from),
                target["name"].as_str().map(str::to_owned),
                message["manifest_path"].as_str().map(PathBuf::from),
            ) else {
                continue;
            };
            let is =
                |kind: &str| target["kind"].as_array().is_some_and(|k| k.contains(&kind.into()));
            let kind = match message["profile"]["test"].as_bool() {
                Some(true) if !is("example") => Kind::Tests,
                Some(false) if is("example") && is_shown(&name) => Kind::Tour,
                Some(false) if is("bin") => {
                    built.binaries.push((name, path));
                    continue;
                }
                _ => continue,
            };
            let mut ours = packages(&workspace.metadata);
            let package = ours.find(|(_, p)| p["manifest_path"] == message["manifest_path"]);
            let (Some((package, _)), Some(folder)) = (package, manifest.parent()) else { continue };
            let (package, folder) = (package.to_owned(), folder.to_owned());
            built.executables.push(Executable { package, kind, target: name, path, folder });
        }
        built.executables.sort_by_key(|exe| (rank(&exe.package), exe.kind, exe.target.clone()));
        built
    }

    /// Runs one executable as cargo would.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        which: &Executable,
        quick: bool,
    ) -> Result<Ended> {
        let mut command = self.command(workspace, which);
        if quick {
            command.env("SYNOD_QUICK", "1");
        }
        limited(&mut command, EXECUTABLE_LIMIT)
    }

    /// The names of all tests in one executable.
    pub(crate) fn list(&self, workspace: &Workspace, which: &Executable) -> Result<Vec<String>> {
        let mut command = self.command(workspace, which);
        let ended = limited(command.args(["--list", "--format", "terse"]), QUESTION_LIMIT)?;
        let names = ended.stdout.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(str::to_owned).collect())
    }

    fn command(&self, workspace: &Workspace, which: &Executable) -> Command {
        let mut command = Command::new(&which.path);
        command.current_dir(&which.folder);
        command.env("CARGO_MANIFEST_DIR", &which.folder).env("CARGO_PKG_NAME", &which.package);
        command.env(scenarios::FOLDER_VARIABLE, scenarios::folder(&workspace.target));
        for (name, path) in &self.binaries {
            command.env(format!("CARGO_BIN_EXE_{name}"), path);
        }
        command
    }
}

/// Adds up the `test result:` lines of one run. A harness that prints none is one test.
pub(crate) fn count(ended: &Ended) -> Tests {
    let mut tests = Tests::default();
    let mut lines = 0;
    for line in ended.stdout.lines().filter(|line| line.starts_with("test result: ")) {
        lines += 1;
        let number = |what: &str| {
            let before = line.split(what).next()?;
            before.split_whitespace().next_back()?.parse::<u64>().ok()
        };
        tests.passed += number(" passed").unwrap_or(0);
        tests.failed += number(" failed").unwrap_or(0);
        tests.ignored += number(" ignored").unwrap_or(0);
    }
    if lines == 0 && ended.succeeded() {
        tests.passed = 1;
    }
    if !ended.succeeded() {
        tests.failed = tests.failed.max(1);
    }
    tests
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::{Tests, count};
    use crate::command::limited;

    fn counted(script: &str) -> Tests {
        let mut shell = Command::new("sh");
        let ended = limited(shell.args(["-c", script]), Duration::from_secs(60));
        count(&ended.expect("there is a shell"))
    }

    #[test]
    fn results_are_added_up() {
        let line = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        let expected = Tests { passed: 6, failed: 0, ignored: 2 };
        assert_eq!(counted(&format!("echo '{line}'; echo '{line}'")), expected);
        let line = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured";
        let expected = Tests { passed: 3, failed: 2, ignored: 0 };
        assert_eq!(counted(&format!("echo '{line}'; exit 101")), expected);
    }

    #[test]
    fn silence_is_judged_by_the_exit_code() {
        assert_eq!(counted("true"), Tests { passed: 1, ..Tests::default() });
        assert_eq!(counted("exit 134"), Tests { failed: 1, ..Tests::default() });
        // A run that dies after its results were fine is no success.
        let line = "test result: ok. 3 passed; 0 failed; 0 ignored";
        assert_eq!(counted(&format!("echo '{line}'; exit 1")).failed, 1);
    }
}
