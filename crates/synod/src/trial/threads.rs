//! Replicas in this process, each on a thread with a runtime of its own.

use std::{collections::BTreeMap, sync::Arc, thread::JoinHandle, time::Duration};

use net::{Network, Tcp, Weather};
use protocol::NodeId;
use tokio::sync::oneshot;

use crate::{
    failure::{Exit, Failure},
    node::NodeSettings,
};

/// How long the files of a life that was cut short may stay locked: its last thread is still
/// letting go of them.
const LET_GO: Duration = Duration::from_secs(3);

/// The label under which clients see the weather.
const CLIENTS: &str = "clients";

/// Replicas in this process. Whatever still runs is stopped when this is dropped.
pub struct Threads {
    weather: Weather,
    settings: BTreeMap<NodeId, NodeSettings>,
    running: BTreeMap<NodeId, Replica>,
}

struct Replica {
    /// Sent or dropped: the thread ends.
    end: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Failure>>,
}

fn label(node: NodeId) -> String {
    format!("replica {}", node.0)
}

impl Threads {
    /// Replicas with these settings, none started yet.
    #[must_use]
    pub fn new(settings: BTreeMap<NodeId, NodeSettings>) -> Self {
        Self { weather: Weather::new(), settings, running: BTreeMap::new() }
    }

    /// The network as clients see it.
    #[must_use]
    pub fn network(&self) -> Arc<dyn Network> {
        Arc::new(self.weather.over(Arc::new(Tcp), CLIENTS))
    }

    /// Starts a replica; the first time its directory is created.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub async fn start(&mut self, node: NodeId) -> Result<(), Failure> {
        let Some(settings) = self.settings.get(&node).cloned() else { return Ok(()) };
        if !settings.data.exists() {
            settings.init()?;
        }
        let network: Arc<dyn Network> = Arc::new(self.weather.over(Arc::new(Tcp), &label(node)));
        let (end, ended) = oneshot::channel();
        let (ready, opened) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(label(node))
            .spawn(move || live(&settings, network, ready, ended))?;
        if opened.await.is_err() {
            let told = thread.join().unwrap_or(Ok(()));
            let vanished = Failure::new(Exit::Failed, format!("{} did not start", label(node)));
            return Err(told.err().unwrap_or(vanished));
        }
        self.running.insert(node, Replica { end, thread });
        Ok(())
    }

    /// Stops a replica between two of its turns. It says no goodbye: its connections break.
    pub async fn kill(&mut self, node: NodeId) {
        if let Some(Replica { end, thread }) = self.running.remove(&node) {
            drop(end);
            // Its end waits for the disk; the clients here must not.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }

    /// Cuts a replica off from everybody.
    pub fn cut(&self, node: NodeId) {
        self.weather.isolate(&label(node));
    }

    /// Ends every cut.
    pub fn heal(&self) {
        self.weather.clear();
    }

    /// Whether a replica runs.
    #[must_use]
    pub fn runs(&self, node: NodeId) -> bool {
        self.running.contains_key(&node)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.heal();
        let ending: Vec<_> = std::mem::take(&mut self.running)
            .into_values()
            .map(|Replica { end, thread }| {
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

/// One life of a replica, from opening its directory to its sudden end.
fn live(
    settings: &NodeSettings,
    network: Arc<dyn Network>,
    ready: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let group = runtime.block_on(async {
        let until = tokio::time::Instant::now() + LET_GO;
        let mut group = loop {
            match settings.open(Arc::clone(&network)).await {
                Ok(group) => break group,
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
            failed = group.ended() => failed?,
            _ = ended => {}
        }
        Ok::<_, Failure>(group)
    })?;
    // All its tasks and sockets vanish at once, in the middle of whatever they did.
    drop(runtime);
    drop(group);
    Ok(())
}
