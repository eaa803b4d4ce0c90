//! Results to stdout, in the form that was asked for; narration to stderr.
//!
//! Whoever reads our results may stop reading: `synod scan-all | head` is a whole command, not a
//! failure. So whatever prints a result says whether anybody still listens, and a verb that nobody
//! listens to ends, with success and without a word.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde_json::Value;

use crate::{
    cli::Format,
    failure::{Exit, Failure},
};

/// The form that results take: as asked, else a table for a person and plain for a pipe.
#[must_use]
pub fn format(asked: Option<Format>) -> Format {
    asked.unwrap_or_else(|| if io::stdout().is_terminal() { Format::Table } else { Format::Plain })
}

/// Results on their way to standard output; what is written is kept until a flush, or until it is
/// much.
pub struct Results(BufWriter<StdoutLock<'static>>);

impl Results {
    /// The way to standard output. Only one at a time.
    #[must_use]
    pub fn open() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout().lock()))
    }

    /// A line of these bytes, as they are.
    ///
    /// # Errors
    ///
    /// If nobody reads it, or it cannot be written.
    pub fn line(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.0.write_all(bytes).and_then(|()| self.0.write_all(b"\n"));
        written.map_err(unread)
    }

    /// Hands over all that was written.
    ///
    /// # Errors
    ///
    /// If nobody reads it, or it cannot be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(unread)
    }
}

fn unread(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::told(Exit::Ok),
        _ => {
            let why = format!("cannot write to standard output: {error}; what was done is done");
            Failure::new(Exit::Environment, why)
        }
    }
}

/// A line of text or bytes, at once.
///
/// # Errors
///
/// If nobody reads it, or it cannot be written.
pub fn line(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut results = Results::open();
    results.line(bytes.as_ref())?;
    results.flush()
}

/// One object a line.
///
/// # Errors
///
/// If nobody reads it, or it cannot be written.
pub fn json(value: &Value) -> Result<(), Failure> {
    line(value.to_string())
}

/// Bytes as text: themselves where they are UTF-8, else replaced piece by piece.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes as one cell of a table: text, in which nothing can end the line or move the cursor.
#[must_use]
pub fn cell(bytes: &[u8]) -> String {
    let mut cell = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() { cell.extend(c.escape_default()) } else { cell.push(c) }
    }
    cell
}

/// Rows under a heading, in columns as wide as they need.
///
/// # Errors
///
/// If nobody reads it, or it cannot be written.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut results = Results::open();
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        results.line(padded.join("  ").trim_end().as_bytes())?;
    }
    results.flush()
}

/// What colour may say, and words say as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Green: as it should be.
    Good,
    /// Red: not as it should be.
    Bad,
}

/// `text` in the colour of its mood, if `stream` is a terminal and nobody minds: `NO_COLOR` that
/// is not empty, or a terminal that says it is dumb, leaves the text as it is.
#[must_use]
pub fn coloured(stream: &impl IsTerminal, mood: Mood, text: &str) -> String {
    if !colours(stream) {
        return text.to_owned();
    }
    let code = match mood {
        Mood::Good => 32,
        Mood::Bad => 31,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Whether a stream takes colours.
#[must_use]
pub fn colours(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    stream.is_terminal() && !refused && !dumb
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_ends_no_line_and_moves_no_cursor() {
        assert_eq!(cell("zwölf".as_bytes()), "zwölf");
        assert_eq!(cell(b"a\nb\tc\x1b[2J"), "a\\nb\\tc\\u{1b}[2J");
    }
}
