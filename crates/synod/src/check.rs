//! `synod check`: a verdict over what was recorded.

use std::{fs::File, io::BufReader, path::Path, time::Duration};

use histcheck::Verdict;
use serde_json::json;

use crate::{
    cli::Format,
    failure::{Exit, Failure},
    print,
};

/// How long a history may be pondered.
const PATIENCE: Duration = Duration::from_secs(120);

/// `synod check history FILE [--html OUT]`
///
/// # Errors
///
/// If the file cannot be read or drawn, or what it records is not linearizable.
pub fn history(file: &Path, html: Option<&Path>, format: Format) -> Result<(), Failure> {
    let open = File::open(file).map_err(|error| {
        Failure::new(Exit::Environment, format!("cannot read {}: {error}", file.display()))
    })?;
    let history = histcheck::read(BufReader::new(open)).map_err(|error| {
        Failure::new(Exit::Usage, format!("{} is no history: {error}", file.display()))
    })?;
    let report = histcheck::check(&history.operations, PATIENCE);
    if let Some(html) = html {
        std::fs::write(html, histcheck::timeline(&history, &report)).map_err(|error| {
            Failure::new(Exit::Environment, format!("cannot write {}: {error}", html.display()))
        })?;
    }
    let verdict = match &report.verdict {
        Verdict::Ok => "pass",
        Verdict::Illegal(_) => "fail",
        Verdict::Unknown(_) => "unknown",
    };
    let counts = report.counts;
    if let Verdict::Illegal(violation) = &report.verdict {
        eprintln!("{violation}");
    }
    if report.is_vacuous() {
        eprintln!("nothing in this history could have been wrong: the verdict is worth nothing");
    }
    match format {
        Format::Json => print::json(&json!({
            "verdict": if report.passed() { "pass" } else { "fail" },
            "seed": history.header.and_then(|header| header.seed),
            "ops": counts.operations, "unknown": counts.unknown, "max_unavailable_ms": null,
            "checks": {"linearizable": verdict},
        }))?,
        Format::Table | Format::Plain => print::line(format!(
            "linearizable: {verdict} ({} operations on {} keys, {} unknown, {} could have been wrong)",
            counts.operations, counts.keys, counts.unknown, counts.constrained
        ))?,
    }
    match report.verdict {
        Verdict::Ok if report.passed() => Ok(()),
        Verdict::Ok | Verdict::Illegal(_) => Err(Failure::told(Exit::Failed)),
        Verdict::Unknown(_) => Err(Failure::new(
            Exit::Failed,
            "the check came to no end in its time: no verdict, neither good nor bad",
        )),
    }
}
