//! One service of a server: how a greeted connection becomes tarpc requests, handlers and answers.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{
    Sink, Stream, StreamExt,
    future::BoxFuture,
    stream::{FusedStream, FuturesUnordered},
};
use protocol::NodeId;
use serde::{Serialize, de::DeserializeOwned};
use tarpc::{
    ChannelError, ClientMessage, RequestName, Response, ServerError, context,
    server::{self, BaseChannel, Channel},
};
use tokio::time::{Instant, Sleep};
use tokio_util::codec::Framed;

use crate::{
    Connection,
    codec::{FrameError, ServerCodec},
    hello::{Hello, Refusal},
    limits::{
        CLIENT_FRAME, CLIENT_IN_FLIGHT, FRAME_TIME, PEER_FRAME, PEER_IN_FLIGHT, READ_BUFFER,
        WRITE_BOUNDARY,
    },
};

/// What one connection of a service may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a frame, in and out.
    pub frame: usize,
    /// Requests at once on one connection. A client that sends more is told so, request by
    /// request; nothing is queued for it.
    pub in_flight: usize,
}

impl Bounds {
    /// For whoever comes.
    pub const CLIENT: Self = Self { frame: CLIENT_FRAME, in_flight: CLIENT_IN_FLIGHT };

    /// For the other nodes.
    pub const PEER: Self = Self { frame: PEER_FRAME, in_flight: PEER_IN_FLIGHT };
}

type ServeFn =
    dyn Fn(Hello, Connection) -> BoxFuture<'static, Result<(), FrameError>> + Send + Sync;
type AdmitFn = dyn Fn(&Hello) -> Result<(), Refusal> + Send + Sync;

/// One service of a [`Server`](crate::Server): whom it admits and how it serves a connection.
#[derive(Clone)]
pub struct Mount {
    serve: Arc<ServeFn>,
    admit: Arc<AdmitFn>,
}

impl Mount {
    /// A service that treats a greeted connection as it likes.
    pub fn raw<F>(serve: F) -> Self
    where
        F: Fn(Hello, Connection) -> BoxFuture<'static, Result<(), FrameError>>
            + Send
            + Sync
            + 'static,
    {
        Self { serve: Arc::new(serve), admit: Arc::new(|_| Ok(())) }
    }

    /// A tarpc service. `handlers` is called once for each connection, with what the connection
    /// proved, and returns what answers its requests:
    ///
    /// ```text
    /// Mount::tarpc(Bounds::PEER, move |hello| {
    ///     let service = Handlers { inbox: inbox.clone(), peer: hello.node }.serve();
    ///     move |context, request| service.clone().serve(context, request)
    /// })
    /// ```
    pub fn tarpc<Q, R, H, F, M>(bounds: Bounds, handlers: M) -> Self
    where
        Q: DeserializeOwned + RequestName + Send + 'static,
        R: Serialize + Send + 'static,
        H: Fn(context::Context, Q) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, ServerError>> + Send + 'static,
        M: Fn(&Hello) -> H + Send + Sync + 'static,
    {
        Self::raw(move |hello, stream| {
            let handler = handlers(&hello);
            Box::pin(answer_requests(bounds, stream, handler))
        })
    }

    /// The same service, for those only whom `admit` lets in.
    #[must_use]
    pub fn admit(
        mut self,
        admit: impl Fn(&Hello) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.admit = Arc::new(admit);
        self
    }

    /// The same service, for these nodes only.
    #[must_use]
    pub fn members(self, members: impl IntoIterator<Item = NodeId>) -> Self {
        let members: std::collections::BTreeSet<NodeId> = members.into_iter().collect();
        self.admit(move |hello| match hello.node {
            Some(node) if members.contains(&node) => Ok(()),
            _ => Err(Refusal::NotAMember),
        })
    }

    pub(crate) fn admits(&self, hello: &Hello) -> Result<(), Refusal> {
        (self.admit)(hello)
    }

    pub(crate) fn serve(
        &self,
        hello: Hello,
        stream: Connection,
    ) -> BoxFuture<'static, Result<(), FrameError>> {
        (self.serve)(hello, stream)
    }
}

