//! `synod pb`: a server of a primary/backup pair, run until told to stop, and how all are doing.

use std::{path::PathBuf, sync::Arc, time::Duration};

use net::{Addr, Network, Tcp};
use pbservice::{
    Config, Connections, Duty, Ended, Home, Node, Reply, Request, Storage, service::NodeStatus,
};
use protocol::NodeId;
use serde_json::{Value, json};
use viewservice::{MAX_SERVERS, Refused, SERVICE_NODE, Server};

use crate::{
    cli::{self, Format},
    failure::{Exit, Failure},
    print::{self, Mood},
    status,
    store::Site,
    view,
};

/// How long a server may take to tell how it is.
const GLANCE: Duration = Duration::from_secs(1);

/// How often a server looks at itself for something to say.
const NARRATION: Duration = Duration::from_millis(250);

/// How long a server may be without a number before it says what it waits for: a name is free
/// again a moment after whoever had it was killed.
const PATIENCE: Duration = Duration::from_secs(1);

/// `synod pb`
///
/// # Errors
///
/// If the server cannot start, was superseded, or its disk failed; if the store that is looked at
/// cannot be reached.
pub async fn run(flags: &cli::Pb, format: Format) -> Result<(), Failure> {
    match &flags.what {
        Some(cli::PbWhat::Status(views)) => {
            let site = Site::Pb { view: views.view.0.clone(), cluster: views.cluster };
            status::of(&site, views.budget(), format).await
        }
        None => serve(&flags.serve, format).await,
    }
}

/// Everything a server needs to know to start.
#[derive(Clone, Debug)]
pub struct PbSettings {
    /// This server.
    pub id: NodeId,
    /// Where it listens.
    pub listen: Addr,
    /// Where others reach it; where it listens, if there is nothing else to say.
    pub advertise: Option<Addr>,
    /// Where the view service is.
    pub view: Addr,
    /// The number that all nodes of one installation share.
    pub cluster: u64,
    /// Its directory; without one it keeps everything in memory.
    pub data: Option<PathBuf>,
}

impl PbSettings {
    fn from_flags(flags: &cli::PbServe) -> Result<Self, Failure> {
        let usage = |why: String| Failure::new(Exit::Usage, why);
        let missing = |what: &str, how: &str| {
            usage(format!("{what} is missing: {how}; to look at running ones: synod pb status"))
        };
        let id = flags.id.ok_or_else(|| missing("--id", "say which server this is"))?;
        if NodeId(id) == SERVICE_NODE {
            return Err(usage(format!("--id {id} is the view service's: number servers from 1")));
        }
        let view = flags.view.clone();
        let view = view.ok_or_else(|| missing("--view", "say where the view service is"))?;
        let data = match (flags.durable, flags.data.clone()) {
            (false, None) if flags.bootstrap => {
                return Err(usage("--bootstrap makes the directory of a --durable server".into()));
            }
            (false, None) => None,
            (true, Some(data)) => Some(data),
            (true, None) => return Err(missing("--data", "a --durable server needs a directory")),
            // Whoever names a directory may believe that something is kept there.
            (false, Some(_)) => {
                let why = "--data is for a --durable server: say both, or neither";
                return Err(usage(why.to_owned()));
            }
        };
        let anywhere = Addr::from("127.0.0.1:0");
        let listen = flags.listen.clone().map_or(anywhere, |place| place.0);
        let advertise = flags.advertise.clone().map(|place| place.0);
        let told = advertise.as_ref().unwrap_or(&listen);
        if is_everywhere(told) {
            return Err(usage(format!(
                "{told} is no address that others could reach: say with --advertise HOST:PORT where they reach this server"
            )));
        }
        Ok(Self { id: NodeId(id), listen, advertise, view: view.0, cluster: flags.cluster, data })
    }

    /// Creates the server's directory, once; nothing if it has none.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(&self) -> Result<(), Failure> {
        if let Some(data) = &self.data {
            Storage::init(data, self.cluster, self.id, &wal::Config::default())?;
        }
        Ok(())
    }

    /// Opens the server on `network`.
    ///
    /// # Errors
    ///
    /// If its directory or its address cannot be used.
    pub async fn open(&self, network: Arc<dyn Network>) -> Result<Node, Failure> {
        let storage = match &self.data {
            Some(data) => Storage::open(data, self.cluster, self.id, wal::Config::default())?,
            // Spreads its attempts to reach others; nothing else rests on it.
            None => Storage::memory(u64::from(std::process::id()) << 16 | u64::from(self.id.0)),
        };
        let addr = self.advertise.as_ref().map_or(String::new(), |addr| addr.as_str().to_owned());
        let config = Config::new(self.id, addr);
        let (cluster, addr, view) = (self.cluster, self.listen.clone(), self.view.clone());
        Ok(Node::open(config, Home { network, cluster, addr, view, storage }).await?)
    }
}

