//! The shell of a server: how it is reached, whom it reaches, who drives it. No decision is made
//! here.

mod ways;

use std::{
    io,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use net::{
    Addr, Bounds, Counters, Inbox, Life, Mount, Network, Refusal, Running, Stop, drive,
    hello::Hello, inbox, limits,
};
use protocol::{Lsn, NodeId};
use tarpc::{context::Context, server::Serve};
use tokio::sync::watch;
use viewservice::{MAX_ADDR, Member, View};

use crate::{
    change::{Done, SessionId},
    config::Config,
    core::Pb,
    message::{
        Answer, Digest, Forward, Forwarded, Get, Open, Output, Rebuff, Refused, Reply, Request,
        Submit,
    },
    service::{self, LogStatus, NodeStatus, Pb as _, PbPeer as _},
    storage::{self, RecordError, Storage, Wal},
};
pub(crate) use ways::Book;
use ways::{Backups, Ways};

/// Under this name clients reach a server.
pub const SERVICE: &str = "pb";

/// Under this name a primary reaches its backup.
pub const PEER_SERVICE: &str = "pb-peer";

/// The way into a server on this node.
pub type Door = Inbox<Request, Reply>;

/// Where a server lives.
pub struct Home {
    /// How it is reached, and reaches others.
    pub network: Arc<dyn Network>,
    /// The number that every node of this installation shares.
    pub cluster: u64,
    /// Where it listens.
    pub addr: Addr,
    /// Where the view service is.
    pub view: Addr,
    /// Its memory. With a log in it the server is durable.
    pub storage: Storage,
}

/// Why a server could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A record of its past cannot be read.
    #[error("the log holds a record that cannot be read: {0}")]
    Record(#[from] RecordError),
    /// Its name belongs to the view service.
    #[error("{0} is the view service's name; servers are numbered from 1")]
    Name(NodeId),
    /// Others could not be told where it is reached.
    #[error("the address has {0} bytes; the view service takes {MAX_ADDR}")]
    TooLong(usize),
    /// Its address cannot be listened on.
    #[error("cannot listen on {addr}: {why}")]
    Listen {
        /// Where.
        addr: Addr,
        /// Why not.
        why: io::Error,
    },
}

/// Why a server ended by itself.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Ended {
    /// Another life of the same name took its place.
    #[error("{0} has taken over the name of this server, whose time is over")]
    Superseded(Member),
    /// Its log failed. Whatever was acknowledged is safe; the process must end.
    #[error("the log failed: {0}")]
    Log(Arc<io::Error>),
}

/// One running server of a store.
pub struct Node {
    /// The way in, for the own process.
    pub door: Door,
    /// Where it listens.
    pub addr: Addr,
    /// What happened to its connections.
    pub counters: Arc<Counters>,
    /// Its log, to look at; absent if it is not durable.
    pub wal: Option<Arc<Wal>>,
    ended: watch::Receiver<Option<Ended>>,
    driver: Running<()>,
    server: Running<()>,
}

