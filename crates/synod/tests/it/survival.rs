//! A view service and servers that are killed: what survives, who takes over, and who ends.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use sim::register::Scenario;
use synod::processes::Processes;
use viewservice::SERVICE_NODE;

use crate::{
    pair::{ONE, THREE, TWO, ask, is_healthy, look, number, pair, primary, servers, told, view},
    tool::{SYNOD, code, refused, stdout, until},
};

fn registered(name: &str, acknowledged: u64, figure: &str) {
    let figure = figure.to_owned();
    Scenario { seeds: 1, events: 0, acknowledged, figure }.write(name);
}

#[test]
fn s8_2_04_a_killed_primary_is_replaced_and_comes_back_as_a_volunteer() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = pair(dir.path(), false);
    told(&group, &["append", "k", "a"]);
    let before = number(&group);
    group.kill(ONE).expect("killed");
    let killed = Instant::now();
    told(&group, &["append", "k", "b"]);
    let took = killed.elapsed();
    assert_eq!((number(&group), primary(&group)), (before + 1, Some(2)));
    assert!(stdout(&look(&group, &["view", "status"])).contains("has no backup: it must not fail"));
    // Empty as it is, it is not taken for what it was.
    group.start(ONE).expect("started");
    until("server 1 has everything", || is_healthy(&group));
    assert_eq!((number(&group), primary(&group)), (before + 2, Some(2)));
    group.kill(TWO).expect("killed");
    assert_eq!(told(&group, &["get", "k"]), "ab");
    assert_eq!(primary(&group), Some(1));
    let figure = format!("the next write {} ms after SIGKILL of the primary", took.as_millis());
    registered("s8_2_04_a_killed_primary_is_replaced_and_comes_back_as_a_volunteer", 3, &figure);
}

#[test]
fn a_durable_pair_that_lost_power_together_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = pair(dir.path(), true);
    let mut expected = String::new();
    for round in 0..3 {
        let token = format!("[{round}]");
        told(&group, &["append", "k", &token]);
        expected.push_str(&token);
        let before = number(&group);
        let all = [ONE, TWO, SERVICE_NODE];
        // In one round the view service loses power as well.
        for node in &all[..2 + usize::from(round == 1)] {
            group.kill(*node).expect("killed");
        }
        if round == 1 {
            group.start(SERVICE_NODE).expect("started");
        }
        // A server that has never had anything is there first: it must not be made primary.
        group.start(THREE).expect("started");
        let output = ask(&group, &["get", "k", "--timeout", "1000"]);
        refused(&output, 6, "it did not happen");
        assert_eq!(number(&group), before, "nobody took over");
        group.start(ONE).expect("started");
        group.start(TWO).expect("started");
        assert_eq!(told(&group, &["get", "k", "--timeout", "20000"]), expected);
        assert_ne!(primary(&group), Some(3));
        group.kill(THREE).expect("killed");
        until("both have everything again", || {
            let up = servers(&group);
            is_healthy(&group) && up.len() == 2 && up.iter().all(|it| it["keys"] == 1)
        });
    }
    registered(
        "a_durable_pair_that_lost_power_together_goes_on_where_it_was",
        6,
        "3 times SIGKILL of both, once with the view service",
    );
}

#[test]
fn a_pair_in_memory_that_died_together_stays_shut_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = pair(dir.path(), false);
    told(&group, &["put", "k", "v"]);
    for node in [ONE, TWO] {
        group.kill(node).expect("killed");
    }
    for node in [ONE, TWO, THREE] {
        group.start(node).expect("started");
    }
    until("it is said that nobody can serve", || {
        stdout(&look(&group, &["view", "status"])).starts_with("stuck: view ")
    });
    let output = ask(&group, &["get", "k", "--timeout", "1500"]);
    assert_eq!(code(&output), 6, "an answer was invented: {}", stdout(&output));
    let said = view(&group).expect("it answers");
    assert_eq!(said["healthy"], false);
    assert!(said["stuck"].as_str().is_some_and(|why| why.contains("with its disk")), "{said}");
}

