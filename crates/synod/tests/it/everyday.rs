//! What every command prints, in each of its forms, and what it leaves alone.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{
    pty::Terminal,
    tool::{SYNOD, ask, code, refused, stderr, stdout, store, synod, told},
};

/// The lines of an answer, each an object.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

#[test]
fn every_verb_of_a_store_speaks_plainly_and_in_objects() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let json = |arguments: &[&str]| objects(&told(&store, &[arguments, &["-o", "json"]].concat()));
    let first: u64 = told(&store, &["put", "a", "1"]).parse().expect("a bare version");
    assert_eq!(json(&["put", "a", "-2"])[0]["version"], (first + 1).to_string());
    assert_eq!(json(&["append", "a", "3"])[0]["version"], (first + 2).to_string());
    assert_eq!(told(&store, &["append", "a", "4"]), (first + 3).to_string());
    assert_eq!(told(&store, &["get", "a"]), "-234");
    let found = &json(&["get", "a"])[0];
    assert_eq!((&found["key"], &found["value"]), (&"a".into(), &"-234".into()));
    assert_eq!(found["version"], (first + 3).to_string());
    let version = (first + 3).to_string();
    let swapped = told(&store, &["cas", "a", "5", "--if-version", &version]);
    assert_eq!(swapped, (first + 4).to_string());
    assert_eq!(json(&["cas", "b", "6", "--absent"])[0]["version"], (first + 5).to_string());
    assert_eq!(
        told(&store, &["mset", "c", "7", "d", "8"]),
        format!("{}\n{}", first + 6, first + 7)
    );
    let set = json(&["mset", "c", "7", "d", "9"]);
    assert_eq!(
        (&set[1]["key"], &set[1]["version"]),
        (&"d".into(), &(first + 9).to_string().into())
    );
    assert_eq!(told(&store, &["mget", "d", "a"]), "d\t9\na\t5");
    assert_eq!(json(&["mget", "d", "a"])[1]["value"], "5");
    assert_eq!(told(&store, &["mget", "c", "-o", "table"]).lines().count(), 2);
    refused(
        &ask(&store, &["mget", "a", "nobody", "nothing"]),
        3,
        "no keys \"nobody\", \"nothing\"",
    );
    let missing = ask(&store, &["mget", "nobody", "a", "-o", "json"]);
    assert_eq!((code(&missing), &objects(&stdout(&missing))[0]["value"]), (3, &Value::Null));
    refused(&ask(&store, &["mset", "a", "1", "b"]), 2, "key \"b\" has no value");
    let mut scanned = json(&["scan-all"]);
    scanned.sort_by_key(|entry| entry["key"].to_string());
    let keys: Vec<&Value> = scanned.iter().map(|entry| &entry["key"]).collect();
    assert_eq!(keys, ["a", "b", "c", "d"]);
    assert_eq!(scanned[3]["value"], "9");
    assert_eq!(told(&store, &["scan-all", "--prefix", "b"]), "b\t6");
    assert_eq!(told(&store, &["delete", "a"]), "");
    assert_eq!(json(&["delete", "b"])[0]["deleted"], true);
    let status = json(&["status"]);
    assert_eq!((status.len(), &status[3]["healthy"]), (4, &Value::Bool(true)));
    // A variable does what its flag does.
    let mut command = Command::new(SYNOD);
    let variables = [("SYNOD_PEERS", &store.peers.to_string()[..]), ("SYNOD_OUTPUT", "json")];
    let output = command.args(["get", "d"]).envs(variables).output().expect("started");
    assert_eq!(objects(&stdout(&output))[0]["value"], "9");
    let bench = ["bench", "get", "--seconds", "1", "--clients", "2", "--keys", "10", "-o", "json"];
    let bench = objects(&told(&store, &bench));
    assert_eq!(bench.last().expect("a line")["verdict"], "pass");
    nobody_reads_any_more(&store);
}

/// `synod scan-all | head`: the reader goes, and that is no failure.
fn nobody_reads_any_more(store: &synod::processes::Processes) {
    let value = "v".repeat(100_000);
    for number in 0..3 {
        told(store, &["put", &format!("long/{number}"), &value]);
    }
    let mut command = Command::new(SYNOD);
    command.args(["scan-all", "--prefix", "long/", "--peers", &store.peers.to_string()]);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut scan = piped.spawn().expect("started");
    drop(scan.stdout.take());
    let output = scan.wait_with_output().expect("it ends");
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
}

#[test]
fn what_needs_no_store_has_its_forms_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("a name").to_owned();
    let made = synod(&["init", "--id", "1", "--data", &path("one")]);
    assert_eq!((code(&made), stdout(&made)), (0, path("one")));
    let made = synod(&["init", "--id", "2", "--data", &path("two"), "-o", "json"]);
    let made = &objects(&stdout(&made))[0];
    assert_eq!((&made["node"], &made["cluster"]), (&2.into(), &"1".into()));

    assert_eq!(stdout(&synod(&["version"])), env!("CARGO_PKG_VERSION"));
    let verbose = stdout(&synod(&["version", "--verbose"]));
    assert!(verbose.lines().count() > 5 && verbose.contains("log format"), "{verbose}");
    let facts = &objects(&stdout(&synod(&["version", "--verbose", "-o", "json"])))[0];
    assert_eq!((&facts["longest_key"], &facts["wire_format"]), (&1024.into(), &1.into()));

    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&synod(&["completions", shell]));
        for word in ["scan-all", "snapshot-bytes", "history"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    let bash = synod(&["completions", "bash"]);
    let check = Command::new("bash").arg("-n").arg("/dev/stdin").stdin(Stdio::piped()).spawn();
    if let Ok(mut check) = check {
        use std::io::Write;
        check.stdin.take().expect("piped").write_all(&bash.stdout).expect("read");
        assert!(check.wait().expect("it ends").success(), "bash does not understand it");
    }
    refused(&synod(&["completions", "tin"]), 2, "tin");
}

#[test]
fn colour_is_for_terminals_of_those_who_want_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let peers = store.peers.to_string();
    let arguments = ["status", "--peers", &peers[..]];
    let shown = |variables: &[(&str, &str)]| {
        let (exit, shown) = Terminal::start(&arguments, variables)?.ends();
        assert_eq!(exit, 0, "{shown}");
        assert!(shown.contains("leads, 3 of 3 nodes up"), "{shown}");
        Some(shown)
    };
    let Some(with) = shown(&[]) else { return };
    assert!(with.contains("\u{1b}[32mhealthy"), "{with:?}");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let without = shown(&[variable]).expect("as before");
        assert!(!without.contains('\u{1b}'), "{variable:?}: {without:?}");
    }
    let empty = shown(&[("NO_COLOR", "")]).expect("as before");
    assert!(empty.contains('\u{1b}'), "an empty NO_COLOR is none: {empty:?}");
    assert!(!told(&store, &["status"]).contains('\u{1b}'), "a pipe is no terminal");
}
