//! A lock service as its users meet it: verbs, their forms, what is refused.

mod leaving;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::tool::{SYNOD, code, refused, stderr, stdout, synod, until};

/// A lock service in a process of its own, killed when it is dropped.
pub(crate) struct Server {
    data: PathBuf,
    pub(crate) addr: String,
    child: Child,
}

impl Server {
    pub(crate) fn new(dir: &Path) -> Self {
        let data = dir.join("locks");
        let made = synod(&["init", "--id", "0", "--data", data.to_str().expect("a name")]);
        assert!(stderr(&made).contains("synod lock serve --data"), "{}", stderr(&made));
        let free = synod::processes::free_addresses(1..=1).expect("a port").to_string();
        let (_, addr) = free.split_once('=').expect("an address");
        let child = Self::run(&data, addr);
        let server = Self { data, addr: addr.to_owned(), child };
        server.serves();
        server
    }

    fn run(data: &Path, addr: &str) -> Child {
        let mut command = Command::new(SYNOD);
        command.args(["lock", "serve", "--listen", addr, "--data"]).arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it can be started")
    }

    fn serves(&self) {
        until("the lock service serves", || code(&self.ask(&["view"])) == 0);
    }

    fn data(&self) -> &str {
        self.data.to_str().expect("a name")
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is gone");
    }

    pub(crate) fn start(&mut self) {
        self.child = Self::run(&self.data, &self.addr);
    }

    /// Runs a verb of `synod lock` against it.
    fn ask(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it can be started")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(SYNOD);
        command.arg("lock").args(arguments).env("SYNOD_LOCKS", &self.addr);
        command.stdin(Stdio::null());
        command
    }

