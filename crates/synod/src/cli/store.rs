//! The flags of a store's clients.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::FalseyValueParser};

use crate::settings::Addresses;

/// Which store to talk to.
#[derive(Args, Clone, Debug)]
pub struct Servers {
    /// The nodes of the store: 1=127.0.0.1:7001,2=...
    #[arg(long, env = "SYNOD_PEERS")]
    pub peers: Addresses,
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
    #[arg(allow_hyphen_values = true)]
    pub value: String,
}

pub(super) const PUT: &str = "\
Examples:
  synod put greeting \"good morning\"
  synod put picture - < picture.png

What it prints is the key's new version.";

pub(super) const APPEND: &str = "\
Example:
  synod append greeting \", all\"

Repeating it after exit code 5 may add it twice: look first, with synod get.";

/// `synod cas`
#[derive(Args, Clone, Debug)]
#[group(id = "expectation", required = true, multiple = false, args = ["expect", "version", "absent"])]
pub struct Cas {
    /// The key.
    pub key: String,
    /// The new value; `-` reads it from standard input.
    #[arg(allow_hyphen_values = true)]
    pub value: String,
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
