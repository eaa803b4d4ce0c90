//! Golden scripts of a pair: a view service and servers on a stage, and nothing happens unless the
//! script says so.

use std::{collections::BTreeSet, error::Error, fs, path::Path, path::PathBuf, time::Duration};

use bytes::Bytes;
use goldenscript::{Command, Context, Runner};
use pbservice::{
    Change, Config, Pb, Request, RequestNo, SessionId,
    message::{self, Ignored, Rebuff},
};
use protocol::NodeId;
use sim::Stage;
use synod_tests::pb::{Node, node::Record};
use viewservice::{SERVICE_NODE, ViewNum, ViewService};

mod forged;
mod words;

type Failure = Box<dyn Error>;

struct Play {
    stage: Stage<Node>,
    /// From whom nothing reaches whom.
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// Forwards stay on their way until the script says what becomes of them.
    held: bool,
}

/// Pings go on in every script; what comes of them is what is adopted.
fn hidden(text: &str) -> bool {
    text.starts_with("View(") || text.starts_with("Service(")
}

fn is_forward(_: NodeId, _: NodeId, text: &str) -> bool {
    text.starts_with("Forward(")
}

impl Play {
    fn new() -> Self {
        let mut play = Self { stage: Stage::new(hidden), cuts: BTreeSet::new(), held: false };
        play.stage.silent(true);
        play.stage.enter(SERVICE_NODE, |_| {
            Node::Service(Box::new(ViewService::recover([]).expect("no records")))
        });
        play
    }

    fn start(&mut self, server: u16, durable: bool) {
        let config = Config::new(NodeId(server), format!("h{server}"));
        let config = if durable { config.durable() } else { config };
        self.stage.enter(NodeId(server), |records| {
            let records = records.into_iter().filter_map(|(lsn, record)| match record {
                Record::Server(record) => Some((lsn, record)),
                Record::Service(_) => None,
            });
            Node::Server(Box::new(Pb::recover(config, records)))
        });
        self.settle();
    }

    /// Everything that is due or on its way happens, except across a cut and but for forwards that
    /// are held.
    fn settle(&mut self) {
        loop {
            self.stage.wake_due();
            let cuts = &self.cuts;
            self.stage.lose(true, |from, to, _| cuts.contains(&(from, to)));
            let held = self.held;
            if !self.stage.deliver(|from, to, text| !(held && is_forward(from, to, text))) {
                return;
            }
        }
    }

    fn ask(&mut self, command: &Command) -> Result<(), Failure> {
        let mut args = command.consume_args();
        let session = args.take_key("session").unwrap_or("1").parse()?;
        let number = args.take_key("number").map(str::parse).transpose()?;
        let mut word =
            || -> Result<&str, Failure> { Ok(args.next_pos().ok_or("a word is missing")?) };
        let server = NodeId(word()?.parse()?);
        let what = word()?;
        let mut bytes = || word().and_then(spelled);
        let change = match what {
            "open" => None,
            "get" => {
                let key = bytes()?;
                self.stage.ask(server, Request::Get(message::Get { key }));
                args.reject_next()?;
                self.settle();
                return Ok(());
            }
            "put" => Some(Change::Put(bytes()?, bytes()?)),
            "append" => Some(Change::Append(bytes()?, bytes()?)),
            "delete" => Some(Change::Delete(bytes()?)),
            other => return Err(format!("nobody asks for {other}").into()),
        };
        args.reject_next()?;
        let request = match change {
            None => Request::Open(message::Open),
            Some(change) => {
                let number = RequestNo(number.unwrap_or(1));
                let session = SessionId(session);
                Request::Submit(message::Submit { session, number, change })
            }
        };
        self.stage.ask(server, request);
        self.settle();
        Ok(())
    }

    /// The forward that is held arrives: `pass`, `twice`, or and its answer is lost: `unheard`. What
    /// follows it is held again.
    fn let_go(&mut self, command: &Command) -> Result<(), Failure> {
        let arrived = match command.name.as_str() {
            "twice" => self.stage.repeat(is_forward) && self.stage.deliver(is_forward),
            _ => self.stage.deliver(is_forward),
        };
        if !arrived {
            return Err("no forward is on its way".into());
        }
        if command.name == "unheard" {
            self.stage.lose(true, |_, _, text| text.starts_with("Forwarded("));
        }
        self.settle();
        command.consume_args().reject_next()
    }

