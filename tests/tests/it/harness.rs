//! H-01, H-02, H-05, H-08 and H-11: the harness can be trusted, and says so when it cannot.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use paxosrsm::StateMachine;
use protocol::NodeId;
use sim::{Scenario, WATCHDOG};
use synod_tests::{
    day, digest,
    hunt::{BUGS, Hunter},
    play,
    rare::{Rare, Sight},
    scene::{Scene, put},
    topology, trace,
};

/// Scenarios that have no story of their own here, or one of hundreds of megabytes.
const NO_STORY: [&str; 3] = ["s8_5_15", "s8_2_18", "s8_2_19"];

fn weather(arguments: &[&str]) -> Output {
    let program = std::env::var("CARGO_BIN_EXE_weather");
    let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_weather").into());
    Command::new(program).args(arguments).output().expect("the weather can be started")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// This very binary in a process of its own, with one seed of one scenario and its whole story.
fn story(scenario: &str, seed: u64, file: &Path) -> Output {
    let mut run = Command::new(std::env::current_exe().expect("we are a program"));
    run.args(["--exact", "--nocapture", scenario]);
    run.env(play::SEEDS, format!("{seed}..{}", seed + 1)).env(trace::VARIABLE, file);
    run.output().expect("we can be started")
}

/// Every scenario of this binary that is played from seeds.
fn scenarios() -> Vec<String> {
    let mut list = Command::new(std::env::current_exe().expect("we are a program"));
    let listed = list.args(["--list", "--format", "terse"]).output().expect("we can be started");
    let names = said(&listed);
    let names = names.lines().filter_map(|line| line.strip_suffix(": test"));
    let played = |name: &&str| {
        let own = name.rsplit("::").next().unwrap_or_default();
        let numbered = own.starts_with("s8_") || own.starts_with("h_07_");
        numbered && !NO_STORY.iter().any(|out| own.starts_with(out))
    };
    names.filter(played).map(str::to_owned).collect()
}

/// Each scenario runs twice more, in two processes: their stories must be the same bytes. Beside
/// that, every scenario plays its first seed twice whenever it runs.
#[test]
fn h_01_every_scenario_is_the_same_bytes_in_another_process() {
    let folder = Folder::new("h01");
    let (mut compared, mut bytes) = (0, 0);
    for scenario in scenarios() {
        let told = |run: u32| {
            let file = folder.0.join(format!("{run}"));
            let _ = std::fs::remove_file(&file);
            let ran = story(&scenario, 3, &file);
            assert!(ran.status.success(), "{scenario}: {}", said(&ran));
            std::fs::read(&file).unwrap_or_default()
        };
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| told(1));
            (told(0), other.join().expect("it was told"))
        });
        let differs = one.iter().zip(&other).position(|(a, b)| a != b);
        assert!(one == other, "{scenario}: the stories differ from byte {differs:?} on");
        compared += u64::from(!one.is_empty());
        bytes += one.len();
    }
    for topology in topology::ALL {
        let flags = ["sim", "--scenario", topology.name, "--seed", "5", "--trace"];
        let [one, other] = [0, 1].map(|_| said(&weather(&flags)));
        assert!(one.len() > 10_000 && one == other, "{}", topology.name);
        compared += 1;
        bytes += one.len();
    }
    assert!(compared >= 25, "only {compared} stories were told");
    let figure = format!("{compared} scenarios, {} MB of events equal byte for byte", bytes >> 20);
    Scenario { seeds: compared, figure, ..Scenario::default() }
        .write("h_01_every_scenario_is_the_same_bytes_in_another_process");
}