impl Node {
    /// Opens a server: recovers it from what its log kept, listens, and drives it. An empty
    /// [`Config::addr`] becomes the address it listens on; [`Config::durable`] is what its storage
    /// is.
    ///
    /// # Errors
    ///
    /// If its past cannot be read, its name or its address cannot be used.
    pub async fn open(mut config: Config, home: Home) -> Result<Self, OpenError> {
        let Home { network, cluster, addr: at, view, storage } = home;
        let Storage { log, kept: (first, records), seed, wal } = storage;
        let me = config.me;
        if me == config.service {
            return Err(OpenError::Name(me));
        }
        let saved = Lsn(first.0 - 1 + records.len() as u64);
        let listener =
            network.listen(&at).await.map_err(|why| OpenError::Listen { addr: at, why })?;
        let addr = listener.addr();
        if config.addr.is_empty() {
            addr.as_str().clone_into(&mut config.addr);
        }
        if config.addr.len() > MAX_ADDR {
            return Err(OpenError::TooLong(config.addr.len()));
        }
        config.durable = wal.is_some();
        // One by one: the log may be several times as large as the state.
        let mut damaged = None;
        let decode = |(lsn, bytes): (u64, Vec<u8>)| match storage::decode(&bytes) {
            Ok(record) => Some((Lsn(lsn), record)),
            Err(error) => {
                damaged = Some(error);
                None
            }
        };
        let core = Pb::recover(config, (first.0..).zip(records).map_while(decode));
        if let Some(error) = damaged {
            return Err(error.into());
        }

        let (door, post) = inbox(limits::INBOX);
        let server = net::Server::new(cluster, me);
        let counters = server.counters();
        let look = Arc::new(Look { wal: wal.clone(), counters: Arc::clone(&counters) });
        let server = server
            .mount(SERVICE, for_clients(&door, &look))
            .mount(PEER_SERVICE, for_peers(&door))
            .start(listener);
        let calls = Ways::new(network, cluster, me, view, seed);
        let (stop, superseded) = (post.stopper(), Arc::new(OnceLock::new()));
        let output =
            announce(calls.backup.clone(), Book::default(), stop.clone(), Arc::clone(&superseded));
        let life = Life { me, core, saved, log, encode: storage::encode, calls, post, output };
        let (tell, ended) = watch::channel(None);
        let closing = server.stopper();
        let driver = Running::spawn(stop, async move {
            let result = net::abort_on_panic("a server", drive(life)).await;
            // Whatever ended it: nobody may find a door behind which nobody lives.
            closing.stop();
            let why = match result {
                Err(error) => Some(Ended::Log(Arc::new(error))),
                Ok(()) => superseded.get().copied().map(Ended::Superseded),
            };
            tell.send_replace(why);
        });
        Ok(Self { door, addr, counters, wal, ended, driver, server })
    }

    /// Waits until the server ends by itself, and says why. It answers nobody any more then.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.map(|it| it.clone()) {
            Ok(Some(why)) => why,
            // It was stopped, so it never ends by itself.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Stops the server and waits until nothing of it is left. Whoever waits on it hears that the
    /// connection is gone.
    ///
    /// # Errors
    ///
    /// If its log failed.
    pub async fn stop(self) -> Result<(), Arc<io::Error>> {
        let stopped = self.server.stop().await;
        debug_assert!(stopped.is_ok(), "a server's own task does not panic");
        let stopped = self.driver.stop().await;
        debug_assert!(stopped.is_ok(), "a panic of the driver ends the process");
        match &*self.ended.borrow() {
            Some(Ended::Log(error)) => Err(Arc::clone(error)),
            Some(Ended::Superseded(_)) | None => Ok(()),
        }
    }
}

/// Answers clients by asking the core behind the door.
#[derive(Clone)]
struct Handlers {
    door: Door,
    look: Arc<Look>,
}

/// What a status looks at besides the core.
struct Look {
    wal: Option<Arc<Wal>>,
    counters: Arc<Counters>,
}

fn for_clients(door: &Door, look: &Arc<Look>) -> Mount {
    let handlers = Handlers { door: door.clone(), look: Arc::clone(look) };
    Mount::tarpc(Bounds::CLIENT, move |_: &Hello| {
        let handlers = handlers.clone().serve();
        move |context, request| handlers.clone().serve(context, request)
    })
}

/// A core that answers a request with a reply of another kind is our bug.
fn wrong(reply: &impl std::fmt::Debug) -> ! {
    panic!("the core answered with a reply of the wrong kind: {reply:?}")
}

impl Handlers {
    async fn ask(self, request: Request) -> Result<Answer, Refused> {
        match self.door.request(None, request).await {
            Ok(Reply::Client(result)) => result,
            Ok(other) => wrong(&other),
            // The core is gone, and what it did before that nobody here knows.
            Err(net::Gone) => Err(Refused::Interrupted),
        }
    }
}

impl service::Pb for Handlers {
    async fn open(self, _: Context, open: Open) -> Result<SessionId, Refused> {
        match self.ask(Request::Open(open)).await? {
            Answer::Opened(session) => Ok(session),
            other => wrong(&other),
        }
    }

