//! Everything that must hold, one verdict.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    bugs,
    command::{Ended, cargo, limited},
    docs,
    scenarios::{self, Did, Number},
    table, tests_built,
    tests_built::{Built, Kind, Tests},
    tidy,
    workspace::Workspace,
};

/// The longest a step may take that is no test: a cold build is budgeted at 6 minutes.
const STEP_LIMIT: Duration = Duration::from_secs(40 * 60);

/// Lines of a failed program that are shown: the reason is at the end.
const SHOWN_LINES: usize = 200;

/// What one layer did.
#[derive(Debug, Default)]
struct Row {
    tests: Tests,
    scenarios: u64,
    seeds: u64,
    took: Duration,
}

/// A run so far.
struct Run<'a> {
    workspace: &'a Workspace,
    quick: bool,
    steps_passed: u64,
    steps_failed: Vec<String>,
    layers: BTreeMap<String, Row>,
    /// Scenario tests that ran and left nothing behind.
    silent: Vec<String>,
}

/// Runs every step to the end, whatever fails; whether nothing did.
pub(crate) fn run(workspace: &Workspace, quick: bool) -> Result<bool> {
    let begun = Instant::now();
    let (steps_failed, layers) = (Vec::new(), BTreeMap::new());
    let mut run = Run { workspace, quick, steps_passed: 0, steps_failed, layers, silent: vec![] };
    run.cargo("fmt", &["fmt", "--all", "--check", "--", "--color", "never"]);
    // A workspace of its own; what it names of ours is checked when it is built, by `bench`.
    let peers = ["fmt", "--manifest-path", "xtask/peers/Cargo.toml", "--check"];
    run.cargo("fmt of the peers", &peers);
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run.cargo("clippy", &clippy);
    run.step("tidy", || tidy::run(workspace));
    run.step("docs", || docs::run(workspace));
    for name in workspace.packages() {
        run.cargo(&format!("check {name} alone"), &["check", "--quiet", "--package", name]);
    }
    if workspace.has_feature("paxos", "net") {
        let core = ["check", "--quiet", "--package", "paxos", "--no-default-features"];
        run.cargo("check the core of paxos alone", &core);
    }
    run.tests()?;
    run.cargo("doctests", &["test", "--workspace", "--doc"]);
    run.program("rustdoc", |root| {
        let mut doc = cargo(root);
        doc.args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        doc
    });
    if !quick && workspace.has_binary("synod-tests", "weather") {
        run.step("planted bugs", || bugs::run(workspace));
    }
    Ok(run.verdict(begun.elapsed()))
}

