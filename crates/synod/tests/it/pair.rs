//! A view service and servers as their users meet them: verbs, their forms, and what is refused.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use protocol::NodeId;
use serde_json::Value;
use synod::processes::Processes;
use viewservice::SERVICE_NODE;

use crate::tool::{SYNOD, code, refused, stderr, stdout, synod, until};

pub(crate) const ONE: NodeId = NodeId(1);
pub(crate) const TWO: NodeId = NodeId(2);
pub(crate) const THREE: NodeId = NodeId(3);

fn group(dir: &Path, count: u16, durable: bool) -> Processes {
    let group = Processes::pair(dir, count, 1, durable).expect("ports");
    group.program(Path::new(SYNOD))
}

/// A view service, then server 1 as primary and server 2 as its backup that has everything.
pub(crate) fn pair(dir: &Path, durable: bool) -> Processes {
    let mut group = group(dir, 3, durable);
    group.start(SERVICE_NODE).expect("a view service");
    group.start(ONE).expect("a server");
    until("server 1 is primary", || primary(&group) == Some(1));
    group.start(TWO).expect("a server");
    until("server 2 has everything", || is_healthy(&group));
    group
}

/// Runs a verb against a group's view service.
pub(crate) fn look(group: &Processes, arguments: &[&str]) -> Output {
    let view = group.addr(SERVICE_NODE).to_string();
    synod(&[arguments, &["--view", &view]].concat())
}

/// Runs a verb of a store against a group.
pub(crate) fn ask(group: &Processes, arguments: &[&str]) -> Output {
    look(group, &[&["--store", "pb"], arguments].concat())
}