    async fn submit(self, _: Context, submit: Submit) -> Result<Done, Refused> {
        match self.ask(Request::Submit(submit)).await? {
            Answer::Done(done) => Ok(done),
            other => wrong(&other),
        }
    }

    async fn get(self, _: Context, get: Get) -> Result<Option<Bytes>, Refused> {
        match self.ask(Request::Get(get)).await? {
            Answer::Value(value) => Ok(value),
            other => wrong(&other),
        }
    }

    async fn status(self, _: Context) -> Option<NodeStatus> {
        match self.door.request(None, Request::Status).await {
            Ok(Reply::Status(server)) => Some(self.look.status(*server)),
            Ok(other) => wrong(&other),
            Err(net::Gone) => None,
        }
    }

    async fn digest(self, _: Context) -> Option<Digest> {
        match self.door.request(None, Request::Digest).await {
            Ok(Reply::Digest(digest)) => Some(digest),
            Ok(other) => wrong(&other),
            Err(net::Gone) => None,
        }
    }
}

impl Look {
    fn status(&self, server: crate::message::Status) -> NodeStatus {
        let log = self.wal.as_ref().map(|log| {
            let stats = log.stats();
            LogStatus {
                syncs: stats.syncs,
                records: stats.records,
                segments: stats.segments,
                live_bytes: stats.live_bytes(),
                last_sync_us: stats.last_sync_micros,
                max_sync_us: stats.max_sync_micros,
            }
        });
        NodeStatus { server, log, connections: self.counters.accepted.load(Relaxed) }
    }
}

/// Answers a primary by asking the core behind the door, and says who the connection proved to be.
#[derive(Clone)]
struct PeerHandlers {
    door: Door,
    peer: Option<NodeId>,
}

fn for_peers(door: &Door) -> Mount {
    let door = door.clone();
    let mount = Mount::tarpc(Bounds::PEER, move |hello: &Hello| {
        let handlers = PeerHandlers { door: door.clone(), peer: hello.node }.serve();
        move |context, request| handlers.clone().serve(context, request)
    });
    // Which of the servers is primary only the core knows.
    mount.admit(|hello| hello.node.map(|_| ()).ok_or(Refusal::NotAMember))
}

impl service::PbPeer for PeerHandlers {
    async fn forward(self, _: Context, forward: Forward) -> Result<Forwarded, Rebuff> {
        match self.door.request(self.peer, Request::Forward(forward)).await {
            Ok(Reply::Forwarded(result)) => result,
            Ok(other) => wrong(&other),
            Err(net::Gone) => Err(Rebuff::NotBackup),
        }
    }
}

/// What happens to what a core announces. It comes in the order in which it was said, so an
/// address is known before anything is sent there.
fn announce(
    backups: Backups,
    mut book: Book,
    stop: Stop,
    superseded: Arc<OnceLock<Member>>,
) -> impl FnMut(Output) + Send {
    let mut unwelcome = None;
    move |output| match output {
        Output::Adopted(view) => {
            tracing::info!(%view, "a new view");
            let View { backup, .. } = &view;
            if let Some(backup) = backup {
                book.want(&backups, backup);
            }
            unwelcome = None;
        }
        Output::Superseded(by) => {
            tracing::error!(%by, "another life has taken over this server's name: it ends");
            // Told once is enough: the first to take over is as good a reason as the next.
            let _ = superseded.set(by);
            stop.stop();
        }
        Output::Unwelcome(why) => {
            // Said at each ping, ten times a second; worth a line when it is new, and not even that
            // if a name is not free yet: it is as soon as its last life has been silent for a moment.
            if unwelcome.replace(why) == Some(why) || why == viewservice::Refused::Taken {
                tracing::debug!(%why, "the view service refuses this server");
            } else {
                tracing::warn!(%why, "the view service refuses this server");
            }
        }
        Output::Hollow(view) => tracing::error!(
            %view,
            "told to be primary without having the state: it refuses to serve"
        ),
        Output::Ignored(why) => tracing::debug!(?why, "ignored"),
    }
}
