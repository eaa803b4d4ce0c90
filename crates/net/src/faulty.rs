//! Any network, in any [`Weather`].
//!
//! Both directions of a connection are handled at the end that connected, so each connection
//! between two nodes meets the weather exactly once, wherever it was accepted.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use crate::{
    Addr, Connection, Listener, Network, Weather,
    weather::{Ears, Link},
};

/// Bytes that may be on their way in one direction of a delayed connection.
const ON_THE_WAY: usize = 1024 * 1024;

/// Bytes taken from a delayed stream at once.
const GULP: usize = 16 * 1024;

/// A network as one node sees it through the weather.
#[derive(Clone)]
pub struct Faulty {
    network: Arc<dyn Network>,
    me: String,
    weather: Weather,
}

impl Faulty {
    pub(crate) fn new(network: Arc<dyn Network>, label: &str, weather: Weather) -> Self {
        Self { network, me: label.to_owned(), weather }
    }
}

impl Network for Faulty {
    fn listen<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = self.network.listen(addr).await?;
            self.weather.lives_at(&self.me, listener.addr());
            Ok(listener)
        })
    }

    fn connect<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            let mut changes = self.weather.changes();
            let (out, back) = self.weather.links(&self.me, addr);
            // The first packet needs an answer: a cut either way is enough.
            while out.is_cut() || back.is_cut() {
                if changes.changed().await.is_err() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            let round_trip = out.delay() + back.delay();
            if !round_trip.is_zero() {
                tokio::time::sleep(round_trip).await;
            }
            let inner = self.network.connect(addr).await?;
            let ears = Arc::new(Ears::default());
            out.listen(&ears);
            back.listen(&ears);
            let resets = out.resets();
            let (sending, coming) = (Way::default(), Way::default());
            let weather = self.weather.clone();
            let inner = Some(inner);
            Ok(Box::new(Weathered { inner, out, back, resets, ears, sending, coming, weather })
                as Connection)
        })
    }
}

struct Weathered {
    /// Taken only when dropped.
    inner: Option<Connection>,
    out: Arc<Link>,
    back: Arc<Link>,
    /// Resets before this connection was made.
    resets: u64,
    ears: Arc<Ears>,
    sending: Way,
    coming: Way,
    weather: Weather,
}

/// Bytes on their way in one direction, each with the time of its arrival.
#[derive(Default)]
struct Way {
    queue: VecDeque<(Instant, Bytes)>,
    length: usize,
    ended: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Way {
    fn push(&mut self, due: Instant, bytes: Bytes) {
        self.length += bytes.len();
        self.queue.push_back((due, bytes));
    }

    /// Ready when the first bytes have arrived; pending for ever if there are none.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<&mut Bytes> {
        let Some((due, bytes)) = self.queue.front_mut() else { return Poll::Pending };
        if *due > Instant::now() {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(*due)));
            if timer.deadline() != *due {
                timer.as_mut().reset(*due);
            }
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(bytes)
    }

    /// The first `count` bytes are gone.
    fn took(&mut self, count: usize) {
        self.length -= count;
        if let Some((_, bytes)) = self.queue.front_mut() {
            bytes.advance(count);
            if bytes.is_empty() {
                self.queue.pop_front();
            }
        }
    }
}

impl Weathered {
    fn inner(&mut self) -> io::Result<Pin<&mut Connection>> {
        if self.out.resets() != self.resets {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.inner.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Hands on what has been on its way long enough; ready when nothing is left.
    fn poll_deliver(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?;
        while !self.sending.queue.is_empty() {
            if self.out.is_cut() {
                return Poll::Pending;
            }
            let Some(inner) = self.inner.as_mut() else { break };
            let bytes = ready!(self.sending.poll_arrival(cx));
            let count = ready!(Pin::new(inner).poll_write(cx, bytes))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sending.took(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the other side has sent and lets it be late.
    fn poll_collect(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.coming.length < ON_THE_WAY && !self.coming.ended {
            let mut room = vec![0; GULP];
            let mut gulp = ReadBuf::new(&mut room);
            match self.inner()?.poll_read(cx, &mut gulp) {
                Poll::Ready(result) => result?,
                Poll::Pending => break,
            }
            let bytes = Bytes::copy_from_slice(gulp.filled());
            if bytes.is_empty() {
                self.coming.ended = true;
            } else {
                self.coming.push(Instant::now() + self.back.delay(), bytes);
            }
        }
        Ok(())
    }
}

impl AsyncRead for Weathered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.ears.reader.register(cx.waker());
        if let Poll::Ready(Err(error)) = self.poll_deliver(cx) {
            return Poll::Ready(Err(error));
        }
        if self.back.is_cut() {
            return Poll::Pending;
        }
        if self.coming.queue.is_empty() && self.back.delay().is_zero() && !self.coming.ended {
            return self.inner()?.poll_read(cx, into);
        }
        self.poll_collect(cx)?;
        if self.coming.queue.is_empty() && self.coming.ended {
            return Poll::Ready(Ok(()));
        }
        let arrived = ready!(self.coming.poll_arrival(cx));
        let count = arrived.len().min(into.remaining());
        into.put_slice(&arrived[..count]);
        self.coming.took(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Weathered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ears.writer.register(cx.waker());
        self.inner()?;
        if self.out.is_cut() {
            return Poll::Pending;
        }
        let delay = self.out.delay();
        if self.sending.queue.is_empty() && delay.is_zero() {
            return self.inner()?.poll_write(cx, bytes);
        }
        if self.sending.length >= ON_THE_WAY {
            ready!(self.poll_deliver(cx))?;
        }
        self.sending.push(Instant::now() + delay, Bytes::copy_from_slice(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ears.writer.register(cx.waker());
        ready!(self.poll_deliver(cx))?;
        self.inner()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ears.writer.register(cx.waker());
        ready!(self.poll_deliver(cx))?;
        if self.out.is_cut() {
            return Poll::Pending;
        }
        self.inner()?.poll_shutdown(cx)
    }
}

impl Drop for Weathered {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take().filter(|_| self.out.is_cut()) {
            self.weather.keep(Arc::clone(&self.out), inner);
        }
    }
}
