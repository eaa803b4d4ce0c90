//! The demo and chaos end well, and their histories can be judged again.

use serde_json::Value;

use crate::{
    pty::Terminal,
    tool::{code, refused, stderr, stdout, synod, until},
};

/// The last line of a run that must pass.
#[track_caller]
fn passed(arguments: &[&str]) -> Value {
    let output = synod(arguments);
    let out = stdout(&output);
    assert_eq!(code(&output), 0, "{}\n{out}", stderr(&output));
    let last = out.lines().last().expect("a last line");
    let verdict: Value = serde_json::from_str(last).expect("one object");
    assert_eq!(verdict["verdict"], "pass", "{last}");
    for check in ["linearizable", "durable", "replicas_equal"] {
        assert_eq!(verdict["checks"][check], "pass", "{last}");
    }
    assert!(verdict["ops"].as_u64() > Some(1000), "{last}");
    verdict
}

#[test]
fn the_demo_passes_and_so_does_its_history() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let history = dir.path().join("history.jsonl");
    let (data, history) = (data.to_str().expect("a name"), history.to_str().expect("a name"));
    let flags = ["--no-shell", "-o", "json", "--seed", "1", "--dir", data, "--history", history];
    let verdict = passed(&[&["demo"], &flags[..]].concat());
    assert_eq!(verdict["seed"], 1);
    assert_eq!(verdict["checks"]["input_present"], "pass");
    assert_eq!(verdict["leader_kills"], 1);

    let again = synod(&["check", "history", history, "-o", "json"]);
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    let again: Value = serde_json::from_str(&stdout(&again)).expect("one object");
    assert_eq!((&again["verdict"], &again["seed"]), (&Value::from("pass"), &Value::from(1)));
    assert_eq!(again["ops"], verdict["ops"]);

    refused(&synod(&["demo", "--no-shell", "--dir", data]), 6, "is not empty");
    refused(&synod(&["check", "history", "nowhere.jsonl"]), 6, "nowhere.jsonl");
}

#[test]
fn a_history_with_a_lie_in_it_is_caught() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lie.jsonl");
    let lines = concat!(
        r#"{"id":1,"client":1,"call":1,"return":2,"op":"put","key":"a","value":"x","outcome":"ok"}"#,
        "\n",
        r#"{"id":2,"client":1,"call":3,"return":4,"op":"get","key":"a","outcome":"ok","result":null}"#,
        "\n",
    );
    std::fs::write(&file, lines).expect("written");
    let output = synod(&["check", "history", file.to_str().expect("a name"), "-o", "json"]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains(r#""linearizable":"fail""#));
}

#[test]
fn the_demo_passes_with_processes_and_a_text_of_ones_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("text");
    std::fs::write(&text, "to be or not to be").expect("written");
    let data = dir.path().join("data");
    let (text, data) = (text.to_str().expect("a name"), data.to_str().expect("a name"));
    let flags = ["--no-shell", "--processes", "-o", "json", "--seed", "2"];
    let verdict = passed(&[&["demo"], &flags[..], &["--load", text, "--dir", data]].concat());
    assert_eq!(verdict["kills"], 2);
    assert_eq!(verdict["checks"]["input_present"], "pass");
}

/// Every blow that a pair of threads can be dealt, and then a history in which one answer is
/// another than the one that was given.
#[test]
fn the_demo_of_a_pair_passes_and_so_does_its_history_until_it_lies() {
    let dir = tempfile::tempdir().expect("a directory");
    let history = dir.path().join("history.jsonl");
    let name = history.to_str().expect("a name");
    let flags = ["demo", "--layer", "pb", "--no-shell", "-o", "json", "--seed", "1"];
    let verdict = passed(&[&flags[..], &["--history", name]].concat());
    assert_eq!(verdict["checks"]["input_present"], "pass");
    assert_eq!((&verdict["kills"], &verdict["leader_kills"]), (&4.into(), &1.into()));
    let repeat = verdict["repeat"].as_str().unwrap_or_default();
    assert_eq!(repeat, "synod demo --layer pb --no-shell --seed 1");
    let check = || synod(&["check", "history", name, "-o", "json"]);
    let again = check();
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    let again: Value = serde_json::from_str(&stdout(&again)).expect("one object");
    assert_eq!((&again["seed"], &again["ops"]), (&Value::from(1), &verdict["ops"]));

    let told = std::fs::read_to_string(&history).expect("readable");
    for mark in ["cut the clients off", "killed the view service", "is primary"] {
        assert!(told.contains(mark), "{mark} is not on record");
    }
    // One client's own key, read at the end: a token that was acknowledged is not there.
    let mut lines: Vec<String> = told.lines().map(str::to_owned).collect();
    let is_read = |line: &&mut String| {
        line.contains(r#""op":"get""#) && line.contains(r#""key":"client/003""#)
    };
    let line = lines.iter_mut().rfind(is_read).expect("it is read");
    let mut operation: Value = serde_json::from_str(line).expect("an object");
    let honest = operation["result"].as_str().expect("a value").to_owned();
    let (first, rest) = honest.split_once(';').expect("tokens");
    assert!(!first.is_empty() && !rest.is_empty(), "{honest}");
    operation["result"] = rest.into();
    *line = operation.to_string();
    std::fs::write(&history, lines.join("\n")).expect("written");
    let lie = check();
    assert_eq!(code(&lie), 1, "{}", stdout(&lie));
    assert!(stderr(&lie).contains("client/003"), "{}", stderr(&lie));
}

#[test]
fn the_demo_of_a_pair_passes_with_processes() {
    let verdict = passed(&[
        "demo",
        "--layer",
        "pb",
        "--processes",
        "--no-shell",
        "-o",
        "json",
        "--seed",
        "2",
    ]);
    assert_eq!(verdict["kills"], 5);
}

#[test]
fn eight_seconds_of_chaos_lose_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a name");
    let verdict = passed(&["chaos", "--seconds", "8", "--seed", "3", "-o", "json", "--dir", data]);
    assert!(verdict["kills"].as_u64() >= Some(1), "{verdict}");
}

