//! The command line: every verb, every flag, and the environment variable behind it.
//!
//! One rule ties flags and variables: `--snapshot-bytes` is `SYNOD_SNAPSHOT_BYTES`, in every verb
//! that has it, and nothing else is. A test walks the tree and holds every flag to it.

mod lock;
mod node;
mod pair;
mod store;
mod trial;

#[cfg(test)]
mod tests;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};

pub use lock::{
    Lock, LockAcquire, LockHolders, LockRelease, LockRenew, LockServe, LockTry, LockView, LockWhat,
    LockWith, Locks, Term, Wanted,
};
pub use node::{Init, Kv};
pub use pair::{Pb, PbServe, PbWhat, View, ViewServe, ViewWhat, Views};
pub use store::{
    Cas, Expected, Key, Keys, Load, On, Pairs, Scan, Servers, Shape, Shell, StoreKind, Write,
};
pub use trial::{Bench, Chaos, Check, CheckWhat, Demo, Mix};

use crate::{logtool::LogTool, snapshottool::SnapshotTool};

/// A durable, linearizable key/value store on Multi-Paxos.
#[derive(Debug, Parser)]
#[command(name = "synod", version, about, arg_required_else_help = true)]
#[command(after_help = "\
Begin with:
  synod demo                           three replicas, a killed leader, a verdict
  synod demo --layer pb                a primary and a backup, and every line between them cut
  synod help VERB                      what a verb does, with examples

Results go to standard output, narration to standard error. NO_COLOR is honoured, and SYNOD_LOG
says what is logged.

Exit codes: 0 ok, 1 a check failed, 2 usage, 3 not found, 4 refused (certainly not done),
5 outcome unknown (may have happened), 6 environment (certainly nothing done), 7 storage failure.")]
pub struct Cli {
    /// How results are printed: a table on a terminal, plain when they are piped.
    #[arg(short, long, global = true, env = "SYNOD_OUTPUT", value_name = "FORMAT")]
    pub output: Option<Format>,
    /// What kind of store is meant, by the verbs that talk to one.
    #[arg(long, global = true, env = "SYNOD_STORE", value_name = "KIND", default_value = "kv")]
    pub store: StoreKind,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: one object a line, 64-bit numbers that identify something as strings.
    Json,
    /// For scripts: values and nothing else.
    Plain,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// See it work: three nodes, a kill, a verdict.
    #[command(after_help = trial::DEMO)]
    Demo(Demo),
    /// Create the directory of a new node, once.
    #[command(after_help = node::INIT)]
    Init(Init),
    /// Run one node of a key/value store.
    #[command(after_help = node::KV)]
    Kv(Kv),
    /// Run the service that says which server is primary and which is backup, or look at it.
    #[command(after_help = pair::VIEW)]
    View(View),
    /// Run one server of a primary/backup store, or look at such a store.
    #[command(after_help = pair::PB)]
    Pb(Pb),
    /// Run a lock service, take locks from one, or look at it.
    #[command(after_help = lock::LOCK)]
    Lock(Lock),
    /// Set a key.
    #[command(after_help = store::PUT)]
    Put(On<Write>),
    /// Add to the end of a key's value.
    #[command(after_help = store::APPEND)]
    Append(On<Write>),
    /// Show a key's value.
    #[command(after_help = store::GET)]
    Get(On<Key>),
    /// Forget a key.
    #[command(after_help = store::DELETE)]
    Delete(On<Key>),
    /// Set a key if its value is what you expect.
    #[command(after_help = store::CAS)]
    Cas(On<Cas>),
    /// Show several keys' values, all of one moment.
    #[command(after_help = store::MGET)]
    Mget(On<Keys>),
    /// Set several keys at once, or none of them.
    #[command(after_help = store::MSET)]
    Mset(On<Pairs>),
    /// Show every key, or those that begin alike.
    #[command(after_help = store::SCAN)]
    ScanAll(On<Scan>),
    /// The same verbs at a prompt, with history and completion, or from a script.
    #[command(after_help = store::SHELL)]
    Shell(On<Shell>),
    /// Load a file of millions of lines, and go on where it stopped.
    #[command(after_help = store::LOAD)]
    Load(On<Load>),
    /// How the nodes are doing.
    #[command(after_help = store::STATUS)]
    Status(Servers),
    /// Look at a node's log.
    Wal(LogTool),
    /// Save the state of a store to a file, and make new clusters from it.
    Snapshot(SnapshotTool),
    /// Check what was recorded.
    #[command(after_help = trial::CHECK)]
    Check(Check),
    /// Measure a store.
    #[command(after_help = trial::BENCH)]
    Bench(Bench),
    /// Kill replicas at random under load, as processes, and judge what remains.
    #[command(after_help = trial::CHAOS)]
    Chaos(Chaos),
    /// What your shell needs to complete these commands.
    #[command(after_help = COMPLETIONS)]
    Completions(Completions),
    /// Which program this is.
    #[command(after_help = VERSION)]
    Version(Version),
}

/// `synod completions`
#[derive(Args, Clone, Debug)]
pub struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

const COMPLETIONS: &str = "\
Examples:
  synod completions bash > ~/.local/share/bash-completion/completions/synod
  synod completions zsh > \"${fpath[1]}/_synod\"
  synod completions fish > ~/.config/fish/completions/synod.fish";

/// `synod version`
#[derive(Args, Clone, Debug)]
pub struct Version {
    /// Formats, limits and how it was built, too.
    #[arg(long, env = "SYNOD_VERBOSE", value_parser = FalseyValueParser::new())]
    pub verbose: bool,
}

const VERSION: &str = "\
Examples:
  synod version
  synod version --verbose -o json";
