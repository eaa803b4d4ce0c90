//! Who may stand on whom.

use serde_json::Value;

use super::{Finding, Tree};
use crate::{
    tower::{FREE_PACKAGES, TEST_TOOLS, TOWER},
    workspace::packages,
};

/// A layer depends on no other layer but those the design gives it.
pub(super) fn only_declared(tree: &Tree) -> Vec<Finding> {
    let ours: Vec<&str> = packages(&tree.metadata).map(|(name, _)| name).collect();
    let mut findings = Vec::new();
    for (name, package) in packages(&tree.metadata) {
        if FREE_PACKAGES.contains(&name) {
            continue;
        }
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let Some(layer) = TOWER.iter().find(|layer| layer.name == name) else {
            let sentence = format!("{name} has no place in the tower: add it to xtask's table");
            findings.push(Finding::new(manifest, 0, sentence));
            continue;
        };
        for need in package["dependencies"].as_array().into_iter().flatten() {
            let on = need["name"].as_str().unwrap_or_default();
            let allowed = layer.on.contains(&on) || is_for_tests(need) && TEST_TOOLS.contains(&on);
            if ours.contains(&on) && !allowed {
                let line = line_of(tree.text(manifest).unwrap_or_default(), on);
                let sentence = format!("{name} may not stand on {on}: no such arrow is declared");
                findings.push(Finding::new(manifest, line, sentence));
            }
        }
    }
    findings
}

fn is_for_tests(need: &Value) -> bool {
    need["kind"] == "dev"
}

/// The line of a manifest that names a dependency.
fn line_of(manifest: &str, name: &str) -> usize {
    let names =
        |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().position(names).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::only_declared;
    use crate::tidy::tests::{places, tree};

    fn package(name: &str, needs: &[(&str, Option<&str>)]) -> Value {
        let needs: Vec<Value> =
            needs.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        let path = format!("crates/{name}/Cargo.toml");
        json!({ "name": name, "manifest_path": path, "dependencies": needs })
    }

    #[test]
    fn an_arrow_that_nobody_declared_is_found() {
        let manifest = "[dependencies]\nprotocol.workspace = true\npaxos.workspace = true\n";
        let mut tree = tree(&[("crates/wal/Cargo.toml", manifest)]);
        tree.metadata = json!({ "packages": [
            package("protocol", &[("sim", Some("dev")), ("serde", None)]),
            package("sim", &[("protocol", None)]),
            package("paxos", &[("wal", None), ("histcheck", Some("dev"))]),
            package("wal", &[("protocol", None), ("paxos", None)]),
            package("histcheck", &[]),
            package("xtask", &[("wal", None)]),
        ]});
        assert_eq!(places(&only_declared(&tree)), [("crates/wal/Cargo.toml", 3)]);
    }

    #[test]
    fn a_tool_is_for_tests_only() {
        let mut tree = tree(&[]);
        tree.metadata = json!({ "packages": [
            package("sim", &[]),
            package("paxos", &[("sim", None)]),
            package("stranger", &[]),
        ]});
        let found = only_declared(&tree);
        let expected = [("crates/paxos/Cargo.toml", 0), ("crates/stranger/Cargo.toml", 0)];
        assert_eq!(places(&found), expected);
    }
}
