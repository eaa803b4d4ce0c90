//! The session in the README is one that happens.

use crate::tool::{code, stderr, stdout, synod};

const BEGIN: &str = "<!-- session: demo -->";
const END: &str = "<!-- end -->";

/// A line with everything that differs from run to run made the same.
fn masked(line: &str) -> String {
    let mut shape = String::new();
    for word in line.split_whitespace() {
        let word = if word.contains('/') { "PATH" } else { word };
        let mut was_digit = false;
        for c in word.chars() {
            if c.is_ascii_digit() || (was_digit && matches!(c, ',' | '.')) {
                if !was_digit {
                    shape.push('N');
                }
                was_digit = true;
            } else {
                was_digit = false;
                shape.push(c);
            }
        }
        shape.push(' ');
    }
    shape.trim_end().to_owned()
}

#[test]
fn the_session_in_the_readme_is_one_that_happens() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(readme).expect("there is a README");
    let block = readme.split(BEGIN).nth(1).and_then(|rest| rest.split(END).next());
    let written: Vec<String> = block
        .expect("the README has a session of the demo")
        .lines()
        .filter(|line| !line.starts_with("```") && !line.starts_with("$ ") && !line.is_empty())
        .map(masked)
        .collect();
    let output = synod(&["demo", "--no-shell", "--seed", "1"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let happened = format!("{}\n{}", stderr(&output), stdout(&output));
    let happened: Vec<String> = happened.lines().map(masked).collect();
    assert_eq!(written, happened, "paste a new session into the README");
    let data =
        stderr(&output).lines().find_map(|line| line.split("data in ").nth(1).map(str::to_owned));
    // The demo keeps what it wrote, for people to look at; nobody looks at this.
    let _ = std::fs::remove_dir_all(data.expect("the demo names its directory"));
}
