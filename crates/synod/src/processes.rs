//! Nodes as processes of their own: started, killed, started again, and all ended at the end.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use clap::CommandFactory;
use net::Addr;
use protocol::NodeId;
use viewservice::SERVICE_NODE;

use crate::{cli::Cli, settings::Addresses};

/// What the nodes of a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Replicas that agree by Paxos.
    Kv,
    /// A view service, which is node 0, and servers.
    Pair {
        /// Whether the servers keep what they have on disk; the view service always does.
        durable: bool,
    },
}

/// A group of nodes, each a process. Whatever still runs is killed when this is dropped.
pub struct Processes {
    program: PathBuf,
    dir: PathBuf,
    cluster: u64,
    make: Make,
    /// Every node and where it listens.
    pub peers: Addresses,
    /// Further flags for each node; not for a view service.
    pub flags: Vec<String>,
    running: BTreeMap<NodeId, Child>,
}

impl Processes {
    /// A group of `count` replicas in `dir`, run by this very program, none started yet.
    ///
    /// # Errors
    ///
    /// If no free ports can be found.
    pub fn new(dir: &Path, count: u16, cluster: u64) -> std::io::Result<Self> {
        Self::of(Make::Kv, dir, 1..=count, cluster)
    }

    /// A view service and `count` servers, likewise.
    ///
    /// # Errors
    ///
    /// If no free ports can be found.
    pub fn pair(dir: &Path, count: u16, cluster: u64, durable: bool) -> std::io::Result<Self> {
        Self::of(Make::Pair { durable }, dir, SERVICE_NODE.0..=count, cluster)
    }

    fn of(
        make: Make,
        dir: &Path,
        nodes: RangeInclusive<u16>,
        cluster: u64,
    ) -> std::io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            dir: dir.to_owned(),
            cluster,
            make,
            peers: free_addresses(nodes)?,
            flags: Vec::new(),
            running: BTreeMap::new(),
        })
    }

    /// The same, run by the program at `path`.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.program);
        self
    }

    /// The directory of a node.
    #[must_use]
    pub fn data(&self, node: NodeId) -> PathBuf {
        self.dir.join(format!("node-{}", node.0))
    }

    /// Where a node listens.
    ///
    /// # Panics
    ///
    /// If it is none of this group's.
    #[must_use]
    pub fn addr(&self, node: NodeId) -> &Addr {
        self.peers.0.get(&node).expect("a node of this group")
    }

    /// The verb that runs a node, and its own flags.
    fn role(&self, node: NodeId) -> Vec<String> {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (id, addr) = (node.0.to_string(), self.addr(node).as_str());
        let peers = self.peers.to_string();
        let mut words: Vec<String> = match self.make {
            Make::Kv => text(&["kv", "--id", &id, "--peers", &peers]),
            Make::Pair { .. } if node == SERVICE_NODE => {
                return text(&["view", "--listen", addr]);
            }
            Make::Pair { durable } => {
                let view = self.addr(SERVICE_NODE).as_str();
                let words = text(&["pb", "--id", &id, "--listen", addr, "--view", view]);
                let kept = durable.then(|| "--durable".to_owned());
                words.into_iter().chain(kept).collect()
            }
        };
        words.extend(self.flags.iter().cloned());
        words
    }

    /// Starts a node; the first time its directory is created.
    ///
    /// # Errors
    ///
    /// If the process cannot be started.
    pub fn start(&mut self, node: NodeId) -> std::io::Result<()> {
        let data = self.data(node);
        let role = self.role(node);
        let mut command = Command::new(&self.program);
        command.args(&role).args(["--cluster", &self.cluster.to_string()]);
        if node == SERVICE_NODE || self.make != (Make::Pair { durable: false }) {
            command.arg("--data").arg(&data);
            if !data.exists() {
                command.arg("--bootstrap");
            }
        }
        // What is meant for the verb that starts nodes is not meant for the nodes.
        if let Some(verb) = Cli::command().find_subcommand(&role[0]) {
            for flag in verb.get_arguments() {
                flag.get_env().map(|name| command.env_remove(name));
            }
        }
        // What a node says is kept beside its data, for whoever wants to know why it stopped.
        let said = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join(format!("node-{}.log", node.0)))?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        self.running.insert(node, command.spawn()?);
        Ok(())
    }

    /// Starts every node.
    ///
    /// # Errors
    ///
    /// If a process cannot be started.
    pub fn start_all(&mut self) -> std::io::Result<()> {
        for node in self.peers.0.keys().copied().collect::<Vec<_>>() {
            self.start(node)?;
        }
        Ok(())
    }

    /// SIGKILL: the node stops between two instructions.
    ///
    /// # Errors
    ///
    /// If it cannot be killed or waited for.
    pub fn kill(&mut self, node: NodeId) -> std::io::Result<()> {
        if let Some(mut child) = self.running.remove(&node) {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Whether a node's process has ended by itself, and how.
    pub fn ended(&mut self, node: NodeId) -> Option<std::process::ExitStatus> {
        self.running.get_mut(&node)?.try_wait().ok().flatten()
    }

    /// The process id of a node, if it runs.
    #[must_use]
    pub fn id(&self, node: NodeId) -> Option<u32> {
        self.running.get(&node).map(Child::id)
    }

    /// The process ids of the nodes that run.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.running.values().map(Child::id).collect()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // It may have ended already; either way it is gone afterwards.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Loopback addresses for these nodes that were free a moment ago.
///
/// # Errors
///
/// If there are none.
pub fn free_addresses(nodes: RangeInclusive<u16>) -> std::io::Result<Addresses> {
    let mut held = Vec::new();
    let mut addresses = BTreeMap::new();
    for node in nodes {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        addresses.insert(NodeId(node), Addr::from(listener.local_addr()?.to_string()));
        held.push(listener);
    }
    Ok(Addresses(addresses))
}