/// Whether an address means every address of its machine: good to listen on, and nothing to tell
/// others.
fn is_everywhere(addr: &Addr) -> bool {
    let host = addr.as_str().rsplit_once(':').map_or(addr.as_str(), |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_unspecified())
}

async fn serve(flags: &cli::PbServe, format: Format) -> Result<(), Failure> {
    let settings = PbSettings::from_flags(flags)?;
    if flags.bootstrap {
        settings.init()?;
    }
    let node = settings.open(Arc::new(Tcp)).await?;
    let (id, addr) = (settings.id.0, node.addr.to_string());
    let kept = settings.data.as_ref().map(|data| format!("in {}", data.display()));
    let kept = kept.unwrap_or_else(|| "in memory only".to_owned());
    eprintln!("server {id} listens on {addr}; what it has is kept {kept}");
    if format == Format::Json {
        // A server serves on when nobody reads what it says.
        let _ = print::json(&json!({"event": "serving", "node": id, "addr": addr}));
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ended = node.ended() => Err(last_words(&settings, &ended)),
        never = narrate(&settings, &node) => match never {},
        _ = terminate.recv() => stop(node).await,
        _ = tokio::signal::ctrl_c() => stop(node).await,
    }
}

async fn stop(node: Node) -> Result<(), Failure> {
    node.stop().await.map_err(|error| Failure::new(Exit::Storage, error))
}

/// Why a server ended by itself, in one sentence.
#[must_use]
pub fn last_words(settings: &PbSettings, ended: &Ended) -> Failure {
    let id = settings.id.0;
    match ended {
        Ended::Superseded(by) => Failure::new(
            Exit::Environment,
            format!(
                "server {id} ends: a later server under the same number, incarnation {}, has taken its place; give each running server a number of its own",
                by.incarnation
            ),
        ),
        Ended::Log(error) => {
            let data = settings.data.clone().unwrap_or_default();
            Failure::log(&data, "server", "nothing acknowledged is lost", error)
        }
    }
}

/// Says on standard error what changes for this server, for ever.
async fn narrate(settings: &PbSettings, node: &Node) -> std::convert::Infallible {
    let network: Arc<dyn Network> = Arc::new(Tcp);
    let connections = Connections::new(network, settings.cluster, settings.view.clone(), 1);
    let (mut said, mut waits) = (None, None);
    let born = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(NARRATION).await;
        let Ok(Reply::Status(status)) = node.door.request(None, Request::Status).await else {
            // It is about to end, and others say why.
            return std::future::pending().await;
        };
        if status.member.is_none() {
            if born.elapsed() >= PATIENCE {
                let asked = connections.views().await.map_err(|error| error.to_string());
                let why = why_nameless(settings.id, &settings.view, asked);
                if waits.as_ref() != Some(&why) {
                    eprintln!("server {} waits: {why}", settings.id.0);
                    waits = Some(why);
                }
            }
            continue;
        }
        let duty = (status.view.number, status.duty);
        if said != Some(duty) && status.view.number.0 > 0 {
            eprintln!("{}: server {} {}", status.view, settings.id.0, does(status.duty));
            said = Some(duty);
        }
    }
}

/// Why the view service at `view` has given server `id` no incarnation yet, by what it says of
/// itself.
fn why_nameless(id: NodeId, view: &Addr, asked: Result<viewservice::Status, String>) -> String {
    let servers = match asked {
        Ok(status) => status.servers,
        Err(why) => return format!("the view service at {view} cannot be reached ({why})"),
    };
    let full = servers.len() >= MAX_SERVERS;
    match servers.iter().find(|known| known.server.member.node == id) {
        Some(known) => format!(
            "another server under the number {} is alive at {}; this one takes its place when that is gone",
            id.0, known.server.addr
        ),
        None if full => format!(
            "the view service at {view} refuses it: {}; stop one that is idle, and this one is let in when that is forgotten",
            Refused::TooMany
        ),
        None => format!("the view service at {view} has not answered yet"),
    }
}

/// A duty as a verb.
fn does(duty: Duty) -> &'static str {
    match duty {
        Duty::Idle => "waits to be needed",
        Duty::Alone => "is primary, alone",
        Duty::Installing => "is primary, and gives its backup everything",
        Duty::Paired => "is primary, and its backup has everything",
        Duty::Fenced => "was primary; its backup knows a newer view",
        Duty::Backup => "is backup",
    }
}

/// A duty as a word.
pub(crate) fn word(duty: Duty) -> &'static str {
    match duty {
        Duty::Idle => "idle",
        Duty::Alone => "alone",
        Duty::Installing => "installing",
        Duty::Paired => "paired",
        Duty::Fenced => "fenced",
        Duty::Backup => "backup",
    }
}

