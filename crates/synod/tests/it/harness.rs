//! H-07, H-08 and H-09 with real processes, sockets and files.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use histcheck::{Action, MarkKind};
use sim::register::Scenario;
use synod::trial::{Cluster, Recorder, Witness, watch, watchdog::watched};

use crate::tool::{
    NODES, SYNOD, ask, code, equal, refused, stderr, stdout, store, synod, told, until,
};

/// The environment variable that tells this binary that it runs one test in a process of its own.
const ALONE: &str = "SYNOD_ALONE";

fn recorded(name: &str, acknowledged: u64, figure: String) {
    Scenario { seeds: 1, events: 0, acknowledged, figure }.write(name);
}

/// Every process whose command line names this folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("a name");
    let all = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let words = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    words.filter(|line| line.contains(folder)).collect()
}

#[test]
fn h_07_real_processes_are_killed_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = store(dir.path());
    let mut expected = String::new();
    for (round, node) in NODES.into_iter().cycle().take(6).enumerate() {
        let token = format!("[{round}]");
        told(&store, &["append", "k", &token]);
        expected.push_str(&token);
        let before = store.ids();
        store.kill(node).expect("killed");
        let after = store.ids();
        assert_eq!(after.len() + 1, before.len(), "a process is gone");
        assert_eq!(told(&store, &["get", "k"]), expected);
        store.start(node).expect("started");
    }
    equal(&store);
    assert_eq!(told(&store, &["get", "k"]), expected);
    recorded("h_07_real_processes_are_killed_and_nothing_is_lost", 6, "6 times SIGKILL".into());
}

#[test]
fn h_07_a_node_whose_disk_was_wiped_refuses_to_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = store(dir.path());
    told(&store, &["put", "k", "v"]);
    let (node, data) = (NODES[1], store.data(NODES[1]));
    store.kill(node).expect("killed");
    fs::remove_dir_all(&data).expect("wiped");
    fs::create_dir(&data).expect("an empty disk in its place");
    let (peers, name) = (store.peers.to_string(), data.to_str().expect("a name"));
    for _ in 0..2 {
        // Not even the second time: it must not have made itself at home.
        let output = synod(&["kv", "--id", "2", "--peers", &peers, "--data", name]);
        assert!(matches!(code(&output), 6 | 7), "{} {}", code(&output), stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
    let files = fs::read_dir(&data).expect("still there").filter_map(Result::ok);
    let bytes: u64 = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    assert_eq!(bytes, 0, "it wrote something of its own");
    assert_eq!(told(&store, &["get", "k"]), "v");
    // With one more down there is no majority, whatever the wiped one would say.
    store.kill(NODES[2]).expect("killed");
    let output = ask(&store, &["put", "k", "w", "--timeout", "1500"]);
    assert_ne!(code(&output), 0, "a majority of one");
    recorded("h_07_a_node_whose_disk_was_wiped_refuses_to_run", 2, stderr_line(&output));
}

fn stderr_line(output: &std::process::Output) -> String {
    stderr(output).lines().next().unwrap_or_default().chars().take(60).collect()
}

/// Chaos and the demo leave neither a process nor a file behind, unless somebody asked for files.
#[test]
fn h_09_chaos_leaves_no_process_and_no_file() {
    let temp = tempfile::tempdir().expect("a directory");
    let chaos = |seconds: &str| {
        let mut chaos = Command::new(SYNOD);
        chaos.args(["chaos", "--seconds", seconds, "--clients", "4", "--seed", "9"]);
        chaos.env("TMPDIR", temp.path()).stdin(Stdio::null());
        chaos
    };
    let output = chaos("3").output().expect("it can be started");
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert_eq!(processes_of(temp.path()), Vec::<String>::new(), "processes are left");
    let left: Vec<_> = fs::read_dir(temp.path()).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?} is left");

    // Interrupted in the middle, it ends its children all the same; its data is kept then.
    let mut child =
        chaos("60").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    until("its replicas run", || processes_of(temp.path()).len() >= 3);
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()), "there is a kill");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "interrupted: no verdict");
    assert_eq!(processes_of(temp.path()), Vec::<String>::new(), "processes are left");
    let figure = "no process after the end nor after SIGTERM, no file after the end".to_owned();
    recorded("h_09_chaos_leaves_no_process_and_no_file", 0, figure);
}

/// What this process holds: its threads, and what its descriptors stand for, but for pipes and
/// what the test harness has.
fn held() -> (usize, BTreeSet<String>) {
    let threads = fs::read_dir("/proc/self/task").expect("threads").count();
    let descriptors = fs::read_dir("/proc/self/fd").expect("descriptors").filter_map(Result::ok);
    let stand_for = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    let names = stand_for.map(|to| to.to_string_lossy().into_owned());
    let ours = |name: &String| name.starts_with("socket:") || name.starts_with('/');
    (threads, names.filter(ours).filter(|name| !name.starts_with("/dev")).collect())
}

