//! The shell: where the service keeps its memory, whom it answers, who drives it. No decision is
//! made here.

use std::{io, path::Path, sync::Arc};

use net::{
    Addr, Alone, Bounds, Counters, Inbox, Life, Mount, Network, Running, drive, hello::Hello,
    inbox, limits,
};
use protocol::{Log, Lsn, NodeId};
use tarpc::{context::Context, server::Serve};
use wal::{ClusterId, Disk, Identity, MemoryLog, RealDisk, StreamId, Wal};

use crate::{
    Acquire, Grant, Name, News, Owner, Refusal, Release, Rule, Terms, Ticket, View,
    core::{Config, LockService, Past},
    message::{Answer, Refused, Renewed, Reply, Request},
    record::{self, RecordError},
    service::Locks,
    table::LockView,
};

/// Under this name the lock service is reached.
pub const SERVICE: &str = "lock";

/// The number of the node that a lock service is in its installation, and greets as.
pub const SERVICE_NODE: NodeId = NodeId(0);

/// What one connection may ask for. Many sessions may share one, and each may wait.
pub const BOUNDS: Bounds = Bounds { frame: limits::CLIENT_FRAME, in_flight: 1_024 };

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
    /// Creates the directory of a lock service, once.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(path: &Path, cluster: u64, config: &wal::Config) -> Result<(), wal::OpenError> {
        wal::init_dir(path, ClusterId(u128::from(cluster)), SERVICE_NODE, config).map(|_| ())
    }

    /// The directory that `init` has made.
    ///
    /// # Errors
    ///
    /// If it is not there, is somebody else's, is in use, or is damaged: one sentence with the
    /// next step.
    pub fn open(path: &Path, cluster: u64, config: wal::Config) -> Result<Self, wal::OpenError> {
        Self::on(Arc::new(RealDisk::open(path)?), cluster, config)
    }

    /// The same on any disk that holds a lock service already.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on(
        disk: Arc<dyn Disk>,
        cluster: u64,
        config: wal::Config,
    ) -> Result<Self, wal::OpenError> {
        let identity = Identity::open(&*disk, ClusterId(u128::from(cluster)), SERVICE_NODE)?;
        let (wal, recovered) = Wal::open(disk, &identity, config)?;
        let kept = recovered
            .into_iter()
            .find(|stream| stream.stream == STREAM)
            .map_or((Lsn(1), Vec::new()), |stream| (stream.first, stream.records));
        Ok(Self { log: Box::new(wal.stream(STREAM)), kept, wal: Some(Arc::new(wal)) })
    }

    /// Nothing outlives the process: for tests and measurements that say so. A successor would
    /// give the same tokens again.
    #[must_use]
    pub fn memory() -> Self {
        Self { log: Box::new(MemoryLog::new()), kept: (Lsn(1), Vec::new()), wal: None }
    }
}

/// Where a lock service lives.
pub struct Home {
    /// How it is reached.
    pub network: Arc<dyn Network>,
    /// The number that every node of this installation shares.
    pub cluster: u64,
    /// Where it listens.
    pub addr: Addr,
    /// Its memory.
    pub storage: Storage,
}