type Asked = Result<NodeStatus, String>;

/// Asks every server that the view service knows how it is, and says what that means for the
/// store. Each may take a second, the view service `limit`.
///
/// # Errors
///
/// If the view service cannot be reached.
pub async fn report(
    connections: &Connections,
    site: &Site,
    limit: Duration,
    format: Format,
) -> Result<(), Failure> {
    let views = view::look(async || connections.views().await, site, limit).await?;
    let mut servers = Vec::new();
    for known in &views.servers {
        connections.meet(&known.server);
        let asked = connections.status(known.server.member.node);
        let status = match tokio::time::timeout(GLANCE, asked).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        servers.push((known.server.clone(), status));
    }
    let (sentence, healthy) = view::sentence(&views);
    match format {
        Format::Json => {
            for (server, status) in &servers {
                print::json(&line(server, status))?;
            }
            print::json(&json!({
                "healthy": healthy, "summary": sentence, "view": views.view.number.to_string(),
                "acknowledged": views.acknowledged,
            }))
        }
        Format::Table | Format::Plain => {
            let mood = if healthy { Mood::Good } else { Mood::Bad };
            print::line(print::coloured(&std::io::stdout(), mood, &sentence))?;
            let rows: Vec<Vec<String>> =
                servers.iter().map(|(it, status)| row(it, status)).collect();
            print::table(&HEADING, &rows)
        }
    }
}

const HEADING: [&str; 10] =
    ["NODE", "DUTY", "VIEW", "KEYS", "BYTES", "SESSIONS", "LAST", "FORWARDED", "SYNCS", "ADDRESS"];

fn row(server: &Server, status: &Asked) -> Vec<String> {
    let node = server.member.node.0.to_string();
    let addr = print::cell(server.addr.as_bytes());
    let NodeStatus { server, log, .. } = match status {
        Ok(status) => status,
        Err(why) => {
            let mut row = vec![node, format!("unreachable: {why}")];
            row.resize(HEADING.len(), String::new());
            return row;
        }
    };
    vec![
        node,
        word(server.duty).to_owned(),
        server.view.number.to_string(),
        server.keys.to_string(),
        server.bytes.to_string(),
        server.sessions.to_string(),
        server.last.0.to_string(),
        server.forwarded.0.to_string(),
        log.as_ref().map_or("-".to_owned(), |log| log.syncs.to_string()),
        addr,
    ]
}

fn line(server: &Server, status: &Asked) -> Value {
    let member = server.member;
    let (node, incarnation) = (member.node.0, member.incarnation.0.to_string());
    match status {
        Ok(NodeStatus { server: it, log, connections }) => json!({
            "node": node, "up": true, "incarnation": incarnation, "addr": server.addr,
            "duty": word(it.duty), "view": it.view.number.to_string(), "whole": it.whole,
            "keys": it.keys, "bytes": it.bytes, "sessions": it.sessions,
            "last": it.last.0.to_string(), "forwarded": it.forwarded.0.to_string(),
            "log": log.as_ref().map(|log| json!({
                "syncs": log.syncs, "records": log.records, "segments": log.segments,
                "live_bytes": log.live_bytes, "last_sync_us": log.last_sync_us,
                "max_sync_us": log.max_sync_us,
            })),
            "connections": connections,
        }),
        Err(why) => json!({
            "node": node, "up": false, "incarnation": incarnation, "addr": server.addr, "why": why,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use viewservice::{Incarnation, Member, Role, ServerStatus, Status, View, ViewNum};

    use super::*;

    fn knows(count: u16) -> Status {
        let server = |node: u16| ServerStatus {
            server: Server {
                member: Member { node: NodeId(node), incarnation: Incarnation(u64::from(node)) },
                addr: format!("127.0.0.1:{node}"),
            },
            silent: Duration::ZERO,
            pinged: Some(ViewNum(1)),
            role: Role::Idle,
        };
        Status {
            view: View::default(),
            adopted: true,
            acknowledged: true,
            since: Duration::ZERO,
            issued: Incarnation(u64::from(count)),
            servers: (1..=count).map(server).collect(),
            stuck: None,
        }
    }

    #[test]
    fn a_server_without_a_number_says_the_true_reason() {
        let view = Addr::from("127.0.0.1:9");
        let most = u16::try_from(MAX_SERVERS).expect("few");
        let why = |asked| why_nameless(NodeId(most + 1), &view, asked);
        assert!(why(Err("down".to_owned())).contains("cannot be reached (down)"));
        assert!(why(Ok(knows(most - 1))).contains("has not answered yet"));
        let full = why(Ok(knows(most)));
        assert!(full.contains("64 servers are known") && full.contains("stop one"), "{full}");
        let taken = why(Ok(knows(most + 1)));
        assert!(taken.contains("another server under the number 65 is alive"), "{taken}");
    }
}
