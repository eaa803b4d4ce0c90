//! Running the program, and waiting for what must come to pass.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use protocol::NodeId;
use synod::processes::Processes;

/// The program under test.
pub(crate) const SYNOD: &str = env!("CARGO_BIN_EXE_synod");

/// How long anything may take that must come to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the program to its end.
pub(crate) fn synod(arguments: &[&str]) -> Output {
    Command::new(SYNOD)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started")
}

/// Its exit code.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

/// Asserts that the program failed with this code and said so in one line that holds `words`.
#[track_caller]
pub(crate) fn refused(output: &Output, expected: i32, words: &str) {
    let said = stderr(output);
    assert_eq!(code(output), expected, "{said}");
    assert!(said.contains(words), "{said:?} does not say {words:?}");
    assert!(!said.contains("panicked"), "{said}");
    if expected != 2 {
        assert_eq!(said.lines().count(), 1, "one clear sentence, not: {said}");
    }
}

/// Runs a verb against a store.
pub(crate) fn ask(store: &Processes, arguments: &[&str]) -> Output {
    let peers = store.peers.to_string();
    let mut all = arguments.to_vec();
    all.extend(["--peers", &peers]);
    synod(&all)
}

/// The same, and it must succeed: what it printed.
#[track_caller]
pub(crate) fn told(store: &Processes, arguments: &[&str]) -> String {
    let output = ask(store, arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// A running store of three in `dir`.
pub(crate) fn store(dir: &Path) -> Processes {
    let mut store = Processes::new(dir, 3, 1).expect("ports").program(Path::new(SYNOD));
    store.start_all().expect("three processes");
    serving(&store);
    store
}

/// Waits until a store serves.
pub(crate) fn serving(store: &Processes) {
    until("the store serves", || matches!(code(&ask(store, &["get", "?"])), 0 | 3));
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to pass that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What every node that is up says of itself.
pub(crate) fn statuses(store: &Processes) -> Vec<serde_json::Value> {
    let output = ask(store, &["status", "-o", "json", "--timeout", "500"]);
    let lines = stdout(&output);
    let parsed = lines.lines().map(|line| serde_json::from_str(line).expect("one object a line"));
    parsed.filter(|line: &serde_json::Value| line["up"] == true).collect()
}

/// Waits until all three nodes have applied the same commands in the same order.
pub(crate) fn equal(store: &Processes) {
    until("all nodes are equal", || {
        let nodes = statuses(store);
        nodes.len() == 3
            && nodes.iter().all(|node| {
                node["applied"] == nodes[0]["applied"] && node["chain"] == nodes[0]["chain"]
            })
    });
}

/// All nodes of a store of three.
pub(crate) const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