/// Answers the requests of one connection until it ends. Handlers live inside this future, not in
/// tasks of their own: who drops it, drops them, and a handler that panics takes the connection
/// with it, so that its caller hears at once instead of at his deadline.
async fn answer_requests<Q, R, H, F>(
    bounds: Bounds,
    stream: Connection,
    handler: H,
) -> Result<(), FrameError>
where
    Q: DeserializeOwned + RequestName + Send + 'static,
    R: Serialize + Send + 'static,
    H: Fn(context::Context, Q) -> F,
    F: Future<Output = Result<R, ServerError>>,
{
    // An answer must never wait for room: its handler would keep a finished request in flight.
    let config = server::Config { pending_response_buffer: bounds.in_flight };
    let channel = BaseChannel::new(config, ServerTransport::<Q, R>::new(stream, bounds.frame));
    let mut requests = pin!(channel.max_concurrent_requests(bounds.in_flight).requests());
    let mut running = FuturesUnordered::new();
    std::future::poll_fn(|cx| {
        // Handlers that were answered since, first: all their answers then share one write.
        poll_all(&mut running, cx);
        loop {
            match requests.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(request))) => {
                    running.push(request.execute(server::serve(&handler)));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(closed_by(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        // The new ones; whoever can answer at once wakes this task by doing so.
        poll_all(&mut running, cx);
        Poll::Pending
    })
    .await
}

fn poll_all<F: Future<Output = ()>>(running: &mut FuturesUnordered<F>, cx: &mut Context<'_>) {
    while !running.is_terminated() {
        match running.poll_next_unpin(cx) {
            Poll::Ready(Some(())) => {}
            Poll::Ready(None) | Poll::Pending => break,
        }
    }
}

fn closed_by(error: ChannelError<FrameError>) -> Result<(), FrameError> {
    let (ChannelError::Read(error)
    | ChannelError::Ready(error)
    | ChannelError::Write(error)
    | ChannelError::Flush(error)
    | ChannelError::Close(error)) = error;
    Err(Arc::into_inner(error).unwrap_or(FrameError::Io(std::io::ErrorKind::Other.into())))
}

/// A server's end of a connection, with a limit on the time a frame may take to arrive.
struct ServerTransport<Q, R> {
    framed: Framed<Connection, ServerCodec<Q, R>>,
    /// When the unfinished frame in the buffer was first seen.
    begun: Option<Instant>,
    /// Set lazily and never reset early: a busy connection ends most of its reads inside a frame.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<Q, R> ServerTransport<Q, R> {
    fn new(stream: Connection, limit: usize) -> Self {
        let mut framed = Framed::with_capacity(stream, ServerCodec::new(limit), READ_BUFFER);
        framed.set_backpressure_boundary(WRITE_BOUNDARY);
        Self { framed, begun: None, alarm: None }
    }

    /// Whether the frame that is being received has taken too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.framed.read_buffer().is_empty() {
            self.begun = None;
            return Poll::Pending;
        }
        let due = *self.begun.get_or_insert_with(Instant::now) + FRAME_TIME;
        loop {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            // It was set for an earlier frame.
            self.alarm = None;
        }
    }
}

impl<Q: DeserializeOwned, R> Stream for ServerTransport<Q, R> {
    type Item = Result<ClientMessage<Q>, FrameError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.framed.poll_next_unpin(cx) {
            Poll::Ready(item) => {
                self.begun = None;
                Poll::Ready(item)
            }
            Poll::Pending => self.poll_late(cx).map(|()| Some(Err(FrameError::Slow))),
        }
    }
}

impl<Q, R: Serialize> Sink<Response<R>> for ServerTransport<Q, R> {
    type Error = FrameError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        Pin::new(&mut self.framed).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, answer: Response<R>) -> Result<(), FrameError> {
        Pin::new(&mut self.framed).start_send(answer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        Pin::new(&mut self.framed).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        Pin::new(&mut self.framed).poll_close(cx)
    }
}
