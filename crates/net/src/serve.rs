//! A server: takes connections, hears who they are, and hands each to the service it asked for.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use protocol::NodeId;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    Connection, Counters, Listener, Mount, Running, Stop,
    hello::{self, Hello, HelloError, Refusal},
    limits::{CONNECTIONS, FIRST_ACCEPT_PAUSE, HELLO_TIME, LAST_ACCEPT_PAUSE, REFUSING},
};

/// Services by name, behind one or more listeners.
pub struct Server {
    cluster: u64,
    me: NodeId,
    limit: usize,
    mounts: BTreeMap<String, Mount>,
    counters: Arc<Counters>,
}

impl Server {
    /// A server of node `me` in `cluster` that serves nothing yet.
    #[must_use]
    pub fn new(cluster: u64, me: NodeId) -> Self {
        Self {
            cluster,
            me,
            limit: CONNECTIONS,
            mounts: BTreeMap::new(),
            counters: Arc::new(Counters::default()),
        }
    }

    /// Serves `mount` under `name`.
    #[must_use]
    pub fn mount(mut self, name: &str, mount: Mount) -> Self {
        self.mounts.insert(name.to_owned(), mount);
        self
    }

    /// Allows this many connections instead of [`CONNECTIONS`].
    #[must_use]
    pub fn connections(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// What happened to its connections.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Serves whoever comes to `listener` until stopped. Everything it starts ends with it.
    #[must_use]
    pub fn start(self, mut listener: Box<dyn Listener>) -> Running<()> {
        let (stop, stopped) = Stop::new();
        let server = Arc::new(Shared { server: self, greeted: AtomicUsize::new(0) });
        Running::spawn(stop, async move {
            let mut tasks = JoinSet::new();
            {
                let stopped = std::pin::pin!(stopped.wait());
                let serving = std::pin::pin!(accept_all(&server, &mut *listener, &mut tasks));
                futures_util::future::select(stopped, serving).await;
            }
            // New callers are refused from here on; those inside are told by the closing socket.
            drop(listener);
            tasks.shutdown().await;
        })
    }
}

struct Shared {
    server: Server,
    /// Connections that hold a place.
    greeted: AtomicUsize,
}

async fn accept_all(shared: &Arc<Shared>, listener: &mut dyn Listener, tasks: &mut JoinSet<()>) {
    let counters = &shared.server.counters;
    let mut pause = FIRST_ACCEPT_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = tasks.join_next() => {
                if ended.is_err_and(|error| error.is_panic()) {
                    Counters::add(&counters.panics);
                }
                continue;
            }
        };
        match accepted {
            Ok(stream) => {
                pause = FIRST_ACCEPT_PAUSE;
                Counters::add(&counters.accepted);
                if tasks.len() < shared.server.limit + REFUSING {
                    tasks.spawn(connection(Arc::clone(shared), stream));
                } else {
                    Counters::add(&counters.dropped);
                }
            }
            Err(error) => {
                Counters::add(&counters.accept_errors);
                pause = after_failure(&error, pause).await;
            }
        }
    }
}

/// Waits while the process is out of something; other errors concern one connection only. Returns
/// the next pause.
async fn after_failure(error: &io::Error, pause: Duration) -> Duration {
    /// File descriptors of the process, of the system, and memory.
    const EXHAUSTED: [i32; 3] = [24, 23, 12];
    let exhausted = error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code));
    if !exhausted {
        // Not even a listener that fails for ever may starve the other tasks.
        tokio::task::yield_now().await;
        return FIRST_ACCEPT_PAUSE;
    }
    tracing::warn!(%error, ?pause, "cannot accept connections");
    tokio::time::sleep(pause).await;
    (pause * 2).min(LAST_ACCEPT_PAUSE)
}

/// A place among the connections of a server; given back however the connection ends.
struct Place<'a> {
    shared: &'a Shared,
    granted: bool,
}

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Self {
        shared.server.counters.open.fetch_add(1, Relaxed);
        let granted = shared.greeted.fetch_add(1, Relaxed) < shared.server.limit;
        Self { shared, granted }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.greeted.fetch_sub(1, Relaxed);
        self.shared.server.counters.open.fetch_sub(1, Relaxed);
    }
}

async fn connection(shared: Arc<Shared>, mut stream: Connection) {
    let place = Place::take(&shared);
    let counters = &shared.server.counters;
    let greeting = greeting(&shared.server, place.granted, &mut stream);
    let (hello, mount) = match timeout(HELLO_TIME, greeting).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(error)) => return counters.greeting(&error),
        Err(_) => return Counters::add(&counters.slow_hello),
    };
    let who = hello.clone();
    let outcome = mount.serve(hello, stream).await;
    if let Err(error) = &outcome {
        tracing::debug!(node = ?who.node, service = who.service, %error, "connection closed");
    }
    counters.served(outcome.as_ref());
}

async fn greeting(
    server: &Server,
    granted: bool,
    stream: &mut Connection,
) -> Result<(Hello, Mount), HelloError> {
    let heard = hello::hear(stream).await;
    let verdict = match heard {
        // Even he who only wants to be told no must say who he is: that bounds what he costs.
        _ if !granted => Err(Refusal::TooMany),
        Ok(hello) => server.choose(&hello).map(|mount| (hello, mount)),
        Err(HelloError::Version { .. }) => Err(Refusal::WrongVersion { ours: hello::VERSION }),
        Err(error) => return Err(error),
    };
    match verdict {
        Ok(greeted) => {
            hello::answer(stream, Ok(server.me)).await?;
            Ok(greeted)
        }
        Err(refusal) => {
            hello::answer(stream, Err(refusal.clone())).await?;
            Err(HelloError::Refused(refusal))
        }
    }
}

impl Server {
    fn choose(&self, hello: &Hello) -> Result<Mount, Refusal> {
        if hello.cluster != self.cluster {
            return Err(Refusal::WrongCluster { ours: self.cluster });
        }
        let mount = self.mounts.get(&hello.service).ok_or(Refusal::UnknownService)?;
        mount.admits(hello)?;
        Ok(mount.clone())
    }
}
