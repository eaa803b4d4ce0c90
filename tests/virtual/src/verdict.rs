//! The end of a run: is what clients heard, what servers hold and what was promised one story?

use std::{collections::BTreeMap, time::Duration};

use histcheck::{Action, Operation, Verdict, appends::each_once, check};

use crate::client::Book;

/// The longest the checker may think. Its clock stands still here, so this only has to be there.
const PATIENCE: Duration = Duration::from_secs(60);
/// Fewer acknowledged operations than this and the run has shown nothing.
const FLOOR: u64 = 200;

/// Everything at once.
///
/// # Errors
///
/// The first thing that is wrong.
pub(crate) fn judge(book: &Book) -> Result<(), String> {
    if book.acknowledged < FLOOR {
        return Err(format!("only {} operations were acknowledged", book.acknowledged));
    }
    if book.digest.is_none() {
        return Err("the servers applied the same and differ".into());
    }
    tokens(book)?;
    linearizable(&book.history)
}

/// Each acknowledged append is there once, each unknown one at most once, and nothing else.
fn tokens(book: &Book) -> Result<(), String> {
    let mut keys = BTreeMap::<&[u8], Vec<&Operation>>::new();
    for operation in &book.history {
        if let Action::Append { key, .. } = &operation.action {
            keys.entry(key).or_default().push(operation);
        }
    }
    for (key, appends) in keys {
        let name = String::from_utf8_lossy(key);
        let last = book.last.get(&*name).ok_or_else(|| format!("nobody read {name}"))?;
        let value = last.as_deref().unwrap_or_default();
        each_once(value, b']', &appends).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

/// One honest map could have given every answer.
fn linearizable(history: &[Operation]) -> Result<(), String> {
    let report = check(history, PATIENCE);
    match &report.verdict {
        Verdict::Ok if report.is_vacuous() => Err("the history leaves nothing to check".into()),
        Verdict::Ok => Ok(()),
        Verdict::Illegal(violation) => {
            let mut lines = String::from("not linearizable: these contradict each other:");
            for operation in &violation.window {
                lines.push_str(&format!("\n    {operation}"));
            }
            Err(lines)
        }
        Verdict::Unknown(why) => Err(format!("the checker gave up: {why:?}")),
    }
}
