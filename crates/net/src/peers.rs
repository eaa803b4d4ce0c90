//! Connections to the other nodes, made when needed and made again when lost.
//!
//! ```text
//!            call               greeted
//!   Down ──────────▶ Dialing ────────────▶ Up
//!    ▲                  │ failed            │ lost, or three calls late in a row
//!    └── pause, then ◀──┴───────────────────┘
//! ```
//!
//! A call while the peer is up goes out at once. A call while it is down fails at once, so that
//! the core hears of it while it still matters, and starts the next attempt if that is due. Only
//! the first attempt after a good connection is waited for: it most likely succeeds.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt;
use protocol::{NodeId, Rng};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    Addr, Bounds, CallError, Calls, Line, Network, PeerStatus, RpcError, Wire, context_until,
    hello::{self, Hello, HelloError, Refusal},
    limits::{DIAL_TIME, LATE_CALLS},
    peer::{Link, Peer, State, lock},
};

/// How the others are reached, and by whom.
pub struct PeersConfig<Q> {
    /// What we say first on each connection; names the service.
    pub hello: Hello,
    /// Who is where. More can be added later with [`Peers::set`].
    pub addrs: BTreeMap<NodeId, Addr>,
    /// Limits of a connection. Those of the service's own mount.
    pub bounds: Bounds,
    /// How long a request may take.
    pub patience: fn(&Q) -> Duration,
    /// For the jitter of the pauses between attempts.
    pub seed: u64,
}

/// Connections to the other nodes for one service. Cheap to clone; when the last clone is dropped,
/// every connection ends.
pub struct Peers<W, Q> {
    shared: Arc<Shared<W, Q>>,
    /// Calls on their way hold `shared` too, but only those who may make calls hold this.
    _owner: Arc<Owner<W, Q>>,
}

struct Shared<W, Q> {
    network: Arc<dyn Network>,
    hello: Hello,
    bounds: Bounds,
    patience: fn(&Q) -> Duration,
    book: Mutex<Book<W>>,
}

struct Book<W> {
    peers: BTreeMap<NodeId, Peer<W>>,
    rng: Rng,
    closed: bool,
}

/// Which way a call goes.
enum Route<W> {
    Up(Arc<Link<W>>),
    Wait(oneshot::Receiver<Arc<Link<W>>>),
    Down(Option<Refusal>),
}

impl<W: Send + Sync + 'static, Q: 'static> Peers<W, Q> {
    /// Nobody is called before there is something to say.
    pub fn new(network: Arc<dyn Network>, config: PeersConfig<Q>) -> Self {
        let PeersConfig { hello, addrs, bounds, patience, seed } = config;
        let peers = addrs.into_iter().map(|(node, addr)| (node, Peer::new(addr))).collect();
        let book = Mutex::new(Book { peers, rng: Rng::new(seed), closed: false });
        let shared = Arc::new(Shared { network, hello, bounds, patience, book });
        Self { _owner: Arc::new(Owner(Arc::clone(&shared))), shared }
    }

    /// From now on `node` is at `addr`. A connection to another address is given up.
    pub fn set(&self, node: NodeId, addr: Addr) {
        let mut book = lock(&self.shared.book);
        if book.peers.get(&node).is_some_and(|peer| peer.addr == addr) {
            return;
        }
        if let Some(old) = book.peers.insert(node, Peer::new(addr)) {
            old.end();
        }
    }

    /// From now on there is no `node`.
    pub fn remove(&self, node: NodeId) {
        if let Some(old) = lock(&self.shared.book).peers.remove(&node) {
            old.end();
        }
    }

    /// How everybody is doing.
    #[must_use]
    pub fn status(&self) -> BTreeMap<NodeId, PeerStatus> {
        lock(&self.shared.book).peers.iter().map(|(node, peer)| (*node, peer.status())).collect()
    }

    /// Ends every connection and every attempt. Later calls fail.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl<W, Q> Clone for Peers<W, Q> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), _owner: Arc::clone(&self._owner) }
    }
}

impl<W, Q, R> Calls<Q, R> for Peers<W, Q>
where
    W: Wire<Q, R>,
    Q: Send + 'static,
    R: Send + 'static,
{
    fn call(
        &self,
        to: NodeId,
        request: Q,
    ) -> impl Future<Output = Result<R, CallError>> + Send + use<W, Q, R> {
        let deadline = Instant::now() + (self.shared.patience)(&request);
        let shared = Arc::clone(&self.shared);
        let route = shared.route::<R>(to);
        async move {
            let link = match route {
                Route::Up(link) => link,
                Route::Wait(greeted) => match timeout_at(deadline, greeted).await {
                    Ok(Ok(link)) => link,
                    Ok(Err(_)) => return Err(CallError::Down(shared.refusal(to))),
                    Err(_) => return Err(CallError::Down(None)),
                },
                Route::Down(why) => return Err(CallError::Down(why)),
            };
            // tarpc watches the deadline of what it has sent, but not of what still waits for room
            // behind a peer that reads nothing.
            let call = link.wire.call(context_until(deadline.into_std()), request);
            let result = timeout_at(deadline, AssertUnwindSafe(call).catch_unwind()).await;
            shared.outcome(to, &link, result)
        }
    }
}

