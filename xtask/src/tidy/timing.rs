//! Tests that measure real time say so in their names.

use super::{Finding, Tree, code};

/// What a test that asserts something about real time is called first.
const PREFIX: &str = "timing_";

/// What makes time virtual.
const PAUSED: &str = "start_paused";

/// Bounds as tight as these are claims about speed; longer ones only end a test that hangs.
const TIGHT: [&str; 5] =
    ["from_micros(", "from_millis(", "from_secs(1)", "from_secs(2)", "from_secs(3)"];

/// Every test that asserts that something took less than a tight bound of real time is called
/// `timing_...`: it must use percentiles or counts, and it may be the first to suffer on a machine
/// that is busy.
pub(super) fn tests_of_real_time_say_so(tree: &Tree) -> Vec<Finding> {
    let tests = tree.rust().filter(|(path, _)| path.contains("tests"));
    tests.flat_map(|(path, text)| in_file(path, text)).collect()
}

fn in_file(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The function that the line is in: its name, and what was measured in it so far.
    let (mut name, mut exempt, mut paused) = (String::new(), true, false);
    let mut measured: Vec<String> = Vec::new();
    for (number, line) in code(text) {
        let line = line.trim();
        if line.starts_with("#[") {
            paused = line.contains(PAUSED);
        }
        if let Some((_, rest)) = line.split_once("fn ")
            && !line.starts_with("//")
            && line.ends_with('{')
        {
            name = rest.split(['(', '<']).next().unwrap_or_default().to_owned();
            exempt = paused || name.starts_with(PREFIX);
            paused = false;
            measured.clear();
        }
        if exempt {
            continue;
        }
        if let Some((left, right)) = line.split_once(" = ")
            && right.contains("elapsed()")
            && let Some(bound) = left.split_whitespace().next_back()
        {
            measured.push(bound.to_owned());
        }
        let asserts = line.contains("assert!(") && line.contains('<');
        let of_time =
            line.contains("elapsed()") || measured.iter().any(|it| line.contains(&it[..]));
        if asserts && of_time && TIGHT.iter().any(|bound| line.contains(bound)) {
            let sentence = format!("{name} asserts real time: call it {PREFIX}{name}");
            findings.push(Finding::new(path, number, sentence));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::in_file;

    fn found(attribute: &str, name: &str, lines: &str) -> usize {
        let text = format!("{attribute}\nfn {name}() {{\n{lines}\n}}\n");
        in_file("crates/x/tests/it/main.rs", &text).len()
    }

    #[test]
    fn h_10_assertions_of_real_time_are_found() {
        let direct = "assert!(begun.elapsed() < Duration::from_millis(5));";
        let bound = "let took = begun.elapsed();\nassert!(took < Duration::from_secs(1));";
        for lines in [direct, bound] {
            assert_eq!(found("#[test]", "quick", lines), 1, "{lines}");
            assert_eq!(found("#[test]", "timing_quick", lines), 0, "{lines}");
            assert_eq!(found("#[tokio::test(start_paused = true)]", "quick", lines), 0, "{lines}");
        }
        for harmless in [
            "assert!(begun.elapsed() >= Duration::from_millis(5));",
            "assert!(begun.elapsed() < Duration::from_secs(60));",
            "assert!(world.now() < Duration::from_millis(5));",
        ] {
            assert_eq!(found("#[test]", "quick", harmless), 0, "{harmless}");
        }
    }
}
