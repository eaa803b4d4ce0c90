//! Sockets.

use std::io;

use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};

use crate::{Addr, Connection, Listener, Network};

/// The network of the operating system. Every socket has Nagle's delay off: we batch by ourselves
/// and a held-back segment would cost a round trip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Network for Tcp {
    fn listen<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(addr.as_str()).await?;
            let addr = Addr::from(listener.local_addr()?.to_string());
            Ok(Box::new(TcpDoor { listener, addr }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move { ready(TcpStream::connect(addr.as_str()).await?) })
    }
}

struct TcpDoor {
    listener: TcpListener,
    addr: Addr,
}

impl Listener for TcpDoor {
    fn addr(&self) -> Addr {
        self.addr.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move { ready(self.listener.accept().await?.0) })
    }
}

fn ready(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}
