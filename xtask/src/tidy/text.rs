//! What any file may hold.

use super::{Finding, Tree, code};

/// The longest Rust file, in lines: about 400 and some room to finish a thought.
const LONGEST_FILE: usize = 420;

/// Where machines keep things. In two halves, so that this file does not find itself.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// What stands for code that is not there.
const UNFINISHED: [&str; 2] = [concat!("to", "do!("), concat!("unimple", "mented!(")];

/// What turns a test off. Whoever cannot be run in every run is no test.
const IGNORED: &str = concat!("#[ign", "ore");

/// No Rust file is too long to be read at one sitting.
pub(super) fn files_are_short(tree: &Tree) -> Vec<Finding> {
    let long = tree.rust().map(|(path, text)| (path, text.lines().count()));
    long.filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| {
            let sentence = format!("{lines} lines are more than {LONGEST_FILE}: split the file");
            Finding::new(path, LONGEST_FILE + 1, sentence)
        })
        .collect()
}

/// No file knows on which machine it was written.
pub(super) fn no_machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in &tree.files {
        for (number, line) in (1..).zip(text.lines()) {
            let named = MACHINE_PATHS.iter().find(|known| {
                line.match_indices(**known).any(|(at, _)| {
                    let inside = |c: char| c.is_alphanumeric() || ".-_".contains(c);
                    !line[..at].ends_with(inside)
                })
            });
            if let Some(known) = named {
                let sentence = format!("{known} names a place on one machine");
                findings.push(Finding::new(path, number, sentence));
            }
        }
    }
    findings
}

/// Nothing pretends to be there.
pub(super) fn nothing_is_left_to_do(tree: &Tree) -> Vec<Finding> {
    found_in_code(tree, |line| UNFINISHED.iter().any(|word| line.contains(word)), "is unfinished")
}

/// No test is turned off.
pub(super) fn nothing_is_ignored(tree: &Tree) -> Vec<Finding> {
    found_in_code(tree, |line| line.trim_start().starts_with(IGNORED), "turns a test off")
}

fn found_in_code(tree: &Tree, is_bad: impl Fn(&str) -> bool, what: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        let bad = code(text).filter(|(_, line)| is_bad(line));
        findings.extend(bad.map(|(number, _)| Finding::new(path, number, what)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{
        IGNORED, LONGEST_FILE, MACHINE_PATHS, UNFINISHED, files_are_short, no_machine_paths,
        nothing_is_ignored, nothing_is_left_to_do,
    };
    use crate::tidy::tests::{places, tree};

    #[test]
    fn a_long_file_is_found() {
        let long = "x\n".repeat(LONGEST_FILE + 1);
        let files = [("a.rs", &long[2..]), ("b.rs", &long[..]), ("c.md", &long[..])];
        assert_eq!(places(&files_are_short(&tree(&files))), [("b.rs", LONGEST_FILE + 1)]);
    }

    #[test]
    fn a_machine_path_is_found() {
        let text = format!("fine\nsee {}x\n", MACHINE_PATHS[0]);
        let url = format!("https://example.org{}x\n", MACHINE_PATHS[2]);
        let files = [("docs/a.md", text.as_str()), ("docs/b.md", url.as_str())];
        assert_eq!(places(&no_machine_paths(&tree(&files))), [("docs/a.md", 2)]);
    }

    #[test]
    fn unfinished_code_is_found() {
        let text = format!("// {}\nfn f() {{ {}) }}\n", UNFINISHED[0], UNFINISHED[1]);
        assert_eq!(places(&nothing_is_left_to_do(&tree(&[("a.rs", &text)]))), [("a.rs", 2)]);
    }

    #[test]
    fn a_test_turned_off_is_found() {
        let text = format!("#[test]\n    {IGNORED}]\nfn f() {{}}\n");
        assert_eq!(places(&nothing_is_ignored(&tree(&[("a.rs", &text)]))), [("a.rs", 2)]);
    }
}
