//! Nodes as processes of their own: started, killed, started again, and all ended at the end.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use clap::Args;
use net::Addr;
use protocol::NodeId;

use crate::{cli::Kv, settings::Addresses};

/// A group of nodes, each a process. Whatever still runs is killed when this is dropped.
pub struct Processes {
    program: PathBuf,
    dir: PathBuf,
    cluster: u64,
    /// Every node and where it listens.
    pub peers: Addresses,
    /// Further flags for each node.
    pub flags: Vec<String>,
    running: BTreeMap<NodeId, Child>,
}

impl Processes {
    /// A group of `count` nodes in `dir`, run by this very program, none started yet.
    ///
    /// # Errors
    ///
    /// If no free ports can be found.
    pub fn new(dir: &Path, count: u16, cluster: u64) -> std::io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            dir: dir.to_owned(),
            cluster,
            peers: free_addresses(count)?,
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

    /// Starts a node; the first time its directory is created.
    ///
    /// # Errors
    ///
    /// If the process cannot be started.
    pub fn start(&mut self, node: NodeId) -> std::io::Result<()> {
        let data = self.data(node);
        let mut command = Command::new(&self.program);
        command
            .arg("kv")
            .args(["--id", &node.0.to_string()])
            .args(["--peers", &self.peers.to_string()])
            .args(["--cluster", &self.cluster.to_string()])
            .arg("--data")
            .arg(&data)
            .args(&self.flags);
        // What is meant for the verb that starts nodes is not meant for the nodes.
        for flag in Kv::augment_args(clap::Command::new("kv")).get_arguments() {
            flag.get_env().map(|name| command.env_remove(name));
        }
        if !data.exists() {
            command.arg("--bootstrap");
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

/// So many loopback addresses that were free a moment ago.
///
/// # Errors
///
/// If there are none.
pub fn free_addresses(count: u16) -> std::io::Result<Addresses> {
    let mut held = Vec::new();
    let mut addresses = BTreeMap::new();
    for node in 1..=count {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        addresses.insert(NodeId(node), Addr::from(listener.local_addr()?.to_string()));
        held.push(listener);
    }
    Ok(Addresses(addresses))
}
