//! Golden plays: the table by itself, under a policy, and a resource that checks tokens.

use std::{error::Error, fmt::Write, fs, path::Path, path::PathBuf, time::Duration};

use goldenscript::{Command as Line, Context, Runner};
use lockmgr::{
    Acquire, Birth, Command, Discipline, Grant, MAX_REQUESTS, MAX_TERM, Mode, News, Owner,
    Patience, Refusal, Release, Reply, RequestNo, Rule, Table, Terms, Ticket, Token, Want, Why,
    suite::{Home, Memory},
};

type Failure = Box<dyn Error>;

struct Play {
    home: Memory,
    numbers: u64,
    /// The largest token that the resource has seen.
    largest: u64,
    text: String,
}

impl Play {
    fn new() -> Self {
        let home = Memory::new(Table::fenced(Rule::Detect));
        Self { home, numbers: 0, largest: 0, text: String::new() }
    }

    fn say(&mut self, line: &str) {
        _ = writeln!(self.text, "{line}");
    }

    fn tell(&mut self, command: Command) {
        let reply = self.home.apply(command);
        let line = match reply {
            Reply::Opened(owner) => format!("session {owner}"),
            Reply::Granted(grants) => format!("granted {}", list(&grants)),
            Reply::Refused(refusal) => format!("refused: {}", named(&refusal)),
            Reply::Waiting => "waits".into(),
            Reply::Released => "released".into(),
            Reply::Done => "done".into(),
        };
        self.say(&line);
    }

    /// What others were told by the last line.
    fn hear(&mut self) {
        for one in self.home.news() {
            let line = match one {
                News::Granted(ticket, grants) => format!("to {ticket}: granted {}", list(&grants)),
                News::Refused(ticket, refusal) => {
                    format!("to {ticket}: refused: {}", named(&refusal))
                }
                News::Lost(owner, refusal) => format!("to {owner}: lost all: {}", named(&refusal)),
            };
            self.say(&line);
        }
    }

