//! The sessions that the documentation shows are ones that happen.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::tool::{SYNOD, code, stderr, stdout, synod};

const END: &str = "<!-- end -->";

/// What a narration says when this machine stood still for so long that a server was given up.
const STOOD_STILL: &str = "somebody was silent for too long";

/// What stands in a file of the repository, from the mark of a session to its end.
fn session(file: &str, name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let text = std::fs::read_to_string(path).expect("the file is there");
    let begin = format!("<!-- session: {name} -->");
    let block = text.split(&begin).nth(1).and_then(|rest| rest.split(END).next());
    let block = block.unwrap_or_else(|| panic!("{file} has no session {name:?}"));
    let lines = block.lines().filter(|line| !line.starts_with("```") && !line.is_empty());
    lines.map(str::to_owned).collect()
}

/// A line with everything that differs from run to run made the same.
fn masked(line: &str) -> String {
    let mut shape = String::new();
    for word in line.split_whitespace() {
        let word = if word.contains('/') { "PATH" } else { word };
        let mut was_digit = false;
        for c in word.chars() {
            if c.is_ascii_digit() || (was_digit && matches!(c, ',' | '.')) {
                if !was_digit {
                    shape.push('N');
                }
                was_digit = true;
            } else {
                was_digit = false;
                shape.push(c);
            }
        }
        shape.push(' ');
    }
    shape.trim_end().to_owned()
}

/// The session `name` of `file` is a run of the demo with these arguments.
#[track_caller]
fn happens(file: &str, name: &str, arguments: &[&str]) {
    let lines = session(file, name);
    let written: Vec<String> =
        lines.iter().filter(|line| !line.starts_with("$ ")).map(|line| masked(line)).collect();
    let mut tries = 0;
    let output = loop {
        let output = synod(arguments);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let data = stderr(&output);
        let data = data.lines().find_map(|line| line.split("data in ").nth(1)).map(PathBuf::from);
        // The demo keeps what it wrote, for people to look at; nobody looks at this.
        let _ = std::fs::remove_dir_all(data.expect("the demo names its directory"));
        tries += 1;
        if tries == 3 || !stderr(&output).contains(STOOD_STILL) {
            break output;
        }
    };
    let happened = format!("{}\n{}", stderr(&output), stdout(&output));
    let happened: Vec<String> = happened.lines().map(masked).collect();
    assert_eq!(written, happened, "paste a new session into {file}");
}

#[test]
fn the_session_in_the_readme_is_one_that_happens() {
    happens("README.md", "demo", &["demo", "--no-shell", "--seed", "1"]);
}

#[test]
fn the_session_of_a_pair_is_one_that_happens() {
    let arguments = ["demo", "--layer", "pb", "--no-shell", "--seed", "1"];
    happens("docs/tools.md", "demo pb", &arguments);
}

/// Whoever pastes the session `name` of the README into a shell hears this, and this from those who
/// run behind it. What the session names as `place` is a free address.
fn pasted(name: &str, place: &str) -> (String, String) {
    let lines = session("README.md", name);
    assert!(lines.iter().any(|line| line.contains(place)), "{lines:?}");
    let (out, err, well) = run(&lines, place);
    assert!(well, "{err}\n{out}");
    (out, err)
}

/// Runs these lines in a shell, in a directory of their own, and ends what runs behind them.
fn run(lines: &[String], place: &str) -> (String, String, bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let free = synod::processes::free_addresses(1..=1).expect("a port").to_string();
    let (_, addr) = free.split_once('=').expect("an address");
    let commands = lines.join("\n").replace(place, addr);
    // Whatever happens, what runs behind the commands is ended before the shell is.
    let script = format!("trap 'kill $(jobs -p); wait' EXIT\nset -e\n{commands}\n");
    let program = Path::new(SYNOD).parent().expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(dir.path());
    shell.env("PATH", format!("{}:{path}", program.display()));
    let output = shell.output().expect("there is bash");
    (stdout(&output), stderr(&output), output.status.success())
}

/// Whoever pastes these lines into a shell has a pair that works.
#[test]
fn the_commands_for_a_pair_can_be_pasted() {
    let (out, err) = pasted("pair", "127.0.0.1:7100");
    let told: Vec<&str> = out.lines().collect();
    assert_eq!(told[..2], ["data/view", "good morning, all"], "{err}");
    assert!(told[2].contains("node ") && told[2].contains(" is primary"), "{out}");
}

/// The same for locks.
#[test]
fn the_commands_for_locks_can_be_pasted() {
    let (out, err) = pasted("locks", "127.0.0.1:7200");
    let told: Vec<&str> = out.lines().collect();
    let expected = [
        "data/locks",
        "1 1",
        "somebody prints",
        "1 X 1",
        "printing with token 2",
        "0 names are locked, 0 requests wait",
    ];
    assert_eq!(told, expected, "{err}");
}

/// What the tools say of locks is what stands in their chapter.
#[test]
fn the_session_of_locks_is_one_that_happens() {
    let lines = session("docs/tools.md", "locks, and what is said of them");
    let written: Vec<String> =
        lines.iter().filter(|line| !line.starts_with("$ ")).map(|line| masked(line)).collect();
    let commands = lines.iter().filter_map(|line| line.strip_prefix("$ "));
    let service = [
        "synod init --id 0 --data data/locks > said 2>&1",
        "synod lock serve --listen 127.0.0.1:7200 --data data/locks > said 2>&1 &",
        "exec 2>&1",
        "set +e",
    ];
    let script: Vec<String> = service.into_iter().chain(commands).map(str::to_owned).collect();
    let (out, err, _) = run(&script, "127.0.0.1:7200");
    let happened: Vec<String> = out.lines().map(masked).collect();
    assert_eq!(happened, written, "{out}\n{err}");
}
