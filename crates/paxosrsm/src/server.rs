//! The one way to open a group: recover the machine and its agreement, mount what peers ask,
//! drive the replica. Layers above name neither the engine's crate nor the log's.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::Either;
use net::{
    Addr, Ask, Bounds, CallError, Calls, Counters, Inbox, Life, Line, Mount, Peers, PeersConfig,
    RpcError, Running, Server, Wire, drive, hello::Hello, inbox, limits,
};
use protocol::{Core, Lsn, NodeId};
use tarpc::{context::Context, server::Serve};
use wal::StreamId;

use crate::{
    agreement::Refused,
    core::{Config, Replica, Restored},
    engine::{Engine, Neighbours},
    librarian::Librarian,
    machine::StateMachine,
    message::{Chunk, Done, Output, Piece, Query, Reply, Request, Submit},
    service::{Replica as Service, ReplicaClient},
    storage::Storage,
};

/// Under this name replicas talk, besides their agreement.
pub const SERVICE: &str = "replica";

/// What an engine's agreement is asked.
type Asked<E> = <<E as Engine>::Agreement as Core>::Request;
/// What it answers.
type Answered<E> = <<E as Engine>::Agreement as Core>::Reply;
/// The way into a group's replica on this node.
pub type Door<E> = Inbox<Request<Asked<E>>, Reply<Answered<E>>>;

/// Answers peers by asking the replica behind the door.
struct Handlers<Q, R> {
    door: Inbox<Request<Q>, Reply<R>>,
    peer: Option<NodeId>,
}

impl<Q, R> Clone for Handlers<Q, R> {
    fn clone(&self) -> Self {
        Self { door: self.door.clone(), peer: self.peer }
    }
}

/// The replica's answer to a submit or a query, in the words of a service.
///
/// # Errors
///
/// What it refused.
pub fn done<R>(reply: Reply<R>) -> Result<Done, Refused> {
    match reply {
        Reply::Done(done) => Ok(done),
        Reply::Refused(refused) => Err(refused),
        _ => Err(Refused::Unknown),
    }
}

impl<Q: Send + 'static, R: Send + 'static> Service for Handlers<Q, R> {
    async fn submit(self, _: Context, submit: Submit) -> Result<Done, Refused> {
        done(self.door.ask(self.peer, Request::Submit(submit)).await)
    }

    async fn query(self, _: Context, query: Query) -> Result<Done, Refused> {
        done(self.door.ask(self.peer, Request::Query(query)).await)
    }

    async fn chunk(self, _: Context, chunk: Chunk) -> Piece {
        match self.door.ask(self.peer, Request::Chunk(chunk)).await {
            Reply::Piece(piece) => piece,
            _ => Piece { upto: chunk.upto, offset: chunk.offset, total: 0, bytes: Bytes::new() },
        }
    }
}

/// A peer's replica, from the caller's side.
pub struct ReplicaWire(ReplicaClient);

