//! The program on a terminal: `script` gives it one, and we type and read.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::tool::{PATIENCE, SYNOD};

/// A program on a terminal of its own; ended when dropped.
pub(crate) struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<Vec<u8>>>,
    /// What was looked at already.
    seen: usize,
}

impl Terminal {
    /// Starts `synod` with these arguments and variables. `None` where there is no `script` to
    /// make terminals with; that is said.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Option<Self> {
        let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
        let command = format!("exec '{SYNOD}' {}", quoted.join(" "));
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-f", "-c", &command, "/dev/null"]);
        script.env("TERM", "xterm").env_remove("NO_COLOR").env("SHELL", "/bin/sh");
        script.envs(variables.iter().copied());
        let piped = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = piped.spawn() else {
            eprintln!("there is no `script` here: no terminal, and nothing was tested");
            return None;
        };
        let (keys, mut out) = (child.stdin.take(), child.stdout.take()?);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let screen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut some) {
                screen.lock().expect("whole").extend_from_slice(&some[..count]);
            }
        });
        Some(Self { child, keys, shown, seen: 0 })
    }

    /// Types this.
    #[track_caller]
    pub(crate) fn types(&mut self, text: &str) {
        let keys = self.keys.as_mut().expect("the terminal is open");
        keys.write_all(text.as_bytes()).and_then(|()| keys.flush()).expect("typed");
    }

    /// Waits until this is shown, behind what was waited for before.
    #[track_caller]
    pub(crate) fn shows(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.has_shown(words) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let all = self.shown.lock().expect("whole");
        let rest = &all[self.seen..];
        let found = rest.windows(words.len()).position(|some| some == words.as_bytes());
        let rest = String::from_utf8_lossy(rest);
        let end = found.unwrap_or_else(|| panic!("waited for {words:?} in vain: {rest:?}"));
        self.seen += end + words.len();
    }

    /// Whether this is shown, behind what was waited for before.
    pub(crate) fn has_shown(&self, words: &str) -> bool {
        let all = self.shown.lock().expect("whole");
        all[self.seen..].windows(words.len()).any(|some| some == words.as_bytes())
    }

    /// Waits for its end: the exit code, and all that was shown.
    #[track_caller]
    pub(crate) fn ends(self) -> (i32, String) {
        self.ends_by("")
    }

    /// The same, typing this now and then: what is typed just behind a Ctrl-C is lost.
    #[track_caller]
    pub(crate) fn ends_by(mut self, text: &str) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            match self.child.try_wait().expect("it can be asked") {
                None if Instant::now() < deadline => {
                    // It may end just now, and read nothing more.
                    let _ = self.keys.as_mut().map(|keys| keys.write_all(text.as_bytes()));
                    std::thread::sleep(Duration::from_millis(100));
                }
                ended => break ended,
            }
        };
        let shown = self.shown.lock().expect("whole");
        let shown = String::from_utf8_lossy(&shown).into_owned();
        let ended = ended.unwrap_or_else(|| panic!("the program does not end: {shown:?}"));
        (ended.code().expect("it ended by itself"), shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Without its terminal the program ends, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
