//! Results to stdout, in the form that was asked for; narration to stderr.

use std::io::IsTerminal;

use serde_json::Value;

use crate::cli::Format;

/// The form that results take: as asked, else a table for a person and plain for a pipe.
#[must_use]
pub fn format(asked: Option<Format>) -> Format {
    asked.unwrap_or_else(|| {
        if std::io::stdout().is_terminal() { Format::Table } else { Format::Plain }
    })
}

/// One object a line.
pub fn json(value: &Value) {
    println!("{value}");
}

/// Bytes as text: themselves where they are UTF-8, else replaced piece by piece.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Rows under a heading, in columns as wide as they need.
pub fn table(heading: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", padded.join("  ").trim_end());
    };
    line(&heading.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
}