/// Why a lock service could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A record of its past cannot be read.
    #[error("the log holds a record that cannot be read: {0}")]
    Record(#[from] RecordError),
    /// The records do not fit together, or to what was asked for.
    #[error(transparent)]
    Past(#[from] Past),
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
}

impl Handlers {
    async fn ask(self, request: Request) -> Result<Answer, Refused> {
        // The core is gone, and what it did before that nobody here knows.
        self.door.request(None, request).await.unwrap_or(Err(Refused::Interrupted))
    }
}

/// A core that answers a request with an answer of another kind is our bug.
fn wrong(answer: &Answer) -> ! {
    panic!("the core answered with an answer of the wrong kind: {answer:?}")
}

impl Locks for Handlers {
    async fn open(self, _: Context, terms: Terms) -> Result<Owner, Refused> {
        match self.ask(Request::Open(terms)).await? {
            Answer::Opened(owner) => Ok(owner),
            other => wrong(&other),
        }
    }

    async fn acquire(self, _: Context, acquire: Acquire) -> Result<Option<Vec<Grant>>, Refused> {
        let ticket = acquire.ticket;
        match self.ask(Request::Acquire(acquire)).await? {
            Answer::Granted(grants) => Ok(Some(grants)),
            Answer::Waiting => Ok(None),
            // The number was a release's: what is asked under it is over.
            Answer::Done => Err(Refusal::Late(ticket).into()),
            other => wrong(&other),
        }
    }

    async fn release(self, _: Context, release: Release) -> Result<(), Refused> {
        let ticket = release.ticket;
        match self.ask(Request::Release(release)).await? {
            Answer::Done => Ok(()),
            // The number is an acquire's.
            Answer::Granted(_) | Answer::Waiting => Err(Refusal::Late(ticket).into()),
            other => wrong(&other),
        }
    }

    async fn cancel(self, _: Context, ticket: Ticket) -> Result<Option<Vec<Grant>>, Refused> {
        match self.ask(Request::Cancel(ticket)).await? {
            Answer::Granted(grants) => Ok(Some(grants)),
            Answer::Done => Ok(None),
            other => wrong(&other),
        }
    }

    async fn renew(self, _: Context, owner: Owner) -> Result<Renewed, Refused> {
        match self.ask(Request::Renew(owner)).await? {
            Answer::Renewed(renewed) => Ok(renewed),
            other => wrong(&other),
        }
    }

    async fn close(self, _: Context, owner: Owner) -> Result<(), Refused> {
        match self.ask(Request::Close(owner)).await? {
            Answer::Done => Ok(()),
            other => wrong(&other),
        }
    }

    async fn look(self, _: Context, name: Name) -> Result<Option<LockView>, Refused> {
        match self.ask(Request::Look(name)).await? {
            Answer::Lock(seen) => Ok(seen),
            other => wrong(&other),
        }
    }

    async fn view(self, _: Context, after: Option<Name>) -> Result<View, Refused> {
        match self.ask(Request::View(after)).await? {
            Answer::View(view) => Ok(*view),
            other => wrong(&other),
        }
    }
}

/// A running lock service.
pub struct Service {
    /// The way in, for the own process.
    pub door: Inbox<Request, Reply>,
    /// Where it listens.
    pub addr: Addr,
    /// Who yields.
    pub rule: Rule,
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
    /// If its past cannot be read or is not what was asked for, or its address cannot be listened
    /// on.
    pub async fn open(config: Config, home: Home) -> Result<Self, OpenError> {
        let Home { network, cluster, addr: at, storage } = home;
        let Storage { log, kept: (first, records), wal } = storage;
        let saved = Lsn(first.0 - 1 + records.len() as u64);
        // One by one: the log may be several times as large as the table.
        let mut damaged = None;
        let decode = |(lsn, bytes): (u64, Vec<u8>)| match record::decode(&bytes) {
            Ok(record) => Some((Lsn(lsn), record)),
            Err(error) => {
                damaged = Some(error);
                None
            }
        };
        let core = LockService::recover(config, (first.0..).zip(records).map_while(decode));
        if let Some(error) = damaged {
            return Err(error.into());
        }
        let core = core?;
        let rule = core.rule();
        let listener =
            network.listen(&at).await.map_err(|why| OpenError::Listen { addr: at, why })?;
        let addr = listener.addr();
        let (door, post) = inbox(limits::INBOX);
        let handlers = door.clone();
        let mount = Mount::tarpc(BOUNDS, move |_: &Hello| {
            let handlers = Handlers { door: handlers.clone() }.serve();
            move |context, request| handlers.clone().serve(context, request)
        });
        let server = net::Server::new(cluster, SERVICE_NODE).mount(SERVICE, mount);
        let counters = server.counters();
        let server = server.start(listener);
        let (stop, closing) = (post.stopper(), server.stopper());
        let (encode, me, calls) = (record::encode, SERVICE_NODE, Alone);
        let life = Life { me, core, saved, log, encode, calls, post, output: announce };
        let driver = Running::spawn(stop, async move {
            let result = net::abort_on_panic("the lock service", drive(life)).await;
            // Whatever ended it: nobody may find a door behind which nobody lives.
            closing.stop();
            result
        });
        Ok(Self { door, addr, rule, counters, wal, driver, server })
    }

    /// Waits until the service ends by itself: its log failed.
    ///
    /// # Errors
    ///
    /// What the disk said. Whatever was answered is safe; the process must end.
    pub async fn ended(&mut self) -> io::Result<()> {
        self.driver.ended().await.unwrap_or(Ok(()))
    }

    /// Stops the service and waits until nothing of it is left. Sessions are not ended by that.
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

fn announce(news: News) {
    match news {
        News::Lost(owner, why) => tracing::info!(session = %owner, %why, "lost its locks"),
        News::Refused(ticket, why) => tracing::debug!(%ticket, %why, "waits no longer"),
        News::Granted(ticket, _) => tracing::trace!(%ticket, "granted"),
    }
}