    fn run_one(&mut self, command: &Command) -> Result<(), Failure> {
        match command.name.as_str() {
            "ask" => return self.ask(command),
            "forge" => return self.forge(command),
            "pass" | "twice" | "unheard" => return self.let_go(command),
            _ => {}
        }
        let mut args = command.consume_args();
        let mut number = || -> Result<u16, Failure> {
            Ok(args.next_pos().ok_or("a number is missing")?.parse()?)
        };
        match command.name.as_str() {
            "hold" | "release" => {
                self.held = command.name == "hold";
                self.settle();
            }
            "status" => self.status(),
            "start" => self.start(number()?, false),
            "start-durable" => self.start(number()?, true),
            "wait" => {
                for _ in 0..number()? / 10 {
                    self.stage.wake(SERVICE_NODE, Duration::from_millis(10));
                    self.settle();
                }
            }
            "crash" => self.stage.crash(NodeId(number()?), usize::MAX),
            "cut" | "heal" => {
                let (one, other) = (NodeId(number()?), NodeId(number()?));
                for pair in [(one, other), (other, one)] {
                    if command.name == "cut" {
                        self.cuts.insert(pair);
                    } else {
                        self.cuts.remove(&pair);
                    }
                }
            }
            "duty" => {
                for server in 1..=3 {
                    let Some(Node::Server(pb)) = self.stage.core(NodeId(server)) else { continue };
                    let (duty, keys, whole) = (pb.duty(), pb.state().len(), pb.state().is_whole());
                    let view = pb.view().number;
                    self.stage.remark(&format!(
                        "n{server}: view {view}, {duty:?}, {keys} keys, whole: {whole}"
                    ));
                }
            }
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_next()
    }
}

/// `abc`, or `v*131072` for as many letters.
fn spelled(text: &str) -> Result<Bytes, Failure> {
    let Some((letter, times)) = text.split_once('*') else {
        return Ok(Bytes::from(text.to_owned()));
    };
    Ok(Bytes::from(letter.repeat(times.parse()?)))
}

impl Runner for Play {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Failure> {
        self.stage.silent(context.silent);
        self.run_one(command)?;
        Ok(words::plain(&self.stage.printed()))
    }
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let entries = fs::read_dir(folder).expect("the folder of scripts");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(paths.len() >= 5, "the scripts are there");
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

/// Whatever a server may leave unheeded or turn away occurs in a script, where a reader finds what
/// leads to it.
#[test]
fn every_reason_to_ignore_or_rebuff_is_played() {
    let played: String =
        scripts().iter().map(|path| fs::read_to_string(path).expect("a script")).collect();
    let ignored = [
        Ignored::OldView,
        Ignored::LateAnswer,
        Ignored::Boast,
        Ignored::Repeated,
        Ignored::Gap,
        Ignored::Misplaced,
    ];
    for why in ignored {
        // No other: whoever adds a reason adds it to the list.
        match why {
            Ignored::OldView | Ignored::LateAnswer | Ignored::Boast => {}
            Ignored::Repeated | Ignored::Gap | Ignored::Misplaced => {}
        }
        assert!(played.contains(&format!("Ignored({why:?})")), "{why:?} occurs in no script");
    }
    let (stale, known) = (ViewNum(1), ViewNum(2));
    let rebuffs =
        [Rebuff::Stale { stale, known }, Rebuff::NotBackup, Rebuff::Stranger, Rebuff::Malformed];
    for why in rebuffs {
        match why {
            Rebuff::Stale { .. } | Rebuff::NotBackup | Rebuff::Stranger | Rebuff::Malformed => {}
        }
        let name = format!("{why:?}");
        let (name, _) = name.split_once(' ').unwrap_or((&name, ""));
        assert!(played.contains(&format!("refused: {name}")), "{name} occurs in no script");
    }
}

/// The chapter shows a script as it plays today.
#[test]
fn the_chapter_shows_the_script_as_it_plays() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chapter = fs::read_to_string(root.join("../docs/pbservice.md")).expect("a chapter");
    let script = fs::read_to_string(root.join("tests/scripts/left_behind.txt")).expect("a script");
    let (_, rest) = chapter
        .split_once("<!-- script: left_behind -->\n```text\n")
        .expect("the chapter shows a script");
    assert!(rest.starts_with(script.trim_end()), "the chapter shows another script");
}