impl<Q: Send + 'static, R: Send + 'static> Wire<Request<Q>, Reply<R>> for ReplicaWire {
    fn open(line: Line) -> Self {
        Self(ReplicaClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(&self, context: Context, request: Request<Q>) -> Result<Reply<R>, RpcError> {
        let done = |result: Result<Done, Refused>| result.map_or_else(Reply::Refused, Reply::Done);
        Ok(match request {
            Request::Submit(submit) => done(self.0.submit(context, submit).await?),
            Request::Query(query) => done(self.0.query(context, query).await?),
            Request::Chunk(chunk) => Reply::Piece(self.0.chunk(context, chunk).await?),
            _ => panic!("a local request was sent to a peer"),
        })
    }
}

/// How other replicas are reached: the engine's words go the engine's way.
struct Ways<E: Engine> {
    engine: E::Calls,
    replica: Peers<ReplicaWire, Request<Asked<E>>>,
}

impl<E: Engine> Calls<Request<Asked<E>>, Reply<Answered<E>>> for Ways<E> {
    fn call(
        &self,
        to: NodeId,
        request: Request<Asked<E>>,
    ) -> impl Future<Output = Result<Reply<Answered<E>>, CallError>> + Send + use<E> {
        let way = match request {
            Request::Engine(request) => Either::Left(self.engine.call(to, request)),
            other => Either::Right(self.replica.call(to, other)),
        };
        async move {
            match way {
                Either::Left(answer) => answer.await.map(Reply::Engine),
                Either::Right(answer) => answer.await,
            }
        }
    }
}

/// How long an answer of another replica is waited for.
fn patience<Q>(request: &Request<Q>) -> Duration {
    match request {
        Request::Chunk(_) => Duration::from_secs(5),
        _ => Duration::from_secs(2),
    }
}

/// Why a group could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What was kept of its past cannot be read or does not fit together.
    #[error("{0}")]
    Past(String),
    /// Snapshots cannot be read.
    #[error("the snapshots cannot be read: {0}")]
    Snapshots(io::Error),
    /// Its address cannot be listened on.
    #[error("cannot listen on {addr}: {why}")]
    Listen {
        /// Where.
        addr: Addr,
        /// Why not.
        why: io::Error,
    },
    /// The thread for snapshots could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A snapshot whose bytes are as they were written and still mean nothing here.
fn foreign() -> OpenError {
    OpenError::Past(
        "the newest snapshot was written by another version of this program, or is of another \
         machine: run the version that wrote it"
            .to_owned(),
    )
}

/// One replica of a group, running.
pub struct Group<E: Engine> {
    /// The way in.
    pub door: Door<E>,
    /// Where it listens.
    pub addr: Addr,
    /// What happened to its connections.
    pub counters: Arc<Counters>,
    /// The log of the node, to look at.
    pub wal: Option<Arc<wal::Wal>>,
    driver: Running<io::Result<()>>,
    librarian: crate::librarian::Gone,
    server: Running<()>,
}

impl<E: Engine> Group<E> {
    /// Opens this node's replica. `fresh` is the machine before anything was applied to it;
    /// `mounts` adds the services that clients use.
    ///
    /// # Errors
    ///
    /// If its past cannot be read, or its address cannot be listened on.
    pub async fn open<M: StateMachine + Send + 'static>(
        engine: E,
        config: Config,
        storage: Storage,
        neighbours: Neighbours,
        fresh: M,
        mounts: impl FnOnce(Server, &Door<E>) -> Server,
    ) -> Result<Self, OpenError> {
        let Storage { log, kept: (first, records), snapshots, aside, seed, wal } = storage;
        let stream = StreamId(0);
        let newest = snapshots.newest(stream).map_err(OpenError::Snapshots)?;
        for damaged in &newest.damaged {
            tracing::error!(%damaged, "a snapshot is damaged; an older one is used");
        }
        let restored = match newest.found {
            Some((_, image)) => Restored::open(&Bytes::from(image)).ok_or_else(foreign)?,
            None => Restored::fresh(fresh),
        };
        let mut past = Vec::with_capacity(records.len());
        for (lsn, record) in (first.0..).zip(&records) {
            past.push((Lsn(lsn), E::decode(record).map_err(OpenError::Past)?));
        }
        let saved = past.last().map_or(Lsn(first.0 - 1), |(lsn, _)| *lsn);
        let agreement = engine.recover(seed, restored.applied, past).map_err(OpenError::Past)?;
        let me = config.me;
        let core = Replica::new(config, agreement, restored);

        let at = neighbours.addrs.get(&me).cloned().unwrap_or_else(Addr::any);
        let listener = neighbours
            .network
            .listen(&at)
            .await
            .map_err(|why| OpenError::Listen { addr: at.clone(), why })?;
        let addr = listener.addr();
        let (door, post) = inbox(limits::INBOX);
        let (librarian, gone) =
            Librarian::start(stream, snapshots, aside, door.clone()).map_err(OpenError::Thread)?;
        let (server, calls) = Self::join(&engine, &neighbours, &door);
        let server = mounts(server, &door);
        let counters = server.counters();
        let server = server.start(listener);
        let stop = post.stopper();
        let output = move |output: Output| librarian.give(output);
        let encode = E::encode();
        let life = Life { me, core, saved, log, encode, calls, post, output };
        let driver = Running::spawn(stop, net::abort_on_panic("a replica", drive(life)));
        Ok(Self { door, addr, counters, wal, driver, librarian: gone, server })
    }

    /// The services between replicas, both ways.
    fn join(engine: &E, neighbours: &Neighbours, door: &Door<E>) -> (Server, Ways<E>) {
        let Neighbours { network, cluster, me, addrs, seed } = neighbours;
        let inner = door.clone().wrap(Request::Engine, |reply| match reply {
            Reply::Engine(reply) => Some(reply),
            _ => None,
        });
        let server = Server::new(*cluster, *me);
        let (server, engine_calls) = engine.join(server, neighbours, inner);
        let handlers = door.clone();
        let mount = Mount::tarpc(Bounds::PEER, move |hello: &Hello| {
            let handlers = Handlers { door: handlers.clone(), peer: hello.node }.serve();
            move |context, request| handlers.clone().serve(context, request)
        });
        let server = server.mount(SERVICE, mount.members(addrs.keys().copied()));
        let hello = Hello { cluster: *cluster, node: Some(*me), service: SERVICE.to_owned() };
        let mut addrs = addrs.clone();
        addrs.remove(me);
        let config = PeersConfig { hello, addrs, bounds: Bounds::PEER, patience, seed: *seed };
        let replica = Peers::new(Arc::clone(network), config);
        (server, Ways { engine: engine_calls, replica })
    }

    /// Waits until the replica ends by itself: its log failed.
    ///
    /// # Errors
    ///
    /// What the disk said. Whatever was acknowledged is safe; the process must end.
    pub async fn ended(&mut self) -> io::Result<()> {
        self.driver.ended().await.unwrap_or(Ok(()))
    }

    /// Stops the replica. Whoever waits on it hears that it is gone; nothing of it is left.
    ///
    /// # Errors
    ///
    /// If its log failed.
    pub async fn stop(self) -> io::Result<()> {
        let stopped = self.server.stop().await;
        debug_assert!(stopped.is_ok(), "a server's own task does not panic");
        let ended = self.driver.stop().await.unwrap_or(Ok(()));
        // Its thread ends with the driver, but may have a snapshot in hand; until it has put that
        // down, the directory is in use.
        let _ = self.librarian.await;
        ended
    }
}
