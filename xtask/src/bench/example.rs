//! Figures of a layer that has nobody to stand beside: measured by an example of its own crate,
//! which prints the table.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use super::{PAGE, machine, markdown};
use crate::{
    command::{cargo, shown},
    workspace::Workspace,
};

/// Such a layer.
pub(super) struct Example {
    /// Its name in commands and markers.
    word: &'static str,
    /// Whose example `figures` it is.
    package: &'static str,
}

/// All of them.
const EXAMPLES: [Example; 2] =
    [Example { word: "pb", package: "pbservice" }, Example { word: "lock", package: "lockmgr" }];

/// The one of this name, if there is one.
pub(super) fn named(word: &str) -> Option<&'static Example> {
    EXAMPLES.iter().find(|example| example.word == word)
}

/// Measures, prints, and writes if that was asked for.
pub(super) fn run(workspace: &Workspace, example: &Example, flags: &[&str]) -> Result<bool> {
    let write = flags.contains(&"--write");
    let part: Vec<&str> = flags.iter().copied().filter(|flag| *flag != "--write").collect();
    if write && !part.is_empty() {
        bail!("--write takes the whole table: leave the other flags away");
    }
    let mut build = cargo(&workspace.root);
    build.args(["build", "--release", "--package", example.package, "--example", "figures"]);
    if !shown(&mut build)? {
        return Ok(false);
    }
    let program = workspace.target.join("release").join("examples").join("figures");
    let mut figures = Command::new(&program);
    // What it says meanwhile is for whoever waits.
    figures.args(part).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = figures.output().with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "the measurement failed; nothing was written");
    let table = String::from_utf8(output.stdout)?;
    let measured = markdown::measured(&machine::described(workspace)?);
    let section = format!("{measured}.\n\n{table}");
    println!("{section}");
    if write {
        let page = workspace.root.join(PAGE);
        let text = fs::read_to_string(&page).with_context(|| format!("cannot read {PAGE}"))?;
        fs::write(&page, markdown::placed(&text, example.word, &section)?)?;
        eprintln!("written into {PAGE}");
    }
    Ok(true)
}
