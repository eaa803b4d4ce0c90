//! What scenario tests say they did.
//!
//! A scenario test carries the number of its scenario in its name, `s8_3_16_...` or `h_07_...`,
//! and leaves one small file behind. So what is covered is counted, not claimed.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

/// The environment variable that tells scenario tests where to write.
pub(crate) const FOLDER_VARIABLE: &str = "SYNOD_SCENARIOS";

/// Where they write.
pub(crate) fn folder(target: &Path) -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE).map_or_else(|| target.join("scenarios"), PathBuf::from)
}

/// The number of a scenario: 8.3-16, or H-07.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    /// Zero for the harness.
    pub(crate) section: u32,
    pub(crate) item: u32,
}

impl Number {
    /// The number in the name of a test, if it has one.
    pub(crate) fn of_test(path: &str) -> Option<Self> {
        let name = path.rsplit("::").next()?;
        let name = name.strip_prefix("timing_").unwrap_or(name);
        let mut parts = name.split('_');
        let section = match parts.next()? {
            "h" => 0,
            "s8" => parts.next()?.parse().ok()?,
            _ => return None,
        };
        let item = parts.next()?.parse().ok()?;
        parts.next().map(|_| Self { section, item })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section {
            0 => write!(f, "H-{:02}", self.item),
            section => write!(f, "8.{section}-{}", self.item),
        }
    }
}

/// What one scenario test did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Did {
    pub(crate) seeds: u64,
    pub(crate) events: u64,
    pub(crate) acknowledged: u64,
    /// The scenario's own figure, in words.
    pub(crate) figure: String,
}

impl Did {
    fn of_json(value: &Value) -> Self {
        let count = |field: &str| value[field].as_u64().unwrap_or(0);
        let figure = match &value["figure"] {
            Value::Null => String::new(),
            Value::String(words) => words.clone(),
            other => other.to_string(),
        };
        Self {
            seeds: count("seeds"),
            events: count("events"),
            acknowledged: count("acknowledged"),
            figure,
        }
    }
}

/// Everything left behind, by the name of the test.
pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, Did>> {
    let mut all = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(all) };
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_stem().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path)?;
            let value = serde_json::from_str(&text)
                .with_context(|| format!("{} is no JSON", path.display()))?;
            all.insert(name, Did::of_json(&value));
        }
    }
    Ok(all)
}

/// Leaves behind what a command did that stands for a scenario, under the name of its test.
pub(crate) fn leave(folder: &Path, name: &str, seeds: u64, figure: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let value = serde_json::json!({
        "name": name, "seeds": seeds, "events": 0, "acknowledged": 0, "figure": figure
    });
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, format!("{value}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Forgets what earlier runs left behind.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    for name in read(folder)?.keys() {
        fs::remove_file(folder.join(format!("{name}.json")))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::{Did, Number};

    #[test]
    fn a_name_carries_its_number() {
        let number = |name: &str| Number::of_test(name).map(|number| number.to_string());
        let partition = number("cluster::s8_3_16_partition_decides_nothing");
        assert_eq!(partition.as_deref(), Some("8.3-16"));
        assert_eq!(number("h_07_every_fault").as_deref(), Some("H-07"));
        assert_eq!(number("timing_s8_3_20_at_once").as_deref(), Some("8.3-20"));
        for other in ["s8_3_16", "s8_3", "s9_3_16_x", "helper", "h_x_y", "shape_8_3_1"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_missing_counts_nothing() {
        let value = serde_json::json!({"name": "x", "seeds": 3, "figure": {"rounds": 2}});
        let did = Did::of_json(&value);
        assert_eq!((did.seeds, did.events, did.figure.as_str()), (3, 0, "{\"rounds\":2}"));
    }
}
