//! A core decides and touches nothing.

use super::{Finding, Tree, code, has_word};

/// What no core may name, and why. Beside this, none of [`FORBIDDEN_MODULES`].
const FORBIDDEN: [(&str, &str); 10] = [
    ("tokio", "a core never waits"),
    ("tarpc", "a core knows no wire"),
    ("async", "a core never waits"),
    ("Instant", "time comes in as a value"),
    ("SystemTime", "time comes in as a value"),
    ("rand", "chance comes from a seed"),
    ("HashMap", "its order differs from run to run"),
    ("HashSet", "its order differs from run to run"),
    ("Mutex", "one task owns a core"),
    ("RwLock", "one task owns a core"),
];

/// Modules of `std` that no core may use, whether named in full or in a `use` with braces.
const FORBIDDEN_MODULES: [&str; 4] = ["fs", "net", "io", "thread"];

/// The seam to the disk is no core: it names what a driver, not a core, may hear of it.
const SEAM: &str = "crates/protocol/src/log.rs";

/// Whether a file is part of a core. Tests beside a core are not.
fn is_core(path: &str) -> bool {
    let mut parts = path.split('/');
    let (Some("crates"), Some(layer), Some("src")) = (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let rest: Vec<&str> = parts.collect();
    let core = layer == "protocol" && path != SEAM
        || rest.first().is_some_and(|f| ["core", "core.rs"].contains(f));
    core && !path.ends_with("tests.rs") && !rest.contains(&"tests")
}

/// No core names a disk, a socket, a clock, a thread, chance or an unordered map.
pub(super) fn cores_touch_nothing(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| is_core(path)) {
        for (number, line) in code(text) {
            for (word, why) in FORBIDDEN.iter().filter(|(word, _)| has_word(line, word)) {
                findings.push(Finding::new(path, number, format!("a core names {word}: {why}")));
            }
        }
        for (number, module) in modules_used(text) {
            let sentence = format!("a core uses std::{module}: it touches nothing");
            findings.push(Finding::new(path, number, sentence));
        }
    }
    findings
}

/// The forbidden modules of `std`: those in a `use`, however it is broken into lines, and those
/// named in full.
fn modules_used(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (number, line) in code(text) {
        inside |= line.trim_start().starts_with("use std::");
        let used = FORBIDDEN_MODULES.iter().filter(|module| {
            inside && has_word(line, module) || has_word(line, &format!("std::{module}"))
        });
        found.extend(used.map(|module| (number, *module)));
        inside &= !line.contains(';');
    }
    found
}

/// The core of paxos, built alone, brings neither a runtime nor a wire.
pub(super) fn core_of_paxos_is_alone(tree: &Tree) -> Vec<Finding> {
    let listed = tree.core_of_paxos.as_deref().unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    let mut strangers: Vec<&str> =
        names.filter(|name| ["tokio", "tarpc", "net", "wal"].contains(name)).collect();
    strangers.sort_unstable();
    strangers.dedup();
    let sentence = |name: &str| format!("paxos without default features still brings {name}");
    strangers
        .iter()
        .map(|name| Finding::new("crates/paxos/Cargo.toml", 0, sentence(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{SEAM, core_of_paxos_is_alone, cores_touch_nothing};
    use crate::tidy::tests::{places, tree};

    const NONE: [usize; 0] = [];

    #[test]
    fn a_core_that_touches_the_world_is_found() {
        let found = |path: &str, text: &str| {
            cores_touch_nothing(&tree(&[(path, text)])).iter().map(|f| f.line).collect::<Vec<_>>()
        };
        let core = "crates/paxos/src/core/leader.rs";
        assert_eq!(found(core, "use std::time::Duration;\n// tokio\nlet operand = 1;\n"), NONE);
        assert_eq!(found(core, "\nuse std::time::Instant;\n"), [2]);
        assert_eq!(found(core, "async fn wait() {}\n"), [1]);
        assert_eq!(found(core, "use std::io::Result;\nlet x = std::fs::read(p);\n"), [1, 2]);
        assert_eq!(found(core, "use std::{\n    fmt,\n    fs,\n};\nlet net = 1;\n"), [3]);
        assert_eq!(found("crates/wal/src/core.rs", "let m = HashMap::new();\n"), [1]);
        assert_eq!(found("crates/protocol/src/desk.rs", "use tokio::sync;\n"), [1]);
        for outside in [
            "crates/paxos/src/core/tests.rs",
            "crates/paxos/src/server.rs",
            "crates/protocol/src/tests.rs",
            SEAM,
            "crates/paxos/tests/core.rs",
        ] {
            assert_eq!(found(outside, "use tokio::sync;\n"), NONE, "{outside}");
        }
    }

    #[test]
    fn a_core_that_brings_a_runtime_is_found() {
        let mut tree = tree(&[]);
        assert!(core_of_paxos_is_alone(&tree).is_empty());
        tree.core_of_paxos = Some("paxos v0.1.0\nserde v1.0.0\n".into());
        assert!(core_of_paxos_is_alone(&tree).is_empty());
        tree.core_of_paxos = Some("paxos v0.1.0\ntokio v1.0.0\ntokio v1.0.0 (*)\n".into());
        assert_eq!(places(&core_of_paxos_is_alone(&tree)), [("crates/paxos/Cargo.toml", 0)]);
    }
}
