//! What survives when processes are killed, and what a store of three does without some of them.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use sim::register::Scenario;
use synod::processes::Processes;

use crate::tool::{
    NODES, SYNOD, ask, code, equal, refused, serving, statuses, stderr, stdout, store, synod, told,
    until,
};

#[test]
fn s8_9_01_all_nodes_are_killed_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = store(dir.path());
    for part in ["a", "b", "c"] {
        told(&store, &["append", "k", part]);
    }
    for node in NODES {
        store.kill(node).expect("killed");
    }
    let began = std::time::Instant::now();
    let output = ask(&store, &["append", "k", "never", "--timeout", "3000"]);
    refused(&output, 6, "it did not happen");
    assert!(began.elapsed() >= Duration::from_secs(3), "it gave up before its time");
    store.start_all().expect("started");
    serving(&store);
    assert_eq!(told(&store, &["get", "k"]), "abc");
    let figure = "3 nodes killed at once; 3 s without any of them served nothing".to_owned();
    Scenario { seeds: 1, events: 3, acknowledged: 4, figure }
        .write("s8_9_01_all_nodes_are_killed_and_nothing_is_lost");
}

#[test]
fn s8_9_02_each_node_in_turn_misses_writes_and_catches_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = store(dir.path());
    let mut expected = String::new();
    for node in NODES {
        let before = format!("<{}", node.0);
        told(&store, &["append", "k", &before]);
        store.kill(node).expect("killed");
        let missed = format!("|{}>", node.0);
        told(&store, &["append", "k", &missed]);
        expected.push_str(&before);
        expected.push_str(&missed);
        store.start(node).expect("started");
        equal(&store);
        assert_eq!(told(&store, &["get", "k"]), expected);
    }
    let figure = "each of 3 nodes killed, missed a write and holds it".to_owned();
    Scenario { seeds: 1, events: 3, acknowledged: 9, figure }
        .write("s8_9_02_each_node_in_turn_misses_writes_and_catches_up");
}

#[test]
fn s8_9_17_two_processes_cannot_open_one_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    told(&store, &["put", "k", "v"]);
    let (data, peers) = (store.data(NODES[0]), store.peers.to_string());
    let data = data.to_str().expect("a name");
    let output = synod(&["kv", "--id", "1", "--peers", &peers, "--data", data]);
    refused(&output, 6, "in use by another process");
    let output = synod(&["init", "--id", "1", "--data", data]);
    refused(&output, 6, "in use by another process");
    assert_eq!(told(&store, &["get", "k"]), "v");
    let figure = "the second process ended with 6 and the first served on".to_owned();
    Scenario { seeds: 1, events: 2, acknowledged: 2, figure }
        .write("s8_9_17_two_processes_cannot_open_one_directory");
}

#[test]
fn hostile_frames_disturb_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let mut hostile: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 64],
        vec![0; 64],
        u32::MAX.to_be_bytes().to_vec(),
        [&16_u32.to_be_bytes()[..], b"short"].concat(),
        Vec::new(),
    ];
    hostile.extend((0..32_u64).map(|seed| {
        let mut rng = protocol::Rng::new(seed);
        (0..rng.range(1, 4096)).map(|_| rng.next_u64() as u8).collect()
    }));
    // A majority serves already; each of them is to hear this.
    until("every node answers", || statuses(&store).len() == 3);
    let mut acknowledged = String::new();
    for (turn, bytes) in hostile.iter().enumerate() {
        for addr in store.peers.0.values() {
            let mut stream = TcpStream::connect(addr.as_str()).expect("somebody listens");
            // It may be closed in the middle of what we say: that is an answer too.
            let _ = stream.write_all(bytes);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
            let _ = stream.read(&mut [0; 256]);
        }
        if turn % 8 == 0 {
            let token = format!("{turn};");
            told(&store, &["append", "k", &token]);
            acknowledged.push_str(&token);
        }
    }
    assert_eq!(told(&store, &["get", "k"]), acknowledged);
    assert_eq!(statuses(&store).len(), 3, "every node still answers");
}

#[test]
fn a_full_disk_ends_the_node_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("node");
    let data = data.to_str().expect("a name");
    assert_eq!(code(&synod(&["init", "--id", "1", "--data", data])), 0);
    let peers = synod::processes::free_addresses(1..=1).expect("a port").to_string();
    // A limit on the size of files, set while the node runs, stands in for a disk without room.
    let script = format!("trap '' XFSZ; exec {SYNOD} kv --id 1 --peers {peers} --data {data}");
    let said = dir.path().join("said");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stderr(std::fs::File::create(&said).expect("a file"));
    let mut node = Single(command.spawn().expect("a shell"));
    let value = "v".repeat(100_000);
    let put = |number: u32| {
        let key = format!("k{number}");
        code(&synod(&["put", &key, &value, "--peers", &peers, "--timeout", "2000"])) == 0
    };
    until("the node serves", || put(0));
    let id = node.0.id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &id, "--fsize=2000000"]).status();
    if !limited.is_ok_and(|status| status.success()) {
        eprintln!("there is no prlimit here: the disk cannot be filled, and nothing was tested");
        return;
    }
    let mut acknowledged = 1;
    let ended = loop {
        if let Some(status) = node.0.try_wait().expect("it can be asked") {
            break status;
        }
        assert!(acknowledged < 100, "the limit was never met");
        acknowledged += u32::from(put(acknowledged));
    };
    let said = std::fs::read_to_string(&said).expect("what it said");
    assert_eq!(ended.code(), Some(7), "{said}");
    assert!(said.contains("nothing acknowledged is lost"), "{said}");
    let _again = Single::start(&peers, data);
    for number in 0..acknowledged {
        let key = format!("k{number}");
        let output = synod(&["get", &key, "--peers", &peers, "--timeout", "20000"]);
        assert_eq!(stdout(&output), value, "{key}: {}", stderr(&output));
    }
}

/// One node by itself, ended when dropped.
struct Single(std::process::Child);

impl Single {
    fn start(peers: &str, data: &str) -> Self {
        let arguments = ["kv", "--id", "1", "--peers", peers, "--data", data];
        let mut command = Command::new(SYNOD);
        Self(command.args(arguments).stderr(Stdio::null()).spawn().expect("a node"))
    }
}

impl Drop for Single {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn no_process_is_left_when_the_group_is_dropped() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = Processes::new(dir.path(), 3, 1).expect("ports").program(Path::new(SYNOD));
    group.start_all().expect("started");
    let ids = group.ids();
    assert_eq!(ids.len(), 3);
    drop(group);
    for id in ids {
        assert!(!Path::new(&format!("/proc/{id}")).exists(), "process {id} is still there");
    }
}
