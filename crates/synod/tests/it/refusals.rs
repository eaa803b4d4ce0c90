//! Whatever is wrong is said in one sentence, with the right number, and nothing is lost by it.

use std::{fs, net::TcpListener};

use crate::tool::{NODES, SYNOD, ask, code, refused, stdout, store, synod, told};

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    refused(&synod(&["--nonsense"]), 2, "--nonsense");
    refused(&synod(&["put", "k", "v"]), 2, "--peers");
    refused(&synod(&["get", "k", "--peers", "nowhere"]), 2, "nowhere");
    refused(&synod(&["kv", "--id", "1"]), 2, "--peers is missing");
    let peers = ["--peers", "2=127.0.0.1:1", "--data", "nowhere"];
    refused(&synod(&[&["kv", "--id", "1"], &peers[..]].concat()), 2, "does not name node 1");
}

#[test]
fn a_store_that_is_not_there_was_certainly_not_changed() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peers = format!("1={}", held.local_addr().expect("its address"));
    drop(held);
    let store = ["--peers", &peers, "--timeout", "300"];
    refused(&synod(&[&["put", "k", "v"], &store[..]].concat()), 6, "it did not happen");
    let output = synod(&[&["status"], &store[..]].concat());
    refused(&output, 6, "no node can be reached");
}

#[test]
fn a_directory_that_is_not_this_nodes_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("a name").to_owned();
    let peers = synod::processes::free_addresses(1..=2).expect("ports").to_string();
    let kv = |id: &str, data: &str, more: &[&str]| {
        synod(&[&["kv", "--id", id, "--peers", &peers, "--data", data], more].concat())
    };
    fs::create_dir(path("empty")).expect("made");
    refused(&kv("1", &path("empty"), &[]), 6, "holds no node yet");
    refused(&kv("1", &path("absent"), &[]), 6, "synod init");
    assert_eq!(code(&synod(&["init", "--id", "1", "--data", &path("one")])), 0);
    refused(&kv("2", &path("one"), &[]), 6, &path("one"));
    refused(&kv("1", &path("one"), &["--cluster", "9"]), 6, &path("one"));
    refused(&kv("1", &path("one"), &["--bootstrap"]), 6, "already holds a node");
    fs::create_dir(path("foreign")).expect("made");
    fs::write(path("foreign") + "/letter.txt", "not ours").expect("written");
    refused(&kv("1", &path("foreign"), &[]), 6, &path("foreign"));
    assert_eq!(fs::read(path("foreign") + "/letter.txt").expect("still there"), b"not ours");
}

#[test]
fn damage_is_told_apart_from_the_wrong_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("node");
    let name = data.to_str().expect("a name");
    assert_eq!(code(&synod(&["init", "--id", "1", "--data", name])), 0);
    // Every small file of a new node is its identity, in one copy or another.
    for entry in fs::read_dir(&data).expect("its directory").flatten() {
        let mut bytes = fs::read(entry.path()).expect("readable");
        if bytes.len() < 100_000 {
            bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
            fs::write(entry.path(), bytes).expect("written");
        }
    }
    let peers = synod::processes::free_addresses(1..=1).expect("a port").to_string();
    refused(&synod(&["kv", "--id", "1", "--peers", &peers, "--data", name]), 7, name);
}

#[test]
fn a_port_in_use_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("node");
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = held.local_addr().expect("its address").to_string();
    let peers = format!("1={addr}");
    let name = data.to_str().expect("a name");
    let output = synod(&["kv", "--bootstrap", "--id", "1", "--peers", &peers, "--data", name]);
    refused(&output, 6, &addr);
}

#[test]
fn limits_and_absences_are_answered_by_a_live_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    refused(&ask(&store, &["get", "nobody"]), 3, "there is no key");
    refused(&ask(&store, &["delete", "nobody"]), 3, "there was no key");
    told(&store, &["put", "k", "v"]);
    refused(&ask(&store, &["cas", "k", "w", "--expect", "x"]), 4, "not what you expect");
    refused(&ask(&store, &["cas", "k", "w", "--absent"]), 4, "not what you expect");
    told(&store, &["cas", "k", "w", "--expect", "v"]);
    assert_eq!(told(&store, &["get", "k"]), "w");
    for (length, fits) in [(1023, true), (1024, true), (1025, false)] {
        let output = ask(&store, &["put", &"k".repeat(length), "v"]);
        assert_eq!(code(&output), if fits { 0 } else { 4 }, "a key of {length} bytes");
    }
    let limit = kvpaxos::MAX_VALUE;
    for (length, fits) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
        let file = dir.path().join("value");
        fs::write(&file, "v".repeat(length)).expect("written");
        let output = std::process::Command::new(SYNOD)
            .args(["put", "long", "-", "--peers", &store.peers.to_string()])
            .stdin(fs::File::open(&file).expect("readable"))
            .output()
            .expect("it can be started");
        assert_eq!(code(&output), if fits { 0 } else { 4 }, "a value of {length} bytes");
    }
    assert_eq!(told(&store, &["get", "long"]).len(), limit, "the refused one changed nothing");
    refused(&ask(&store, &["append", "long", "v"]), 4, "it did not happen");
    let wrong = ask(&store, &["get", "k", "--cluster", "9", "--timeout", "500"]);
    refused(&wrong, 6, "it did not happen");
    status_speaks_in_a_sentence(&store);
}

fn status_speaks_in_a_sentence(store: &synod::processes::Processes) {
    let said = told(store, &["status"]);
    let first = said.lines().next().unwrap_or_default();
    assert!(first.starts_with("healthy: node "), "{first}");
    assert!(first.ends_with("leads, 3 of 3 nodes up, 1 more can fail"), "{first}");
    assert_eq!(said.lines().count(), 2 + NODES.len(), "{said}");
    let json = stdout(&ask(store, &["status", "-o", "json"]));
    let last: serde_json::Value =
        serde_json::from_str(json.lines().last().unwrap_or_default()).expect("an object");
    assert_eq!(last["healthy"], true);
}
