//! The shell: where the service keeps its memory, whom it answers, who drives it. No decision is
//! made here.

use std::{io, path::Path, sync::Arc};

use net::{
    Addr, Alone, Ask, Bounds, Counters, Inbox, Life, Mount, Network, Running, Server, drive,
    hello::Hello, inbox, limits,
};
use protocol::{Log, Lsn, NodeId};
use tarpc::{context::Context, server::Serve};
use wal::{ClusterId, Disk, Identity, MemoryLog, RealDisk, StreamId, Wal};

use crate::{
    core::{Discontinued, ViewService},
    message::{Join, Joined, Ping, Pong, Refused, Reply, Request, Status},
    record::{self, RecordError},
    service::Views,
    view::View,
};

/// Under this name the view service is reached.
pub const SERVICE: &str = "view";

/// What one connection may ask for: its words are short.
pub const BOUNDS: Bounds = Bounds { frame: 64 << 10, in_flight: limits::CLIENT_IN_FLIGHT };

/// The stream of its log.
const STREAM: StreamId = StreamId(0);

/// Where the service writes, and what was kept of its earlier lives.
pub struct Storage {
    /// Where records go.
    pub log: Box<dyn Log + Send>,
    /// The number of the first record kept, and all of them in order.
    pub kept: (Lsn, Vec<Vec<u8>>),
    /// The log itself, to keep it open and to look at.
    pub wal: Option<Arc<Wal>>,
}

impl Storage {
    /// Creates the directory of a view service, once.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(
        path: &Path,
        cluster: u64,
        me: NodeId,
        config: &wal::Config,
    ) -> Result<(), wal::OpenError> {
        wal::init_dir(path, ClusterId(u128::from(cluster)), me, config).map(|_| ())
    }

    /// The directory that `init` has made.
    ///
    /// # Errors
    ///
    /// If it is not there, is somebody else's, is in use, or is damaged: one sentence with the
    /// next step.
    pub fn open(
        path: &Path,
        cluster: u64,
        me: NodeId,
        config: wal::Config,
    ) -> Result<Self, wal::OpenError> {
        Self::on(Arc::new(RealDisk::open(path)?), cluster, me, config)
    }

    /// The same on any disk that holds a view service already.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on(
        disk: Arc<dyn Disk>,
        cluster: u64,
        me: NodeId,
        config: wal::Config,
    ) -> Result<Self, wal::OpenError> {
        let identity = Identity::open(&*disk, ClusterId(u128::from(cluster)), me)?;
        let (wal, recovered) = Wal::open(disk, &identity, config)?;
        let kept = recovered
            .into_iter()
            .find(|stream| stream.stream == STREAM)
            .map_or((Lsn(1), Vec::new()), |stream| (stream.first, stream.records));
        Ok(Self { log: Box::new(wal.stream(STREAM)), kept, wal: Some(Arc::new(wal)) })
    }

    /// Nothing outlives the process: for tests and demonstrations that say so.
    #[must_use]
    pub fn memory() -> Self {
        Self { log: Box::new(MemoryLog::new()), kept: (Lsn(1), Vec::new()), wal: None }
    }
}

/// Where a view service lives.
pub struct Home {
    /// How it is reached.
    pub network: Arc<dyn Network>,
    /// The number that every node of this installation shares.
    pub cluster: u64,
    /// The node it greets with; [`SERVICE_NODE`](crate::SERVICE_NODE) by convention.
    pub me: NodeId,
    /// Where it listens.
    pub addr: Addr,
    /// Its memory.
    pub storage: Storage,
}

