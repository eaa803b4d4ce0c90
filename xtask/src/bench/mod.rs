//! `bench`: how fast, and beside whom.
//!
//! Four words measure Synod beside somebody else, in rounds that take turns: `core`, `peers`,
//! `wal` and `rpc`. What others need to be built lies in a package of its own, which nothing else
//! here builds. This program decides what is measured, has it built and run, and turns the figures
//! into tables; so no figure in the documentation is typed by hand. Two more, `pb`
//! and `lock`, have nobody to stand beside: an example of the crate measures each. Any other word
//! goes to `synod bench`.

mod etcd;
mod example;
mod machine;
mod markdown;
mod plan;
mod report;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    command::{cargo, shown},
    workspace::Workspace,
};
use plan::{Asked, Topic};

/// Where tables go.
const PAGE: &str = "docs/performance.md";

/// Runs one of the six; `None` if the first word is none of them.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<Option<bool>> {
    let Some((topic, flags)) = words.split_first() else { return Ok(None) };
    if let Some(example) = example::named(topic) {
        return example::run(workspace, example, flags).map(Some);
    }
    let Some(topic) = Topic::named(topic) else { return Ok(None) };
    let mut asked = plan::parse(topic, flags)?;
    if topic == Topic::Peers && !equip(workspace, &mut asked)? {
        return Ok(Some(true));
    }
    let Some(program) = built(workspace, topic)? else { return Ok(Some(false)) };
    let figures = measured(workspace, topic, &asked, &program)?;
    let report = report::whole(topic, machine::described(workspace)?, &asked, figures);
    report::check(&report).context("the figures are not what was asked for")?;
    let kept = workspace.target.join("bench").join(format!("{}.json", topic.word()));
    fs::write(&kept, format!("{report:#}\n"))?;
    let section = markdown::section(&report);
    println!("{section}");
    eprintln!("the figures of every round: {}", kept.display());
    if asked.write {
        let page = workspace.root.join(PAGE);
        let text = fs::read_to_string(&page).with_context(|| format!("cannot read {PAGE}"))?;
        fs::write(&page, markdown::placed(&text, topic.word(), &section)?)?;
        eprintln!("written into {PAGE}");
    }
    Ok(Some(true))
}

/// Adds to the plan the programs that are measured; whether all are there.
fn equip(workspace: &Workspace, asked: &mut Asked) -> Result<bool> {
    if asked.wants("etcd") {
        match etcd::found() {
            Ok(program) => asked.plan["etcd"] = program.into(),
            Err(why) => {
                println!("skipped: {why}");
                return Ok(false);
            }
        }
    }
    let mut synod = cargo(&workspace.root);
    if !shown(synod.args(["build", "--release", "--package", "synod", "--bin", "synod"]))? {
        bail!("synod could not be built");
    }
    let program = workspace.target.join("release").join("synod");
    asked.plan["synod"] = program.display().to_string().into();
    Ok(true)
}

/// The program that measures this, built for speed.
fn built(workspace: &Workspace, topic: Topic) -> Result<Option<PathBuf>> {
    let word = topic.word();
    let features = if topic == Topic::Core { "core" } else { "stack" };
    let home = workspace.target.join("peers");
    let mut build = cargo(&workspace.root.join("xtask").join("peers"));
    build.args(["build", "--release", "--bin", word, "--features", features]);
    let done = shown(build.env("CARGO_TARGET_DIR", &home))?;
    Ok(done.then(|| home.join("release").join(word)))
}

/// Runs the program and reads what it measured.
fn measured(
    workspace: &Workspace,
    topic: Topic,
    asked: &Asked,
    program: &PathBuf,
) -> Result<Value> {
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder)?;
    let raw = folder.join(format!("{}.raw.json", topic.word()));
    let plan = asked.plan.to_string();
    eprintln!("{} '{plan}' {}", program.display(), raw.display());
    let mut run = std::process::Command::new(program);
    if !shown(run.current_dir(&workspace.root).arg(&plan).arg(&raw))? {
        bail!("the measurement failed; nothing was written");
    }
    let text = fs::read_to_string(&raw)?;
    fs::remove_file(&raw)?;
    Ok(serde_json::from_str(&text)?)
}