/// A day is made to fail, and the command that is printed is run.
#[test]
fn h_01_the_printed_command_replays_the_failure() {
    let first = Command::new(env!("CARGO_BIN_EXE_weather"))
        .args(["sim", "--scenario", "three", "--seeds", "11..12"])
        .env(day::CANARY, "11")
        .output()
        .expect("the weather can be started");
    let first = said(&first);
    let line = first.lines().find_map(|line| line.strip_prefix("replay: ")).expect("a command");
    let arguments = line.strip_prefix("cargo xtask sim ").expect("one of ours");
    assert_eq!(line, play::replay("three", 11));
    let arguments: Vec<&str> = ["sim"].into_iter().chain(arguments.split(' ')).collect();
    let again = Command::new(env!("CARGO_BIN_EXE_weather"))
        .args(&arguments)
        .env(day::CANARY, "11")
        .output()
        .expect("the weather can be started");
    assert_eq!(said(&again), first, "another story");
    let whole = weather(&arguments);
    assert!(whole.status.success(), "sound without the planted failure: {}", said(&whole));
    Scenario { seeds: 1, figure: "replayed to the last byte".into(), ..Scenario::default() }
        .write("h_01_the_printed_command_replays_the_failure");
}

/// A soak over kinds of days and scenarios with a script, with one seed that must fail in each.
#[test]
fn h_02_a_soak_counts_every_seed_and_keeps_the_story_of_a_failed_one() {
    let folder = Folder::new("h02");
    let it = std::env::current_exe().expect("we are a program");
    let soak = |canary: Option<&str>| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_weather"));
        run.args(["soak", "--scenario", "calm", "--scenario", "s8_5_09", "--seeds", "0..30"]);
        run.args(["--jobs", "2"]).arg("--folder").arg(&folder.0).arg("--it").arg(&it);
        canary.map(|seed| run.env(day::CANARY, seed));
        run.output().expect("the weather can be started")
    };
    let well = soak(None);
    assert!(well.status.success(), "{}", said(&well));
    let table = said(&well);
    assert!(table.contains("2 scenarios, 60 seeds, 0 failed"), "{table}");
    let ill = soak(Some("23"));
    assert_eq!(ill.status.code(), Some(1), "a failed seed is a failure");
    let table = said(&ill);
    assert!(table.contains("2 scenarios, 60 seeds, 2 failed"), "{table}");
    for name in ["calm", "s8_5_09_a_server_that_switches_sides_carries_the_truth"] {
        let row = table.lines().find(|line| line.starts_with(name)).expect("a row");
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells[1..3], ["30", "1"], "{row}");
        let story = folder.0.join(format!("{name}-23.trace"));
        let bytes = std::fs::metadata(&story).expect("the story").len();
        assert!(bytes > 10_000, "{name}: {bytes} bytes are no story");
        assert!(table.contains(&story.display().to_string()), "{table}");
        assert!(table.contains(&play::replay(name, 23)), "{table}");
    }
    assert!(table.contains("it fails the same way with these faults alone:"), "{table}");
    let figure = "2 scenarios, 60 seeds, a failed seed in each found".to_owned();
    Scenario { seeds: 120, figure, ..Scenario::default() }
        .write("h_02_a_soak_counts_every_seed_and_keeps_the_story_of_a_failed_one");
}