/// Why a view service could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A record of its past cannot be read.
    #[error("the log holds a record that cannot be read: {0}")]
    Record(#[from] RecordError),
    /// The records do not fit together.
    #[error(transparent)]
    Past(#[from] Discontinued),
    /// Its address cannot be listened on.
    #[error("cannot listen on {addr}: {why}")]
    Listen {
        /// Where.
        addr: Addr,
        /// Why not.
        why: io::Error,
    },
}

/// Answers by asking the core behind the door.
#[derive(Clone)]
struct Handlers {
    door: Inbox<Request, Reply>,
    peer: Option<NodeId>,
}

impl Handlers {
    async fn ask(self, request: Request) -> Reply {
        self.door.ask(self.peer, request).await
    }
}

/// A core that answers a request with a reply of another kind is our bug.
fn wrong(reply: &Reply) -> ! {
    panic!("the core answered with a reply of the wrong kind: {reply:?}")
}

impl Views for Handlers {
    async fn join(self, _: Context, join: Join) -> Result<Joined, Refused> {
        match self.ask(Request::Join(join)).await {
            Reply::Joined(result) => result,
            other => wrong(&other),
        }
    }

    async fn ping(self, _: Context, ping: Ping) -> Result<Pong, Refused> {
        match self.ask(Request::Ping(ping)).await {
            Reply::Pong(result) => result,
            other => wrong(&other),
        }
    }

    async fn get(self, _: Context) -> View {
        match self.ask(Request::Get).await {
            Reply::View(view) => view,
            other => wrong(&other),
        }
    }

    async fn status(self, _: Context) -> Status {
        match self.ask(Request::Status).await {
            Reply::Status(status) => status,
            other => wrong(&other),
        }
    }
}

/// A running view service.
pub struct Service {
    /// The way in, for the own process.
    pub door: Inbox<Request, Reply>,
    /// Where it listens.
    pub addr: Addr,
    /// What happened to its connections.
    pub counters: Arc<Counters>,
    /// Its log, to look at; absent if it has none on disk.
    pub wal: Option<Arc<Wal>>,
    driver: Running<io::Result<()>>,
    server: Running<()>,
}

impl Service {
    /// Opens the service: recovers it from what its log kept, listens, and drives it.
    ///
    /// # Errors
    ///
    /// If its past cannot be read, or its address cannot be listened on.
    pub async fn open(home: Home) -> Result<Self, OpenError> {
        let Home { network, cluster, me, addr: at, storage } = home;
        let Storage { log, kept: (first, records), wal } = storage;
        let mut past = Vec::with_capacity(records.len());
        for (lsn, bytes) in (first.0..).zip(&records) {
            past.push((Lsn(lsn), record::decode(bytes)?));
        }
        let saved = Lsn(first.0 - 1 + past.len() as u64);
        let core = ViewService::recover(past)?;
        let listener =
            network.listen(&at).await.map_err(|why| OpenError::Listen { addr: at, why })?;
        let addr = listener.addr();
        let (door, post) = inbox(limits::INBOX);
        let handlers = door.clone();
        let mount = Mount::tarpc(BOUNDS, move |hello: &Hello| {
            let handlers = Handlers { door: handlers.clone(), peer: hello.node }.serve();
            move |context, request| handlers.clone().serve(context, request)
        });
        let server = Server::new(cluster, me).mount(SERVICE, mount);
        let counters = server.counters();
        let server = server.start(listener);
        let stop = post.stopper();
        let output = |view: View| tracing::info!(%view, "a new view");
        let (encode, calls) = (record::encode, Alone);
        let life = Life { me, core, saved, log, encode, calls, post, output };
        let driver = Running::spawn(stop, net::abort_on_panic("the view service", drive(life)));
        Ok(Self { door, addr, counters, wal, driver, server })
    }

    /// Waits until the service ends by itself: its log failed.
    ///
    /// # Errors
    ///
    /// What the disk said. Whatever was answered is safe; the process must end.
    pub async fn ended(&mut self) -> io::Result<()> {
        self.driver.ended().await.unwrap_or(Ok(()))
    }

    /// Stops the service and waits until nothing of it is left.
    ///
    /// # Errors
    ///
    /// If its log failed.
    pub async fn stop(self) -> io::Result<()> {
        let stopped = self.server.stop().await;
        debug_assert!(stopped.is_ok(), "a server's own task does not panic");
        self.driver.stop().await.unwrap_or(Ok(()))
    }
}
