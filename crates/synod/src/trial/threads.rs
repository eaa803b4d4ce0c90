//! Nodes in this process, each on a thread with a runtime of its own.

use std::{collections::BTreeMap, fmt, sync::Arc, thread::JoinHandle, time::Duration};

use net::{Network, Tcp, Weather};
use protocol::NodeId;
use tokio::sync::oneshot;

use super::role::Role;
use crate::failure::{Exit, Failure};

/// How long the files of a life that was cut short may stay locked: its last thread is still
/// letting go of them.
const LET_GO: Duration = Duration::from_secs(3);

/// Who can be cut off from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// All clients.
    Clients,
    /// One node.
    Node(NodeId),
}

/// The label under which the weather knows it.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients => f.write_str("clients"),
            Self::Node(node) => write!(f, "node {}", node.0),
        }
    }
}

/// Nodes in this process. Whatever still runs is stopped when this is dropped.
pub struct Threads {
    weather: Weather,
    roles: BTreeMap<NodeId, Role>,
    running: BTreeMap<NodeId, Life>,
}

struct Life {
    /// Sent or dropped: the thread ends.
    end: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Threads {
    /// Nodes with these parts, none started yet.
    #[must_use]
    pub fn new(roles: BTreeMap<NodeId, Role>) -> Self {
        Self { weather: Weather::new(), roles, running: BTreeMap::new() }
    }

    /// The network as somebody sees it.
    fn network_of(&self, party: Party) -> Arc<dyn Network> {
        Arc::new(self.weather.over(Arc::new(Tcp), &party.to_string()))
    }

    /// The network as clients see it.
    #[must_use]
    pub fn network(&self) -> Arc<dyn Network> {
        self.network_of(Party::Clients)
    }

    /// Starts a node; the first time its directory is created.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub async fn start(&mut self, node: NodeId) -> Result<(), Failure> {
        let Some(role) = self.roles.get(&node).cloned() else { return Ok(()) };
        if role.data().is_some_and(|data| !data.exists()) {
            role.init()?;
        }
        let network = self.network_of(Party::Node(node));
        let (end, ended) = oneshot::channel();
        let (ready, opened) = oneshot::channel();
        let name = Party::Node(node).to_string();
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || live(&role, network, ready, ended))?;
        if opened.await.is_err() {
            let told = thread.join().unwrap_or(Ok(()));
            let vanished = Failure::new(Exit::Failed, format!("{name} did not start"));
            return Err(told.err().unwrap_or(vanished));
        }
        self.running.insert(node, Life { end, thread });
        Ok(())
    }

    /// Stops a node between two of its turns. It says no goodbye: its connections break.
    pub async fn kill(&mut self, node: NodeId) {
        if let Some(Life { end, thread }) = self.running.remove(&node) {
            drop(end);
            // Its end waits for the disk; the clients here must not.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }

    /// Whether a node's thread has ended by itself.
    #[must_use]
    pub fn ended(&self, node: NodeId) -> bool {
        self.running.get(&node).is_some_and(|life| life.thread.is_finished())
    }

    /// Cuts a node off from everybody.
    pub fn cut(&self, node: NodeId) {
        self.weather.isolate(&Party::Node(node).to_string());
    }

    /// Cuts two off from each other, both ways.
    pub fn part(&self, one: Party, other: Party) {
        let (one, other) = (one.to_string(), other.to_string());
        self.weather.cut(&one, &other);
        self.weather.cut(&other, &one);
    }

    /// Ends every cut.
    pub fn heal(&self) {
        self.weather.clear();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.heal();
        let ending: Vec<_> = std::mem::take(&mut self.running)
            .into_values()
            .map(|Life { end, thread }| {
                drop(end);
                thread
            })
            .collect();
        for thread in ending {
            // However it ended, nothing of it is left.
            let _ = thread.join();
        }
    }
}

/// One life of a node, from opening its directory to its sudden end.
fn live(
    role: &Role,
    network: Arc<dyn Network>,
    ready: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let running = runtime.block_on(async {
        let until = tokio::time::Instant::now() + LET_GO;
        let mut running = loop {
            match role.open(Arc::clone(&network)).await {
                Ok(running) => break running,
                Err(failure)
                    if failure.exit == Exit::Environment && tokio::time::Instant::now() < until =>
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(failure) => return Err(failure),
            }
        };
        let _ = ready.send(());
        tokio::select! {
            failure = running.ended() => return Err(failure),
            _ = ended => {}
        }
        Ok::<_, Failure>(running)
    })?;
    // All its tasks and sockets vanish at once, in the middle of whatever they did.
    drop(runtime);
    drop(running);
    Ok(())
}