    /// The same, and it must succeed: what it printed.
    #[track_caller]
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    #[track_caller]
    fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.told(&[arguments, &["-o", "json"]].concat());
        said.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
    }

    /// Takes a lock: the session and the token.
    #[track_caller]
    fn take(&self, arguments: &[&str]) -> (String, u64) {
        let said = self.told(arguments);
        let (session, token) = said.split_once(' ').expect("a session and a token");
        (session.to_owned(), token.parse().expect("a number"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_lock_verb_speaks_plainly_and_in_objects() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    let (one, first) = server.take(&["acquire", "printer"]);
    refused(&server.ask(&["try", "printer"]), 4, &format!("`printer` is taken by {one}"));
    refused(&server.ask(&["acquire", "printer", "--wait", "100ms"]), 4, "not free for as long");
    assert_eq!(server.told(&["holders", "printer"]), format!("{one} X {first}"));
    let seen = server.objects(&["holders", "printer"]);
    assert_eq!(seen[0]["holders"][0]["token"], first.to_string());
    refused(&server.ask(&["holders", "paper"]), 3, "nobody holds `paper`");

    // More for the same session, by processes of their own.
    let (same, second) = server.take(&["acquire", "paper", "--session", &one, "--mode", "S"]);
    assert!(same == one && second > first, "{same} {second}");
    let table = server.told(&["renew", &one, "-o", "table"]);
    assert!(table.contains("lives for 30s") && table.contains("paper"), "{table}");
    assert_eq!(server.objects(&["renew", &one])[0]["holds"].as_array().map(Vec::len), Some(2));

    let object = &server.objects(&["try", "ink", "--lease", "1500ms"])[0];
    assert_eq!((&object["name"], &object["lease_ms"]), (&"ink".into(), &1500.into()));
    let table = server.told(&["acquire", "toner", "-o", "table"]);
    assert!(table.contains("holds `toner` in X, token"), "{table}");

    refused(
        &server.ask(&["release", "printer", "--session", &one, "--token", "999"]),
        3,
        "`printer` is not held so",
    );
    let token = first.to_string();
    let release = ["release", "printer", "--session", &one, "--token", &token];
    assert_eq!(server.told(&[&release[..], &["-o", "table"]].concat()), "ok, released");
    refused(&server.ask(&release), 3, "`printer` is not held so");
    refused(&server.ask(&["release", "printer", "--session", "999"]), 3, "999 has no locks");
    refused(&server.ask(&["renew", "999"]), 3, "999 has no locks");
    assert_eq!(server.objects(&["release", "paper", "--session", &one])[0]["released"], true);
    until("the lease of who took the ink is over", || code(&server.ask(&["holders", "ink"])) == 3);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let nowhere = |arguments: &[&str]| {
        let at = ["--locks", "127.0.0.1:1", "--timeout", "300"];
        synod(&[&["lock"], arguments, &at].concat())
    };
    refused(&nowhere(&["acquire", "k"]), 6, "it did not happen");
    refused(&nowhere(&["release", "k", "--session", "1"]), 6, "could not be reached");
    refused(&nowhere(&["view"]), 6, "could not be reached");
    refused(&nowhere(&["acquire", "k", "--mode", "Z"]), 2, "no mode of a lock");
    refused(&nowhere(&["acquire", "k", "--lease", "30"]), 2, "is no time");
    refused(&nowhere(&["release", "k"]), 2, "--session");
    refused(&nowhere(&["release", "k", "--session", "me"]), 2, "is no session");
    refused(&nowhere(&["with", "k"]), 2, "COMMAND");
    refused(&synod(&["lock", "view"]), 2, "--locks");
    refused(&synod(&["lock", "serve", "--data", "d"]), 2, "--listen");
    refused(&synod(&["lock", "serve", "--listen", "127.0.0.1:0"]), 2, "--data");
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    refused(&server.ask(&["acquire", ""]), 4, "1 to 1024 bytes");
    refused(&server.ask(&["acquire", "k", "--lease", "0s"]), 4, "a lease lasts up to one hour");
    refused(&server.ask(&["acquire", "k", "--lease", "2h"]), 4, "a lease lasts up to one hour");
    refused(&server.ask(&["view", "--cluster", "9"]), 6, "could not be reached");
}

#[test]
fn a_directory_that_is_not_a_lock_services_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("a name").to_owned();
    let serve = |data: &str, more: &[&str]| {
        let flags = ["lock", "serve", "--listen", "127.0.0.1:0", "--data", data];
        synod(&[&flags, more].concat())
    };
    refused(&serve(&path("absent"), &[]), 6, "synod init");
    fs::create_dir(path("empty")).expect("made");
    refused(&serve(&path("empty"), &[]), 6, "synod init");
    assert_eq!(code(&synod(&["init", "--id", "1", "--data", &path("one")])), 0);
    refused(&serve(&path("one"), &[]), 6, &path("one"));
    let mut server = Server::new(dir.path());
    refused(&serve(server.data(), &[]), 6, "in use");
    refused(&serve(server.data(), &["--cluster", "9"]), 6, server.data());
    server.take(&["acquire", "k"]);
    server.kill();
    refused(&serve(server.data(), &["--bootstrap"]), 6, "already holds a node");
    refused(&serve(server.data(), &["--policy", "wound-wait"]), 6, "under detect, not wound-wait");
    refused(&serve(server.data(), &["--policy", "fair"]), 2, "no policy");
    // No other role takes it for its own, nor does it take another's.
    let view = ["view", "--listen", "127.0.0.1:0", "--data", server.data()];
    refused(&synod(&view), 7, "of another kind");
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = held.local_addr().expect("its address").to_string();
    let flags = ["lock", "serve", "--listen", &addr, "--data", server.data()];
    refused(&synod(&flags), 6, &addr);
    // A byte of the log is not what was written.
    let log = fs::read_dir(server.data()).expect("there").filter_map(Result::ok);
    let segment = log
        .map(|entry| entry.path())
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes.len() > 4096 && bytes.contains(&b'k')));
    let segment = segment.expect("a segment of the log");
    let mut bytes = fs::read(&segment).expect("readable");
    let lines = stdout(&synod(&["wal", "dump", "-o", "json", server.data()]));
    let first: Value =
        serde_json::from_str(lines.lines().next().expect("a record")).expect("an object");
    let offset = first["offset"].as_u64().expect("an offset") as usize;
    bytes[offset + 58] ^= 1;
    fs::write(&segment, bytes).expect("written");
    refused(&serve(server.data(), &[]), 7, server.data());
}

