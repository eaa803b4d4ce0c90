//! Bulk loads: whole, in order, from where they stopped, and each bad line by its number.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use synod::processes::Processes;

use crate::tool::{SYNOD, ask, code, refused, serving, stderr, stdout, store, told, until};

/// `count` lines with about a hundred bytes each, some of which are about the same key.
fn lines(count: u32) -> String {
    let mut text = String::new();
    for number in 0..count {
        let key = if number % 100 == 7 { number % 1000 } else { number };
        writeln!(text, "key/{key:07}\t{number:07}-{}", "v".repeat(80)).expect("room");
    }
    text
}

/// What a map holds after all lines, in order.
fn expected(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What the store holds.
fn held(store: &Processes) -> BTreeMap<String, String> {
    expected(&told(store, &["scan-all", "--prefix", "key/"]))
}

/// Writes of the whole store so far: each write has the next version.
fn writes(store: &Processes) -> u64 {
    told(store, &["put", "count", "x"]).parse().expect("a version")
}

#[track_caller]
fn whole(store: &Processes, text: &str) {
    let (held, expected) = (held(store), expected(text));
    assert_eq!(held.len(), expected.len());
    for (key, value) in &expected {
        assert_eq!(held.get(key), Some(value), "{key}");
    }
}

#[test]
fn a_load_that_is_killed_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let file = dir.path().join("pairs.tsv");
    let count = 60_000;
    let text = lines(count);
    fs::write(&file, &text).expect("written");
    let name = file.to_str().expect("a name");
    let journal = dir.path().join("pairs.tsv.synod-load");
    let peers = store.peers.to_string();
    let before = writes(&store);
    let mut kills = 0;
    let flags = ["load", name, "--peers", &peers, "--clients", "4", "--batch", "50"];
    loop {
        let mut command = Command::new(SYNOD);
        let mut load = command.args(flags).stderr(Stdio::null()).spawn().expect("started");
        if kills == 4 {
            assert_eq!(load.wait().expect("it ends").code(), Some(0));
            break;
        }
        // A part of it is done, and then it dies between two instructions.
        let long = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
        let some = 1500 * (kills + 1);
        until("some of it is loaded", || {
            long(&journal) > some || load.try_wait().expect("asked").is_some()
        });
        if load.try_wait().expect("asked").is_some() {
            break;
        }
        load.kill().expect("killed");
        load.wait().expect("gone");
        kills += 1;
    }
    assert!(kills > 0, "it was never killed: nothing was tested");
    whole(&store, &text);
    // Only what was under way when it was killed may have been written twice.
    let twice = writes(&store) - before - 1 - u64::from(count);
    assert!(twice <= kills * 4 * 50, "{twice} lines were loaded twice after {kills} kills");
    assert!(!journal.exists(), "there is nothing to go on with");
    eprintln!("{kills} kills, {twice} lines loaded twice");
}

#[test]
fn a_store_that_stops_stops_the_load_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = store(dir.path());
    let file = dir.path().join("pairs.tsv");
    let text = lines(30_000);
    fs::write(&file, &text).expect("written");
    let name = file.to_str().expect("a name");
    let journal = dir.path().join("state");
    let journal = journal.to_str().expect("a name");
    let peers = store.peers.to_string();
    let flags = ["load", name, "--resume", journal, "--timeout", "1500", "--batch", "20"];
    let mut command = Command::new(SYNOD);
    command.args(flags).args(["--peers", &peers]).stderr(Stdio::piped());
    let load = command.spawn().expect("started");
    until("some of it is loaded", || fs::metadata(journal).is_ok_and(|about| about.len() > 2000));
    for node in crate::tool::NODES {
        store.kill(node).expect("killed");
    }
    let output = load.wait_with_output().expect("it ends");
    assert!([5, 6].contains(&code(&output)), "{}", stderr(&output));
    assert!(stderr(&output).contains("the same command goes on from there"), "{}", stderr(&output));
    store.start_all().expect("started");
    serving(&store);
    let output = ask(&store, &flags);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("are loaded already; going on"), "{}", stderr(&output));
    whole(&store, &text);
}

