//! `synod snapshot`: a store's whole state as one file, and new clusters made from it.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use clap::{Args, Subcommand, builder::FalseyValueParser};
use kvpaxos::{Client, Connections, Store};
use net::Tcp;
use paxos::{Ballot, Record, Slot};
use paxosrsm::{Index, Restored, Sessions, machine::fingerprint, message::Chunk};
use protocol::NodeId;
use serde_json::json;
use tokio::time::Instant;
use wal::{ClusterId, Identity, Portable, PortableError, RealDisk, Snapshots, StreamId};

use crate::{
    cli::{Format, StoreKind},
    failure::{Exit, Failure},
    logtool, print,
    settings::Addresses,
    store,
};

/// How often a node that is writing a snapshot is asked whether it is done.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a snapshot may be replaced by a newer one while it is pulled.
const ATTEMPTS: usize = 5;

/// `synod snapshot`
#[derive(Args, Clone, Debug)]
pub struct SnapshotTool {
    /// What to do.
    #[command(subcommand)]
    pub what: Doing,
}

/// What can be done with snapshots.
#[derive(Clone, Debug, Subcommand)]
pub enum Doing {
    /// Save the state of a running store to a file: everything that was acknowledged before.
    #[command(after_help = "Example:\n  synod snapshot save store.snapshot")]
    Save(Save),
    /// Make the directory of one node of a new cluster from such a file. Do it once for each
    /// node, from the same file.
    #[command(after_help = "Example:\n  synod snapshot restore store.snapshot --id 1 --data new/1")]
    Restore(Restore),
    /// What is in such a file, and whether it is whole.
    #[command(after_help = "Example:\n  synod snapshot info store.snapshot")]
    Info {
        /// The file.
        file: PathBuf,
    },
}

/// `synod snapshot save`
#[derive(Args, Clone, Debug)]
pub struct Save {
    /// The file to write.
    pub file: PathBuf,
    /// The nodes of the store: 1=127.0.0.1:7001,2=...
    #[arg(long, env = "SYNOD_PEERS")]
    pub peers: Option<Addresses>,
    /// The number that all nodes of one installation share.
    #[arg(long, env = "SYNOD_CLUSTER", default_value_t = 1)]
    pub cluster: u64,
    /// How long to wait for the nodes, and for each step of the transfer, in milliseconds.
    #[arg(long, env = "SYNOD_TIMEOUT", default_value_t = 30_000)]
    pub timeout: u64,
    /// Take it from this node instead of the leader.
    #[arg(long, env = "SYNOD_NODE")]
    pub node: Option<u16>,
    /// Take the newest snapshot in this node's directory instead; what was written after that
    /// one is not in it.
    #[arg(long, env = "SYNOD_FROM")]
    pub from: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long, env = "SYNOD_FORCE", value_parser = FalseyValueParser::new())]
    pub force: bool,
}

/// `synod snapshot restore`
#[derive(Args, Clone, Debug)]
pub struct Restore {
    /// The file that `synod snapshot save` wrote.
    pub file: PathBuf,
    /// The node's new directory.
    #[arg(long, env = "SYNOD_DATA")]
    pub data: PathBuf,
    /// The node's number.
    #[arg(long, env = "SYNOD_ID")]
    pub id: u16,
    /// The number of the new cluster. By default one that follows from the file, so that nodes
    /// restored from different files never meet; the variable of other commands is not asked, since
    /// it names the old cluster.
    #[arg(long)]
    pub cluster: Option<u64>,
}

/// `synod snapshot`
///
/// # Errors
///
/// Each exit code says what was done.
pub async fn run(
    flags: &SnapshotTool,
    (store, format): (StoreKind, Format),
) -> Result<(), Failure> {
    match &flags.what {
        Doing::Save(_) if store == StoreKind::Pb => Err(store::lacks("snapshots")),
        Doing::Save(save) => self::save(save, format).await,
        Doing::Restore(restore) => self::restore(restore, format),
        Doing::Info { file } => {
            let portable = Portable::load(file).map_err(refused)?;
            show(file, &Contents::of(&portable, file)?, format)
        }
    }
}

fn refused(error: PortableError) -> Failure {
    use PortableError as E;
    let exit = match &error {
        E::Exists { .. } | E::NotEmpty { .. } | E::SameCluster { .. } => Exit::Refused,
        E::Damaged { .. } => Exit::Storage,
        E::Foreign { .. } | E::Io { .. } => Exit::Environment,
        E::Open(_) => Exit::Storage,
    };
    Failure::new(exit, error)
}

