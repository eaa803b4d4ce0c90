//! The tools around the log: looking, saving, restoring.

use std::{fs, path::Path};

use serde_json::Value;
use sim::register::Scenario;
use synod::processes::Processes;

use crate::tool::{NODES, SYNOD, ask, code, refused, serving, stderr, stdout, store, synod, told};

fn text(path: &Path) -> &str {
    path.to_str().expect("a name")
}

fn done(arguments: &[&str]) -> String {
    let output = synod(arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

#[test]
fn a_log_is_looked_at_while_its_server_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    told(&store, &["put", "colour", "green"]);
    let data = store.data(NODES[0]);
    let data = text(&data);
    assert!(done(&["wal", "verify", data]).contains("records of"));
    // Other nodes may be behind by a moment; one of them has it for certain, as a majority has.
    let all: Vec<Value> = NODES
        .iter()
        .flat_map(|node| lines(&done(&["wal", "dump", "-o", "json", text(&store.data(*node))])))
        .collect();
    let kinds = |kind: &str| all.iter().filter(|line| line["content"]["kind"] == kind).count();
    assert!(kinds("promised") > 0 && kinds("accepted") > 0, "{all:?}");
    let put = |line: &&Value| line["content"]["value"].to_string().contains("green");
    assert!(all.iter().filter(put).count() >= 2, "a majority holds the put");
    let said = |node| done(&["wal", "dump", text(&store.data(node))]).contains("promised ");
    assert!(NODES.into_iter().any(said), "somebody leads");
    let stats = &lines(&done(&["wal", "stats", "-o", "json", data]))[0];
    assert_eq!((&stats["node"], &stats["cluster"]), (&1.into(), &"1".into()));
    assert!(stats["log"]["live_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{stats}");
    assert!(done(&["wal", "stats", data]).contains("live bytes"));
    assert_eq!(told(&store, &["get", "colour"]), "green", "nobody was disturbed");
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let (empty, none) = (dir.path().join("empty"), dir.path().join("none"));
    fs::create_dir(&empty).expect("made");
    let foreign = dir.path().join("letters");
    fs::create_dir(&foreign).expect("made");
    fs::write(foreign.join("letter.txt"), "not ours").expect("written");
    for verb in ["dump", "verify", "stats"] {
        for place in [&empty, &none, &foreign] {
            refused(&synod(&["wal", verb, text(place)]), 6, "holds no node");
        }
    }
    assert!(!none.exists());
    let file = foreign.join("letter.txt");
    refused(&synod(&["snapshot", "info", text(&file)]), 6, "is no saved snapshot");
    refused(&synod(&["snapshot", "info", text(&none)]), 6, text(&none));
    let into = dir.path().join("s");
    refused(&synod(&["snapshot", "save", text(&into)]), 2, "--peers");
    refused(&synod(&["snapshot", "save", text(&into), "--from", text(&empty)]), 6, "no node");
}

#[test]
fn a_damaged_log_is_told_from_a_torn_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = store(dir.path());
    for number in 0..5 {
        told(&store, &["put", &format!("k{number}"), "v"]);
    }
    NODES.iter().for_each(|node| store.kill(*node).expect("killed"));
    let data = store.data(NODES[0]);
    let first = &lines(&done(&["wal", "dump", "-o", "json", text(&data)]))[1];
    let name = first["file"].as_str().expect("a name");
    let offset = first["offset"].as_u64().expect("an offset") as usize;
    let whole = fs::read(data.join(name)).expect("readable");
    let mut spoilt = whole.clone();
    spoilt[offset + 58] ^= 1;
    fs::write(data.join(name), &spoilt).expect("written");
    refused(&synod(&["wal", "verify", text(&data)]), 1, "is corrupt");
    refused(&synod(&["wal", "stats", text(&data)]), 1, name);
    let output = synod(&["wal", "verify", "-o", "json", text(&data)]);
    assert_eq!((code(&output), &lines(&stdout(&output))[0]["verdict"]), (1, &"corrupt".into()));
    fs::write(data.join(name), &whole).expect("written");
    // The bytes of a batch that was cut off behind the last record.
    let last = lines(&done(&["wal", "dump", "-o", "json", text(&data)])).pop().expect("a record");
    let end = last["offset"].as_u64().expect("an offset") as usize
        + 56
        + (last["length"].as_u64().unwrap_or(0) as usize).div_ceil(8) * 8;
    let mut torn = whole;
    torn[end..end + 40].fill(0x5A);
    fs::write(data.join(last["file"].as_str().expect("a name")), &torn).expect("written");
    assert!(done(&["wal", "verify", text(&data)]).contains("torn tail"));
    store.start_all().expect("a torn tail is no obstacle");
    serving(&store);
    assert_eq!(told(&store, &["get", "k4"]), "v");
}

#[test]
fn a_store_is_saved_and_another_made_from_it() {
    let name = "a_store_is_saved_and_another_made_from_it";
    let dir = tempfile::tempdir().expect("a directory");
    let home = |name: &str| dir.path().join(name);
    fs::create_dir(home("old")).expect("made");
    let old = store(&home("old"));
    // Two pieces, with the rest; one argument of a command line holds less.
    let value = "x".repeat(700_000);
    for part in 0..7 {
        told(&old, &["append", "large", &value[part * 100_000..][..100_000]]);
    }
    for number in 0..40 {
        told(&old, &["append", &format!("k{}", number % 8), &format!("<{number}>")]);
    }
    let file = home("saved");
    let peers = old.peers.to_string();
    let said = done(&["snapshot", "save", text(&file), "--peers", &peers]);
    assert!(said.contains("9 keys"), "{said}");
    refused(&synod(&["snapshot", "save", text(&file), "--peers", &peers]), 4, "--force");
    told(&old, &["put", "later", "1"]);
    let other = home("other");
    done(&["snapshot", "save", text(&other), "--peers", &peers, "--node", "2"]);
    assert!(done(&["snapshot", "info", text(&other)]).contains("10 keys"));
    let late = home("late");
    let from = old.data(NODES[1]);
    done(&["snapshot", "save", text(&late), "--from", text(&from)]);
    let info = &lines(&done(&["snapshot", "info", "-o", "json", text(&late)]))[0];
    assert_eq!((&info["keys"], &info["cluster"]), (&10.into(), &"1".into()), "the newest there");

    spoilt_files_are_refused(&file, dir.path());
    fs::create_dir(home("new")).expect("made");
    let mut new = Processes::new(&home("new"), 3, 77).expect("ports").program(Path::new(SYNOD));
    for node in NODES {
        let (id, data) = (node.0.to_string(), new.data(node));
        let flags = ["--id", &id, "--data", text(&data), "--cluster"];
        let restore = |cluster: &str| {
            synod(&[&["snapshot", "restore", text(&file)], &flags[..], &[cluster]].concat())
        };
        refused(&restore("1"), 4, "must never meet");
        assert_eq!(code(&restore("77")), 0);
        refused(&restore("77"), 4, "is not empty");
        refused(
            &synod(&["kv", "--id", &id, "--peers", &peers, "--data", text(&data)]),
            6,
            "belongs",
        );
    }
    new.start_all().expect("started");
    let told = |arguments: &[&str]| told(&new, &[arguments, &["--cluster", "77"]].concat());
    crate::tool::until("the restored store serves", || {
        matches!(code(&ask(&new, &["get", "?", "--cluster", "77"])), 0 | 3)
    });
    assert_eq!(told(&["get", "large"]), value);
    for key in 0..8 {
        let expected: String = (0..5).map(|turn| format!("<{}>", turn * 8 + key)).collect();
        assert_eq!(told(&["get", &format!("k{key}")]), expected);
    }
    let later = ask(&new, &["get", "later", "--cluster", "77"]);
    refused(&later, 3, "no key");
    told(&["append", "k0", "!"]);
    assert_eq!(told(&["get", "k0"]), "<0><8><16><24><32>!");
    assert_eq!(crate::tool::told(&old, &["get", "k0"]), "<0><8><16><24><32>", "not the old one");
    let wrong = ask(&new, &["get", "k0", "--timeout", "500"]);
    refused(&wrong, 6, "cluster 77");
    let figure = "47 writes saved from 3 running nodes and served by 3 restored ones".to_owned();
    Scenario { seeds: 1, events: 6, acknowledged: 49, figure }.write(name);
}

fn spoilt_files_are_refused(file: &Path, dir: &Path) {
    let whole = fs::read(file).expect("readable");
    let (spoilt, data) = (dir.join("spoilt"), dir.join("never"));
    let tried = |bytes: &[u8]| {
        fs::write(&spoilt, bytes).expect("written");
        synod(&["snapshot", "restore", text(&spoilt), "--id", "1", "--data", text(&data)])
    };
    refused(&tried(&whole[..whole.len() / 2]), 7, "its end is missing");
    let mut flipped = whole;
    flipped[500_000] ^= 4;
    refused(&tried(&flipped), 7, "checksums do not match");
    refused(&synod(&["snapshot", "info", text(&spoilt)]), 7, "checksums do not match");
    assert!(!data.exists(), "nothing was made from a damaged file");
}
