//! View service, servers and the echo, each in a process of its own: this program again.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use net::{Addr, Tcp};
use pbservice::{Client, Config, Connections, Home, Node, Storage, storage::LogConfig};
use protocol::NodeId;
use viewservice::{SERVICE_NODE, View, server as views};

use crate::{Outcome, echo};

/// The number that every process here shares.
pub(crate) const CLUSTER: u64 = 9;

/// Time in which whatever should happen does.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process of ours. Killed when dropped, and it ends by itself if we do.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) addr: Addr,
}

impl Process {
    fn start(words: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("child")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut addr = String::new();
        let said = child.stdout.take().ok_or("it says where it listens")?;
        BufReader::new(said).read_line(&mut addr)?;
        let process = Self { child, addr: Addr::from(addr.trim()) };
        if addr.is_empty() {
            return Err(format!("{words:?} did not start").into());
        }
        Ok(process)
    }

    pub(crate) fn views() -> Outcome<Self> {
        Self::start(&["views"])
    }

    pub(crate) fn echo() -> Outcome<Self> {
        Self::start(&["echo"])
    }

    /// Server `me`; durable if it has a home, and reached under another address if one is given.
    pub(crate) fn server(
        me: u16,
        view: &Addr,
        home: Option<&Path>,
        reached: Option<&Addr>,
    ) -> Outcome<Self> {
        let me = me.to_string();
        let home = home.map(|home| home.join(&me).display().to_string()).unwrap_or_default();
        let reached = reached.map(Addr::as_str).unwrap_or_default();
        Self::start(&["server", &me, view.as_str(), &home, reached])
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.kill();
    }
}

/// What one of the processes does, until whoever started it is gone.
pub(crate) async fn live(role: &[&str]) -> Outcome<()> {
    std::thread::spawn(|| {
        // Its end is all that is ever heard there.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match role {
        ["views"] => {
            let (network, storage) = (Arc::new(Tcp), views::Storage::memory());
            let (cluster, me, addr) = (CLUSTER, SERVICE_NODE, Addr::any());
            let home = views::Home { network, cluster, me, addr, storage };
            let mut service = views::Service::open(home).await?;
            println!("{}", service.addr);
            Ok(service.ended().await?)
        }
        ["server", me, view, home, reached] => {
            let me = NodeId(me.parse()?);
            let storage = if home.is_empty() {
                Storage::memory(u64::from(me.0))
            } else {
                let (home, config) = (Path::new(home), LogConfig::default());
                Storage::init(home, CLUSTER, me, &config)?;
                Storage::open(home, CLUSTER, me, config)?
            };
            let (network, view, addr) = (Arc::new(Tcp), Addr::from(*view), Addr::any());
            let home = Home { network, cluster: CLUSTER, addr, view, storage };
            let node = Node::open(Config::new(me, *reached), home).await?;
            println!("{}", node.addr);
            Err(node.ended().await.into())
        }
        ["echo"] => echo::serve().await,
        other => Err(format!("no such role: {other:?}").into()),
    }
}

/// A view service, and clients of its store.
pub(crate) struct Store {
    pub(crate) views: Process,
    pub(crate) connections: Connections,
}

impl Store {
    pub(crate) fn new() -> Outcome<Self> {
        let views = Process::views()?;
        let connections = Connections::new(Arc::new(Tcp), CLUSTER, views.addr.clone(), 1);
        Ok(Self { views, connections })
    }

    /// Starts a server with nothing but its memory.
    pub(crate) fn server(&self, me: u16) -> Outcome<Process> {
        Process::server(me, &self.views.addr, None, None)
    }

    /// A client over these connections, with patience.
    pub(crate) fn client(&self, seed: u64) -> Client {
        let mut client = Client::new(self.connections.clone(), seed);
        client.budget = PATIENCE;
        client
    }

    /// Waits until the view in force is as wanted and acknowledged.
    pub(crate) async fn becomes(&self, wanted: impl Fn(&View) -> bool) -> Outcome<View> {
        let began = Instant::now();
        loop {
            if let Ok(status) = self.connections.views().await
                && status.acknowledged
                && wanted(&status.view)
            {
                return Ok(status.view);
            }
            if began.elapsed() > PATIENCE {
                return Err("the view that was waited for never came".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