#[test]
fn a_bad_line_is_named_and_the_load_goes_on_when_it_is_mended() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let file = dir.path().join("pairs.tsv");
    let name = file.to_str().expect("a name");
    let good = lines(1000);
    let cases = [
        ("no tab here".to_owned(), 2, "line 1001: there is no tab"),
        (
            format!("{}\tv", "k".repeat(1025)),
            4,
            "line 1001: the key has 1025 bytes and may have 1024",
        ),
        (format!("k\t{}", "v".repeat((1 << 20) + 1)), 4, "line 1001: the value has 1048577 bytes"),
    ];
    for (bad, exit, words) in cases {
        fs::write(&file, format!("{good}{bad}\nkey/last\tz\n")).expect("written");
        let output = ask(&store, &["load", name, "--restart"]);
        refused(&output, exit, words);
        assert!(stderr(&output).contains("1000 lines are loaded"), "{}", stderr(&output));
    }
    let count = writes(&store);
    let mended = format!("{good}key/mended\ty\nkey/last\tz\n");
    fs::write(&file, &mended).expect("written");
    let output = ask(&store, &["load", name, "-o", "json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let said: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("an object");
    assert_eq!((&said["loaded"], &said["before"]), (&2.into(), &1000.into()), "{said}");
    assert_eq!(writes(&store) - count - 1, 2, "only what was missing was written");
    whole(&store, &mended);

    // What has changed is loaded again; another store is not taken for this one.
    fs::write(&file, format!("{good}nonsense\n")).expect("written");
    refused(&ask(&store, &["load", name]), 2, "line 1001");
    let changed = good.replacen("0000500-", "changed-", 1);
    fs::write(&file, format!("{changed}key/end\tz\n")).expect("written");
    let other = ["load", name, "--peers", "1=127.0.0.1:1"];
    refused(&crate::tool::synod(&other), 2, "another store");
    assert_eq!(code(&ask(&store, &["load", name])), 0);
    whole(&store, &format!("{changed}key/end\tz\n{}", &mended[good.len()..]));
    let output = ask(&store, &["load", name, "--restart"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()), "no terminal, no progress");
    assert!(stdout(&output).starts_with("loaded 1001 lines in "), "{}", stdout(&output));
    let output = ask(&store, &["load", name, "--progress"]);
    assert!(stderr(&output).contains(" %  "), "{}", stderr(&output));
    refused(&ask(&store, &["load", "nowhere.tsv"]), 6, "nowhere.tsv");
    let resume = ["load", name, "--resume", name];
    refused(&ask(&store, &resume), 2, "is not the journal of a load");
    assert!(fs::read_to_string(&file).expect("still there").starts_with("key/"));
}

#[test]
fn what_scan_all_writes_load_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    told(&store, &["mset", "key/a\tb", "one\ntwo", "key/c", "-", "key/ü", "ö", "other", "x"]);
    let mut put = Command::new(SYNOD);
    put.args(["put", "key/raw", "-", "--peers", &store.peers.to_string()]);
    let mut put = put.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started");
    let mut stdin = put.stdin.take().expect("piped");
    stdin.write_all(&[0, 0xFF, b'\t', 0x80]).expect("written");
    drop(stdin);
    assert!(put.wait().expect("it ends").success());
    let scan = ["scan-all", "--prefix", "key/", "-o", "json"];
    let mut dump: Vec<String> = told(&store, &scan).lines().map(str::to_owned).collect();
    dump.sort();
    assert_eq!(dump.len(), 4);
    let output = ask(&store, &["scan-all", "--prefix", "key/"]);
    assert!(stderr(&output).contains("-o json keeps them apart"), "{}", stderr(&output));
    for key in ["key/a\tb", "key/c", "key/ü", "key/raw"] {
        told(&store, &["delete", key]);
    }
    assert_eq!(told(&store, &scan), "");
    // From standard input: without a journal, unless one is named.
    let mut load = Command::new(SYNOD);
    load.args(["load", "-", "--format", "json", "--peers", &store.peers.to_string()]);
    let mut load = load.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started");
    let mut stdin = load.stdin.take().expect("piped");
    stdin.write_all(dump.join("\n").as_bytes()).expect("written");
    drop(stdin);
    assert!(load.wait().expect("it ends").success());
    let without_version = |line: &String| line.split(",\"version\"").next().map(str::to_owned);
    let mut again: Vec<String> = told(&store, &scan).lines().map(str::to_owned).collect();
    again.sort();
    assert_eq!(
        again.iter().map(without_version).collect::<Vec<_>>(),
        dump.iter().map(without_version).collect::<Vec<_>>()
    );
    let limited = told(&store, &["scan-all", "--prefix", "key/", "--limit", "2", "--keys-only"]);
    assert_eq!(limited.lines().count(), 2);
}
