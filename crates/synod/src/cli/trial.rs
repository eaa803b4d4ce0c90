//! The flags of whatever puts a store to the test.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};

use super::StoreKind;
use crate::settings::Addresses;

/// `synod demo`
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Which layer is shown: replicas that agree by Paxos, or a view service and three servers.
    #[arg(long, env = "SYNOD_LAYER", default_value = "kv")]
    pub layer: StoreKind,
    /// Where the nodes keep their data; by default a fresh directory, removed if all is well.
    #[arg(long, env = "SYNOD_DIR")]
    pub dir: Option<PathBuf>,
    /// What is loaded first: lines of KEY, tab, VALUE, else words to be counted. By default the
    /// repository's own Cargo.lock.
    #[arg(long, env = "SYNOD_LOAD", value_name = "FILE")]
    pub load: Option<PathBuf>,
    /// Everything random is drawn from this.
    #[arg(long, env = "SYNOD_SEED")]
    pub seed: Option<u64>,
    /// End with the verdict instead of a prompt.
    #[arg(long, env = "SYNOD_NO_SHELL", value_parser = FalseyValueParser::new())]
    pub no_shell: bool,
    /// Run each node as a process of its own, and kill with SIGKILL.
    #[arg(long, env = "SYNOD_PROCESSES", value_parser = FalseyValueParser::new())]
    pub processes: bool,
    /// Write what every client asked and heard to this file.
    #[arg(long, env = "SYNOD_HISTORY", value_name = "FILE")]
    pub history: Option<PathBuf>,
}

pub(super) const DEMO: &str = "\
Examples:
  synod demo                                     with a prompt to break things yourself
  synod demo --no-shell --seed 1                 the same run again
  synod demo --layer pb                          a primary and a backup instead
  synod demo --processes --history run.jsonl     then: synod check history run.jsonl";

/// `synod check`
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// What to check.
    #[command(subcommand)]
    pub what: CheckWhat,
}

pub(super) const CHECK: &str = "\
Example:
  synod check history run.jsonl";

/// What can be checked.
#[derive(Clone, Debug, Subcommand)]
pub enum CheckWhat {
    /// A recorded history: is it linearizable?
    #[command(after_help = HISTORY)]
    History {
        /// The file, as `demo --history` writes it.
        file: PathBuf,
        /// Draw it: one page of HTML that needs nothing else.
        #[arg(long, env = "SYNOD_HTML", value_name = "OUT")]
        html: Option<PathBuf>,
    },
}

const HISTORY: &str = "\
Examples:
  synod check history run.jsonl
  synod check history run.jsonl -o json
  synod check history run.jsonl --html run.html

It ends with 0 if one order explains every answer, and with 1 if none does, if none was found in
time, or if nothing in the history could have been wrong.";

/// What a bench does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mix {
    /// Only puts.
    Put,
    /// Only gets.
    Get,
    /// Only appends.
    Append,
    /// Half gets, half puts.
    Mixed,
}

/// `synod bench`
#[derive(Args, Clone, Debug)]
pub struct Bench {
    /// What is done.
    #[arg(value_enum, default_value_t = Mix::Put)]
    pub mix: Mix,
    /// The nodes of the store; without it, three nodes are started as processes in a fresh
    /// directory and stopped afterwards.
    #[arg(long, env = "SYNOD_PEERS")]
    pub peers: Option<Addresses>,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
    /// Logical clients, each with one request under way.
    #[arg(long, short, env = "SYNOD_CLIENTS", default_value_t = 64)]
    pub clients: usize,
    /// Connections that they share; by default one for each 64.
    #[arg(long, env = "SYNOD_CONNECTIONS")]
    pub connections: Option<usize>,
    /// Bytes of a value.
    #[arg(long, env = "SYNOD_SIZE", default_value_t = 256)]
    pub size: usize,
    /// Different keys.
    #[arg(long, env = "SYNOD_KEYS", default_value_t = 10_000)]
    pub keys: u64,
    /// How long is measured, in seconds.
    #[arg(long, env = "SYNOD_SECONDS", default_value_t = 5)]
    pub seconds: u64,
    /// How long is run before that, in seconds.
    #[arg(long, env = "SYNOD_WARMUP", default_value_t = 1)]
    pub warmup: u64,
    /// Everything random is drawn from this.
    #[arg(long, env = "SYNOD_SEED", default_value_t = 1)]
    pub seed: u64,
}

pub(super) const BENCH: &str = "\
Examples:
  synod bench                                    puts of 64 clients, on three nodes of its own
  synod bench get --clients 16 --seconds 10
  synod bench mixed --peers 1=127.0.0.1:7001,2=127.0.0.1:7002,3=127.0.0.1:7003 -o json";

/// `synod chaos`
#[derive(Args, Clone, Debug)]
pub struct Chaos {
    /// How long, in seconds.
    #[arg(long, env = "SYNOD_SECONDS", default_value_t = 60)]
    pub seconds: u64,
    /// Clients, each with one request under way.
    #[arg(long, env = "SYNOD_CLIENTS", default_value_t = 16)]
    pub clients: usize,
    /// Everything random is drawn from this.
    #[arg(long, env = "SYNOD_SEED")]
    pub seed: Option<u64>,
    /// Where the replicas keep their data; by default a fresh directory, removed if all is well.
    #[arg(long, env = "SYNOD_DIR")]
    pub dir: Option<PathBuf>,
    /// Write what every client asked and heard to this file.
    #[arg(long, env = "SYNOD_HISTORY", value_name = "FILE")]
    pub history: Option<PathBuf>,
}

pub(super) const CHAOS: &str = "\
Examples:
  synod chaos                                    a minute of it
  synod chaos --seconds 10 --seed 7 --history run.jsonl";
