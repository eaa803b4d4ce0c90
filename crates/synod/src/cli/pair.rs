//! The flags of a primary/backup pair, and of the view service that says who is which.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::FalseyValueParser};

use crate::settings::Place;

/// `synod view`: the service itself, or a look at one.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct View {
    /// To run one.
    #[command(flatten)]
    pub serve: ViewServe,
    /// To look at one.
    #[command(subcommand)]
    pub what: Option<ViewWhat>,
}

/// What can be asked of a view service.
#[derive(Clone, Debug, Subcommand)]
pub enum ViewWhat {
    /// Who is primary, who is backup, and who was heard when.
    #[command(after_help = VIEW_STATUS)]
    Status(Views),
}

/// How a view service is run.
#[derive(Args, Clone, Debug)]
pub struct ViewServe {
    /// Where it listens: HOST:PORT.
    #[arg(long, env = "SYNOD_LISTEN", value_name = "ADDR")]
    pub listen: Option<Place>,
    /// Its directory, made by `synod init --id 0`.
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
    /// Create the directory first. Refused if it holds a node.
    #[arg(long, env = "SYNOD_BOOTSTRAP", value_parser = FalseyValueParser::new())]
    pub bootstrap: bool,
}

pub(super) const VIEW: &str = "\
Examples:
  synod init --id 0 --data data/view
  synod view --listen 127.0.0.1:7100 --data data/view
  synod view status --view 127.0.0.1:7100

It is node 0 of its installation and keeps every view on disk, so that it can be killed and started
again at any time: it goes on where it was. While it is away no server takes another's place. It
runs until SIGTERM or Ctrl-C, or until its disk fails (exit code 7).";

/// Where a view service is.
#[derive(Args, Clone, Debug)]
pub struct Views {
    /// The view service: HOST:PORT.
    #[arg(long, env = "SYNOD_VIEW", value_name = "ADDR")]
    pub view: Place,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
    /// How long to try, in milliseconds.
    #[arg(long, env = "SYNOD_TIMEOUT", default_value_t = 5000, value_name = "MS")]
    pub timeout: u64,
}

impl Views {
    /// How long to try.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

const VIEW_STATUS: &str = "\
Examples:
  synod view status --view 127.0.0.1:7100
  SYNOD_VIEW=127.0.0.1:7100 synod view status -o json

A view is acknowledged when its primary has said that its backup has everything, or that there is
none: only then may another take the primary's place. VIEW is the newest view a server has named,
HEARD is when it last gave a sign of life.";

/// `synod pb`: a server, or a look at a store of such servers.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Pb {
    /// To run one.
    #[command(flatten)]
    pub serve: PbServe,
    /// To look at a store.
    #[command(subcommand)]
    pub what: Option<PbWhat>,
}

/// What can be asked of a primary/backup store.
#[derive(Clone, Debug, Subcommand)]
pub enum PbWhat {
    /// How the servers are doing.
    #[command(after_help = PB_STATUS)]
    Status(Views),
}

/// How a server is run.
#[derive(Args, Clone, Debug)]
pub struct PbServe {
    /// This server's number, from 1 on.
    #[arg(long, env = "SYNOD_ID")]
    pub id: Option<u16>,
    /// The view service: HOST:PORT.
    #[arg(long, env = "SYNOD_VIEW", value_name = "ADDR")]
    pub view: Option<Place>,
    /// Where it listens: HOST:PORT, by default a free port of the loopback device.
    #[arg(long, env = "SYNOD_LISTEN", value_name = "ADDR")]
    pub listen: Option<Place>,
    /// Where others reach it, if that is not where it listens; needed with 0.0.0.0 and ::.
    #[arg(long, env = "SYNOD_ADVERTISE", value_name = "ADDR")]
    pub advertise: Option<Place>,
    /// Keep everything on disk, in the directory of --data, before anybody is answered.
    #[arg(long, env = "SYNOD_DURABLE", value_parser = FalseyValueParser::new())]
    pub durable: bool,
    /// The directory of a durable server, made by `synod init`.
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
    /// Create the directory first. Refused if it holds a node.
    #[arg(long, env = "SYNOD_BOOTSTRAP", value_parser = FalseyValueParser::new())]
    pub bootstrap: bool,
}

pub(super) const PB: &str = "\
Examples:
  synod pb --id 1 --view 127.0.0.1:7100
  synod init --id 2 --data data/2
  synod pb --id 2 --view 127.0.0.1:7100 --durable --data data/2
  synod pb status --view 127.0.0.1:7100
  synod --store pb put greeting hello --view 127.0.0.1:7100

The first server that comes is primary, the second its backup; more wait to be needed. Without
--durable a server that ends has forgotten everything: what was acknowledged is safe as long as
the primary or its backup lives. With it both have everything on disk before anybody is told, and
a pair that lost power together goes on where it was.

It runs until SIGTERM or Ctrl-C. It ends by itself with 6 if a later life of its number took its
place, and with 7 if its disk fails. While another server under its number lives it waits, and
says so.";

const PB_STATUS: &str = "\
Examples:
  synod pb status --view 127.0.0.1:7100
  SYNOD_VIEW=127.0.0.1:7100 synod pb status -o json

DUTY is what a server does in the newest view it knows: alone and installing answer clients by
themselves, paired waits for its backup before it answers, fenced has heard of a newer view. LAST
and FORWARDED are places in the stream of the view: sequenced or received, and known to be at the
backup.";