#[test]
fn the_prompt_of_the_demo_breaks_things_and_the_verdict_comes_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a name");
    let arguments = ["demo", "--seed", "5", "--dir", data];
    let Some(mut demo) = Terminal::start(&arguments, &[]) else { return };
    demo.shows("synod> ");
    demo.types("put 'my key' 1\r");
    demo.shows("done  (");
    demo.shows("synod> ");
    demo.types("kill 1\r");
    demo.shows("synod> ");
    demo.types("status\r");
    demo.shows("replica 1: down");
    demo.shows("synod> ");
    demo.types("append 'my key' 2\rget 'my key'\r");
    demo.shows("12  (");
    demo.shows("synod> ");
    demo.types("kill 9\r");
    demo.shows("there is no replica 9");
    demo.types("fly\r");
    demo.shows("unrecognized subcommand 'fly'");
    demo.types("start 1\r");
    demo.types("cas 'my key' 3 --absent\r");
    demo.shows("something else is there");
    demo.types("cut 2\r");
    demo.types("quit\r");
    demo.shows("every replica has applied");
    let (exit, shown) = demo.ends();
    assert_eq!(exit, 0, "{shown}");
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.contains("pass") && last.contains("(seed 5)"), "{shown}");
}

#[test]
fn the_prompt_of_a_pair_knows_its_verbs_and_its_view_service() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a name");
    let arguments = ["demo", "--layer", "pb", "--seed", "5", "--dir", data];
    let Some(mut demo) = Terminal::start(&arguments, &[]) else { return };
    demo.shows("synod> ");
    demo.types("put 'my key' 1\r");
    demo.shows("done  (");
    demo.types("cas 'my key' 2 --absent\r");
    demo.shows("a primary/backup store has no cas");
    demo.types("kill 0\r");
    demo.types("append 'my key' 2\rget 'my key'\r");
    demo.shows("12  (");
    demo.types("start 0\r");
    demo.types("cut 1 2\r");
    demo.types("cut 1 9\r");
    demo.shows("there is no server 9");
    demo.types("kill 3\r");
    demo.types("status\r");
    demo.shows("the view service: view ");
    demo.shows("server 3: does not answer");
    demo.types("quit\r");
    demo.shows("its backup has everything; judging");
    let (exit, shown) = demo.ends();
    assert_eq!(exit, 0, "{shown}");
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.contains("pass") && last.contains("(seed 5)"), "{shown}");
}

#[test]
fn ctrl_c_ends_the_demo_at_its_prompt_and_in_the_middle() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, wait) in [("one", "synod> "), ("two", "16 clients put")] {
        let data = dir.path().join(name);
        let data = data.to_str().expect("a name");
        let arguments = ["demo", "--processes", "--seed", "6", "--dir", data];
        let Some(mut demo) = Terminal::start(&arguments, &[]) else { return };
        demo.shows(wait);
        demo.types("\u{3}");
        demo.shows("interrupted: no verdict");
        let (exit, shown) = demo.ends();
        assert_eq!(exit, 1, "{shown}");
        until("no replica is left", || !is_named_by_a_process(data));
    }
}

/// Whether any process was started with this word in its command line.
fn is_named_by_a_process(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    processes.filter(|entry| entry.path() != std::path::Path::new("/proc/self")).any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    })
}
