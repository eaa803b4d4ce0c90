//! Commands that only know whom to call.

use anyhow::{Result, bail};

use crate::{
    command::{cargo, shown},
    workspace::{Workspace, packages},
};

/// Formats, and lets clippy repair what it can.
pub(crate) fn fix(workspace: &Workspace) -> Result<bool> {
    let mut clippy = cargo(&workspace.root);
    clippy.args(["clippy", "--workspace", "--all-targets", "--fix"]);
    clippy.args(["--allow-dirty", "--allow-staged"]);
    let mended = shown(&mut clippy)?;
    // Last, since a repair may have to be formatted.
    Ok(shown(cargo(&workspace.root).args(["fmt", "--all"]))? && mended)
}

/// Rewrites golden files from what the tests do now; with a name, only those of tests so named.
pub(crate) fn golden(workspace: &Workspace, name: Option<&str>) -> Result<bool> {
    let scripted = packages(&workspace.metadata).filter(|(_, package)| {
        let needs = package["dependencies"].as_array();
        needs.into_iter().flatten().any(|need| need["name"] == "goldenscript")
    });
    let mut well = true;
    for (package, _) in scripted {
        let mut test = cargo(&workspace.root);
        test.args(["test", "--package", package, "--tests", "--"]).args(name);
        well &= shown(test.env("UPDATE_GOLDENFILES", "1"))?;
    }
    println!("review every changed line: a golden file is a claim about behaviour");
    Ok(well)
}

/// Simulates.
pub(crate) fn sim(workspace: &Workspace, arguments: &[&str]) -> Result<bool> {
    if !workspace.has_binary("synod-tests", "weather") {
        bail!("synod-tests has no binary `weather` yet");
    }
    let mut weather = cargo(&workspace.root);
    weather.args(["run", "--quiet", "--release", "--package", "synod-tests", "--bin", "weather"]);
    shown(weather.args(["--", "sim"]).args(arguments))
}

/// Lives in virtual time. Built like the tests, so that a seed that failed there is at hand.
pub(crate) fn whole_stack(workspace: &Workspace, arguments: &[&str]) -> Result<bool> {
    let mut program = cargo(&workspace.root);
    program.args(["run", "--quiet", "--package", "synod-virtual", "--"]);
    shown(program.args(arguments))
}

/// Passes a command on to the one binary, built for speed.
pub(crate) fn synod(workspace: &Workspace, arguments: &[&str]) -> Result<bool> {
    let mut synod = cargo(&workspace.root);
    synod.args(["run", "--quiet", "--release", "--package", "synod", "--"]);
    shown(synod.args(arguments))
}
