//! Golden scripts: a few nodes on a stage, and nothing happens unless the script says so.

use std::{collections::BTreeMap, error::Error, fmt::Write as _, fs, path::Path, time::Duration};

use bytes::Bytes;
use goldenscript::{Command, Context, Runner};
use paxos::{
    Accept, Accepted, Ballot, Config, Forward, Heartbeat, Ignored, Mode, Paxos, Prepare, Promise,
    Reply, Request, Slot, Value, Watermark,
};
use protocol::{CallId, NodeId};
use sim::Stage;

/// Hidden unless a script says `show heartbeats`: they ride along in every script.
fn hidden(text: &str) -> bool {
    const WORDS: [&str; 7] =
        ["Heartbeat", "Beat(", "Probe", "Pulse", "Ignored(AlreadyChosen)", "Role", "Told(Noted)"];
    WORDS.iter().any(|word| text.starts_with(word))
}

/// Short forms of what Rust prints.
fn plain(text: &str) -> String {
    let mut text = text.replace("Watermark ", "");
    for (long, short) in [
        ("Prepare(Prepare {", "Prepare {"),
        ("Promise(Promise {", "Promise {"),
        ("Accept(Accept {", "Accept {"),
        ("Accepted(Accepted {", "Accepted {"),
        ("Nack(Nack {", "Nack {"),
        ("Heartbeat(Heartbeat {", "Heartbeat {"),
        ("Beat(Beat {", "Beat {"),
        ("Fetch(Fetch {", "Fetch {"),
        ("Fetched(Fetched {", "Fetched {"),
        ("Forward(Forward {", "Forward {"),
        ("Outcome(Chosen(", "Outcome(Chosen ("),
        ("NodeId(", "(n"),
        (" })", " }"),
        (", callers: []", ""),
        ("[b\"", "[\""),
    ] {
        text = text.replace(long, short);
    }
    text
}

struct Play {
    stage: Stage<Paxos>,
    nodes: u16,
    mode: Mode,
    tune: BTreeMap<String, u64>,
    lives: u64,
}

impl Play {
    fn new() -> Self {
        let stage = Stage::new(hidden);
        Self { stage, nodes: 3, mode: Mode::Explicit, tune: BTreeMap::new(), lives: 0 }
    }

    fn enter(&mut self, node: NodeId) {
        let members = (1..=self.nodes).map(NodeId).collect();
        let mut config = match self.mode {
            Mode::Append => Config::new(node, members),
            Mode::Explicit => Config::explicit(node, members),
        };
        if let Some(trailing) = self.tune.get("trailing") {
            config.trailing = *trailing;
        }
        self.lives += 1;
        let seed = self.lives;
        self.stage.enter(node, |records| {
            Paxos::recover(config, seed, Slot(0), records).expect("sound knobs")
        });
    }

    /// Lets time pass for `node` alone until it campaigns, so that an election happens where the
    /// script wants it. What it asks `without` before is lost.
    fn campaign(&mut self, node: NodeId, without: Option<NodeId>) {
        for _ in 0..3000 {
            if self.stage.core(node).is_none_or(|core| core.role().ballot().is_some()) {
                return;
            }
            self.stage.wake(node, Duration::from_millis(1));
            // Only the words of canvassing travel by themselves.
            self.stage.lose(true, |_, to, text| text.starts_with("Probe") && Some(to) == without);
            while self
                .stage
                .deliver(|_, _, text| text.starts_with("Probe") || text.starts_with("Pulse"))
            {
            }
        }
    }

    fn run_one(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        match command.name.as_str() {
            "cluster" => self.cluster(command),
            "start" | "propose" | "read" | "compact" | "done" => self.ask(command),
            "deliver" | "drop" => self.move_words(command),
            "say" | "reply" => self.say(command),
            _ => self.happen(command),
        }
    }

