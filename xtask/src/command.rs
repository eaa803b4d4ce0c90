//! Running other programs, with a limit and without losing what they said.

use std::{
    io::Read,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// How often a program with a limit is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The cargo that runs us, in this folder.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    // Set for us by `cargo run`; a nested cargo must find out for itself.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME"] {
        cargo.env_remove(name);
    }
    cargo
}

/// What a program prints, if it succeeds.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a program in the foreground; whether it succeeded.
pub(crate) fn shown(command: &mut Command) -> Result<bool> {
    Ok(command.status().with_context(|| format!("cannot run {command:?}"))?.success())
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if it had to be stopped.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Everything it said.
    pub(crate) fn said(&self) -> String {
        let stopped = if self.status.is_none() { "\n(stopped: it took too long)\n" } else { "" };
        format!("{}{}{stopped}", self.stdout, self.stderr)
    }
}

/// Runs a program to its end or to `limit`, whichever comes first, with all its children.
pub(crate) fn limited(command: &mut Command, limit: Duration) -> Result<Ended> {
    let begun = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begun.elapsed() >= limit {
            stop_group(&mut child)?;
            break None;
        }
        thread::sleep(LOOK);
    };
    let took = begun.elapsed();
    Ok(Ended { status, stdout: joined(stdout), stderr: joined(stderr), took })
}

/// Stops a program and whatever it started: a test of real processes leaves none behind.
fn stop_group(child: &mut Child) -> Result<()> {
    let group = format!("-{}", child.id());
    let stopped = Command::new("kill").args(["-KILL", "--", &group]).status();
    if !stopped.is_ok_and(|status| status.success()) {
        child.kill()?;
    }
    child.wait()?;
    Ok(())
}

type Reader = thread::JoinHandle<String>;

fn collect(from: Option<impl Read + Send + 'static>) -> Option<Reader> {
    let mut from = from?;
    Some(thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends what there is to read.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }))
}

fn joined(reader: Option<Reader>) -> String {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::limited;

    #[test]
    fn a_program_that_ends_is_heard() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let ended = limited(&mut command, Duration::from_secs(60)).expect("there is a shell");
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped_with_its_children() {
        let mut command = Command::new("sh");
        // The child holds the pipe open: reading would never end if it survived.
        command.args(["-c", "sleep 1000 & sleep 1000"]);
        let ended = limited(&mut command, Duration::from_millis(20)).expect("there is a shell");
        assert!(ended.status.is_none() && !ended.succeeded());
        assert!(ended.took < Duration::from_secs(100));
    }
}