/// Replicas in this process: once they are stopped, no task, thread, socket or open file of theirs
/// is left, and their directories are not in use any more.
#[test]
fn h_09_stopped_replicas_leave_no_thread_socket_or_file() {
    let name = "h_09_stopped_replicas_leave_no_thread_socket_or_file";
    if std::env::var_os(ALONE).is_none() {
        // Other tests would count as well: a process of its own.
        let mut alone = Command::new(std::env::current_exe().expect("we are a program"));
        alone.args(["--exact", &format!("harness::{name}"), "--test-threads", "1"]);
        let output = alone.env(ALONE, "1").output().expect("we can be started");
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let before = held();
    let most = local.block_on(&runtime, async {
        let mut replicas = Cluster::threads(dir.path(), 3).expect("ports");
        replicas.start_all().await.expect("started");
        let connections = replicas.connections(9);
        let recorder = Recorder::new();
        let mut witness = Witness::new(&recorder, &connections, 9);
        let leader = watch::wait_for_leader(&connections, None).await.expect("a leader");
        for n in 0..20 {
            witness.ask(Action::Put { key: b"k".to_vec(), value: vec![n] }).await;
        }
        replicas.kill(leader).await.expect("killed");
        witness.ask(Action::Put { key: b"k".to_vec(), value: b"last".to_vec() }).await;
        let most = held();
        for node in replicas.nodes() {
            replicas.kill(node).await.expect("killed");
        }
        most
    });
    drop(local);
    drop(runtime);
    assert!(most.0 >= before.0 + 2, "replicas have threads: {} and {}", before.0, most.0);
    assert!(most.1.len() >= before.1.len() + 6, "and sockets and files: {:?}", most.1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline && (held().0 > before.0 || held().1 != before.1) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = held();
    assert!(after.0 <= before.0, "{} threads before, {} after", before.0, after.0);
    assert_eq!(after.1, before.1, "descriptors");
    // Nobody holds the directories: another process may have them.
    for node in NODES {
        let data = dir.path().join(format!("node-{}", node.0));
        let (id, data) = (node.0.to_string(), data.to_str().expect("a name").to_owned());
        let output = synod(&["init", "--id", &id, "--data", &data]);
        assert!(!stderr(&output).contains("in use"), "{}", stderr(&output));
    }
    let figure = format!(
        "{} threads and {} descriptors of 3 replicas, all gone",
        most.0 - before.0,
        most.1.len() - before.1.len()
    );
    recorded(name, 21, figure);
}

/// Two of three replicas are dead for ever, and somebody waits without a limit of his own.
#[test]
fn h_08_a_stuck_trial_ends_and_says_who_waits() {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    let failure = local.block_on(&runtime.expect("a runtime"), async {
        let mut replicas = Cluster::threads(dir.path(), 3).expect("ports");
        replicas.start_all().await.expect("started");
        let connections = replicas.connections(8);
        let recorder = Recorder::new();
        watch::wait_for_leader(&connections, None).await.expect("a leader");
        for node in &NODES[1..] {
            replicas.kill(*node).await.expect("killed");
            recorder.mark(MarkKind::Kill, format!("killed replica {}", node.0));
        }
        let mut witness = Witness::new(&recorder, &connections, 8);
        let asking = async {
            loop {
                witness.ask(Action::Put { key: b"k".to_vec(), value: b"never".to_vec() }).await;
            }
        };
        let limit = Duration::from_secs(2);
        watched::<()>(&recorder, &connections, limit, asking).await.expect_err("it is stuck")
    });
    let told = failure.to_string();
    for wanted in ["nothing went on for 2 s", "replica 2:", "put \"never\""] {
        assert!(told.contains(wanted), "{wanted} is not in:\n{told}");
    }
    // Whoever is left alone may lead, ask for votes or follow; what matters is that it is said.
    let roles = ["leader", "candidate", "follower"];
    let said = roles.iter().any(|role| told.contains(&format!("replica 1: {role}")));
    assert!(said, "what replica 1 is, is not in:\n{told}");
    recorded("h_08_a_stuck_trial_ends_and_says_who_waits", 0, "stopped after its limit".into());
}

/// A demo's history, drawn: what was done to the replicas is on the page.
#[test]
fn h_06_a_history_with_marks_is_drawn() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("history.jsonl");
    let page = dir.path().join("history.html");
    let lines = concat!(
        r#"{"synod_history":1,"seed":7,"command":"synod demo"}"#,
        "\n",
        r#"{"mark":"killed replica 2","at":2,"until":9,"kind":"kill"}"#,
        "\n",
        r#"{"id":1,"client":1,"call":1,"return":2,"op":"put","key":"a","value":"x","outcome":"ok"}"#,
        "\n",
        r#"{"id":2,"client":1,"call":3,"return":4,"op":"get","key":"a","outcome":"ok","result":null}"#,
        "\n",
    );
    fs::write(&file, lines).expect("written");
    let (name, html) = (file.to_str().expect("a name"), page.to_str().expect("a name"));
    let output = synod(&["check", "history", name, "--html", html]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let drawn = fs::read_to_string(&page).expect("drawn");
    assert!(drawn.contains("killed replica 2") && drawn.contains("no order explains"));
    refused(&synod(&["check", "history", name, "--html", "/nowhere/x.html"]), 6, "/nowhere/x.html");
    recorded("h_06_a_history_with_marks_is_drawn", 0, "one page".into());
}
