//! Golden scripts of a pair: a view service and servers on a stage, and nothing happens unless the
//! script says so.

use std::{collections::BTreeSet, error::Error, fs, path::Path, path::PathBuf, time::Duration};

use bytes::Bytes;
use goldenscript::{Command, Context, Runner};
use pbservice::{Change, Config, Pb, Request, RequestNo, SessionId, message};
use protocol::NodeId;
use sim::Stage;
use synod_tests::pb::{Node, node::Record};
use viewservice::{SERVICE_NODE, ViewService};

type Failure = Box<dyn Error>;

struct Play {
    stage: Stage<Node>,
    /// From whom nothing reaches whom.
    cuts: BTreeSet<(NodeId, NodeId)>,
}

/// Pings go on in every script; what comes of them is what is adopted.
fn hidden(text: &str) -> bool {
    text.starts_with("View(") || text.starts_with("Service(")
}

impl Play {
    fn new() -> Self {
        let mut play = Self { stage: Stage::new(hidden), cuts: BTreeSet::new() };
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

    /// Everything that is due or on its way happens, except across a cut.
    fn settle(&mut self) {
        loop {
            self.stage.wake_due();
            let cuts = &self.cuts;
            self.stage.lose(true, |from, to, _| cuts.contains(&(from, to)));
            if !self.stage.deliver(|_, _, _| true) {
                return;
            }
        }
    }

    fn ask(&mut self, command: &Command) -> Result<(), Failure> {
        let mut args = command.consume_args();
        let session = args.take_key("session").unwrap_or("1").parse()?;
        let number = args.take_key("number").map(str::parse).transpose()?;
        let held = args.take_key("held").is_some();
        let mut word = || args.next_pos().ok_or("a word is missing");
        let server = NodeId(word()?.parse()?);
        let what = word()?;
        let mut bytes = || word().map(|text| Bytes::from(text.to_owned()));
        let change = match what {
            "open" => None,
            "get" => {
                let key = bytes()?;
                self.stage.ask(server, Request::Get(message::Get { key }));
                args.reject_next()?;
                if !held {
                    self.settle();
                }
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
        if !held {
            self.settle();
        }
        Ok(())
    }

    fn run_one(&mut self, command: &Command) -> Result<(), Failure> {
        if command.name == "ask" {
            return self.ask(command);
        }
        let mut args = command.consume_args();
        let mut number = || -> Result<u16, Failure> {
            Ok(args.next_pos().ok_or("a number is missing")?.parse()?)
        };
        match command.name.as_str() {
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

/// Short forms of what Rust prints.
fn plain(text: &str) -> String {
    let mut text = text.replace("-> n0  ", "-> service  ");
    for (long, short) in [
        ("Forward(Forward { ", "Forward { "),
        ("Forwarded(Ok(Forwarded { ", "Forwarded { "),
        ("Forwarded(Err(", "refused: "),
        ("n0 saves Service(", "service saves "),
        ("puts out Server(Adopted(", "adopts "),
        ("puts out Server(", "puts out "),
        ("saves Server(", "saves "),
        ("answers Client(Ok(", "answers "),
        ("answers Client(Err(", "refuses: "),
        ("SessionId(", "("),
        ("RequestNo(", "("),
        ("Seq(", "("),
        ("(b\"", "(\""),
        (" b\"", " \""),
    ] {
        text = text.replace(long, short);
    }
    // What is tried again and again is shown once.
    let mut lines: Vec<&str> = text.lines().collect();
    lines.dedup();
    let lines = lines.into_iter().map(|line| {
        let mut line = line.to_owned();
        // A number in brackets is a number.
        while let Some(at) = line.find('(')
            && let Some(end) = line[at..].find(')')
            && line[at + 1..at + end].chars().all(|it| it.is_ascii_digit())
        {
            let gap = if line[..at].ends_with(char::is_alphabetic) { " " } else { "" };
            line.replace_range(at + end..=at + end, "");
            line.replace_range(at..=at, gap);
        }
        // What was opened by a word that was left out is closed by nothing.
        let lost = line.strip_suffix("   LOST").map(str::len);
        let tail = lost.map_or(String::new(), |at| line.split_off(at));
        while line.ends_with(')') && line.matches(')').count() > line.matches('(').count() {
            line.pop();
        }
        format!("{line}{tail}\n")
    });
    lines.collect()
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
