//! Commands that only know whom to call.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    command::{cargo, shown, stdout},
    workspace::{Workspace, packages},
};

/// Formats, and lets clippy repair what it can.
pub(crate) fn fix(workspace: &Workspace) -> Result<bool> {
    let mut clippy = cargo(&workspace.root);
    clippy.args(["clippy", "--workspace", "--all-targets", "--fix"]);
    clippy.args(["--allow-dirty", "--allow-staged"]);
    let mended = shown(&mut clippy)?;
    // Last, since a repair may have to be formatted.
    let mut peers = cargo(&workspace.root);
    peers.args(["fmt", "--manifest-path", "xtask/peers/Cargo.toml"]);
    Ok(shown(cargo(&workspace.root).args(["fmt", "--all"]))? && shown(&mut peers)? && mended)
}

/// Rewrites golden files from what the tests do now; with a name, only those of tests so named.
pub(crate) fn golden(workspace: &Workspace, name: Option<&str>) -> Result<bool> {
    let scripted = packages(&workspace.metadata).filter(|(_, package)| {
        let needs = package["dependencies"].as_array();
        let scripts = needs.into_iter().flatten().any(|need| need["name"] == "goldenscript");
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        scripts || manifest.with_file_name("tests").join("golden").is_dir()
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

/// Simulates. A scenario with a script lies in the tests, which are built for it.
pub(crate) fn sim(workspace: &Workspace, arguments: &[&str]) -> Result<bool> {
    if let ["--scenario", name, ..] = arguments
        && (name.starts_with("s8_") || name.starts_with("h_"))
    {
        let (weather, it) = weather_and_tests(workspace)?;
        return shown(Command::new(weather).args(["sim", "--it", &it]).args(arguments));
    }
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

/// Soaks: many scenarios over many seeds.
pub(crate) fn soak(workspace: &Workspace, arguments: &[&str]) -> Result<bool> {
    let (weather, it) = weather_and_tests(workspace)?;
    let folder = workspace.target.join("soak");
    let mut soak = Command::new(weather);
    soak.args(["soak", "--it", &it, "--folder"]).arg(folder);
    shown(soak.args(arguments))
}

/// Builds the program that runs days and the one that holds the scenarios, and says where they
/// are.
fn weather_and_tests(workspace: &Workspace) -> Result<(String, String)> {
    let mut build = cargo(&workspace.root);
    build.args(["build", "--package", "synod-tests", "--bin", "weather", "--test", "it"]);
    let messages = stdout(build.args(["--message-format", "json-render-diagnostics"]))?;
    let messages: Vec<Value> =
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let program = |name: &str| {
        let built = messages.iter().filter(|message| message["target"]["name"] == name);
        let mut paths = built.filter_map(|message| message["executable"].as_str());
        paths.next().map(str::to_owned).with_context(|| format!("cargo built no `{name}`"))
    };
    Ok((program("weather")?, program("it")?))
}

/// Passes a command on to the one binary, built for speed.
pub(crate) fn synod(workspace: &Workspace, arguments: &[&str]) -> Result<bool> {
    let mut synod = cargo(&workspace.root);
    synod.args(["run", "--quiet", "--release", "--package", "synod", "--"]);
    shown(synod.args(arguments))
}
