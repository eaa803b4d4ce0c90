//! What the programs of this package share: rounds that take turns, and how their figures leave.

pub mod processor;

pub mod rounds;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Ends a program: a failure is one line, whatever the environment says about traces.
#[must_use]
pub fn finish(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What to measure, as `cargo xtask bench` worded it, and the file for the figures.
///
/// # Errors
///
/// If the arguments are not a plan in JSON and a file.
pub fn arguments<Plan: DeserializeOwned>() -> Result<(Plan, PathBuf)> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [plan, file] = arguments.as_slice() else {
        bail!("usage: PLAN.json-text FILE; `cargo xtask bench` knows how to ask");
    };
    let plan = serde_json::from_str(plan).context("the plan is not understood")?;
    Ok((plan, file.into()))
}

/// Writes the figures.
///
/// # Errors
///
/// If the file cannot be written.
pub fn deliver(file: &PathBuf, figures: &Value) -> Result<()> {
    std::fs::write(file, format!("{figures:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))
}
