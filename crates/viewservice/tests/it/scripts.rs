//! Golden scripts: the service on a stage, and nothing happens unless the script says so.

use std::{collections::BTreeMap, error::Error, fs, path::Path, path::PathBuf, time::Duration};

use goldenscript::{Command, Context, Runner};
use protocol::NodeId;
use sim::Stage;
use viewservice::{
    Incarnation, Join, MAX_ADDR, MAX_SERVERS, Member, PING_INTERVAL, Ping, Request, SERVICE_NODE,
    Server, ViewNum, ViewService,
};

struct Play {
    stage: Stage<ViewService>,
    /// The number that each server was given last.
    lives: BTreeMap<u16, Incarnation>,
}

type Failure = Box<dyn Error>;

impl Play {
    fn new() -> Self {
        let mut play = Self { stage: Stage::new(|_| false), lives: BTreeMap::new() };
        play.enter();
        play
    }

    fn enter(&mut self) {
        self.stage
            .enter(SERVICE_NODE, |records| ViewService::recover(records).expect("its own records"));
    }

    fn core(&self) -> Result<&ViewService, Failure> {
        self.stage.core(SERVICE_NODE).ok_or_else(|| "the service is down".into())
    }

    fn run_one(&mut self, command: &Command) -> Result<(), Failure> {
        let mut args = command.consume_args();
        let mut number = |default: Option<u64>| -> Result<u64, Failure> {
            match (args.next_pos(), default) {
                (Some(text), _) => Ok(text.parse()?),
                (None, Some(default)) => Ok(default),
                (None, None) => Err("a number is missing".into()),
            }
        };
        match command.name.as_str() {
            "join" => self.join(number(None)? as u16)?,
            "ping" => return self.ping(command),
            "pings" => {
                let (count, server, view) = (number(None)?, number(None)?, number(None)?);
                for _ in 0..count {
                    self.stage.wake(SERVICE_NODE, PING_INTERVAL);
                    let ping = self.words(server as u16, view);
                    self.say(server as u16, ping);
                }
            }
            "get" => self.stage.ask(SERVICE_NODE, Request::Get),
            "wait" => self.stage.wake(SERVICE_NODE, Duration::from_millis(number(None)?)),
            "crash" => self.stage.crash(SERVICE_NODE, number(Some(0))? as usize),
            "restart" => self.enter(),
            "slow-disk" => self.stage.quick_disk(SERVICE_NODE, false),
            "quick-disk" => self.stage.quick_disk(SERVICE_NODE, true),
            "sync" => self.stage.sync(SERVICE_NODE),
            // So many servers come that nobody else may.
            "crowd" => {
                for server in 10..10 + MAX_SERVERS as u16 {
                    self.join(server)?;
                    let ping = self.words(server, 0);
                    self.say(server, ping);
                }
            }
            "status" => {
                self.stage.ask(SERVICE_NODE, Request::Status);
                let text = self.stage.printed();
                let safety = self.core()?.safety().clone();
                let stuck = text.split_once("stuck: Some(").map_or("not stuck", |(_, rest)| {
                    rest.split(['(', ' ', ')', '{']).next().unwrap_or("stuck")
                });
                self.stage.remark(&format!(
                    "{}, adopted: {}, acknowledged: {}, {stuck}",
                    safety.view, safety.adopted, safety.acknowledged
                ));
            }
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_next()
    }

    fn join(&mut self, server: u16) -> Result<(), Failure> {
        let before = self.core()?.safety().issued;
        let join = Request::Join(Join { node: NodeId(server) });
        self.stage.say(NodeId(server), SERVICE_NODE, join);
        let issued = self.core()?.safety().issued;
        if issued > before {
            self.lives.insert(server, issued);
        }
        Ok(())
    }

    fn words(&self, server: u16, view: u64) -> Ping {
        let incarnation = self.lives.get(&server).copied().unwrap_or_default();
        let member = Member { node: NodeId(server), incarnation };
        let server = Server { member, addr: format!("h{server}") };
        let view = ViewNum(view);
        Ping { server, view, installed: false, heir: Vec::new(), lost_backup: false }
    }

    fn say(&mut self, from: u16, ping: Ping) {
        self.stage.say(NodeId(from), SERVICE_NODE, Request::Ping(ping));
    }

    /// `ping 1 2 installed`: server 1 in view 2; `life=3`, `heir=1`, `as=4`, `lost`, `far`.
    fn ping(&mut self, command: &Command) -> Result<(), Failure> {
        let mut args = command.consume_args();
        let mut key = |key: &str| -> Result<Option<u64>, Failure> {
            Ok(args.take_key(key).map(str::parse).transpose()?)
        };
        let (life, heir, other) = (key("life")?, key("heir")?, key("as")?);
        let mut number = || args.next_pos().ok_or("a number is missing").map(str::parse::<u64>);
        let (server, view) = (number()?? as u16, number()??);
        let mut ping = self.words(server, view);
        if let Some(life) = life {
            ping.server.member.incarnation = Incarnation(life);
        }
        ping.heir = heir.map(Incarnation).into_iter().collect();
        while let Some(word) = args.next_pos() {
            match word {
                "installed" => ping.installed = true,
                "lost" => ping.lost_backup = true,
                "far" => ping.server.addr = "h".repeat(MAX_ADDR + 1),
                other => return Err(format!("nobody says {other}").into()),
            }
        }
        self.say(other.map_or(server, |other| other as u16), ping);
        args.reject_next()
    }
}

/// Short forms of what Rust prints.
fn plain(text: &str) -> String {
    let mut text =
        text.replace("-> n0  ", "-> service  ").replace(&"h".repeat(MAX_ADDR + 1), "hhh...");
    for (long, short) in [
        ("n0 saves", "service saves"),
        ("n0 answers", "service answers"),
        ("n0 puts out", "service puts out"),
        ("n0 loses", "service loses"),
        ("n0 has", "service has"),
    ] {
        text = text.replace(long, short);
    }
    for server in 0..100 {
        text = text.replace(&format!("NodeId({server})"), &format!("n{server}"));
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
    for path in scripts() {
        let text = fs::read_to_string(&path).expect("a script");
        let moral =
            text.lines().next().is_some_and(|line| line.starts_with("# ") && line.len() > 20);
        assert!(moral, "{}: the first line must say what it teaches", path.display());
        assert!(text.lines().count() < 80, "{} is too long", path.display());
    }
}

/// Nothing is refused without a reason, and every reason can be seen at work.
#[test]
fn every_reason_to_refuse_occurs_in_a_script() {
    let all: String = scripts().iter().map(|p| fs::read_to_string(p).expect("a script")).collect();
    for reason in ["Unproven", "Superseded { by: 3 }", "Unknown", "Taken", "TooMany", "TooLong"] {
        assert!(all.contains(&format!("Refused({reason})")), "no script shows {reason}");
    }
    for reason in ["Nobody", "Unacknowledged", "Deserted"] {
        assert!(all.contains(&format!(", {reason}\n")), "no script shows {reason}");
    }
}

/// The chapter shows a script as it plays today.
#[test]
fn the_chapter_shows_the_script_as_it_plays() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chapter = fs::read_to_string(root.join("../../docs/viewservice.md")).expect("a chapter");
    let mut shown = 0;
    for path in scripts() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some((_, rest)) = chapter.split_once(&format!("<!-- script: {name} -->\n```text\n"))
        else {
            continue;
        };
        let script = fs::read_to_string(&path).expect("a script");
        assert!(rest.starts_with(script.trim_end()), "the chapter shows another {name}");
        shown += 1;
    }
    assert_eq!(shown, 1, "the chapter shows one script");
}
