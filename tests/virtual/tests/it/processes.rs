//! Runs as processes, and processors that are busy.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_synod-virtual");
/// A run takes a second; on a crowded machine a few. Whoever needs this is stuck.
const LIMIT: Duration = Duration::from_secs(300);

/// What a process finds around it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// What this one has.
    Plain,
    /// Another folder, another time zone, another language and a much larger environment.
    Other,
}

/// How a run ended.
pub(crate) struct Run {
    /// Whether it found nothing wrong.
    pub(crate) well: bool,
    /// `seed N hash H events E acknowledged A`, or what was wrong.
    pub(crate) line: String,
    /// Every figure by its name.
    pub(crate) figures: BTreeMap<String, u64>,
    /// What it said on the side.
    pub(crate) errors: String,
}

impl Run {
    pub(crate) fn figure(&self, name: &str) -> u64 {
        self.figures.get(name).copied().unwrap_or_default()
    }

    /// The hash of its story, as it said it.
    pub(crate) fn hash(&self) -> &str {
        let mut words = self.line.split_whitespace().skip_while(|word| *word != "hash");
        words.nth(1).unwrap_or_else(|| panic!("no hash in {:?}{}", self.line, self.errors))
    }
}

fn read(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        // A pipe that breaks ends what there is to read.
        let _ = from.map(|mut from| from.read_to_string(&mut text));
        text
    })
}

/// One seed in a process of its own.
pub(crate) fn live(seed: u64, more: &[&str], surroundings: Surroundings) -> Run {
    let mut command = Command::new(PROGRAM);
    command.args(["--seed", &seed.to_string()]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if surroundings == Surroundings::Other {
        command.current_dir(std::env::temp_dir());
        command.env("TZ", "Pacific/Chatham").env("LANG", "C").env("PADDING", "x".repeat(20_000));
    }
    let mut child = command.spawn().expect("the program starts");
    let (said, errors) = (read(child.stdout.take()), read(child.stderr.take()));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if begun.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("seed {seed} does not end; replay: cargo xtask virtual --seed {seed} --trace");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let said = said.join().unwrap_or_default();
    let line = said.lines().next().unwrap_or_default().to_owned();
    let words: Vec<&str> = said.split_whitespace().collect();
    let pairs = words.windows(2).filter_map(|two| Some((two[0].to_owned(), two[1].parse().ok()?)));
    let errors = errors.join().unwrap_or_default();
    Run { well: status.success(), line, figures: pairs.collect(), errors }
}

/// Where a trace of this name goes: beside the build, so that it is still there afterwards.
fn trace(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&folder).expect("a folder for traces");
    folder.join(format!("{name}.trace"))
}

fn traced(seed: u64, more: &[&str], name: &str, surroundings: Surroundings) -> PathBuf {
    let path = trace(&format!("seed-{seed}-{name}"));
    let text = path.to_str().expect("a path in plain letters").to_owned();
    live(seed, &[&["--trace", &text], more].concat(), surroundings);
    path
}

/// Writes the trace of a seed to disk; where it is.
pub(crate) fn trace_of(seed: u64) -> String {
    traced(seed, &[], "failed", Surroundings::Plain).display().to_string()
}

/// The first line that differs between two runs of a seed, if they differ again, and where both
/// traces are.
pub(crate) fn first_difference(seed: u64, more: &[&str]) -> String {
    let paths = [("one", Surroundings::Plain), ("other", Surroundings::Other)]
        .map(|(name, surroundings)| traced(seed, more, name, surroundings));
    let [one, other] =
        paths.each_ref().map(|path| fs::read_to_string(path).expect("a trace was written"));
    let mut lines = one.lines().zip(other.lines());
    let difference = match lines.find(|(one, other)| one != other) {
        Some((one, other)) => format!("the first difference:\n  {one}\n  {other}"),
        None => "traced, both are the same as far as both go".to_owned(),
    };
    let [one, other] = paths.map(|path| path.display().to_string());
    format!("{difference}\ntraces: {one} {other}")
}

/// A processor that has something else to do. It ends with this value, or with this process.
pub(crate) struct Busy(Child);

impl Busy {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let mut command = Command::new(PROGRAM);
        // It ends when the pipe does.
        Self(command.arg("busy").stdin(Stdio::piped()).spawn().expect("the program starts"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