#[test]
fn the_log_of_a_lock_service_is_read_as_what_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    let (session, _) = server.take(&["acquire", "printer", "--lease", "45s"]);
    server.told(&["release", "printer", "--session", &session]);
    let looked = |verb: &str, more: &[&str]| {
        let output = synod(&[&["wal", verb, server.data()], more].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    let dump = looked("dump", &[]);
    for said in [
        "a table of locks; who yields: detect",
        "a session opens, with a lease of 45000 ms",
        "wants `printer` in X",
        "gives `printer` back",
    ] {
        assert!(dump.contains(said), "{said} is not in\n{dump}");
    }
    assert!(!dump.contains("not understood"), "{dump}");
    let stats: Value = serde_json::from_str(&looked("stats", &["-o", "json"])).expect("an object");
    let kinds = &stats["streams"][0]["kinds"];
    assert_eq!((&kinds["born"], &kinds["acquire"]), (&1.into(), &1.into()), "{kinds}");
    assert!(looked("verify", &[]).contains("records of"));
}

#[test]
fn who_waits_for_whom_is_shown_and_a_deadlock_with_its_circle() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    assert_eq!(server.told(&["view", "-o", "table"]), "0 names are locked, 0 requests wait");
    let (one, first) = server.take(&["acquire", "left"]);
    let (two, _) = server.take(&["acquire", "right"]);
    let waits = |name: &str, session: &str| {
        let flags = ["acquire", name, "--session", session, "--wait", "30s"];
        let mut command = server.command(&flags);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
    };
    let waiter = waits("right", &one);
    let shown = || server.objects(&["view"]);
    until("somebody waits", || shown().last().is_some_and(|last| last["waiting"] == 1));
    let plain = server.told(&["view"]);
    assert!(plain.contains(&format!("left {one} holds X {first}")), "{plain}");
    let table = server.told(&["view", "-o", "table"]);
    assert!(table.starts_with("2 names are locked, 1 request waits"), "{table}");
    let line = table
        .lines()
        .skip(1)
        .find(|line| line.contains("waits"))
        .filter(|line| line.ends_with(&two));
    assert!(line.is_some(), "session {one} waits behind {two}:\n{table}");

    let output = waits("left", &two).wait_with_output().expect("it ends");
    refused(&output, 4, "deadlock: ");
    assert!(stderr(&output).contains("wants `right` in X, held in X by"), "{}", stderr(&output));
    let trouble = shown().into_iter().find(|line| line["trouble"] == "deadlock");
    let trouble = trouble.expect("it is remembered");
    assert_eq!(trouble["chain"].as_array().map(Vec::len), Some(2), "{trouble}");
    assert_eq!(trouble["session"], two.clone());
    let table = server.told(&["view", "-o", "table"]);
    assert!(table.contains(&format!("session {two} was refused to end a deadlock")), "{table}");
    server.told(&["release", "right", "--session", &two]);
    let output = waiter.wait_with_output().expect("it ends");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn a_command_runs_with_a_lock_and_its_exit_code_is_passed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    let with = |script: &str| server.ask(&["with", "k", "--", "sh", "-c", script]);
    let output = with("echo $SYNOD_LOCK_NAME:$SYNOD_LOCK_SESSION:$SYNOD_LOCK_TOKEN");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).starts_with("k:") && stdout(&output).ends_with(":1"));
    assert_eq!(code(&with("exit 7")), 7);
    assert_eq!(code(&with("kill -9 $$")), 128 + 9);
    // Its own lock is taken while it runs, and free afterwards.
    let taken = with(&format!("{SYNOD} lock try k; exit $?"));
    assert_eq!(code(&taken), 4, "{}", stderr(&taken));
    assert_eq!(code(&server.ask(&["holders", "k"])), 3);
    refused(&server.ask(&["with", "k", "--", "/no/such/program"]), 6, "cannot run");
    assert_eq!(code(&server.ask(&["holders", "k"])), 3, "given back");
    let (_, _) = server.take(&["acquire", "k"]);
    let late = server.ask(&["with", "k", "--wait", "50ms", "--", "true"]);
    refused(&late, 4, "not free for as long");
}

#[test]
fn a_lock_that_is_lost_while_its_command_runs_is_said_to_be() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    for (ends, expected) in [(0, 5), (3, 3)] {
        // The command takes its own lock away and waits until that is noticed.
        let script = format!(
            "{SYNOD} lock release k --session $SYNOD_LOCK_SESSION; touch gone; \
             while [ ! -e told ]; do sleep 0.02; done; exit {ends}"
        );
        for file in ["gone", "told", "said"] {
            // The first time there are none.
            let _ = fs::remove_file(dir.path().join(file));
        }
        let said = fs::File::create(dir.path().join("said")).expect("made");
        let mut command =
            server.command(&["with", "k", "--lease", "1s", "--", "sh", "-c", &script]);
        let mut child = command.current_dir(dir.path()).stderr(said).spawn().expect("started");
        let heard = || fs::read_to_string(dir.path().join("said")).unwrap_or_default();
        until("the loss is noticed", || heard().contains("the lock on `k` is LOST"));
        assert!(dir.path().join("gone").exists(), "the command runs on");
        fs::write(dir.path().join("told"), "").expect("written");
        assert_eq!(child.wait().expect("it ends").code(), Some(expected), "{}", heard());
        assert!(heard().contains("LOST before the command ended"), "{}", heard());
    }
}