/// What a saved snapshot holds.
struct Contents {
    cluster: u128,
    slot: u64,
    chain: u64,
    sessions: usize,
    keys: usize,
    bytes: usize,
    checksum: u32,
}

impl Contents {
    /// Opens the state itself: a file can be whole and still hold something else.
    fn of(portable: &Portable, file: &Path) -> Result<Self, Failure> {
        // Counted, then let go: the bytes are what is kept.
        let image = Bytes::copy_from_slice(&portable.payload);
        let state = Restored::<Sessions<Store>>::open(&image)
            .filter(|state| state.applied.0 == portable.index);
        let Some(state) = state else {
            let why = "it does not hold the state of a key/value store".to_owned();
            return Err(refused(PortableError::Damaged { file: file.display().to_string(), why }));
        };
        Ok(Self {
            cluster: portable.cluster.0,
            slot: portable.index,
            chain: state.chain,
            sessions: state.machine.len(),
            keys: state.machine.machine().len(),
            bytes: portable.payload.len(),
            checksum: portable.checksum(),
        })
    }
}

fn show(file: &Path, it: &Contents, format: Format) -> Result<(), Failure> {
    let Contents { cluster, slot, chain, sessions, keys, bytes, checksum } = it;
    match format {
        Format::Json => print::json(&json!({"file": file.display().to_string(),
            "cluster": cluster.to_string(), "slot": slot, "chain": format!("{chain:016x}"),
            "sessions": sessions, "keys": keys, "bytes": bytes,
            "checksum": format!("{checksum:08x}")}))?,
        Format::Plain | Format::Table => {
            print::line(format!("{}: sound, taken from cluster {cluster}", file.display()))?;
            print::line(format!(
                "everything below slot {slot}: {keys} keys, {sessions} sessions, {bytes} bytes"
            ))?;
            print::line(format!("checksum {checksum:08x}, history {chain:016x}"))?;
        }
    }
    Ok(())
}

async fn save(flags: &Save, format: Format) -> Result<(), Failure> {
    if !flags.force && flags.file.exists() {
        let file = flags.file.display().to_string();
        return Err(refused(PortableError::Exists { file }));
    }
    let portable = match (&flags.from, &flags.peers) {
        (Some(dir), _) => newest_in(dir)?,
        (None, Some(peers)) => pull(flags, peers).await?,
        (None, None) => {
            let why = "say where from: --peers names a running store, --from a node's directory";
            return Err(Failure::new(Exit::Usage, why));
        }
    };
    let contents = Contents::of(&portable, &flags.file)?;
    portable.save(&flags.file, flags.force).map_err(refused)?;
    show(&flags.file, &contents, format)?;
    Ok(())
}

/// The newest sound snapshot in a node's directory, whose server may be running.
fn newest_in(dir: &Path) -> Result<Portable, Failure> {
    let disk = Arc::new(RealDisk::read_only(dir));
    if !dir.is_dir() {
        return Err(logtool::trouble(dir, wal::OpenError::Empty { dir: String::new() }));
    }
    let cluster = Identity::peek(&*disk).map_err(|error| logtool::trouble(dir, error))?.cluster;
    let snapshots = Snapshots::new(disk);
    let mut newest = wal::snapshots::Newest::default();
    for _ in 0..ATTEMPTS {
        newest = snapshots.newest(StreamId(0))?;
        // A running server removes old snapshots: one that is gone is looked for again.
        if newest.damaged.is_empty() {
            break;
        }
    }
    for damaged in &newest.damaged {
        eprintln!("passed over: {damaged}");
    }
    let Some((snapshot, payload)) = newest.found else {
        let dir = dir.display();
        let why =
            format!("{dir} holds no sound snapshot yet: save from the running store with --peers");
        return Err(Failure::new(Exit::NotFound, why));
    };
    Ok(Portable { cluster, index: snapshot.index, payload })
}

/// Has a running node take a snapshot of at least everything acknowledged so far, and pulls it.
async fn pull(flags: &Save, peers: &Addresses) -> Result<Portable, Failure> {
    let connections = Connections::new(
        Arc::new(Tcp),
        flags.cluster,
        peers.0.clone(),
        u64::from(std::process::id()),
    );
    let budget = Duration::from_millis(flags.timeout);
    let mut client = Client::new(connections.clone(), u64::from(std::process::id()));
    client.budget = budget;
    // Answered by a leader that a majority has just confirmed: it has applied all there is.
    client.get(Bytes::new()).await?;
    let (node, covering) = source(flags, &connections).await?;
    for _ in 0..ATTEMPTS {
        let deadline = Instant::now() + budget;
        let upto = loop {
            match connections.snapshot(node, covering).await {
                Ok(Some(upto)) => break upto,
                _ if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Ok(None) => {
                    return Err(gave_up(node, "took no snapshot in time; see what it logs"));
                }
                Err(error) => return Err(gave_up(node, &format!("cannot be reached ({error})"))),
            }
        };
        if upto == Index(0) {
            let why = "the store is empty: there is nothing to save";
            return Err(Failure::new(Exit::NotFound, why));
        }
        if let Some(payload) = pieces(&connections, node, upto, budget).await? {
            let cluster = ClusterId(u128::from(flags.cluster));
            return Ok(Portable { cluster, index: upto.0, payload });
        }
    }
    Err(gave_up(node, "replaces its snapshots faster than they can be pulled; try again"))
}

