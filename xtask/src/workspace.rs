//! What cargo and git know about this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{self, cargo};

/// The repository, as found.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its top folder.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// What `cargo metadata` says about our own packages.
    pub(crate) metadata: Value,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let here = manifest.parent().context("xtask lies in the repository")?;
        let mut ask = cargo(here);
        ask.args(["metadata", "--format-version", "1", "--no-deps"]);
        let metadata: Value = serde_json::from_str(&command::stdout(&mut ask)?)?;
        let path = |field: &str| -> Result<PathBuf> {
            Ok(metadata[field].as_str().with_context(|| format!("metadata has {field}"))?.into())
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")?, metadata })
    }

    /// The names of our packages, those below first.
    pub(crate) fn packages(&self) -> Vec<&str> {
        let mut names: Vec<&str> = packages(&self.metadata).map(|(name, _)| name).collect();
        names.sort_by_key(|name| (crate::tower::rank(name), *name));
        names
    }

    /// One package of ours.
    pub(crate) fn package(&self, name: &str) -> Option<&Value> {
        packages(&self.metadata).find(|(known, _)| *known == name).map(|(_, package)| package)
    }

    /// Whether a package has a feature.
    pub(crate) fn has_feature(&self, package: &str, feature: &str) -> bool {
        self.package(package).is_some_and(|package| package["features"].get(feature).is_some())
    }

    /// Whether a package has a binary.
    pub(crate) fn has_binary(&self, package: &str, binary: &str) -> bool {
        let targets = self.package(package).and_then(|package| package["targets"].as_array());
        targets.into_iter().flatten().any(|target| {
            target["name"] == binary
                && target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"bin".into()))
        })
    }

    /// A path as seen from the top folder.
    pub(crate) fn relative(&self, path: &str) -> String {
        let inside = Path::new(path).strip_prefix(&self.root);
        inside.map_or_else(|_| path.to_owned(), |inside| inside.display().to_string())
    }

    /// Every text file that git tracks or would, with its text.
    pub(crate) fn files(&self) -> Result<Vec<(String, String)>> {
        let mut git = std::process::Command::new("git");
        git.current_dir(&self.root);
        git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
        let listed = command::stdout(&mut git)?;
        let mut files = Vec::new();
        for name in listed.split('\0').filter(|name| !name.is_empty()) {
            // A file deleted but not yet committed is listed and gone; bytes are no text.
            let Ok(bytes) = std::fs::read(self.root.join(name)) else { continue };
            if let Ok(text) = String::from_utf8(bytes) {
                files.push((name.to_owned(), text));
            }
        }
        if files.is_empty() {
            bail!("git lists no files: this is no repository");
        }
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// Our packages in what `cargo metadata` said.
pub(crate) fn packages(metadata: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let packages = metadata["packages"].as_array();
    packages.into_iter().flatten().filter_map(|package| Some((package["name"].as_str()?, package)))
}
