//! The shell, at a prompt and from a script.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use synod::processes::Processes;

use crate::{
    pty::Terminal,
    tool::{SYNOD, code, stderr, stdout, store, told, until},
};

fn script(store: &Processes, flags: &[&str], text: &str) -> Output {
    let mut command = Command::new(SYNOD);
    command.args(["shell", "--peers", &store.peers.to_string()]).args(flags);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("it can be started");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).expect("read");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_script_is_a_command_a_line_and_stops_where_one_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let text = "# a script\nput 'a b' \"one\ntwo\"\nget \"a b\"\n\nmset k 1 l -2\nmget k l\n";
    let output = script(&store, &[], text);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let version = stdout(&output).lines().next().and_then(|line| line.parse::<u64>().ok());
    let version = version.expect("a version comes first");
    let expected = format!("{version}\none\ntwo\n{}\n{}\nk\t1\nl\t-2", version + 1, version + 2);
    assert_eq!(stdout(&output), expected);

    let text = "put k 2\n\nget nobody\nput k 3\n";
    let output = script(&store, &[], text);
    assert_eq!(code(&output), 3);
    assert_eq!(stderr(&output), "synod: line 3: there is no key \"nobody\"");
    assert_eq!(told(&store, &["get", "k"]), "2", "what came after the failure was not done");
    let output = script(&store, &["--keep-going"], text);
    assert_eq!(code(&output), 3, "the first failure is how it ends");
    assert_eq!(told(&store, &["get", "k"]), "3");

    let cases = [
        ("put k\n", 2, "line 1: the following required arguments"),
        ("fly\n", 2, "line 1: unrecognized subcommand 'fly'"),
        ("get k\nput k \"open", 2, "line 2: a quote is open to the end"),
        ("cas k x --expect nothing\n", 4, "line 1: not done"),
        ("get k\nquit\nput k 9\n", 0, ""),
        ("cas k 4 --expect 3\noutput json\nget k\n", 0, ""),
    ];
    for (text, exit, words) in cases {
        let output = script(&store, &[], text);
        assert_eq!(code(&output), exit, "{text:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{text:?}: {}", stderr(&output));
        assert!(stderr(&output).lines().count() <= 1, "one sentence, not {}", stderr(&output));
    }
    let output = script(&store, &["-o", "json"], "get k\n\\status\n");
    let lines = stdout(&output);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    assert_eq!(lines[0]["value"], "4");
    assert_eq!(lines.last().expect("a last line")["healthy"], true);
    let help = stderr(&script(&store, &[], "help\nhelp put\n"));
    for word in ["scan-all", "timing", "quit", "The value"] {
        assert!(help.contains(word), "{word} is not in {help}");
    }
}

#[test]
fn a_prompt_completes_remembers_and_survives_mistakes() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(dir.path());
    let peers = store.peers.to_string();
    let history = dir.path().join("state/history");
    let history_name = history.to_str().expect("a name");
    let arguments = ["shell", "--peers", &peers, "--history-file", history_name];
    let Some(mut terminal) = Terminal::start(&arguments, &[]) else { return };
    terminal.shows("synod> ");
    terminal.types("put user/1 ada\r");
    terminal.shows("ok, version ");
    terminal.shows("synod> ");
    // Tab completes a verb, and a key that was seen.
    terminal.types("ge\tus\t\r");
    terminal.shows("\r\nada\r\n");
    terminal.shows("synod> ");
    terminal.types("get nobody\r");
    terminal.shows("there is no key \"nobody\"");
    terminal.shows("synod> ");
    // Ctrl-C forgets the line; an open quote goes on over the next one.
    terminal.types("put user/1 wrong\u{3}");
    terminal.shows("synod> ");
    terminal.types("put user/2 'grace\rhopper'\r");
    terminal.shows("ok, version ");
    terminal.shows("synod> ");
    // What is pasted is several commands.
    terminal.types("\u{1b}[200~put a 1\nput b 2\nmget a b\u{1b}[201~\r");
    terminal.shows("KEY  VERSION  VALUE");
    terminal.shows("synod> ");
    terminal.types("\\timing\r");
    terminal.shows("timing is on");
    terminal.types("get a\r");
    terminal.shows(" ms\r\n");
    terminal.shows("synod> ");
    terminal.types(" put secret 1234\r");
    terminal.shows("ok, version ");
    terminal.shows("synod> ");
    terminal.types("\u{4}");
    let (exit, shown) = terminal.ends();
    assert_eq!(exit, 0, "{shown}");
    assert_eq!(told(&store, &["get", "user/1"]), "ada");
    assert_eq!(told(&store, &["get", "user/2"]), "grace\nhopper");
    assert_eq!(told(&store, &["mget", "a", "b"]), "a\t1\nb\t2");
    let kept = std::fs::read_to_string(&history).expect("a history");
    assert!(
        kept.starts_with("put user/1 ada\nget user/1 \nget nobody\n")
            || kept.starts_with("put user/1 ada\nget user/1\nget nobody\n"),
        "{kept:?}"
    );
    assert!(!kept.contains("wrong") && !kept.contains("1234"), "{kept:?}");

    // Another shell knows what was typed in the first: arrow up twice is the one before the last.
    let Some(mut again) = Terminal::start(&arguments, &[]) else { return };
    again.shows("synod> ");
    again.types("\u{1b}[A");
    again.shows("get a");
    again.types("\r");
    again.shows("1\r\n");
    again.shows("synod> ");
    again.types("quit\r");
    assert_eq!(again.ends().0, 0);
}

#[test]
fn ctrl_c_stops_a_command_and_not_the_shell() {
    let dir = tempfile::tempdir().expect("a directory");
    // Nobody is there: the command waits for its time, which is long.
    let peers = synod::processes::free_addresses(1..=1).expect("a port").to_string();
    let history = dir.path().join("none");
    let variables =
        [("SYNOD_TIMEOUT", "600000"), ("SYNOD_HISTORY_FILE", history.to_str().expect("a name"))];
    let arguments = ["shell", "--peers", &peers];
    let Some(mut terminal) = Terminal::start(&arguments, &variables) else { return };
    terminal.shows("synod> ");
    terminal.types("put a 1\r");
    terminal.shows("\r\n");
    // Typed while the command runs, it is a signal and no key: again until it was one.
    until("the command is interrupted", || {
        terminal.types("\u{3}");
        terminal.has_shown("interrupted: ")
    });
    terminal.shows("interrupted: what was under way may or may not have happened");
    terminal.shows("synod> ");
    assert_eq!(terminal.ends_by("quit\r").0, 0);
}
