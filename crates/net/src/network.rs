//! The seam below everything: two ways to get a stream of bytes, and nothing about what is in it.

use std::{fmt, io};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// Where somebody listens, in words that only its [`Network`] understands.
///
/// An address that ends in `:0` asks for a free port; [`Listener::addr`] then says which one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr(String);

impl Addr {
    /// The free loopback port every test listens on.
    #[must_use]
    pub fn any() -> Self {
        Self("127.0.0.1:0".into())
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Addr {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Addr {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes in order, both ways, until one side is gone.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// A byte stream of any network. Boxed, since a virtual call is lost beside the system call or the
/// copy below it, and one type keeps every signature above short.
pub type Connection = Box<dyn ByteStream>;

/// Somebody who can be connected to. Dropping it refuses everybody who comes later.
pub trait Listener: Send {
    /// Where it really listens.
    fn addr(&self) -> Addr;

    /// Waits for the next connection. Dropping the future loses none.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>>;
}

/// A way to reach others: sockets, pipes inside one process, or either in bad weather.
pub trait Network: Send + Sync + 'static {
    /// Starts listening.
    fn listen<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;

    /// Connects to whoever listens at `addr`; refused if nobody does.
    fn connect<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Connection>>;
}
