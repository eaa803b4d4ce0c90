//! What was typed before, in a file that only its owner may read.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Lines that are kept, at most.
pub(super) const KEPT: usize = 1000;

/// A history file.
pub struct History {
    file: File,
}

impl History {
    /// Where the history of this user's prompts is: in the state directory. `None` without a home.
    #[must_use]
    pub fn usual_place() -> Option<PathBuf> {
        let absolute = |name| {
            let path = std::env::var_os(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        state.map(|state| state.join("synod/history"))
    }

    /// The history at `path`, and the lines in it, the oldest first. What is more than `KEPT`
    /// is dropped, in the file too.
    ///
    /// # Errors
    ///
    /// If it can be neither read nor made.
    pub fn open(path: &Path) -> std::io::Result<(Self, Vec<String>)> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let mut file = options.open(path)?;
        let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
        let all = text.lines().count();
        let lines: Vec<String> =
            text.lines().skip(all.saturating_sub(KEPT)).map(str::to_owned).collect();
        if all > lines.len() {
            let mut name = path.to_owned().into_os_string();
            name.push(".new");
            let mut shorter = OpenOptions::new();
            let mut fresh =
                shorter.create(true).write(true).truncate(true).mode(0o600).open(&name)?;
            fresh.write_all((lines.join("\n") + "\n").as_bytes())?;
            std::fs::rename(&name, path)?;
            file = options.open(path)?;
        }
        Ok((Self { file }, lines))
    }

    /// Keeps what was typed, unless it begins with a blank.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn keep(&mut self, typed: &str) -> std::io::Result<()> {
        if typed.trim().is_empty() || typed.starts_with(char::is_whitespace) {
            return Ok(());
        }
        self.file.write_all(format!("{}\n", typed.trim_end()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{History, KEPT};

    #[test]
    fn the_latest_lines_are_kept_and_secrets_can_be_typed_behind_a_blank() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state/synod/history");
        let (mut history, lines) = History::open(&path).expect("made");
        assert!(lines.is_empty());
        for number in 0..KEPT + 5 {
            history.keep(&format!("get {number}")).expect("kept");
        }
        history.keep(" put password 1234").expect("not kept");
        let (mut history, lines) = History::open(&path).expect("there");
        assert_eq!((lines.len(), &lines[0][..]), (KEPT, "get 5"));
        history.keep("status").expect("kept");
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(text.lines().count(), KEPT + 1);
        assert!(!text.contains("1234"));
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
