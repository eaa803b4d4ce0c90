//! The other store: where it is, or why it is not to be had.

use std::{path::Path, process::Command};

use crate::command::shown;

/// What it is called.
const PROGRAM: &str = "etcd";
/// Who brings it, on Debian.
const PACKAGE: &str = "etcd-server";

/// The program, installed if need be.
///
/// # Errors
///
/// One sentence that says why it is not there and what to do.
pub(super) fn found() -> Result<String, String> {
    if let Some(program) = on_path() {
        return Ok(program);
    }
    let can_install = Path::new("/usr/bin/apt-get").exists() && is_root();
    if let Some(why) = refusal(can_install) {
        return Err(why);
    }
    eprintln!("installing {PACKAGE}");
    for arguments in [
        &["update", "--quiet"][..],
        // Only the program: the package's own service would take its ports.
        &["install", "--yes", "--quiet", "--no-install-recommends", PACKAGE][..],
    ] {
        let mut apt = Command::new("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        let done = shown(&mut apt);
        if !done.is_ok_and(|done| done) {
            return Err(format!(
                "apt-get {} failed; install {PACKAGE} by hand and try again",
                arguments.join(" ")
            ));
        }
    }
    on_path().ok_or_else(|| format!("{PACKAGE} was installed and brought no program {PROGRAM}"))
}

fn on_path() -> Option<String> {
    let paths = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&paths).map(|folder| folder.join(PROGRAM));
    found.into_iter().find(|program| program.is_file()).map(|found| found.display().to_string())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.starts_with(b"0\n"))
}

/// Why nothing can be installed, if so.
fn refusal(can_install: bool) -> Option<String> {
    (!can_install).then(|| {
        format!(
            "{PROGRAM} is not here and cannot be installed (that takes Debian and root); install \
             the package {PACKAGE}, or measure Synod alone with --only synod"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn what_cannot_be_had_is_said_with_the_next_step() {
        assert_eq!(refusal(true), None);
        let why = refusal(false).expect("a reason");
        assert!(why.contains("etcd-server") && why.contains("--only synod"), "{why}");
    }
}
