//! The flags of a store's clients.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::FalseyValueParser};

use crate::settings::{Addresses, Place};

/// What a store is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// Replicas that agree by Paxos: `synod kv`.
    Kv,
    /// A primary and a backup: `synod pb`. It has put, append, get, delete and status.
    Pb,
}

/// Which store to talk to.
#[derive(Args, Clone, Debug)]
pub struct Servers {
    /// The nodes of the store: 1=127.0.0.1:7001,2=...
    #[arg(long, env = "SYNOD_PEERS")]
    pub peers: Option<Addresses>,
    /// The view service of the store, with --store pb: HOST:PORT.
    #[arg(long, env = "SYNOD_VIEW", value_name = "ADDR")]
    pub view: Option<Place>,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
    /// How long to try, in milliseconds.
    #[arg(long, env = "SYNOD_TIMEOUT", default_value_t = 5000, value_name = "MS")]
    pub timeout: u64,
}

impl Servers {
    /// How long to try.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

/// Something to do, and the store to do it on.
#[derive(Args, Clone, Debug)]
pub struct On<T: Args> {
    /// What to do.
    #[command(flatten)]
    pub what: T,
    /// Which store.
    #[command(flatten)]
    pub servers: Servers,
}

pub(super) const STATUS: &str = "\
Examples:
  synod status --peers 1=127.0.0.1:7001,2=127.0.0.1:7002,3=127.0.0.1:7003
  SYNOD_PEERS=1=127.0.0.1:7001 synod status -o json
  synod --store pb status --view 127.0.0.1:7100      the same as synod pb status

CHOSEN, APPLIED and FLOOR are places in the log: what a majority agreed on, what this node has
carried out, what it has forgotten. LAG is how far it is behind what it knows to be chosen.";

/// A key of a store.
#[derive(Args, Clone, Debug)]
pub struct Key {
    /// The key.
    pub key: String,
}

pub(super) const GET: &str = "\
Examples:
  synod get greeting
  synod get greeting -o json           with its version, for cas --if-version
  synod --store pb get greeting --view 127.0.0.1:7100

Piped, the value is written as it is, with a line's end behind it.";

pub(super) const DELETE: &str = "\
Example:
  synod delete greeting                ends with 3 if it was not there";

/// A key and a value.
#[derive(Args, Clone, Debug)]
pub struct Write {
    /// The key.
    pub key: String,
    /// The value; `-` reads it from standard input.
    #[arg(allow_negative_numbers = true)]
    pub value: String,
}

pub(super) const PUT: &str = "\
Examples:
  synod put greeting \"good morning\"
  synod put picture - < picture.png

What it prints is the key's new version; a primary/backup store has none. A value that begins with a dash and is no number stands
behind --, as in: synod put greeting -- --hello--";

pub(super) const APPEND: &str = "\
Example:
  synod append greeting \", all\"

Repeating it after exit code 5 may add it twice: look first, with synod get.";

/// Several keys.
#[derive(Args, Clone, Debug)]
pub struct Keys {
    /// The keys.
    #[arg(required = true, value_name = "KEY")]
    pub keys: Vec<String>,
}

pub(super) const MGET: &str = "\
Examples:
  synod mget user/1 user/2
  synod mget user/1 user/2 -o json

All values are of one moment. Piped, each is a line of key, tab, value. A key that is not there is
named on standard error, and the exit code is 3.";

/// Several keys and their values.
#[derive(Args, Clone, Debug)]
pub struct Pairs {
    /// Keys and values, in turn.
    #[arg(required = true, num_args = 2.., value_names = ["KEY", "VALUE"], allow_negative_numbers = true)]
    pub pairs: Vec<String>,
}

pub(super) const MSET: &str = "\
Example:
  synod mset user/1 ada user/2 grace

All of them are set at one moment, or none. What it prints is the new version of each, in order.
What begins with a dash and is no number stands behind --.";

/// `synod scan-all`
#[derive(Args, Clone, Debug)]
pub struct Scan {
    /// Only keys that begin so.
    #[arg(long, env = "SYNOD_PREFIX", default_value = "", hide_default_value = true)]
    pub prefix: String,
    /// So many keys at most.
    #[arg(long, env = "SYNOD_LIMIT")]
    pub limit: Option<u64>,
    /// Keys without their values.
    #[arg(long, env = "SYNOD_KEYS_ONLY", value_parser = FalseyValueParser::new())]
    pub keys_only: bool,
}

pub(super) const SCAN: &str = "\
Examples:
  synod scan-all --prefix user/ --limit 10
  synod scan-all -o json > dump.jsonl          then: synod load dump.jsonl --format json

Keys come in no order. It is no picture of one moment: a key that comes or goes meanwhile may be
shown or not, and while keys are deleted one may be shown twice. Piped, each is a line of key, tab,
value; JSON keeps apart what holds tabs or line ends.";

/// `synod cas`
#[derive(Args, Clone, Debug)]
pub struct Cas {
    /// The key.
    pub key: String,
    /// The new value; `-` reads it from standard input.
    #[arg(allow_negative_numbers = true)]
    pub value: String,
    /// What must be there.
    #[command(flatten)]
    pub expected: Expected,
}

/// What a compare-and-set expects: one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Expected {
    /// The value you expect.
    #[arg(long, env = "SYNOD_EXPECT", value_name = "OLD", allow_hyphen_values = true)]
    pub expect: Option<String>,
    /// The version you expect.
    #[arg(long = "if-version", id = "version", env = "SYNOD_IF_VERSION")]
    pub version: Option<u64>,
    /// You expect nothing there.
    #[arg(long, env = "SYNOD_ABSENT", value_parser = FalseyValueParser::new())]
    pub absent: bool,
}

