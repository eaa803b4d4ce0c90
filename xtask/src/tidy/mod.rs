//! What a compiler cannot check.
//!
//! A rule is one function from the repository to findings, and one line in [`RULES`].

mod arrows;
mod doors;
mod free;
mod manifests;
mod purity;
mod text;
mod timing;

use std::fmt;

use anyhow::Result;
use serde_json::Value;

use crate::{
    command::{cargo, stdout},
    workspace::Workspace,
};

/// The repository as rules see it.
#[derive(Debug, Default)]
struct Tree {
    /// Every text file: its path from the top folder, and its text.
    files: Vec<(String, String)>,
    /// What `cargo metadata` says; paths of manifests are as in `files`.
    metadata: Value,
    /// What `cargo tree` says about the core of paxos, if it can be had alone.
    core_of_paxos: Option<String>,
}

impl Tree {
    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|(known, _)| known == path).map(|(_, text)| text.as_str())
    }

    /// All Rust source, by path.
    fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(|(path, _)| path.ends_with(".rs"))
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from one; zero for the file as a whole.
    line: usize,
    sentence: String,
}

impl Finding {
    fn new(path: &str, line: usize, sentence: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, sentence: sentence.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line.max(1), self.sentence)
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule.
const RULES: [Rule; 14] = [
    arrows::only_declared,
    purity::cores_touch_nothing,
    purity::core_of_paxos_is_alone,
    doors::answer_six_questions,
    doors::hold_no_logic,
    doors::have_a_tour,
    free::only_known,
    manifests::inherit,
    manifests::one_version_each,
    text::files_are_short,
    text::no_machine_paths,
    text::nothing_is_left_to_do,
    text::nothing_is_ignored,
    timing::tests_of_real_time_say_so,
];

/// Checks every rule, and prints what it finds; whether that is nothing.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let mut metadata = workspace.metadata.clone();
    for package in metadata["packages"].as_array_mut().into_iter().flatten() {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        package["manifest_path"] = workspace.relative(manifest).into();
    }
    let core_of_paxos = if workspace.has_feature("paxos", "net") {
        let mut tree = cargo(&workspace.root);
        tree.args(["tree", "--package", "paxos", "--no-default-features"]);
        Some(stdout(tree.args(["--edges", "normal", "--prefix", "none"]))?)
    } else {
        None
    };
    let tree = Tree { files: workspace.files()?, metadata, core_of_paxos };
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.is_empty())
}

/// Whether `word` stands in `line` with no letter, digit or `_` before or after it.
fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(inside) && !line[at + word.len()..].starts_with(inside)
    })
}

/// The lines of Rust source that are code, numbered; what follows `//` is cut off.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        let start = line.trim_start();
        if start.starts_with("//") {
            return None;
        }
        Some((number, line.split(" // ").next().unwrap_or(line)))
    })
}

#[cfg(test)]
mod tests {
    use super::{Finding, Tree, code, has_word};

    /// A repository of these files.
    pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
        let files = files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        Tree { files, ..Tree::default() }
    }

    /// Where a rule found something.
    pub(super) fn places(findings: &[Finding]) -> Vec<(&str, usize)> {
        findings.iter().map(|finding| (finding.path.as_str(), finding.line)).collect()
    }

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding::new("a/b.rs", 3, "is not so");
        assert_eq!(finding.to_string(), "a/b.rs:3: is not so");
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("use tokio::time;", "tokio") && has_word("(rand)", "rand"));
        assert!(!has_word("operand", "rand") && !has_word("rand_like", "rand"));
    }

    #[test]
    fn comments_are_no_code() {
        let text = "//! a\nlet x; // b\n    // c\nlet url = \"http://d\";";
        let lines: Vec<_> = code(text).collect();
        assert_eq!(lines, [(2, "let x;"), (4, "let url = \"http://d\";")]);
    }
}