impl<W, Q> Shared<W, Q> {
    fn refusal(&self, node: NodeId) -> Option<Refusal> {
        lock(&self.book).peers.get(&node).and_then(Peer::refusal)
    }

    /// What became of a call, and what that says about the connection.
    fn outcome<R>(
        &self,
        to: NodeId,
        link: &Arc<Link<W>>,
        result: Result<std::thread::Result<Result<R, RpcError>>, tokio::time::error::Elapsed>,
    ) -> Result<R, CallError> {
        let error = match result {
            Ok(Ok(Ok(reply))) => {
                if link.late.load(Relaxed) != 0 {
                    link.late.store(0, Relaxed);
                }
                return Ok(reply);
            }
            // The generated client panics over an answer of another kind than its question.
            Ok(Err(_)) => CallError::WrongKind,
            Ok(Ok(Err(RpcError::Send(_)))) => CallError::TooBig,
            Ok(Ok(Err(RpcError::Server(error)))) => CallError::Failed(error.detail),
            Ok(Ok(Err(RpcError::Shutdown | RpcError::Channel(_)))) => CallError::Lost,
            Ok(Ok(Err(RpcError::DeadlineExceeded))) | Err(_) => CallError::Late,
        };
        let give_up = match error {
            CallError::Late => link.late.fetch_add(1, Relaxed) + 1 >= LATE_CALLS,
            CallError::Lost | CallError::WrongKind => true,
            _ => false,
        };
        if give_up {
            self.lost(to, link);
        }
        Err(error)
    }

    /// `link` is of no use any more; others may have noticed before.
    fn lost(&self, node: NodeId, link: &Arc<Link<W>>) {
        link.end();
        let mut book = lock(&self.book);
        let Book { peers, rng, .. } = &mut *book;
        let Some(peer) = peers.get_mut(&node) else { return };
        if matches!(&peer.state, State::Up(now) if Arc::ptr_eq(now, link)) {
            peer.lost(link, rng);
        }
    }

    fn close(&self) {
        let mut book = lock(&self.book);
        book.closed = true;
        for (_, peer) in std::mem::take(&mut book.peers) {
            peer.end();
        }
    }
}

impl<W: Send + Sync + 'static, Q: 'static> Shared<W, Q> {
    fn route<R: 'static>(self: &Arc<Self>, to: NodeId) -> Route<W>
    where
        W: Wire<Q, R>,
    {
        let mut book = lock(&self.book);
        let Book { peers, rng, closed } = &mut *book;
        let Some(peer) = peers.get_mut(&to).filter(|_| !*closed) else { return Route::Down(None) };
        if let State::Up(link) = &peer.state {
            if !link.ended() {
                return Route::Up(Arc::clone(link));
            }
            // Noticed before anything was sent, so this call need not suffer for it.
            let link = Arc::clone(link);
            link.end();
            peer.lost(&link, rng);
        }
        let hopeful = peer.failures == 0;
        if matches!(&peer.state, State::Down { until } if *until <= Instant::now()) {
            let dial = Arc::clone(self).dial::<R>(to, peer.addr.clone());
            let task = tokio::spawn(dial).abort_handle();
            peer.state = State::Dialing { task, waiting: Vec::new() };
        }
        match &mut peer.state {
            State::Dialing { waiting, .. } if hopeful => {
                let (tell, told) = oneshot::channel();
                waiting.push(tell);
                Route::Wait(told)
            }
            _ => Route::Down(peer.refusal()),
        }
    }

    /// One attempt to reach `node`.
    async fn dial<R>(self: Arc<Self>, node: NodeId, addr: Addr)
    where
        W: Wire<Q, R>,
    {
        let greeted = timeout(DIAL_TIME, async {
            let mut stream = self.network.connect(&addr).await?;
            let answered = hello::greet(&mut stream, &self.hello).await?;
            // Behind that address somebody else lives now.
            if answered == node { Ok(stream) } else { Err(HelloError::Foreign) }
        })
        .await
        .unwrap_or_else(|_| Err(HelloError::Io(std::io::ErrorKind::TimedOut.into())));

        let mut book = lock(&self.book);
        let Book { peers, rng, .. } = &mut *book;
        let Some(peer) = peers.get_mut(&node).filter(|peer| peer.addr == addr) else { return };
        match greeted {
            Ok(stream) => {
                let (line, hang_up) = Line::new(stream, self.bounds);
                peer.up(Arc::new(Link {
                    wire: W::open(line),
                    since: Instant::now(),
                    late: AtomicU32::new(0),
                    hang_up: Mutex::new(Some(hang_up)),
                }));
            }
            Err(error) => {
                tracing::debug!(%node, %addr, %error, "cannot reach");
                peer.failed(error, rng);
            }
        }
    }
}

/// Ends everything when the last one who may make calls is gone.
struct Owner<W, Q>(Arc<Shared<W, Q>>);

impl<W, Q> Drop for Owner<W, Q> {
    fn drop(&mut self) {
        self.0.close();
    }
}