/// The same, and it must succeed: what it printed.
#[track_caller]
pub(crate) fn told(group: &Processes, arguments: &[&str]) -> String {
    let output = ask(group, arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// What the view service says last: the view.
pub(crate) fn view(group: &Processes) -> Option<Value> {
    let output = look(group, &["view", "status", "-o", "json", "--timeout", "500"]);
    serde_json::from_str(stdout(&output).lines().last()?).ok()
}

pub(crate) fn number(group: &Processes) -> u64 {
    let said = view(group).expect("the view service answers");
    said["view"].as_str().and_then(|number| number.parse().ok()).expect("a number as a string")
}

pub(crate) fn primary(group: &Processes) -> Option<u64> {
    view(group)?["primary"]["node"].as_u64()
}

pub(crate) fn is_healthy(group: &Processes) -> bool {
    view(group).is_some_and(|said| said["healthy"] == true)
}

/// What each server that is up says of itself.
pub(crate) fn servers(group: &Processes) -> Vec<Value> {
    let lines = stdout(&look(group, &["pb", "status", "-o", "json"]));
    let parsed = lines.lines().map(|line| serde_json::from_str(line).expect("one object a line"));
    parsed.filter(|line: &Value| line["up"] == true).collect()
}

#[test]
fn every_verb_that_a_pair_has_speaks_plainly_and_in_objects() {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = pair(dir.path(), false);
    let json = |arguments: &[&str]| -> Value {
        let said = told(&pair, &[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&said).expect("one object")
    };
    assert_eq!(told(&pair, &["put", "a", "1"]), "");
    assert_eq!(told(&pair, &["append", "a", "2", "-o", "table"]), "ok");
    assert_eq!(json(&["append", "a", "-3"])["written"], true);
    assert_eq!(told(&pair, &["get", "a"]), "12-3");
    let found = json(&["get", "a"]);
    assert_eq!((&found["key"], &found["value"]), (&"a".into(), &"12-3".into()));
    assert_eq!(found["version"], Value::Null, "it has no versions");
    assert_eq!(told(&pair, &["delete", "a", "-o", "table"]), "ok, deleted");
    refused(&ask(&pair, &["delete", "a"]), 3, "there was no key");
    refused(&ask(&pair, &["get", "a"]), 3, "there is no key");
    limits(&pair, dir.path());

    let status = told(&pair, &["status"]);
    let first = status.lines().next().unwrap_or_default();
    assert_eq!(
        first,
        "healthy: node 1 is primary, node 2 its backup has everything: either may fail"
    );
    assert_eq!(status, stdout(&look(&pair, &["pb", "status"])), "one and the same");
    assert_eq!(status.lines().count(), 2 + 2, "{status}");
    let duties: Vec<Value> = servers(&pair).iter().map(|it| it["duty"].clone()).collect();
    assert_eq!(duties, ["paired", "backup"]);
    let views = stdout(&look(&pair, &["view", "status"]));
    assert!(views.starts_with(first) && views.contains("view 2, acknowledged"), "{views}");
    assert_eq!(views.lines().count(), 3 + 2, "{views}");
    let said = view(&pair).expect("it answers");
    assert_eq!((&said["acknowledged"], &said["backup"]["node"]), (&true.into(), &2.into()));

    let mut shell = Command::new("sh");
    let script = "printf 'put k \"two words\"\\nget k\\nstatus\\ncas k v --absent\\n'";
    let at = pair.addr(SERVICE_NODE);
    shell.args(["-c", &format!("{script} | {SYNOD} --store pb shell --view {at}")]);
    let output = shell.output().expect("a shell");
    refused(&output, 2, "line 4: a primary/backup store has no cas");
    assert!(stdout(&output).starts_with("two words\nhealthy: "), "{}", stdout(&output));
}

fn limits(pair: &Processes, dir: &Path) {
    for (length, fits) in [(1023, true), (1024, true), (1025, false)] {
        let output = ask(pair, &["put", &"k".repeat(length), "v"]);
        assert_eq!(code(&output), if fits { 0 } else { 4 }, "a key of {length} bytes");
    }
    let limit = pbservice::MAX_VALUE;
    for (length, fits) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
        let file = dir.join("value");
        fs::write(&file, "v".repeat(length)).expect("written");
        let view = pair.addr(SERVICE_NODE).to_string();
        let output = Command::new(SYNOD)
            .args(["--store", "pb", "put", "long", "-", "--view", &view])
            .stdin(fs::File::open(&file).expect("readable"))
            .output()
            .expect("it can be started");
        assert_eq!(code(&output), if fits { 0 } else { 4 }, "a value of {length} bytes");
    }
    assert_eq!(told(pair, &["get", "long"]).len(), limit, "the refused one changed nothing");
    refused(&ask(pair, &["append", "long", "v"]), 4, "it did not happen");
    refused(&ask(pair, &["get", "long", "--cluster", "9"]), 6, "it did not happen");
}

#[test]
fn what_a_pair_does_not_have_and_what_it_is_not_told_is_refused() {
    let store = |arguments: &[&str]| {
        let at = ["--store", "pb", "--view", "127.0.0.1:1", "--timeout", "300"];
        synod(&[arguments, &at].concat())
    };
    let absent: [(&[&str], &str); 8] = [
        (&["cas", "k", "v", "--absent"], "has no cas"),
        (&["mget", "k"], "has no mget"),
        (&["mset", "k", "v"], "has no mset"),
        (&["scan-all"], "has no scan-all"),
        (&["load", "pairs.tsv"], "has no load"),
        (&["bench", "--store", "pb"], "has no bench"),
        (&["chaos", "--store", "pb"], "has no chaos"),
        (&["snapshot", "save", "f", "--store", "pb"], "has no snapshots"),
    ];
    for (arguments, why) in absent {
        let output = match arguments.contains(&"--store") {
            true => synod(arguments),
            false => store(arguments),
        };
        refused(&output, 2, why);
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
    refused(&store(&["put", "k", "v"]), 6, "it did not happen");
    refused(&store(&["status"]), 6, "the view service at 127.0.0.1:1 cannot be reached");
    refused(&synod(&["--store", "pb", "put", "k", "v"]), 2, "--view is missing");
    refused(&synod(&["put", "k", "v", "--store", "disk"]), 2, "disk");
    refused(&synod(&["view", "status"]), 2, "--view");
    refused(&synod(&["view", "status", "--view", "nowhere"]), 2, "nowhere");
    refused(&synod(&["view", "--data", "d"]), 2, "--listen is missing");
    refused(&synod(&["view", "--listen", "127.0.0.1:0"]), 2, "--data is missing");
    let pb = |arguments: &[&str]| synod(&[&["pb"], arguments].concat());
    let view = ["--view", "127.0.0.1:1"];
    refused(&pb(&view), 2, "--id is missing");
    refused(&pb(&["--id", "1"]), 2, "--view is missing");
    refused(&pb(&[&["--id", "0"], &view[..]].concat()), 2, "the view service's");
    refused(&pb(&[&["--id", "1", "--data", "d"], &view[..]].concat()), 2, "say both, or neither");
    refused(&pb(&[&["--id", "1", "--durable"], &view[..]].concat()), 2, "--data is missing");
    refused(&pb(&[&["--id", "1", "--bootstrap"], &view[..]].concat()), 2, "--durable");
    for everywhere in ["0.0.0.0:0", "[::]:7101"] {
        for flag in ["--listen", "--advertise"] {
            let output = pb(&[&["--id", "1", flag, everywhere], &view[..]].concat());
            refused(&output, 2, &format!("{everywhere} is no address that others could reach"));
            refused(&output, 2, "--advertise HOST:PORT");
        }
    }
}

#[test]
fn a_directory_or_a_port_that_is_not_its_own_is_refused_by_either_role() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("a name").to_owned();
    let view = |data: &str, more: &[&str]| {
        synod(&[&["view", "--listen", "127.0.0.1:0", "--data", data], more].concat())
    };
    let pb = |id: &str, data: &str, more: &[&str]| {
        let flags = ["pb", "--view", "127.0.0.1:1", "--durable", "--id", id, "--data", data];
        synod(&[&flags, more].concat())
    };
    let made = synod(&["init", "--id", "0", "--data", &path("view")]);
    assert!(stderr(&made).contains("start it with: synod view"), "{}", stderr(&made));
    let made = synod(&["init", "--id", "1", "--data", &path("one")]);
    assert_eq!(code(&made), 0);
    for next in ["synod kv --id 1 --data", "synod pb --id 1 --data", "--durable --view"] {
        assert!(stderr(&made).contains(next), "{next} is not in {}", stderr(&made));
    }
    for absent in ["absent", "empty"] {
        if absent == "empty" {
            fs::create_dir(path(absent)).expect("made");
        }
        refused(&view(&path(absent), &[]), 6, "synod init");
        refused(&pb("1", &path(absent), &[]), 6, "synod init");
    }
    refused(&view(&path("one"), &[]), 6, &path("one"));
    refused(&pb("2", &path("one"), &[]), 6, &path("one"));
    refused(&pb("1", &path("one"), &["--cluster", "9"]), 6, &path("one"));
    refused(&view(&path("view"), &["--bootstrap"]), 6, "already holds a node");
    refused(&pb("1", &path("one"), &["--bootstrap"]), 6, "already holds a node");
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = held.local_addr().expect("its address").to_string();
    refused(&view(&path("view"), &["--listen", &addr]), 2, "--listen");
    let flags = ["--listen", &addr[..]];
    refused(&synod(&[&["view", "--data", &path("view")], &flags[..]].concat()), 6, &addr);
    refused(&pb("1", &path("one"), &flags), 6, &addr);
}

/// `synod wal` tells the log of a view service from that of a server and from a replica's, and no
/// role takes the directory of another.
#[test]
fn each_log_is_read_as_what_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = pair(dir.path(), true);
    told(&group, &["put", "colour", "green"]);
    let data = |node| group.data(node).to_str().expect("a name").to_owned();
    let looked = |verb: &str, node, more: &[&str]| {
        let output = synod(&[&["wal", verb, &data(node)], more].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    let views = looked("dump", SERVICE_NODE, &[]);
    for said in ["issued incarnation 2", "view 2 {n1#1 at", "view 2 was acknowledged"] {
        assert!(views.contains(said), "{said} is not in\n{views}");
    }
    let server = looked("dump", TWO, &[]);
    for said in ["incarnation 2 is backup", "the state begins", "Put(b\"colour\", b\"green\")"] {
        assert!(server.contains(said), "{said} is not in\n{server}");
    }
    assert!(![views, server].concat().contains("not understood"));
    let kinds = looked("stats", ONE, &["-o", "json"]);
    let kinds: Value = serde_json::from_str(&kinds).expect("one object");
    let kinds = &kinds["streams"][0]["kinds"];
    assert!(kinds["fresh"].as_u64() > Some(0) && kinds["items"].as_u64() > Some(0), "{kinds}");
    assert_eq!((&kinds["other"], &kinds["accepted"]), (&Value::Null, &Value::Null));

    group.kill(TWO).expect("killed");
    let kv = ["kv", "--id", "2", "--peers", "2=127.0.0.1:0", "--data"];
    let data = group.data(TWO).to_str().expect("a name").to_owned();
    refused(&synod(&[&kv[..], &[&data]].concat()), 7, "of another kind");
    group.kill(SERVICE_NODE).expect("killed");
    let data = group.data(SERVICE_NODE).to_str().expect("a name").to_owned();
    let kv = ["kv", "--id", "0", "--peers", "0=127.0.0.1:0", "--data", &data];
    refused(&synod(&kv), 7, "of another kind");
}
