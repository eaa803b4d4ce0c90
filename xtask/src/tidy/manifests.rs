//! What every package inherits, and that nothing comes twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Tree};
use crate::workspace::packages;

/// What a manifest takes from the workspace, so that it is decided once.
const INHERITED: [&str; 4] = [
    "edition.workspace = true",
    "rust-version.workspace = true",
    "license.workspace = true",
    "version.workspace = true",
];

/// Every package inherits licence, edition and lints.
pub(super) fn inherit(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let members = tree.files.iter().filter(|(path, _)| path.ends_with("/Cargo.toml"));
    for (path, text) in members {
        for line in INHERITED {
            if !text.lines().any(|known| known.trim() == line) {
                findings.push(Finding::new(path, 0, format!("the package lacks `{line}`")));
            }
        }
        let lints = text.split_once("[lints]").map(|(_, rest)| rest.trim_start());
        if !lints.is_some_and(|rest| rest.starts_with("workspace = true")) {
            findings.push(Finding::new(path, 0, "the package does not inherit the lints"));
        }
    }
    findings
}

/// What two others want in different versions, so that nobody here can choose.
const NOT_OURS_TO_CHOOSE: [&str; 1] = [
    // turmoil draws with 0.9, mad-turmoil with 0.10, and both serve one test binary only.
    "rand",
];

/// No library that we name is built in two incompatible versions.
pub(super) fn one_version_each(tree: &Tree) -> Vec<Finding> {
    let needs =
        packages(&tree.metadata).flat_map(|(_, package)| package["dependencies"].as_array());
    let named: BTreeSet<&str> = needs.flatten().filter_map(|need| need["name"].as_str()).collect();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let lock = tree.text("Cargo.lock").unwrap_or_default();
    let mut name = "";
    for line in lock.lines() {
        let quoted = |line: &'_ str| line.split('"').nth(1).map(str::len);
        if let Some(rest) = line.strip_prefix("name = \"") {
            name = &rest[..quoted(line).unwrap_or(0)];
        } else if let Some(rest) = line.strip_prefix("version = \"") {
            let version = &rest[..quoted(line).unwrap_or(0)];
            versions.entry(name).or_default().insert(compatible(version));
        }
    }
    let ours = |name: &str| named.contains(name) && !NOT_OURS_TO_CHOOSE.contains(&name);
    let twice = versions.iter().filter(|(name, all)| ours(name) && all.len() > 1);
    twice
        .map(|(name, all)| {
            let all: Vec<&str> = all.iter().copied().collect();
            let sentence = format!("{name} is built more than once: {}", all.join(" and "));
            Finding::new("Cargo.lock", 0, sentence)
        })
        .collect()
}

/// The part of a version that decides what may stand in for what: `1`, `0.38`, `0.0.3`.
fn compatible(version: &str) -> &str {
    let mut end = 0;
    for part in version.split('.') {
        end += part.len() + 1;
        if part != "0" {
            break;
        }
    }
    &version[..(end - 1).min(version.len())]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{INHERITED, compatible, inherit, one_version_each};
    use crate::tidy::tests::{places, tree};

    #[test]
    fn a_package_that_decides_for_itself_is_found() {
        let good = format!("[package]\n{}\n\n[lints]\nworkspace = true\n", INHERITED.join("\n"));
        let found = |text: &str| inherit(&tree(&[("crates/wal/Cargo.toml", text)])).len();
        assert_eq!(found(&good), 0);
        assert_eq!(found(&good.replace(INHERITED[2], "license = \"none\"")), 1);
        assert_eq!(found(&good.replace("[lints]\nworkspace = true", "[lints]")), 1);
    }

    #[test]
    fn a_library_built_twice_is_found_if_we_named_it() {
        let package = |name: &str, version: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\n")
        };
        let found = |lock: &str| {
            let mut tree = tree(&[("Cargo.lock", lock)]);
            let needs = json!([{ "name": "tarpc" }, { "name": "serde" }]);
            tree.metadata = json!({ "packages": [{ "name": "wal", "dependencies": needs }] });
            places(&one_version_each(&tree)).len()
        };
        let one = package("tarpc", "0.9.1") + &package("serde", "1.0.0");
        assert_eq!(found(&(one.clone() + &package("tarpc", "0.9.2"))), 0);
        assert_eq!(found(&(one.clone() + &package("syn", "1.0.0") + &package("syn", "2.0.0"))), 0);
        assert_eq!(found(&(one + &package("tarpc", "0.10.0"))), 1);
    }

    #[test]
    fn compatibility_is_the_first_part_that_is_not_zero() {
        for (version, part) in [("1.2.3", "1"), ("0.38.1", "0.38"), ("0.0.3", "0.0.3")] {
            assert_eq!(compatible(version), part);
        }
    }
}