    fn cluster(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        let mut args = command.consume_args();
        self.nodes = args.take_key("nodes").map_or(Ok(3), str::parse)?;
        if args.take_key("door") == Some("log") {
            self.mode = Mode::Append;
        }
        if let Some(trailing) = args.take_key("trailing") {
            self.tune.insert("trailing".into(), trailing.parse()?);
        }
        let leader: Option<u16> = args.take_key("leader").map(str::parse).transpose()?;
        for node in (1..=self.nodes).map(NodeId) {
            self.enter(node);
        }
        if let Some(leader) = leader.map(NodeId) {
            self.campaign(leader, None);
            self.stage.deliver_all();
        }
        args.reject_next()
    }

    /// What the own process of a node asks it: `start 1 0 a`, `propose 1 a`, `read 1`.
    fn ask(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        let mut args = command.consume_args();
        let node = NodeId(number(&mut args)? as u16);
        let slot = match command.name.as_str() {
            "propose" | "read" => Slot(0),
            _ => Slot(number(&mut args)?),
        };
        let value = Bytes::from(args.next_pos().unwrap_or("v").to_owned());
        let request = match command.name.as_str() {
            "start" => Request::Start(slot, value),
            "propose" => Request::Append(value),
            "compact" => Request::Compact(slot),
            "done" => Request::Done(slot),
            _ => Request::Barrier,
        };
        self.stage.ask(node, request);
        if matches!(command.name.as_str(), "start" | "propose" | "read") {
            self.stage.wake(node, Duration::ZERO);
        }
        args.reject_next()
    }

