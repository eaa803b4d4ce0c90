//! A soak: many scenarios over many seeds, several at a time, each in a process of its own.
//!
//! It ends with a table of what every scenario did and how long its seeds took. A seed that failed
//! leaves its whole story on the disk, the few faults that are enough for it to fail, and the
//! command that plays it again.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    play::{self, Line},
    topology, trace,
};

/// Seeds that one process takes at a time.
const CHUNK: u64 = 20;
/// Failed seeds of one scenario whose stories are kept; the rest are named.
const STORIES: usize = 3;
/// Seeds of each scenario when nothing else is said.
const SEEDS: Range<u64> = 0..100;

/// What is soaked, and how.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The program that runs days.
    pub weather: PathBuf,
    /// The program that holds the scenarios, if they are wanted.
    pub it: Option<PathBuf>,
    /// Only scenarios with one of these in their name; all if there is none.
    pub only: Vec<String>,
    /// The seeds.
    pub seeds: Range<u64>,
    /// Begin no more work after this; further seeds are taken as long as it lasts.
    pub limit: Option<Duration>,
    /// Processes at the same time.
    pub jobs: usize,
    /// Where stories go.
    pub folder: PathBuf,
}

/// What one scenario did.
#[derive(Clone, Debug, Default)]
struct Row {
    seeds: u64,
    sum: Duration,
    slowest: (Duration, u64),
    failed: BTreeMap<u64, String>,
}

/// Chunks still to be run, and what came out of the others.
struct Board {
    todo: VecDeque<(String, Range<u64>)>,
    rows: BTreeMap<String, Row>,
}

impl Soak {
    /// What these flags ask for; `None` if they cannot be understood.
    #[must_use]
    pub fn of(flags: &[&str], weather: PathBuf) -> Option<Self> {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let folder = std::env::temp_dir().join("synod-soak");
        let (it, only, limit) = (None, Vec::new(), None);
        let mut soak = Self { weather, it, only, seeds: SEEDS, limit, jobs, folder };
        let mut flags = flags.iter();
        while let Some(flag) = flags.next() {
            let value = *flags.next()?;
            match *flag {
                "--it" => soak.it = Some(value.into()),
                "--scenario" => soak.only.push(value.to_owned()),
                "--seeds" => soak.seeds = play::seeds(value)?,
                "--minutes" => {
                    soak.limit = Some(Duration::from_secs(60 * value.parse::<u64>().ok()?))
                }
                "--jobs" => soak.jobs = value.parse().ok().filter(|jobs| *jobs > 0)?,
                "--folder" => soak.folder = value.into(),
                _ => return None,
            }
        }
        Some(soak)
    }

    /// Every scenario there is: kinds of random days, and those with a script.
    fn scenarios(&self) -> Vec<String> {
        let mut all: Vec<String> = topology::ALL.iter().map(|it| it.name.to_owned()).collect();
        if let Some(it) = &self.it {
            let listed = run(Command::new(it).args(["--list", "--format", "terse"]));
            let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
            all.extend(names.filter(|name| scripted(name)).map(str::to_owned));
        }
        let wanted = |name: &String| {
            self.only.is_empty() || self.only.iter().any(|part| name.contains(&part[..]))
        };
        all.retain(wanted);
        all
    }

    /// Runs it, and says what came out: the table, then every failure. Whether nothing failed.
    #[must_use]
    pub fn run(&self) -> (String, bool) {
        let begun = Instant::now();
        let scenarios = self.scenarios();
        let mut seeds = self.seeds.clone();
        let board = Mutex::new(Board { todo: VecDeque::new(), rows: BTreeMap::new() });
        loop {
            let chunks = scenarios.iter().flat_map(|name| {
                let starts = seeds.clone().step_by(CHUNK as usize);
                let end = seeds.end;
                starts.map(move |from| (name.clone(), from..end.min(from + CHUNK)))
            });
            lock(&board).todo.extend(chunks);
            thread::scope(|scope| {
                for _ in 0..self.jobs {
                    scope.spawn(|| self.work(&board, begun));
                }
            });
            let over = self.limit.is_none_or(|limit| begun.elapsed() >= limit);
            if over || scenarios.is_empty() || seeds.is_empty() {
                break;
            }
            seeds = seeds.end..seeds.end + (seeds.end - seeds.start);
        }
        let rows = std::mem::take(&mut lock(&board).rows);
        let failed = rows.values().any(|row| !row.failed.is_empty());
        let text = self.text(&rows, begun.elapsed());
        (text, !failed && !rows.is_empty())
    }

