//! The flags of nodes.

use std::path::PathBuf;

use clap::{Args, builder::FalseyValueParser};

use crate::settings::Addresses;

/// `synod init`
#[derive(Args, Clone, Debug)]
pub struct Init {
    /// This node's number; 0 for a view service or a lock service.
    #[arg(long, env = "SYNOD_ID")]
    pub id: u16,
    /// Its directory; must not hold a node already.
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
}

pub(super) const INIT: &str = "\
Examples:
  synod init --id 1 --data data/1
  synod kv --id 1 --data data/1 --peers 1=127.0.0.1:7001,2=127.0.0.1:7002,3=127.0.0.1:7003
  synod init --id 0 --data data/view
  synod view --listen 127.0.0.1:7100 --data data/view
  synod init --id 0 --data data/locks
  synod lock serve --listen 127.0.0.1:7200 --data data/locks
  synod init --id 1 --data data/pb-1
  synod pb --id 1 --view 127.0.0.1:7100 --durable --data data/pb-1";

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
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The number that all nodes of one installation share [default: 1].
    #[arg(long, env = "SYNOD_CLUSTER")]
    pub cluster: Option<u64>,
    /// A TOML file with any of these: id, cluster, data, and a table of peers.
    #[arg(long, env = "SYNOD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Create the directory first. Refused if it holds a node.
    #[arg(long, env = "SYNOD_BOOTSTRAP", value_parser = FalseyValueParser::new())]
    pub bootstrap: bool,
    /// Take a snapshot after so many bytes of commands.
    #[arg(long, env = "SYNOD_SNAPSHOT_BYTES", value_name = "BYTES")]
    pub snapshot_bytes: Option<u64>,
}

pub(super) const KV: &str = "\
Examples:
  synod kv --id 1 --data data/1 --peers 1=127.0.0.1:7001,2=127.0.0.1:7002,3=127.0.0.1:7003
  synod kv --config node-1.toml

A settings file:
  id = 1
  data = \"data/1\"
  [peers]
  1 = \"127.0.0.1:7001\"
  2 = \"127.0.0.1:7002\"
  3 = \"127.0.0.1:7003\"

It runs until SIGTERM or Ctrl-C, or until its disk fails (exit code 7).";