    /// What happens to a node: time, power, its disk; and a look at what it knows.
    fn happen(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        let mut args = command.consume_args();
        if command.name == "show" {
            self.stage.hide(|text| text.starts_with("Probe") || text.starts_with("Pulse"));
            return Ok(());
        }
        let node = NodeId(number(&mut args)? as u16);
        match command.name.as_str() {
            "campaign" => {
                let without: Option<u16> = args.take_key("without").map(str::parse).transpose()?;
                self.campaign(node, without.map(NodeId));
            }
            "wait" => {
                let millis = number(&mut args)?;
                self.stage.wake(node, Duration::from_millis(millis));
            }
            "crash" => {
                let keep = args.take_key("keep").map_or(Ok(0), str::parse)?;
                self.stage.crash(node, keep);
            }
            "restart" => {
                self.enter(node);
                self.stage.wake(node, Duration::ZERO);
            }
            "slow-disk" => self.stage.quick_disk(node, false),
            "quick-disk" => self.stage.quick_disk(node, true),
            "sync" => self.stage.sync(node),
            "ledger" => {
                let line = self.stage.core(node).map_or_else(
                    || format!("{node} is down"),
                    |core| {
                        let ledger = core.ledger();
                        let mut line = format!("{node} promised {}", ledger.promised());
                        let _ = write!(
                            line,
                            ", floor {}, settled {}:",
                            ledger.floor(),
                            ledger.settled()
                        );
                        for (slot, entry) in ledger.entries_from(Slot(0)) {
                            let mark = if entry.chosen { " chosen" } else { "" };
                            let _ =
                                write!(line, " {slot}={:?}@{}{mark}", entry.value, entry.ballot);
                        }
                        line
                    },
                );
                self.stage.remark(&line);
            }
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_next()
    }

    /// `deliver`, `deliver Accept from=1 to=2 times=2`, `deliver all`, `drop from=1`.
    fn move_words(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        let mut args = command.consume_args();
        let from: Option<u16> = args.take_key("from").map(str::parse).transpose()?;
        let to: Option<u16> = args.take_key("to").map(str::parse).transpose()?;
        let slot = args.take_key("slot").map(|slot| format!("slot: {slot},"));
        let told = args.take_key("told").is_none_or(|told| told == "yes");
        let copies = args.take_key("copies").is_some();
        let word = args.next_pos();
        let wanted = |sender: NodeId, receiver: NodeId, text: &str| {
            from.is_none_or(|from| NodeId(from) == sender)
                && to.is_none_or(|to| NodeId(to) == receiver)
                && word.is_none_or(|word| word == "all" || text.starts_with(&format!("{word}(")))
                && slot.as_ref().is_none_or(|slot| text.contains(slot.as_str()))
        };
        match (command.name.as_str(), word) {
            ("deliver", Some("all")) if from.is_none() && to.is_none() => self.stage.deliver_all(),
            ("deliver", Some("all")) => while self.stage.deliver(wanted) {},
            ("deliver", _) if copies => {
                self.stage.repeat(wanted);
            }
            ("deliver", _) => {
                if !self.stage.deliver(wanted) {
                    return Err("nothing like that is on its way".into());
                }
            }
            _ => self.stage.lose(told, wanted),
        }
        // A leader proposes as soon as its inbox is empty; everybody else waits for the script.
        for node in (1..=self.nodes).map(NodeId) {
            if self.stage.core(node).is_some_and(Paxos::leads) {
                self.stage.wake(node, Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Words of the script's own choosing: `say 2 1 prepare 9.2`, `reply 2 1 accepted 1.1 0`.
    fn say(&mut self, command: &Command) -> Result<(), Box<dyn Error>> {
        let mut args = command.consume_args();
        let words: Vec<&str> = std::iter::from_fn(|| args.next_pos()).collect();
        let (from, to) = (NodeId(words[0].parse()?), NodeId(words[1].parse()?));
        let (round, node) = words[3].split_once('.').ok_or("a ballot is missing")?;
        let ballot = Ballot { round: round.parse()?, node: NodeId(node.parse()?) };
        let slot = Slot(words.get(4).map_or(Ok(0), |slot| slot.parse())?);
        let value = Value::Data(Bytes::from(words.get(5).unwrap_or(&"x").to_string()));
        let chosen = Watermark::default();
        if command.name == "reply" {
            let reply: Reply = match words[2] {
                "accepted" => Accepted { ballot, slot, settled: Slot(0) }.into(),
                "fetched" => {
                    let (settled, floor) = (Slot(0), Slot(0));
                    let chosen = vec![(slot, value)];
                    paxos::Fetched { chosen, settled, floor, snapshot: None }.into()
                }
                "promise" => {
                    Promise { ballot, settled: Slot(0), accepted: Vec::new(), more: None }.into()
                }
                other => return Err(format!("no reply {other}").into()),
            };
            self.stage.answer(from, to, CallId(u64::MAX), reply);
            return Ok(());
        }
        let request: Request = match words[2] {
            "prepare" => Prepare { ballot, from: slot }.into(),
            "accept" => Accept { ballot, slot, value, chosen }.into(),
            "forward" => Forward { slot, value }.into(),
            "watermark" => {
                let chosen = Watermark { low: Slot(0), upto: slot, runs: Vec::new() };
                Heartbeat { ballot, chosen, check: 0, done: Vec::new() }.into()
            }
            other => return Err(format!("no request {other}").into()),
        };
        self.stage.say(from, to, request);
        Ok(())
    }
}

impl Runner for Play {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        self.stage.silent(context.silent);
        self.run_one(command)?;
        Ok(plain(&self.stage.printed()))
    }
}

fn number(args: &mut goldenscript::ArgumentConsumer<'_>) -> Result<u64, Box<dyn Error>> {
    Ok(args.next_pos().ok_or("a number is missing")?.parse()?)
}

fn scripts() -> Vec<std::path::PathBuf> {
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

/// Nothing is silently ignored, and every reason can be seen at work.
#[test]
fn every_reason_to_ignore_occurs_in_a_script() {
    let all: String = scripts().iter().map(|p| fs::read_to_string(p).expect("a script")).collect();
    for why in Ignored::ALL {
        assert!(all.contains(&format!("Ignored({why:?})")), "no script shows {why:?}");
    }
}
