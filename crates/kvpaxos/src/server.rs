//! The shell of a store: a group of replicas, and the service that clients use.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use net::{Bounds, Counters, Mount, Server, hello::Hello};
use paxosrsm::{
    Coded, Index, Refused, Sessions,
    core::Config,
    engine::{Engine, Neighbours},
    message::{Chunk, Digest, Done, Piece, Query, ReplicaStatus, Reply, Request, Submit, Taken},
    server::{Door, Group, OpenError, done},
    sessions,
    storage::Storage,
};
use tarpc::{context::Context, server::Serve};

use crate::{
    command::Command,
    core::Store,
    question::Question,
    service::{Kv, LogStatus, NodeStatus},
};

/// Under this name clients talk to a store.
pub const SERVICE: &str = "kv";

/// Opens this node's replica of a store.
///
/// # Errors
///
/// If its past cannot be read, or its address cannot be listened on.
pub async fn open<E: Engine>(
    engine: E,
    config: Config,
    storage: Storage,
    neighbours: Neighbours,
) -> Result<Group<E>, OpenError> {
    let log = storage.wal.clone();
    let mounts = move |server: Server, door: &Door<E>| {
        let counters = server.counters();
        let look = Arc::new(Look { log, counters, refused: AtomicU64::new(0) });
        let door = door.clone();
        let mount = Mount::tarpc(Bounds::CLIENT, move |_: &Hello| {
            let handlers = Handlers::<E> { door: door.clone(), look: Arc::clone(&look) }.serve();
            move |context, request| handlers.clone().serve(context, request)
        });
        server.mount(SERVICE, mount)
    };
    let fresh = Sessions::new(Store::default());
    Group::open(engine, config, storage, neighbours, fresh, mounts).await
}

/// What a status looks at besides the replica.
struct Look {
    log: Option<Arc<paxosrsm::storage::Wal>>,
    counters: Arc<Counters>,
    /// Requests refused before they reached the log.
    refused: AtomicU64,
}

struct Handlers<E: Engine> {
    door: Door<E>,
    look: Arc<Look>,
}

impl<E: Engine> Clone for Handlers<E> {
    fn clone(&self) -> Self {
        Self { door: self.door.clone(), look: Arc::clone(&self.look) }
    }
}

/// Whether a command makes sense and is within its limits: what is not is refused before anything
/// is logged.
fn admit(submit: &Submit) -> Result<(), Refused> {
    match sessions::Command::<Command>::decode(&submit.0) {
        Some(sessions::Command::Register) => Ok(()),
        Some(sessions::Command::Do { command, .. }) if command.fits() => Ok(()),
        Some(sessions::Command::Bare(command)) if !command.is_versioned() => {
            Err(Refused::Malformed)
        }
        Some(sessions::Command::Bare(command)) if command.fits() => Ok(()),
        Some(_) => Err(Refused::TooLarge),
        None => Err(Refused::Malformed),
    }
}

impl<E: Engine> Kv for Handlers<E> {
    async fn submit(self, _: Context, submit: Submit) -> Result<Done, Refused> {
        if let Err(refused) = admit(&submit) {
            self.look.refused.fetch_add(1, Relaxed);
            return Err(refused);
        }
        match self.door.request(None, Request::Submit(submit)).await {
            Ok(reply) => done(reply),
            Err(_) => Err(Refused::Unknown),
        }
    }

    async fn get(self, _: Context, query: Query) -> Result<Done, Refused> {
        match Question::decode(&query.0) {
            Some(question) if question.fits() => {}
            Some(_) => return Err(Refused::TooLarge),
            None => return Err(Refused::Malformed),
        }
        match self.door.request(None, Request::Query(query)).await {
            Ok(reply) => done(reply),
            Err(_) => Err(Refused::NotLeading(None)),
        }
    }

    async fn status(self, _: Context) -> Option<NodeStatus> {
        let reply = self.door.request(None, Request::Inspect).await.ok()?;
        let Reply::Status(replica) = reply else { return None };
        Some(self.look.status(*replica))
    }

    async fn digest(self, _: Context) -> Option<Digest> {
        match self.door.request(None, Request::Digest).await.ok()? {
            Reply::Digest(digest) => Some(digest),
            _ => None,
        }
    }

    async fn snapshot(self, _: Context, covering: Index) -> Taken {
        match self.door.request(None, Request::Snapshot { covering }).await {
            Ok(Reply::Taken(taken)) => taken,
            _ => Taken(None),
        }
    }

    async fn piece(self, _: Context, chunk: Chunk) -> Piece {
        match self.door.request(None, Request::Chunk(chunk)).await {
            Ok(Reply::Piece(piece)) => piece,
            _ => Piece { upto: chunk.upto, offset: chunk.offset, total: 0, bytes: Bytes::new() },
        }
    }
}

impl Look {
    fn status(&self, replica: ReplicaStatus) -> NodeStatus {
        let log = self.log.as_ref().map(|log| {
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
        let taken = self.counters.accepted.load(Relaxed);
        let refused = self.refused.load(Relaxed);
        NodeStatus { replica, log, connections: (taken, refused) }
    }
}
