//! One node of a store: opened, run until told to stop, stopped.

use std::{path::PathBuf, sync::Arc};

use net::{Network, Tcp};
use paxosrsm::{core::Config, engine::Neighbours, server::Group, storage::Storage};
use protocol::NodeId;
use serde_json::json;

use crate::{
    cli::{self, Format},
    failure::{Exit, Failure},
    print,
    settings::{Addresses, File},
};

/// Everything a node needs to know to start.
#[derive(Clone)]
pub struct NodeSettings {
    /// This node.
    pub id: NodeId,
    /// All nodes, this one among them.
    pub peers: Addresses,
    /// Its directory.
    pub data: PathBuf,
    /// The number that all nodes of one installation share.
    pub cluster: u64,
    /// Take a snapshot after so many bytes of commands.
    pub snapshot_bytes: Option<u64>,
}

impl NodeSettings {
    /// What the command line and its settings file say together.
    ///
    /// # Errors
    ///
    /// If something is missing or makes no sense.
    pub fn from_flags(flags: &cli::Kv) -> Result<Self, Failure> {
        let file = flags.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let missing = |what: &str| {
            let why = format!("{what} is missing: give it as a flag or in the file of --config");
            Failure::new(Exit::Usage, why)
        };
        let id = NodeId(flags.id.or(file.id).ok_or_else(|| missing("--id"))?);
        let named = file.addresses()?;
        let peers = flags.peers.clone().or(named).ok_or_else(|| missing("--peers"))?;
        let data = flags.data.clone().or(file.data).ok_or_else(|| missing("--data"))?;
        if !peers.0.contains_key(&id) {
            let why = format!("--peers does not name node {}: add {}=HOST:PORT", id.0, id.0);
            return Err(Failure::new(Exit::Usage, why));
        }
        let cluster = flags.cluster.or(file.cluster).unwrap_or(1);
        Ok(Self { id, peers, data, cluster, snapshot_bytes: flags.snapshot_bytes })
    }

    /// Creates the node's directory, once.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(&self) -> Result<(), Failure> {
        let cluster = wal::ClusterId(u128::from(self.cluster));
        wal::init_dir(&self.data, cluster, self.id, &wal::Config::default())?;
        Ok(())
    }

    /// Opens the node on `network`.
    ///
    /// # Errors
    ///
    /// If its directory or its address cannot be used.
    pub async fn open(&self, network: Arc<dyn Network>) -> Result<Group<paxos::Config>, Failure> {
        let members: Vec<NodeId> = self.peers.0.keys().copied().collect();
        let engine = paxos::Config::new(self.id, members);
        engine.validate().map_err(|error| Failure::new(Exit::Usage, error))?;
        // The log is ready before anybody is listened to: zeroing it may take longer than an
        // election's patience.
        let storage = Storage::open(&self.data, self.cluster, self.id, wal::Config::default())?;
        let mut config = Config::new(self.id);
        config.snapshot_bytes = self.snapshot_bytes.unwrap_or(config.snapshot_bytes);
        let neighbours = Neighbours {
            network,
            cluster: self.cluster,
            me: self.id,
            addrs: self.peers.0.clone(),
            seed: storage.seed,
        };
        Ok(kvpaxos::server::open(engine, config, storage, neighbours).await?)
    }
}

/// `synod init`
///
/// # Errors
///
/// If the directory holds a node already or cannot be made.
pub fn init(flags: &cli::Init, format: Format) -> Result<(), Failure> {
    let cluster = wal::ClusterId(u128::from(flags.cluster));
    wal::init_dir(&flags.data, cluster, NodeId(flags.id), &wal::Config::default())?;
    let (id, data) = (flags.id, flags.data.display());
    let start = match NodeId(id) {
        viewservice::SERVICE_NODE => format!(
            "synod view --data {data} --listen ..., or: synod lock serve --data {data} --listen ..."
        ),
        _ => format!(
            "synod kv --id {id} --data {data} --peers ..., or: synod pb --id {id} --data {data} --durable --view ..."
        ),
    };
    eprintln!("created node {id} of cluster {} in {data}; start it with: {start}", flags.cluster);
    match format {
        Format::Json => print::json(&json!({
            "node": flags.id, "cluster": flags.cluster.to_string(), "data": flags.data,
        })),
        Format::Plain => print::line(flags.data.display().to_string()),
        Format::Table => Ok(()),
    }
}

/// `synod kv`: runs a node until it is told to stop or its disk fails.
///
/// # Errors
///
/// If it cannot start, or its disk failed.
pub async fn run(flags: &cli::Kv, format: Format) -> Result<(), Failure> {
    let settings = NodeSettings::from_flags(flags)?;
    if flags.bootstrap {
        settings.init()?;
    }
    let mut group = settings.open(Arc::new(Tcp)).await?;
    eprintln!("node {} serves on {}", settings.id.0, group.addr);
    if format == Format::Json {
        let (node, addr) = (settings.id.0, group.addr.to_string());
        // A node serves on when nobody reads what it says.
        let _ = print::json(&json!({"event": "serving", "node": node, "addr": addr}));
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let ended = tokio::select! {
        ended = group.ended() => ended,
        _ = terminate.recv() => group.stop().await,
        _ = tokio::signal::ctrl_c() => group.stop().await,
    };
    let lost = "nothing acknowledged is lost";
    ended.map_err(|error| Failure::log(&settings.data, "node", lost, error))
}
