//! The whole story of a scenario, if somebody wants it: every event, message and record, a line
//! each. Two runs of one seed write the same bytes.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io::{BufWriter, Write},
};

/// The environment variable that names the file to which stories are added.
pub const VARIABLE: &str = "SYNOD_TRACE";

fn file() -> Option<OsString> {
    std::env::var_os(VARIABLE).filter(|name| !name.is_empty())
}

/// Whether somebody wants the story.
#[must_use]
pub fn wanted() -> bool {
    file().is_some()
}

/// Adds lines to the story, if somebody wants it.
///
/// # Panics
///
/// If they cannot be written: a story with a gap misleads.
pub fn add(lines: &[String]) {
    let Some(file) = file() else { return };
    let file = OpenOptions::new().create(true).append(true).open(file);
    let mut file = BufWriter::new(file.expect("the trace can be written"));
    for line in lines {
        writeln!(file, "{line}").expect("the trace can be written");
    }
    file.flush().expect("the trace can be written");
}
