//! Golden scripts: the lock service on a stage, and nothing happens unless the script says so.

use std::{error::Error, fs, path::Path, path::PathBuf, time::Duration};

use goldenscript::{Command, Context, Runner};
use lockmgr::{
    Acquire, LockService, Mode, Name, Owner, Patience, Release, RequestNo, Terms, Ticket, Token,
    Want, core::Config, message::Request,
};
use protocol::NodeId;
use sim::Stage;

const SERVICE: NodeId = NodeId(0);

type Failure = Box<dyn Error>;

struct Play {
    stage: Stage<LockService>,
    config: Config,
}

impl Play {
    fn new() -> Self {
        let config = Config { rule: None, checkpoint_every: 10 };
        let mut play = Self { stage: Stage::new(|_| false), config };
        play.enter();
        play
    }

    fn enter(&mut self) {
        let config = self.config.clone();
        let recover = |records| LockService::recover(config, records).expect("its own records");
        self.stage.enter(SERVICE, recover);
    }

    fn run_one(&mut self, command: &Command) -> Result<(), Failure> {
        let mut args = command.consume_args();
        let mut next = |what: &str| args.next_pos().ok_or_else(|| format!("{what} is missing"));
        match command.name.as_str() {
            "open" => {
                let lease = Duration::from_secs(next("a lease")?.parse()?);
                self.stage.ask(SERVICE, Request::Open(Terms::session(lease)));
            }
            // `acquire 2/1 k X 20`: request 1 of session 2.
            "acquire" => {
                let (ticket, name) = (ticket(next("a request")?)?, Name::from(next("a name")?));
                let mode: Mode = next("a mode")?.parse()?;
                let patience = match args.next_pos() {
                    Some(wait) => Patience::For(Duration::from_secs(wait.parse()?)),
                    None => Patience::Try,
                };
                let (floor, wants) = (RequestNo(0), vec![Want { name, mode }]);
                let acquire = Acquire { ticket, floor, wants, patience };
                self.stage.ask(SERVICE, Request::Acquire(acquire));
            }
            "release" => {
                let (ticket, name) = (ticket(next("a request")?)?, Name::from(next("a name")?));
                let token = args.next_pos().map(str::parse).transpose()?.map(Token);
                let release = Release { ticket, floor: RequestNo(0), name, token };
                self.stage.ask(SERVICE, Request::Release(release));
            }
            "renew" => {
                let owner: Owner = next("a session")?.parse()?;
                self.stage.ask(SERVICE, Request::Renew(owner));
            }
            "close" => {
                let owner: Owner = next("a session")?.parse()?;
                self.stage.ask(SERVICE, Request::Close(owner));
            }
            "wait" => {
                // As often as the service wants to wake, so that each thing happens at its time.
                for _ in 0..next("seconds")?.parse::<u64>()? * 100 {
                    self.stage.wake(SERVICE, Duration::from_millis(10));
                }
            }
            "crash" => {
                let kept = args.next_pos().map(str::parse).transpose()?.unwrap_or(0);
                self.stage.crash(SERVICE, kept);
            }
            "restart" => self.enter(),
            "slow-disk" => self.stage.quick_disk(SERVICE, false),
            "quick-disk" => self.stage.quick_disk(SERVICE, true),
            "sync" => self.stage.sync(SERVICE),
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_next()
    }
}

fn ticket(word: &str) -> Result<Ticket, Failure> {
    let (owner, request) = word.split_once('/').ok_or("a request is written 2/1")?;
    Ok(Ticket { owner: owner.parse()?, request: RequestNo(request.parse()?) })
}

/// Short forms of what Rust prints.
fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for (long, short) in [
        ("n0 saves", "service saves"),
        ("n0 answers", "service answers"),
        ("n0 puts out", "service puts out"),
        ("n0 loses", "service loses"),
        ("n0 has", "service has"),
        ("n0 forgets", "service forgets"),
        ("Applied(Acquire(Acquire { ticket: ", "Acquire { "),
        ("Applied(Release(Release { ticket: ", "Release { "),
        ("floor: RequestNo(0), ", ""),
        ("Want { name: ", ""),
        (", mode: ", " "),
        ("Grant { name: ", ""),
        (" }], patience: Try }))", "], Try }"),
        (" }], patience: For(", "], for "),
        ("s) }))", "s }"),
        (", token: Some(Token(", ", token "),
        (")) }])", "])"),
        (")) }]", "]"),
        (")) }))", " }"),
        ("discipline: Free, ", ""),
        ("saves Piece(Piece(", "saves (Piece("),
    ] {
        text = text.replace(long, short);
    }
    text
}

impl Runner for Play {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Failure> {
        self.stage.silent(context.silent);
        self.run_one(command)?;
        Ok(plain(&self.stage.printed()))
    }
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let entries = fs::read_dir(folder).expect("the folder of scripts");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths
}

/// Plays every script and compares what happens with what is written there.
#[test]
fn every_script_plays_as_written() {
    for path in scripts() {
        println!("{}", path.display());
        goldenscript::run(&mut Play::new(), &path).expect("it can be read and played");
    }
}

/// The first line is the moral; a script that does not fit a page teaches nobody.
#[test]
fn every_script_has_a_moral_and_fits_a_page() {
    let all = scripts();
    assert!(!all.is_empty());
    for path in all {
        let text = fs::read_to_string(&path).expect("a script");
        let moral =
            text.lines().next().is_some_and(|line| line.starts_with("# ") && line.len() > 20);
        assert!(moral, "{}: the first line must say what it teaches", path.display());
        assert!(text.lines().count() < 80, "{} is too long", path.display());
    }
}
