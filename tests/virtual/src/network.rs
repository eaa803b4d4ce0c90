//! The simulated network behind the seam of `net`: every byte that is sent or heard is told.

use std::{
    io,
    net::Ipv4Addr,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use net::{Addr, Connection, Listener, Network};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use crate::story::{Story, now};

/// The network as one host sees it. An address is `host:port`.
#[derive(Clone)]
pub(crate) struct Virtual {
    host: String,
    story: Story,
}

impl Virtual {
    /// The network of `host`.
    pub(crate) fn new(host: &str, story: &Story) -> Self {
        Self { host: host.to_owned(), story: story.clone() }
    }

    fn tap(&self, stream: TcpStream, how: &str, with: &str) -> Connection {
        let number = self.story.connection();
        self.story.tell(now(), format_args!("{} #{number} {how} {with}", self.host), &[]);
        Box::new(Tap { stream, number, host: self.host.clone(), story: self.story.clone() })
    }
}

impl Network for Virtual {
    fn listen<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let port = addr.as_str().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            let port: u16 = port.ok_or(io::ErrorKind::InvalidInput)?;
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            let door = Door { network: self.clone(), listener, addr: addr.clone() };
            Ok(Box::new(door) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            let stream = TcpStream::connect(addr.as_str()).await?;
            Ok(self.tap(stream, "connects to", addr.as_str()))
        })
    }
}

struct Door {
    network: Virtual,
    listener: TcpListener,
    addr: Addr,
}

impl Listener for Door {
    fn addr(&self) -> Addr {
        self.addr.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let (stream, from) = self.listener.accept().await?;
            let from = turmoil::reverse_lookup(from.ip()).unwrap_or_else(|| from.to_string());
            Ok(self.network.tap(stream, "accepts", &from))
        })
    }
}

/// A stream that tells what passes.
struct Tap {
    stream: TcpStream,
    number: u64,
    host: String,
    story: Story,
}

impl Tap {
    fn tell(&self, what: &str, bytes: &[u8]) {
        let Self { host, number, .. } = self;
        let len = bytes.len();
        self.story.tell(now(), format_args!("{host} #{number} {what} {len} bytes"), bytes);
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, into);
        match &result {
            Poll::Ready(Ok(())) => self.tell("hears", &into.filled()[before..]),
            Poll::Ready(Err(error)) => self.tell(&format!("breaks ({:?})", error.kind()), &[]),
            Poll::Pending => {}
        }
        result
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        match &result {
            Poll::Ready(Ok(taken)) => self.tell("says", &bytes[..*taken]),
            Poll::Ready(Err(error)) => self.tell(&format!("fails ({:?})", error.kind()), &[]),
            Poll::Pending => {}
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
