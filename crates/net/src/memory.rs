//! Pipes inside one process, found by name.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use tokio::{io::DuplexStream, sync::mpsc};

use crate::{Addr, Connection, Listener, Network};

/// Bytes a pipe holds in each direction before its writer must wait.
const PIPE: usize = 256 * 1024;

/// Connections that wait for a slow listener before further ones must wait outside.
const BACKLOG: usize = 128;

/// A network inside one process. Clones are the same network; two networks never meet.
#[derive(Clone, Default)]
pub struct Memory {
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    doors: BTreeMap<Addr, mpsc::Sender<DuplexStream>>,
    ports: u64,
}

impl Memory {
    /// A network on which nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nobody panics while holding it; if somebody did, the book is still whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, asked: &Addr) -> io::Result<Door> {
        let mut book = self.book();
        let addr = match asked.as_str().strip_suffix(":0") {
            Some(host) => {
                book.ports += 1;
                Addr::from(format!("{host}:{}", book.ports))
            }
            None => asked.clone(),
        };
        if book.doors.contains_key(&addr) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{addr} is taken")));
        }
        let (knock, knocks) = mpsc::channel(BACKLOG);
        book.doors.insert(addr.clone(), knock);
        Ok(Door { network: self.clone(), addr, knocks })
    }
}

impl Network for Memory {
    fn listen<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { self.open(addr).map(|door| Box::new(door) as Box<dyn Listener>) })
    }

    fn connect<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            let refused = || {
                let why = format!("nobody listens at {addr}");
                io::Error::new(io::ErrorKind::ConnectionRefused, why)
            };
            let knock = self.book().doors.get(addr).cloned().ok_or_else(refused)?;
            let (mine, theirs) = tokio::io::duplex(PIPE);
            knock.send(theirs).await.map_err(|_| refused())?;
            Ok(Box::new(mine) as Connection)
        })
    }
}

struct Door {
    network: Memory,
    addr: Addr,
    knocks: mpsc::Receiver<DuplexStream>,
}

impl Listener for Door {
    fn addr(&self) -> Addr {
        self.addr.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            match self.knocks.recv().await {
                Some(stream) => Ok(Box::new(stream) as Connection),
                // The book holds a sender as long as this door exists.
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.network.book().doors.remove(&self.addr);
    }
}
