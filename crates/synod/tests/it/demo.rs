//! The demo and chaos end well, and their histories can be judged again.

use serde_json::Value;

use crate::tool::{code, refused, stderr, stdout, synod};

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

#[test]
fn eight_seconds_of_chaos_lose_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a name");
    let verdict = passed(&["chaos", "--seconds", "8", "--seed", "3", "-o", "json", "--dir", data]);
    assert!(verdict["kills"].as_u64() >= Some(1), "{verdict}");
}
