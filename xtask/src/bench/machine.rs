//! On what, when and of which commit: said without naming the machine or a place on it.

use std::{fs, path::Path, process::Command, thread};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{command, workspace::Workspace};

/// The date, the commit and the machine.
pub(super) fn described(workspace: &Workspace) -> Result<Value> {
    let said = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command::stdout(command.current_dir(&workspace.root).args(arguments))
    };
    let commit = said("git", &["rev-parse", "--short=10", "HEAD"])?.trim().to_owned();
    // The page itself is what a run changes.
    let page = format!(":(exclude){}", super::PAGE);
    let changed = said("git", &["status", "--porcelain", "--", ".", &page])?;
    let release = read("/proc/sys/kernel/osrelease");
    let processors = read("/proc/cpuinfo");
    let memory = read("/proc/meminfo");
    let kib: Option<u64> = field(&memory, "MemTotal")
        .and_then(|text| text.split_whitespace().next().and_then(|number| number.parse().ok()));
    let mounts = read("/proc/self/mounts");
    Ok(json!({
        "date": said("date", &["-u", "+%Y-%m-%d"])?.trim(),
        "commit": commit,
        "changed": !changed.trim().is_empty(),
        "machine": {
            "cores": thread::available_parallelism()?.get(),
            "processor": field(&processors, "model name").unwrap_or("unknown"),
            "memory_gib": kib.map(|kib| (kib as f64 / f64::from(1 << 20)).round()),
            "system": format!("Linux {}", numbers(&release)),
            "filesystem": filesystem(&mounts, &workspace.target).unwrap_or("unknown"),
        },
    }))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first field of this name in a file of `name : value` lines.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.trim() == name).map(|(_, value)| value.trim())
}

/// The numbers that a version begins with; what a builder appended says who built it.
fn numbers(release: &str) -> &str {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
    release[..end].trim_end_matches('.')
}

/// The kind of file system a folder lies on, from a list of mounts.
fn filesystem<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    let around = mounts.filter(|(at, _)| folder.starts_with(at));
    around.max_by_key(|(at, _)| at.components().count()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{field, filesystem, numbers};

    #[test]
    fn a_version_is_told_without_its_builder() {
        assert_eq!(numbers("6.18.44-somebody-v1\n"), "6.18.44");
        assert_eq!(numbers("6.18."), "6.18");
    }

    #[test]
    fn a_field_is_found() {
        let text = "processor\t: 0\nmodel name\t: One Two\nmodel name\t: Three\n";
        assert_eq!(field(text, "model name"), Some("One Two"));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "a / ext4 rw\nb /data xfs rw\nc /dat tmpfs rw\n";
        assert_eq!(filesystem(mounts, Path::new("/data/x")), Some("xfs"));
        assert_eq!(filesystem(mounts, Path::new("/database")), Some("ext4"));
    }
}
