//! The seam between a core's messages and tarpc's: calls on one side, handlers on the other.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use futures_util::task::AtomicWaker;
use protocol::NodeId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::Framed;

use crate::{
    Connection,
    codec::ClientCodec,
    hello::Refusal,
    limits::{READ_BUFFER, WRITE_BOUNDARY},
    mount::Bounds,
};

pub use tarpc::client::RpcError;

/// The context of a call that is given up at `deadline`.
///
/// tarpc's own constructor looks for a tracing span each time; this one copies.
#[must_use]
pub fn context_until(deadline: Instant) -> tarpc::context::Context {
    static BLANK: OnceLock<tarpc::context::Context> = OnceLock::new();
    let mut context = *BLANK.get_or_init(tarpc::context::current);
    context.deadline = deadline;
    context
}

/// How a layer's requests `Q` become calls of its generated tarpc client and the results become
/// its replies `R`: one arm a message.
pub trait Wire<Q, R>: Send + Sync + Sized + 'static {
    /// A client on a greeted connection:
    /// `PeerClient::new(line.config(), line.transport()).spawn()`.
    fn open(line: Line) -> Self;

    /// One call.
    fn call(
        &self,
        context: tarpc::context::Context,
        request: Q,
    ) -> impl Future<Output = Result<R, RpcError>> + Send;
}

/// Why a call came to nothing, as far as its caller knows: it may still have been carried out,
/// except for [`Down`](Self::Down) and [`TooBig`](Self::TooBig).
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Not connected, and the next attempt is not due or not done yet. Nothing was sent.
    #[error("not connected{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Down(Option<Refusal>),
    /// The request does not fit a frame. Nothing was sent.
    #[error("the request does not fit a frame")]
    TooBig,
    /// The connection ended before the answer came.
    #[error("the connection was lost")]
    Lost,
    /// The answer did not come in time.
    #[error("no answer in time")]
    Late,
    /// The other side is alive and will not or cannot answer, in its words: too many requests at
    /// once, or an answer that does not fit a frame. Words only, since tarpc writes the kind of
    /// such an error as a signed integer and reads it as an unsigned one, which our variable-length
    /// integers do not forgive: every kind arrives as another.
    #[error("the other side failed the call: {0}")]
    Failed(String),
    /// The other side answered something that is no answer to this request.
    #[error("an answer of the wrong kind")]
    WrongKind,
}

/// How a handler asks the core behind it. Handlers hold nothing else.
pub trait Ask<Q, R>: Clone + Send + Sync + 'static {
    /// Asks and waits for the answer, if need be for ever: a core that is gone answers no one, and
    /// the caller's deadline tells him. `peer` is what the connection proved.
    fn ask(&self, peer: Option<NodeId>, request: Q) -> impl Future<Output = R> + Send;

    /// The same door with the words of an inner layer on it, so that an inner layer's service can
    /// be mounted over the core around it.
    fn wrap<Q2, R2>(
        self,
        request: fn(Q2) -> Q,
        reply: fn(R) -> Option<R2>,
    ) -> Wrapped<Self, Q, R, Q2, R2> {
        Wrapped { outer: self, request, reply }
    }
}

/// An outer core's inbox in the words of an inner layer. See [`Ask::wrap`].
pub struct Wrapped<A, Q, R, Q2, R2> {
    outer: A,
    request: fn(Q2) -> Q,
    reply: fn(R) -> Option<R2>,
}

impl<A: Clone, Q, R, Q2, R2> Clone for Wrapped<A, Q, R, Q2, R2> {
    fn clone(&self) -> Self {
        Self { outer: self.outer.clone(), request: self.request, reply: self.reply }
    }
}

impl<A, Q, R, Q2, R2> Ask<Q2, R2> for Wrapped<A, Q, R, Q2, R2>
where
    A: Ask<Q, R>,
    Q: Send + 'static,
    R: Send + 'static,
    Q2: Send + 'static,
    R2: Send + 'static,
{
    /// # Panics
    ///
    /// If the core answers with a reply of another kind: that is its bug.
    async fn ask(&self, peer: Option<NodeId>, request: Q2) -> R2 {
        let reply = self.outer.ask(peer, (self.request)(request)).await;
        (self.reply)(reply).expect("a core answered an inner request with a reply of another kind")
    }
}

/// A client's end of a greeted connection, from which a [`Wire`] makes its client.
pub struct Line {
    stream: Connection,
    bounds: Bounds,
    switch: Arc<Switch>,
}

impl Line {
    /// The client's end of `stream`, which has been greeted.
    #[must_use]
    pub fn new(stream: Connection, bounds: Bounds) -> (Self, HangUp) {
        let switch = Arc::new(Switch::default());
        (Self { stream, bounds, switch: Arc::clone(&switch) }, HangUp(switch))
    }

    /// How tarpc's client should behave on it.
    #[must_use]
    pub fn config(&self) -> tarpc::client::Config {
        let mut config = tarpc::client::Config::default();
        config.max_in_flight_requests = self.bounds.in_flight;
        config.pending_request_buffer = self.bounds.in_flight;
        config
    }

    /// The transport tarpc's client runs on.
    #[must_use]
    pub fn transport<Q, R>(self) -> Framed<Switched, ClientCodec<Q, R>> {
        let stream = Switched { stream: self.stream, switch: self.switch };
        let codec = ClientCodec::new(self.bounds.frame);
        let mut framed = Framed::with_capacity(stream, codec, READ_BUFFER);
        framed.set_backpressure_boundary(WRITE_BOUNDARY);
        framed
    }
}

#[derive(Default)]
struct Switch {
    hung_up: AtomicBool,
    /// The other side is gone.
    ended: AtomicBool,
    reader: AtomicWaker,
}

/// Ends a [`Line`] at once, whatever its client is doing; tarpc's would otherwise stay until its
/// last call is over, or for ever behind a peer that reads nothing. Dropping it hangs up.
pub struct HangUp(Arc<Switch>);

impl HangUp {
    /// Whether the other side has ended the connection.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.hung_up.store(true, Ordering::Release);
        self.0.reader.wake();
    }
}

/// A stream that breaks when its [`HangUp`] says so. Its reader hears of it: tarpc's client always
/// reads.
pub struct Switched {
    stream: Connection,
    switch: Arc<Switch>,
}

impl Switched {
    fn alive(&self) -> io::Result<()> {
        if self.switch.hung_up.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "hung up"));
        }
        Ok(())
    }
}

impl AsyncRead for Switched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.switch.reader.register(cx.waker());
        self.alive()?;
        let before = into.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, into);
        let ended = match &result {
            Poll::Ready(Ok(())) => into.filled().len() == before && into.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.switch.ended.store(true, Ordering::Release);
        }
        result
    }
}

impl AsyncWrite for Switched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