/// A scenario with a script that fails prints a command, too; it plays the same seed again.
#[test]
fn h_01_a_scripted_scenario_is_replayed_by_its_printed_command() {
    let name = "s8_5_09_a_server_that_switches_sides_carries_the_truth";
    let it = std::env::current_exe().expect("we are a program");
    let mut failing = Command::new(&it);
    failing.args(["--nocapture", name]).env(day::CANARY, "1").env_remove(play::SEEDS);
    let failed = failing.output().expect("we can be started");
    assert!(!failed.status.success(), "the canary sings");
    let told = said(&failed) + &String::from_utf8_lossy(&failed.stderr);
    let line = told.lines().find_map(|line| line.strip_prefix("replay: ")).expect("a command");
    let arguments = line.strip_prefix("cargo xtask sim ").expect("one of ours");
    // What `xtask sim` runs for it, once it has built both programs.
    let again = |canary: &str| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_weather"));
        run.arg("sim").arg("--it").arg(&it).args(arguments.split(' ')).env(day::CANARY, canary);
        let output = run.output().expect("the weather can be started");
        (output.status.success(), said(&output))
    };
    let (well, told) = again("1");
    let line = told.lines().find_map(play::Line::read).expect("a line about the seed");
    assert!(!well && line.seed == 1 && line.ended == Err(day::CANARY_SONG.into()), "{told}");
    let (well, told) = again("none");
    let [first, second] = [told, again("none").1]
        .map(|told| told.lines().find_map(play::Line::read).expect("a line").ended);
    assert!(well && first == second && first.is_ok(), "{first:?} {second:?}");
    Scenario { seeds: 1, figure: line.name, ..Scenario::default() }
        .write("h_01_a_scripted_scenario_is_replayed_by_its_printed_command");
}

/// Twins: some lives have a second core beside them that is told the same. Each record and
/// word is compared, now and then the whole state, and the twin hears a harmless request twice.
#[test]
fn h_05_twins_told_the_same_do_the_same() {
    let mut rare = Rare::default();
    let mut events = 0;
    for seed in 0..100 {
        let done = day::run(seed).unwrap_or_else(|trouble| panic!("seed {seed}: {trouble:?}"));
        rare.merge(&done.rare);
        events += done.events;
    }
    let (compared, repeated) = (rare.count(Sight::TwinCompared), rare.count(Sight::RepeatHarmless));
    assert!(compared >= 100 && repeated >= 10, "{compared} compared, {repeated} repeated");
    let figure = format!("{compared} whole states compared, {repeated} requests repeated");
    Scenario { seeds: 100, events, acknowledged: 0, figure }
        .write("h_05_twins_told_the_same_do_the_same");
}

/// What is cloned is equal, and what is restored from an image makes the same image again.
#[test]
fn h_05_a_copy_equals_the_original() {
    let mut copies = 0;
    for seed in 0..10 {
        let mut scene = Scene::calm(3, seed);
        let clients = scene.clients(4, &[1, 2, 3]);
        for round in 0..8 {
            for client in &clients {
                scene.begin(*client, put(&format!("k{client}"), format!("{round}")));
            }
            scene.pass(Duration::from_millis(1 + 3 * (seed + round) % 17)).expect("a calm day");
            for (node, core) in scene.world.view().cores() {
                let (ledger, role) = (core.agreement().ledger(), core.agreement().role());
                assert!(ledger.clone() == *ledger && role.clone() == *role, "{node}");
                let machine = core.machine();
                assert!(machine.machine().clone() == *machine.machine(), "{node}");
                let image = digest::image(machine);
                let again = digest::Machine::restore(&image).expect("its own image");
                assert_eq!(digest::image(&again), image, "{node}");
                copies += 1;
            }
        }
    }
    assert!(copies >= 200);
    Scenario { seeds: 10, figure: format!("{copies} copies"), ..Scenario::default() }
        .write("h_05_a_copy_equals_the_original");
}

/// No iteration of an unordered map reaches replicated state: the lint forbids the types, and two
/// processes, whose hash maps would be seeded differently, make the same image.
#[test]
fn h_05_no_hash_order_reaches_replicated_state() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let lint = std::fs::read_to_string(root.join("clippy.toml")).expect("the lint's settings");
    for forbidden in ["std::collections::HashMap", "std::collections::HashSet"] {
        assert!(lint.contains(&format!("path = \"{forbidden}\"")), "{forbidden} is allowed");
    }
    for seed in 0..4 {
        let here = digest::of_image(seed);
        for _ in 0..2 {
            let there = said(&weather(&["digest", &seed.to_string()]));
            assert_eq!(there.trim_end(), here, "seed {seed}");
        }
    }
    let figure = format!("{} commands in 3 processes, equal images", digest::COMMANDS);
    Scenario { seeds: 4, figure, ..Scenario::default() }
        .write("h_05_no_hash_order_reaches_replicated_state");
}