impl Run<'_> {
    /// One step of our own.
    fn step(&mut self, name: &str, step: impl FnOnce() -> Result<bool>) {
        let begun = Instant::now();
        let well = step().unwrap_or_else(|error| {
            eprintln!("{error:#}");
            false
        });
        self.note(name, well, begun.elapsed());
    }

    fn note(&mut self, name: &str, well: bool, took: Duration) {
        println!(
            "{} {:>7.1} s  {name}",
            if well { "ok    " } else { "FAILED" },
            took.as_secs_f64()
        );
        if well {
            self.steps_passed += 1;
        } else {
            self.steps_failed.push(name.to_owned());
        }
    }

    fn cargo(&mut self, name: &str, arguments: &[&str]) {
        self.program(name, |root| {
            let mut command = cargo(root);
            command.args(arguments);
            command
        });
    }

    /// One step of somebody else's; what it says is shown only if it fails.
    fn program(&mut self, name: &str, command: impl FnOnce(&std::path::Path) -> Command) {
        let root = self.workspace.root.clone();
        let quick = self.quick;
        self.step(name, || {
            let mut command = command(&root);
            if quick {
                command.env("SYNOD_QUICK", "1");
            }
            let ended = limited(&mut command, STEP_LIMIT)?;
            show_if_failed(&ended);
            Ok(ended.succeeded())
        });
    }

    /// All tests of all layers, those below first, and then their tours.
    fn tests(&mut self) -> Result<()> {
        let begun = Instant::now();
        let built = match tests_built::build(self.workspace) {
            Ok(built) => built,
            Err(error) => {
                eprintln!("{error:#}");
                self.note("build all tests", false, begun.elapsed());
                return Ok(());
            }
        };
        self.note("build all tests", true, begun.elapsed());
        let folder = scenarios::folder(&self.workspace.target);
        scenarios::clear(&folder)?;
        let mut known = BTreeMap::new();
        for which in &built.executables {
            let name = format!("{} {}", which.package, which.target);
            let ended = built.run(self.workspace, which, self.quick)?;
            let well = ended.succeeded();
            show_if_failed(&ended);
            if which.kind == Kind::Tour {
                self.note(&name, well, ended.took);
                continue;
            }
            let tests = tests_built::count(&ended);
            println!(
                "{} {:>7.1} s  {name}: {} passed, {} failed",
                if well { "ok    " } else { "FAILED" },
                ended.took.as_secs_f64(),
                tests.passed,
                tests.failed
            );
            let now = scenarios::read(&folder)?;
            let row = self.layers.entry(which.package.clone()).or_default();
            row.add(tests, ended.took);
            for did in now.iter().filter(|(name, _)| !known.contains_key(*name)).map(|(_, d)| d) {
                row.scenarios += 1;
                row.seeds += did.seeds;
            }
            known = now;
        }
        self.find_silent(&built, &known)
    }

    /// Scenario tests without a record: they may have done nothing.
    fn find_silent(&mut self, built: &Built, known: &BTreeMap<String, Did>) -> Result<()> {
        let mut silent = BTreeSet::new();
        for which in built.executables.iter().filter(|which| which.kind == Kind::Tests) {
            for test in built.list(self.workspace, which)? {
                let name = test.rsplit("::").next().unwrap_or_default();
                if Number::of_test(&test).is_some() && !known.contains_key(name) {
                    silent.insert(name.to_owned());
                }
            }
        }
        self.silent.extend(silent);
        Ok(())
    }

    /// Prints the table and the last line.
    fn verdict(self, took: Duration) -> bool {
        let heading = ["layer", "passed", "failed", "scenarios", "seeds", "seconds"];
        let mut rows = vec![heading.map(String::from).to_vec()];
        let mut names: Vec<&String> = self.layers.keys().collect();
        names.sort_by_key(|name| crate::tower::rank(name));
        let mut sum = Row::default();
        for name in names {
            let row = &self.layers[name];
            sum.add(row.tests, row.took);
            sum.scenarios += row.scenarios;
            sum.seeds += row.seeds;
            rows.push(row.cells(name));
        }
        rows.push(sum.cells("all"));
        println!("\n{}", table::render(&rows));
        if !self.silent.is_empty() {
            println!("{} scenario tests recorded nothing:", self.silent.len());
            for name in &self.silent {
                println!("  {name}");
            }
        }
        if sum.tests.ignored > 0 {
            println!("{} tests are ignored", sum.tests.ignored);
        }
        for name in &self.steps_failed {
            println!("failed: {name}");
        }
        println!("took {:.0} s", took.as_secs_f64());
        let passed = sum.tests.passed + self.steps_passed;
        let failed = sum.tests.failed + self.steps_failed.len() as u64;
        println!("{passed} passed, {failed} failed");
        failed == 0
    }
}

impl Row {
    fn add(&mut self, tests: Tests, took: Duration) {
        self.tests.passed += tests.passed;
        self.tests.failed += tests.failed;
        self.tests.ignored += tests.ignored;
        self.took += took;
    }

    fn cells(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            self.tests.passed.to_string(),
            self.tests.failed.to_string(),
            self.scenarios.to_string(),
            self.seeds.to_string(),
            format!("{:.1}", self.took.as_secs_f64()),
        ]
    }
}

/// Shows the end of what a failed program said.
fn show_if_failed(ended: &Ended) {
    if !ended.succeeded() {
        let said = ended.said();
        let lines: Vec<&str> = said.lines().collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            eprintln!("    {line}");
        }
    }
}