fn gave_up(node: NodeId, why: &str) -> Failure {
    Failure::new(Exit::Environment, format!("nothing was saved: node {} {why}", node.0))
}

/// Which node to take it from, and what the snapshot must cover.
async fn source(flags: &Save, connections: &Connections) -> Result<(NodeId, Index), Failure> {
    let mut covering = Index(0);
    let mut node = None;
    for server in connections.servers() {
        let Ok(status) = connections.status(*server).await else { continue };
        covering = covering.max(status.replica.applied);
        if status.replica.agreement.role == "leader" || node.is_none() {
            node = Some(*server);
        }
    }
    let named = flags.node.map(NodeId);
    if let Some(named) = named.filter(|named| !connections.servers().contains(named)) {
        let why = format!("--peers does not name node {}", named.0);
        return Err(Failure::new(Exit::Usage, why));
    }
    let none = || Failure::new(Exit::Environment, "no node can be reached: nothing was saved");
    Ok((named.or(node).ok_or_else(none)?, covering))
}

/// All of a snapshot, piece by piece; `None` if it is gone there.
async fn pieces(
    connections: &Connections,
    node: NodeId,
    upto: Index,
    budget: Duration,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut payload = Vec::new();
    let mut deadline = Instant::now() + budget;
    let narrate = std::io::stderr().is_terminal();
    loop {
        let offset = payload.len() as u64;
        match connections.piece(node, Chunk { upto, offset }).await {
            Ok(piece) if piece.total == 0 || piece.offset != offset || piece.upto != upto => {
                return Ok(None);
            }
            Ok(piece) => {
                payload.extend_from_slice(&piece.bytes);
                if narrate {
                    eprint!("\r{} of {} bytes", payload.len(), piece.total);
                }
                if payload.len() as u64 >= piece.total {
                    if narrate {
                        eprintln!();
                    }
                    return Ok(Some(payload));
                }
                if piece.bytes.is_empty() {
                    return Ok(None);
                }
                deadline = Instant::now() + budget;
            }
            Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(gave_up(node, &format!("cannot be reached ({error})"))),
        }
    }
}

/// The number that follows from a file, for a cluster made from it.
fn number_of(portable: &Portable) -> u64 {
    let number = fingerprint(portable.index, &portable.payload);
    if u128::from(number) == portable.cluster.0 { !number } else { number }
}

fn restore(flags: &Restore, format: Format) -> Result<(), Failure> {
    let portable = Portable::load(&flags.file).map_err(refused)?;
    let contents = Contents::of(&portable, &flags.file)?;
    let cluster = flags.cluster.unwrap_or_else(|| number_of(&portable));
    // Every slot that the snapshot covers is settled, and nothing was promised to anybody yet.
    let floor = Slot(portable.index);
    let record =
        Record::Checkpoint { promised: Ballot::NONE, floor, settled: floor, snapshot: Some(floor) };
    let mut bytes = Vec::new();
    paxos::server::encode_record(&record, &mut bytes);
    let (id, config) = (NodeId(flags.id), wal::Config::default());
    let whose = ClusterId(u128::from(cluster));
    portable.restore(&flags.data, whose, id, config, &bytes).map_err(refused)?;
    let data = flags.data.display();
    match format {
        Format::Json => print::json(&json!({"node": id.0, "cluster": cluster.to_string(),
            "data": data.to_string(), "slot": contents.slot, "keys": contents.keys,
            "sessions": contents.sessions, "checksum": format!("{:08x}", contents.checksum)}))?,
        Format::Plain | Format::Table => {
            print::line(format!(
                "node {} of cluster {cluster} in {data}: {} keys",
                id.0, contents.keys
            ))?;
        }
    }
    eprintln!(
        "restore the other nodes from the same file (checksum {:08x}), then start each with: \
         synod kv --id {} --cluster {cluster} --data {data} --peers ...",
        contents.checksum, id.0
    );
    Ok(())
}