/// A command that comes again right after itself changes nothing.
#[test]
fn h_05_a_command_that_comes_twice_happens_once() {
    for seed in 0..10 {
        let (once, twice) = (digest::told(seed, false), digest::told(seed, true));
        assert!(once.machine() == twice.machine(), "seed {seed}");
        assert_eq!(once.len(), twice.len(), "seed {seed}");
    }
    let figure = format!("{} commands, each once and twice", digest::COMMANDS);
    Scenario { seeds: 10, figure, ..Scenario::default() }
        .write("h_05_a_command_that_comes_twice_happens_once");
}

/// A majority is dead for ever: whoever waits without a limit of his own is stopped, and told
/// where everybody stands.
#[test]
fn h_08_a_stuck_scenario_ends_and_says_who_waits() {
    let mut scene = Scene::calm(3, 8);
    let client = scene.client(&[1, 2, 3]);
    scene.ask(client, put("a", "1")).expect("all is well");
    (2..=3).for_each(|node| scene.crash(node));
    scene.begin(client, put("a", "never"));
    let begun = scene.world.now();
    let trouble = scene.finish(&[client], Duration::MAX).expect_err("nobody can answer");
    let waited = trouble.at.since(begun);
    assert!(waited >= WATCHDOG && waited < WATCHDOG + Duration::from_secs(1), "{waited:?}");
    let told = &trouble.what;
    for wanted in ["n2: down", "n3: down", "follows ", "wakes at", "put \"never\"", "client 0 for"]
    {
        let wanted =
            wanted.replace("n2", &NodeId(2).to_string()).replace("n3", &NodeId(3).to_string());
        assert!(told.contains(&wanted), "{wanted} is not in:\n{told}");
    }
    println!("{told}");
    let figure = format!("stopped after {} virtual s", waited.as_secs());
    Scenario { seeds: 1, figure, ..Scenario::default() }
        .write("h_08_a_stuck_scenario_ends_and_says_who_waits");
}

/// Every planted bug that the code asks for has a hunter, and the other way round; every layer has
/// some. That each is caught is shown by `cargo xtask bugs`, which adds its figure to this record.
#[test]
fn h_11_planted_bugs_of_every_layer_are_hunted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut planted = BTreeMap::<String, String>::new();
    let mut folders: Vec<PathBuf> = vec![root.join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let layer = path.strip_prefix(root.join("crates")).expect("a crate");
                let layer = layer.iter().next().expect("a crate").to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).expect("a text");
                for part in text.split("planted::is(\"").skip(1) {
                    let name = part.split('"').next().unwrap_or_default();
                    planted.insert(name.to_owned(), layer.clone());
                }
            }
        }
    }
    let hunted: BTreeMap<&str, Hunter> = BUGS.into_iter().collect();
    let missing: Vec<_> = planted.keys().filter(|name| !hunted.contains_key(&name[..])).collect();
    assert!(missing.is_empty(), "nobody hunts {missing:?}");
    let gone: Vec<_> = hunted.keys().filter(|name| !planted.contains_key(**name)).collect();
    assert!(gone.is_empty(), "nobody planted {gone:?}");
    for layer in ["protocol", "wal", "paxos", "paxosrsm"] {
        assert!(planted.values().any(|it| it == layer), "nothing is planted in {layer}");
    }
    for (name, _) in BUGS {
        let asleep = weather(&["hunt", name]);
        assert_eq!(asleep.status.code(), Some(2), "{name} is awake in a build for use");
    }
    let file = "h_11_planted_bugs_of_every_layer_are_hunted";
    let figure = format!("{} planted; see `cargo xtask bugs`", planted.len());
    Scenario { seeds: 0, figure, ..Scenario::default() }.write(file);
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("synod-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
