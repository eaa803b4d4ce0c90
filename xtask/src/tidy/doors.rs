//! The door of every room answers the same six questions, and is no room itself; behind it begins a
//! short tour.

use super::{Finding, Tree, code, has_word};

/// The questions, in order.
const QUESTIONS: [&str; 6] = [
    "# What it promises",
    "# What it assumes",
    "# The idea in one picture",
    "# Invariants",
    "# What was left out",
    "# Reading order",
];

/// A tour is read at one glance: it has fewer lines than this.
const TOUR_LINES: usize = 80;

/// A third implementation of a seam is written in less than an afternoon: it has fewer lines.
const THIRD_LINES: usize = 150;

/// Every crate has a tour, and no tour or third implementation is long.
pub(super) fn have_a_tour(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in &tree.files {
        let Some((room, file)) = path.strip_prefix("crates/").and_then(|p| p.split_once('/'))
        else {
            continue;
        };
        let tour = format!("crates/{room}/examples/tour.rs");
        if file == "Cargo.toml" && tree.text(&tour).is_none() {
            findings.push(Finding::new(&tour, 0, "a crate has a tour, and this one is missing"));
        }
        let limit = match file.strip_prefix("examples/") {
            Some(name) if name.starts_with("tour") => TOUR_LINES,
            Some(name) if name.starts_with("third_") => THIRD_LINES,
            _ => continue,
        };
        if text.lines().count() >= limit {
            let sentence = format!("this is to be read at one glance: fewer than {limit} lines");
            findings.push(Finding::new(path, limit, sentence));
        }
    }
    findings
}

/// The rooms that have a door: every crate but those that are only a program.
fn doors(tree: &Tree) -> impl Iterator<Item = (String, Option<&str>)> {
    let manifests = tree.files.iter().filter_map(|(path, _)| {
        let room = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        (!room.contains('/')).then_some(room)
    });
    let program = |room: &&str| tree.text(&format!("crates/{room}/src/main.rs")).is_some();
    manifests.filter_map(move |room| {
        let door = format!("crates/{room}/src/lib.rs");
        let text = tree.text(&door);
        (text.is_some() || !program(&room)).then_some((door, text))
    })
}

/// Every door has the six headings, in order.
pub(super) fn answer_six_questions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (door, text) in doors(tree) {
        let Some(text) = text else {
            findings.push(Finding::new(&door, 0, "a crate has a door, and this one is missing"));
            continue;
        };
        let essay: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim).collect();
        let mut from = 0;
        for question in QUESTIONS {
            match essay[from..].iter().position(|line| *line == question) {
                Some(at) => from += at + 1,
                None => {
                    let sentence = format!("the door has no heading \"{question}\" at its place");
                    findings.push(Finding::new(&door, 0, sentence));
                }
            }
        }
    }
    findings
}

/// No door holds logic: only the essay, the modules and what is re-exported.
pub(super) fn hold_no_logic(tree: &Tree) -> Vec<Finding> {
    let texts = doors(tree).filter_map(|(door, text)| Some((door, text?)));
    texts
        .flat_map(|(door, text)| {
            let logic = code(text).filter(|(_, line)| has_word(line, "fn"));
            let sentence = "a door holds no logic, and this is a function";
            logic.map(|(line, _)| Finding::new(&door, line, sentence)).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        QUESTIONS, THIRD_LINES, TOUR_LINES, answer_six_questions, have_a_tour, hold_no_logic,
    };
    use crate::tidy::tests::{places, tree};

    fn essay(questions: &[&str]) -> String {
        questions.iter().map(|question| format!("//! {question}\n//! words\n")).collect()
    }

    #[test]
    fn a_door_that_leaves_a_question_open_is_found() {
        let found = |text: &str| {
            let files = [("crates/wal/Cargo.toml", ""), ("crates/wal/src/lib.rs", text)];
            answer_six_questions(&tree(&files)).len()
        };
        assert_eq!(found(&essay(&QUESTIONS)), 0);
        assert_eq!(found(&essay(&QUESTIONS[1..])), 1);
        assert_eq!(found(""), 6);
        let mut swapped = QUESTIONS;
        swapped.swap(0, 1);
        assert_eq!(found(&essay(&swapped)), 1);
    }

    #[test]
    fn a_missing_door_is_found_except_where_there_is_only_a_program() {
        let files = [("crates/wal/Cargo.toml", ""), ("crates/synod/Cargo.toml", "")];
        let program = ("crates/synod/src/main.rs", "fn main() {}");
        let tree = tree(&[files[0], files[1], program]);
        assert_eq!(places(&answer_six_questions(&tree)), [("crates/wal/src/lib.rs", 0)]);
    }

    #[test]
    fn a_tour_is_there_and_short() {
        let manifest = ("crates/wal/Cargo.toml", "");
        let (tour, long) = ("\n".repeat(TOUR_LINES - 1), "\n".repeat(THIRD_LINES));
        let found = |files: &[(&str, &str)]| {
            let findings = have_a_tour(&tree(files));
            findings.iter().map(|finding| finding.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found(&[manifest]), ["crates/wal/examples/tour.rs"]);
        let there = ("crates/wal/examples/tour.rs", tour.as_str());
        assert!(found(&[manifest, there]).is_empty());
        let (more, third) = ("crates/wal/examples/tour_b.rs", "crates/wal/examples/third_log.rs");
        assert_eq!(found(&[manifest, there, (more, &long), (third, &long)]), [more, third]);
        let bench = ("crates/wal/examples/bench.rs", long.as_str());
        assert!(found(&[manifest, there, (third, &long[1..]), bench]).is_empty());
    }

    #[test]
    fn logic_in_a_door_is_found() {
        let text = "//! ```\n//! fn main() {}\n//! ```\n\nmod log;\npub fn open() {}\n";
        let tree = tree(&[("crates/wal/Cargo.toml", ""), ("crates/wal/src/lib.rs", text)]);
        assert_eq!(places(&hold_no_logic(&tree)), [("crates/wal/src/lib.rs", 6)]);
    }
}