    fn work(&self, board: &Mutex<Board>, begun: Instant) {
        loop {
            if self.limit.is_some_and(|limit| begun.elapsed() >= limit) {
                lock(board).todo.clear();
            }
            let Some((name, seeds)) = lock(board).todo.pop_front() else { return };
            let said = run(&mut self.command(&name, &seeds, None));
            let lines: Vec<Line> = said.lines().filter_map(Line::read).collect();
            let mut board = lock(board);
            if lines.is_empty() && self.it.is_some() && scripted(&name) {
                continue; // It is no scenario of seeds.
            }
            let row = board.rows.entry(name).or_default();
            // A process that ended before its time failed at the seed that it was at.
            let missing = lines.last().map_or(seeds.start, |line| line.seed + 1);
            for line in lines {
                row.add(line);
            }
            if missing < seeds.end {
                row.failed.insert(missing, "the process ended before the seed did".to_owned());
            }
        }
    }

    /// The process that runs these seeds.
    fn command(&self, name: &str, seeds: &Range<u64>, story: Option<&Path>) -> Command {
        let range = format!("{}..{}", seeds.start, seeds.end);
        let mut command = match (&self.it, scripted(name)) {
            (Some(it), true) => {
                let mut command = Command::new(it);
                command.args(["--exact", "--nocapture", name]).env(play::SEEDS, range);
                command
            }
            _ => {
                let mut command = Command::new(&self.weather);
                command.args(["days", name, &range]);
                command
            }
        };
        if let Some(story) = story {
            command.env(trace::VARIABLE, story);
        }
        command
    }

    fn text(&self, rows: &BTreeMap<String, Row>, took: Duration) -> String {
        let mut text = String::new();
        let longest = rows.keys().map(|name| own(name).len()).max().unwrap_or(8);
        let heading = "scenario";
        let _ = writeln!(
            text,
            "{heading:<longest$} {:>7} {:>7} {:>9} {:>9}  slowest",
            "seeds", "failed", "mean ms", "max ms"
        );
        for (name, row) in rows {
            let mean = row.sum.as_secs_f64() * 1e3 / row.seeds.max(1) as f64;
            let (max, seed) = row.slowest;
            let _ = writeln!(
                text,
                "{:<longest$} {:>7} {:>7} {mean:>9.1} {:>9.1}  seed {seed}",
                own(name),
                row.seeds,
                row.failed.len(),
                max.as_secs_f64() * 1e3
            );
        }
        for (name, row) in rows {
            for (place, (seed, what)) in row.failed.iter().enumerate() {
                let _ = writeln!(text, "\n{} fails with seed {seed}: {what}", own(name));
                if place < STORIES {
                    self.keep(&mut text, name, *seed);
                }
                let _ = writeln!(text, "  replay: {}", play::replay(own(name), *seed));
            }
        }
        let seeds: u64 = rows.values().map(|row| row.seeds).sum();
        let failed: usize = rows.values().map(|row| row.failed.len()).sum();
        let scenarios = rows.len();
        let took = took.as_secs_f64();
        let _ = writeln!(
            text,
            "\n{scenarios} scenarios, {seeds} seeds, {failed} failed, in {took:.0} s"
        );
        text
    }

    /// Plays a failed seed again for its story, and a random day for the faults that are enough.
    fn keep(&self, text: &mut String, name: &str, seed: u64) {
        let story = self.folder.join(format!("{}-{seed}.trace", own(name)));
        if let Err(error) = fs::create_dir_all(&self.folder).and_then(|()| fs::write(&story, "")) {
            let _ = writeln!(text, "  its story cannot be kept: {error}");
            return;
        }
        let _ = run(&mut self.command(name, &(seed..seed + 1), Some(&story)));
        let _ = writeln!(text, "  story: {}", story.display());
        if !scripted(name) {
            let seed = seed.to_string();
            let mut small = Command::new(&self.weather);
            let said = run(small.args(["sim", "--scenario", name, "--seed", &seed]));
            for line in said.lines().filter(|line| !line.starts_with("replay: ")) {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
}

impl Row {
    fn add(&mut self, line: Line) {
        self.seeds += 1;
        self.sum += line.took;
        self.slowest = self.slowest.max((line.took, line.seed));
        if let Err(what) = line.ended {
            self.failed.insert(line.seed, what);
        }
    }
}

/// Whether it is a scenario with a script, and no kind of random day.
#[must_use]
pub fn scripted(name: &str) -> bool {
    own(name).starts_with("s8_") || own(name).starts_with("h_07_")
}

/// The name without the modules it lies in.
fn own(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

fn lock(board: &Mutex<Board>) -> std::sync::MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a process prints, however it ends.
fn run(command: &mut Command) -> String {
    let ran: Option<Output> = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok();
    ran.map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned()).unwrap_or_default()
}