pub(super) const CAS: &str = "\
Examples:
  synod cas lock mine --absent         only if nobody holds it
  synod cas greeting hello --expect \"good morning\"
  synod cas greeting hello --if-version 7

It ends with 4 if something else was there: then nothing was done.";

/// The form of what is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Lines of key, tab, value. Nothing is escaped: the first tab ends the key.
    Tsv,
    /// Lines of {"key": ..., "value": ...}, as `scan-all -o json` writes them.
    Json,
}

/// `synod load`
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// The file; `-` is standard input.
    pub file: PathBuf,
    /// What its lines are.
    #[arg(long, env = "SYNOD_FORMAT", default_value = "tsv")]
    pub format: Shape,
    /// Clients at work beside each other.
    #[arg(long, short, env = "SYNOD_CLIENTS", default_value_t = 8)]
    pub clients: usize,
    /// Lines in one write, all of which happen or none.
    #[arg(long, env = "SYNOD_BATCH", default_value_t = 256)]
    pub batch: usize,
    /// Where to keep how far it has come; by default beside the file, as FILE.synod-load.
    #[arg(long, env = "SYNOD_RESUME", value_name = "STATEFILE")]
    pub resume: Option<PathBuf>,
    /// Begin with the first line, whatever was loaded before.
    #[arg(long, env = "SYNOD_RESTART", value_parser = FalseyValueParser::new())]
    pub restart: bool,
    /// Say how far it has come although standard error is no terminal.
    #[arg(long, env = "SYNOD_PROGRESS", value_parser = FalseyValueParser::new())]
    pub progress: bool,
}

pub(super) const LOAD: &str = "\
Examples:
  synod load pairs.tsv
  synod load dump.jsonl --format json --clients 16
  zcat pairs.tsv.gz | synod load - --resume pairs.state

If it stops half-way (Ctrl-C, a power cut, exit code 5), the same command goes on from there. Of
several lines about one key, the last wins. When all is loaded, what was kept for going on is
removed.";

/// `synod shell`
#[derive(Args, Clone, Debug)]
pub struct Shell {
    /// Where what was typed is kept; by default synod/history in $XDG_STATE_HOME or
    /// ~/.local/state. An empty name keeps nothing.
    #[arg(long, env = "SYNOD_HISTORY_FILE", value_name = "FILE")]
    pub history_file: Option<PathBuf>,
    /// In a script, go on after a command that failed; the first failure is the exit code.
    #[arg(long, env = "SYNOD_KEEP_GOING", value_parser = FalseyValueParser::new())]
    pub keep_going: bool,
}

pub(super) const SHELL: &str = "\
Examples:
  synod shell                          help lists the commands, Tab completes, Ctrl-D leaves
  synod shell < script                 a command a line; the first failure ends it
  echo 'put \"a b\" \"two\\nlines\"' | synod shell

Words are separated by blanks; 'single quotes' hold anything, \"double quotes\" know \\n, \\t, \\\" and
\\\\. A line that begins with # says nothing, and one that begins with a blank is not kept.";
