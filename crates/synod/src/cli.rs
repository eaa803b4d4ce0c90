//! The command line: every verb, every flag, and the environment variable behind it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{logtool::LogTool, settings::Addresses, snapshottool::SnapshotTool};

/// A durable, linearizable key/value store on Multi-Paxos.
#[derive(Debug, Parser)]
#[command(name = "synod", version, about, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 ok, 1 a check failed, 2 usage, 3 not found, 4 refused \
    (certainly not done), 5 outcome unknown (may have happened), 6 environment (certainly nothing \
    done), 7 storage failure.")]
pub struct Cli {
    /// How results are printed; plain when they are piped.
    #[arg(short, long, global = true, env = "SYNOD_OUTPUT")]
    pub output: Option<Format>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: one object a line.
    Json,
    /// For scripts: values and nothing else.
    Plain,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// See it work: three replicas, a killed leader, a verdict.
    Demo(Demo),
    /// Create the directory of a new node, once.
    Init(Init),
    /// Run one node of a key/value store.
    Kv(Kv),
    /// Set a key.
    Put(Write),
    /// Add to the end of a key's value.
    Append(Write),
    /// Show a key's value.
    Get(Key),
    /// Forget a key.
    Delete(Key),
    /// Set a key if its value is what you expect.
    Cas(Cas),
    /// How the nodes are doing.
    Status(Servers),
    /// Look at a node's log.
    Wal(LogTool),
    /// Save the state of a store to a file, and make new clusters from it.
    Snapshot(SnapshotTool),
    /// Check what was recorded.
    Check(Check),
    /// Measure a store.
    Bench(Bench),
    /// Kill replicas at random under load, as processes, and judge what remains.
    Chaos(Chaos),
}

/// `synod demo`
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Where the replicas keep their data; by default a fresh directory, removed if all is well.
    #[arg(long, env = "SYNOD_DIR")]
    pub dir: Option<PathBuf>,
    /// What is loaded first: lines of KEY, tab, VALUE, else words to be counted. By default the
    /// repository's own Cargo.lock.
    #[arg(long, env = "SYNOD_LOAD")]
    pub load: Option<PathBuf>,
    /// Everything random is drawn from this.
    #[arg(long, env = "SYNOD_SEED")]
    pub seed: Option<u64>,
    /// End with the verdict instead of a prompt.
    #[arg(long)]
    pub no_shell: bool,
    /// Run each replica as a process of its own, and kill with SIGKILL.
    #[arg(long)]
    pub processes: bool,
    /// Write what every client asked and heard to this file.
    #[arg(long, env = "SYNOD_HISTORY")]
    pub history: Option<PathBuf>,
}

/// `synod init`
#[derive(Args, Clone, Debug)]
pub struct Init {
    /// This node's number.
    #[arg(long, env = "SYNOD_ID")]
    pub id: u16,
    /// Its directory; must not hold a node already.
    #[arg(long, env = "SYNOD_DATA")]
    pub data: PathBuf,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
}

/// `synod kv`
#[derive(Args, Clone, Debug)]
pub struct Kv {
    /// This node's number.
    #[arg(long, env = "SYNOD_ID")]
    pub id: Option<u16>,
    /// Every node and where it listens: 1=127.0.0.1:7001,2=...
    #[arg(long, env = "SYNOD_PEERS")]
    pub peers: Option<Addresses>,
    /// This node's directory, made by `synod init`.
    #[arg(long, env = "SYNOD_DATA")]
    pub data: Option<PathBuf>,
    /// The number that all nodes of one installation share [default: 1].
    #[arg(long, env = "SYNOD_CLUSTER")]
    pub cluster: Option<u64>,
    /// A TOML file with any of these: id, cluster, data, and a table of peers.
    #[arg(long, env = "SYNOD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Create the directory first. Refused if it holds a node.
    #[arg(long)]
    pub bootstrap: bool,
    /// Take a snapshot after so many bytes of commands.
    #[arg(long, env = "SYNOD_SNAPSHOT_BYTES")]
    pub snapshot_bytes: Option<u64>,
}

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
    #[arg(long, env = "SYNOD_TIMEOUT", default_value_t = 5000)]
    pub timeout: u64,
}

impl Servers {
    /// How long to try.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

/// A key of a store.
#[derive(Args, Clone, Debug)]
pub struct Key {
    /// The key.
    pub key: String,
    /// Which store.
    #[command(flatten)]
    pub servers: Servers,
}

/// A key and a value.
#[derive(Args, Clone, Debug)]
pub struct Write {
    /// The key.
    pub key: String,
    /// The value; `-` reads it from standard input.
    pub value: String,
    /// Which store.
    #[command(flatten)]
    pub servers: Servers,
}

/// `synod cas`
#[derive(Args, Clone, Debug)]
#[group(id = "expectation", required = true, multiple = false, args = ["expect", "version", "absent"])]
pub struct Cas {
    /// The key.
    pub key: String,
    /// The new value; `-` reads it from standard input.
    pub value: String,
    /// The value you expect.
    #[arg(long)]
    pub expect: Option<String>,
    /// The version you expect.
    #[arg(long = "if-version", id = "version")]
    pub version: Option<u64>,
    /// You expect nothing there.
    #[arg(long)]
    pub absent: bool,
    /// Which store.
    #[command(flatten)]
    pub servers: Servers,
}

/// `synod check`
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// What to check.
    #[command(subcommand)]
    pub what: CheckWhat,
}

/// What can be checked.
#[derive(Clone, Debug, Subcommand)]
pub enum CheckWhat {
    /// A recorded history: is it linearizable?
    History {
        /// The file, as `demo --history` writes it.
        file: PathBuf,
        /// Draw it: one page of HTML that needs nothing else.
        #[arg(long, value_name = "OUT")]
        html: Option<PathBuf>,
    },
}

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
    #[arg(long, short, default_value_t = 64)]
    pub clients: usize,
    /// Connections that they share; by default one for each 64.
    #[arg(long)]
    pub connections: Option<usize>,
    /// Bytes of a value.
    #[arg(long, default_value_t = 256)]
    pub size: usize,
    /// Different keys.
    #[arg(long, default_value_t = 10_000)]
    pub keys: u64,
    /// How long is measured, in seconds.
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// How long is run before that, in seconds.
    #[arg(long, default_value_t = 1)]
    pub warmup: u64,
    /// Everything random is drawn from this.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `synod chaos`
#[derive(Args, Clone, Debug)]
pub struct Chaos {
    /// How long, in seconds.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Clients, each with one request under way.
    #[arg(long, default_value_t = 16)]
    pub clients: usize,
    /// Everything random is drawn from this.
    #[arg(long, env = "SYNOD_SEED")]
    pub seed: Option<u64>,
    /// Where the replicas keep their data; by default a fresh directory, removed if all is well.
    #[arg(long, env = "SYNOD_DIR")]
    pub dir: Option<PathBuf>,
    /// Write what every client asked and heard to this file.
    #[arg(long, env = "SYNOD_HISTORY")]
    pub history: Option<PathBuf>,
}
