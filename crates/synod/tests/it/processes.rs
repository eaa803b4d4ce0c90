//! What survives when processes are killed, and what a store of three does without some of them.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use sim::register::Scenario;
use synod::processes::Processes;

use crate::tool::{
    NODES, SYNOD, ask, code, equal, refused, serving, stderr, statuses, stdout, store, synod, told,
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
    refused(&output, 6, data);
    let output = synod(&["init", "--id", "1", "--data", data]);
    refused(&output, 6, "already holds a node");
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
    let peers = synod::processes::free_addresses(1).expect("a port").to_string();
    // The shell's limit on the size of a file stands in for a disk without room: the log's first
    // segment is made by then, and snapshots and further segments hit the limit.
    let blocks = std::fs::read_dir(data)
        .expect("its directory")
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|file| file.len() / 512)
        .max()
        .unwrap_or(0);
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec {SYNOD} kv --id 1 --peers {peers} --data {data}",
        (blocks / 2).max(8)
    );
    let mut node = std::process::Command::new("sh")
        .args(["-c", &script])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("a shell");
    let value = "v".repeat(100_000);
    let mut acknowledged = 0;
    let ended = loop {
        if let Some(status) = node.try_wait().expect("it can be asked") {
            break status;
        }
        let key = format!("k{acknowledged}");
        let output = synod(&["put", &key, &value, "--peers", &peers, "--timeout", "2000"]);
        acknowledged += i32::from(code(&output) == 0);
        if acknowledged > 2000 {
            let _ = node.kill();
            let _ = node.wait();
            panic!("the limit was never met");
        }
    };
    assert_eq!(ended.code(), Some(7), "a failed log ends the process");
    let mut again = Single::start(&peers, data);
    for number in 0..acknowledged {
        let key = format!("k{number}");
        let output = synod(&["get", &key, "--peers", &peers, "--timeout", "20000"]);
        assert_eq!(stdout(&output), value, "{key}: {}", stderr(&output));
    }
    again.end();
}

/// One node by itself, ended when dropped.
struct Single(std::process::Child);

impl Single {
    fn start(peers: &str, data: &str) -> Self {
        let arguments = ["kv", "--id", "1", "--peers", peers, "--data", data];
        let mut command = std::process::Command::new(SYNOD);
        Self(command.args(arguments).stderr(std::process::Stdio::null()).spawn().expect("a node"))
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Single {
    fn drop(&mut self) {
        self.end();
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