#[test]
fn the_view_service_is_killed_and_no_view_is_needlessly_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = pair(dir.path(), false);
    group.start(THREE).expect("started");
    told(&group, &["append", "k", "a"]);
    let before = number(&group);
    let mut client = Client::start(&group);
    client.types("append k b\nget k\n");
    client.shows("ab");
    for (round, gone) in [200, 1500].into_iter().enumerate() {
        group.kill(SERVICE_NODE).expect("killed");
        refused(&look(&group, &["view", "status"]), 6, "cannot be reached");
        let killed = Instant::now();
        // Whoever knows the view goes on without the service.
        client.types(&format!("append k {round}\nget k\n"));
        client.shows(["ab0", "ab01"][round]);
        std::thread::sleep(Duration::from_millis(gone).saturating_sub(killed.elapsed()));
        group.start(SERVICE_NODE).expect("started");
        // Once every server has been heard again, nobody's silence is left to be judged.
        until("every server is heard again", || servers(&group).len() == 3 && is_healthy(&group));
        assert_eq!(number(&group), before, "after {gone} ms without a view service");
    }
    assert_eq!(told(&group, &["get", "k"]), "ab01");
    registered(
        "the_view_service_is_killed_and_no_view_is_needlessly_changed",
        4,
        "away for 0.2 s and 1.5 s: the same view",
    );
}

/// One client that stays: `synod shell`, told what to do line by line.
struct Client {
    process: Twin,
    asks: ChildStdin,
    hears: BufReader<ChildStdout>,
}

impl Client {
    fn start(group: &Processes) -> Self {
        let view = group.addr(SERVICE_NODE).to_string();
        let mut command = Command::new(SYNOD);
        command.args(["--store", "pb", "shell", "--view", &view]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a client");
        let (asks, hears) = (child.stdin.take(), child.stdout.take());
        let hears = BufReader::new(hears.expect("piped"));
        Self { process: Twin(child), asks: asks.expect("piped"), hears }
    }

    fn types(&mut self, lines: &str) {
        self.asks.write_all(lines.as_bytes()).expect("it reads");
    }

    /// Waits for its next line, which must be this.
    #[track_caller]
    fn shows(&mut self, expected: &str) {
        let mut line = String::new();
        self.hears.read_line(&mut line).expect("it answers");
        let ended = self.process.0.try_wait().expect("it can be asked");
        assert_eq!(line.trim_end(), expected, "{ended:?}");
    }
}

/// Sends a process this signal.
fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "there is a kill");
}

#[test]
fn two_servers_of_one_name_wait_for_each_other_and_the_earlier_one_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = pair(dir.path(), false);
    let before = number(&group);
    let view = group.addr(SERVICE_NODE).to_string();
    let twin = dir.path().join("twin.log");
    let mut command = Command::new(SYNOD);
    command.args(["pb", "--id", "2", "--view", &view]);
    command.stderr(fs::File::create(&twin).expect("a file"));
    let mut second = Twin(command.spawn().expect("a server"));
    let said = || fs::read_to_string(&twin).expect("what it said");
    until("the second one says why it waits", || {
        said().contains("server 2 waits: another server under the number 2 is alive")
    });
    assert_eq!(number(&group), before, "it disturbed nobody");
    assert!(is_healthy(&group));
    // The first one hangs: after a moment it is taken for dead, and the second has its name.
    let first = group.id(TWO).expect("it runs");
    signal(first, "STOP");
    until("the second one is backup", || said().contains("server 2 is backup"));
    signal(first, "CONT");
    until("the first one has ended", || group.ended(TWO).is_some());
    assert_eq!(group.ended(TWO).and_then(|status| status.code()), Some(6));
    let log = fs::read_to_string(dir.path().join("node-2.log")).expect("what it said");
    let last = log.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("synod: server 2 ends: a later server under the same number"),
        "{log}"
    );
    told(&group, &["put", "k", "v"]);
    assert!(second.0.try_wait().expect("it can be asked").is_none(), "the second one lives");
}

/// A process, ended when dropped.
struct Twin(std::process::Child);

impl Drop for Twin {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