    fn run_one(&mut self, line: &Line) -> Result<(), Failure> {
        let mut args = line.consume_args();
        if line.name == "rule" {
            let rule = args.next_pos().ok_or("a rule is missing")?.parse::<Rule>()?;
            self.home = Memory::new(Table::fenced(rule));
            return args.reject_next();
        }
        if line.name == "open" {
            let seconds = |word: Option<&str>| word.map(str::parse).transpose();
            let lease = seconds(args.take_key("lease"))?.map_or(MAX_TERM, Duration::from_secs);
            let delay = Duration::from_secs(seconds(args.take_key("delay"))?.unwrap_or(0));
            self.tell(Command::Open(Terms { delay, ..Terms::session(lease) }));
            return args.reject_next();
        }
        if line.name == "pass" {
            let time = args.next_pos().ok_or("milliseconds are missing")?.parse()?;
            self.home.pass(Duration::from_millis(time));
            return args.reject_next();
        }
        let owner: Owner = args.next_pos().ok_or("an owner is missing")?.parse()?;
        let number = args.take_key("number").map(str::parse).transpose()?;
        let floor = RequestNo(args.take_key("floor").map_or(Ok(0), str::parse)?);
        if matches!(line.name.as_str(), "ask" | "release") && number.is_none() {
            self.numbers += 1;
        }
        let ticket = Ticket { owner, request: RequestNo(number.unwrap_or(self.numbers)) };
        match line.name.as_str() {
            // A transaction, as old as it says.
            "enter" => {
                let birth = Birth(args.next_pos().ok_or("a birth is missing")?.parse()?);
                let terms = Terms { discipline: Discipline::TwoPhase, ..Terms::TRANSACTION };
                self.tell(Command::Enter { owner, birth, terms });
            }
            // `ask 1 k=X j=S for=5`: both, and so many seconds; without `for` it does not wait.
            "ask" => {
                let patience = match args.take_key("for") {
                    Some(wait) => Patience::For(Duration::from_secs(wait.parse()?)),
                    None => Patience::Try,
                };
                let mut wants = Vec::new();
                while let Some((name, mode)) = args.next_key() {
                    wants.push(Want::new(name, mode.parse()?));
                }
                self.tell(Command::Acquire(Acquire { ticket, floor, wants, patience }));
            }
            "release" => {
                let token = args.take_key("token").map(str::parse).transpose()?.map(Token);
                let name = args.next_pos().ok_or("a name is missing")?.into();
                self.tell(Command::Release(Release { ticket, floor, name, token }));
            }
            "cancel" => self.tell(Command::Cancel { ticket, why: Why::Asked }),
            "pin" => self.tell(Command::Pin(owner)),
            "leave" => self.tell(Command::Leave(owner)),
            "renew" => {
                let line = match self.home.renew(owner) {
                    Ok(lease) => format!("lease: {lease:?}"),
                    Err(refusal) => format!("refused: {}", named(&refusal)),
                };
                self.say(&line);
            }
            // The owner uses the resource, with the token that it has.
            "write" => {
                let token = args.take_key("token").ok_or("a token is missing")?.parse()?;
                self.write(token);
            }
            // As many requests as are remembered, all granted.
            "crowd" => self.crowd(owner),
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_next()
    }

    fn write(&mut self, token: u64) {
        let taken = token >= self.largest;
        self.largest = self.largest.max(token);
        let largest = self.largest;
        let says = if taken { "taken".into() } else { format!("no: it has seen {largest}") };
        self.say(&format!("the resource says {says}"));
    }

    fn crowd(&mut self, owner: Owner) {
        for _ in 0..MAX_REQUESTS {
            self.numbers += 1;
            let ticket = Ticket { owner, request: RequestNo(self.numbers) };
            let wants = vec![Want::new("crowd", Mode::X)];
            let (floor, patience) = (RequestNo(0), Patience::Try);
            self.home.apply(Command::Acquire(Acquire { ticket, floor, wants, patience }));
        }
    }
}

fn list(grants: &[Grant]) -> String {
    let one = |grant: &Grant| {
        let token = grant.token.map_or(0, |token| token.0);
        format!("{} in {} by token {token}", grant.name, grant.mode)
    };
    grants.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A refusal with the name of its reason.
fn named(refusal: &Refusal) -> String {
    let debug = format!("{refusal:?}");
    let name: String = debug.chars().take_while(|letter| letter.is_alphanumeric()).collect();
    format!("{name}: {refusal}")
}

impl Runner for Play {
    type Command = Line;

    fn run(&mut self, line: &Line, context: &Context) -> Result<String, Failure> {
        self.run_one(line)?;
        self.hear();
        let text = std::mem::take(&mut self.text);
        Ok(if context.silent { String::new() } else { text })
    }
}

fn plays() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plays");
    let entries = fs::read_dir(folder).expect("the folder of plays");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths
}

/// Plays every one and compares what happens with what is written there.
#[test]
fn every_play_goes_as_written() {
    for path in plays() {
        println!("{}", path.display());
        goldenscript::run(&mut Play::new(), &path).expect("it can be read and played");
    }
}

/// The first line is the moral; a play that does not fit a page teaches nobody.
#[test]
fn every_play_has_a_moral_and_fits_a_page() {
    let all = plays();
    assert!(all.len() >= 6);
    for path in all {
        let text = fs::read_to_string(&path).expect("a play");
        let moral =
            text.lines().next().is_some_and(|line| line.starts_with("# ") && line.len() > 20);
        assert!(moral, "{}: the first line must say what it teaches", path.display());
        assert!(text.lines().count() < 80, "{} is too long", path.display());
    }
}

/// Nothing is refused without a reason, and every reason can be seen at work.
#[test]
fn every_reason_to_refuse_occurs_in_a_play() {
    let all: String = plays().iter().map(|p| fs::read_to_string(p).expect("a play")).collect();
    for reason in [
        "Taken",
        "Quiet",
        "Died",
        "Wounded",
        "Deadlock",
        "TimedOut",
        "Cancelled",
        "Unknown",
        "Late",
        "Shrinking",
        "Waits",
        "NotHeld",
        "Unsound",
        "Full",
    ] {
        assert!(all.contains(&format!("refused: {reason}: ")), "no play shows {reason}");
    }
}

/// The chapter shows plays as they play today.
#[test]
fn the_chapter_shows_the_plays_as_they_play() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chapter = fs::read_to_string(root.join("../../docs/lockmgr.md")).expect("a chapter");
    for name in ["a_wound", "a_circle", "a_sleeper"] {
        let (_, rest) = chapter
            .split_once(&format!("<!-- script: {name} -->\n```text\n"))
            .unwrap_or_else(|| panic!("the chapter shows {name}"));
        let play = root.join("tests/plays").join(name).with_extension("txt");
        let play = fs::read_to_string(play).expect("a play");
        assert!(rest.starts_with(play.trim_end()), "the chapter shows another {name}");
    }
}
