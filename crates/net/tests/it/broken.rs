//! Ways to break a network, each of which its suite must see.

use std::{
    io,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use net::{Addr, Connection, Listener, Memory, Network, suite};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    GivesAnAddressTwice,
    NeverSaysWhichPort,
    IsSilentWhenNobodyListens,
    ListensAfterItsEnd,
    LosesLastWords,
    ClosesBothWays,
    TakesEverything,
    SwapsBytes,
    LosesWhoCameInBetween,
}

/// A network of pipes with one flaw.
struct Bent {
    memory: Memory,
    flaw: Flaw,
}

struct Door {
    inner: Box<dyn Listener>,
    flaw: Flaw,
}

impl Network for Bent {
    fn listen<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let inner = match self.memory.listen(addr).await {
                Err(_) if self.flaw == Flaw::GivesAnAddressTwice => {
                    self.memory.listen(&Addr::any()).await
                }
                listening => listening,
            }?;
            Ok(Box::new(Door { inner, flaw: self.flaw }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, addr: &'a Addr) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            match self.memory.connect(addr).await {
                Err(_) if self.flaw == Flaw::IsSilentWhenNobodyListens => {
                    std::future::pending().await
                }
                connected => Ok(bent(connected?, self.flaw)),
            }
        })
    }
}

impl Listener for Door {
    fn addr(&self) -> Addr {
        if self.flaw == Flaw::NeverSaysWhichPort { Addr::any() } else { self.inner.addr() }
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let stream = self.inner.accept().await?;
            if self.flaw == Flaw::LosesWhoCameInBetween {
                // Whoever drops this future now drops the connection with it.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(bent(stream, self.flaw))
        })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if self.flaw == Flaw::ListensAfterItsEnd {
            struct Nobody;
            impl Listener for Nobody {
                fn addr(&self) -> Addr {
                    Addr::any()
                }

                fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
                    Box::pin(std::future::pending())
                }
            }
            std::mem::forget(std::mem::replace(&mut self.inner, Box::new(Nobody)));
        }
    }
}

/// More than anybody sends in the suite.
const EVERYTHING: usize = 64 << 20;

fn bent(mut stream: Connection, flaw: Flaw) -> Connection {
    if flaw == Flaw::TakesEverything {
        let (mine, mut theirs) = tokio::io::duplex(EVERYTHING);
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut theirs, &mut stream).await });
        return Box::new(mine);
    }
    Box::new(Stream { stream, flaw, held: Vec::new() })
}

struct Stream {
    stream: Connection,
    flaw: Flaw,
    /// Taken from a writer and not passed on.
    held: Vec<u8>,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.flaw {
            Flaw::LosesLastWords => {
                self.held.extend_from_slice(data);
                Poll::Ready(Ok(data.len()))
            }
            Flaw::SwapsBytes => {
                let mut swapped = data.to_vec();
                if let [.., one, other] = &mut swapped[..] {
                    std::mem::swap(one, other);
                }
                Pin::new(&mut self.stream).poll_write(cx, &swapped)
            }
            _ => Pin::new(&mut self.stream).poll_write(cx, data),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let Self { stream, held, .. } = &mut *self;
            match Pin::new(stream).poll_write(cx, held) {
                Poll::Ready(written) => drop(held.drain(..written?)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flaw == Flaw::ClosesBothWays {
            let (nobody, _) = tokio::io::duplex(1);
            self.stream = Box::new(nobody);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// On a paused clock, so that what never happens is known at once.
#[tokio::test(start_paused = true)]
async fn a_broken_network_is_found() {
    let flaws = [
        (Flaw::GivesAnAddressTwice, "taken"),
        (Flaw::NeverSaysWhichPort, "left != right"),
        (Flaw::IsSilentWhenNobodyListens, "did not happen: being refused"),
        (Flaw::ListensAfterItsEnd, "nobody"),
        (Flaw::LosesLastWords, "left == right"),
        (Flaw::ClosesBothWays, "half open"),
        (Flaw::TakesEverything, "unbounded buffer"),
        (Flaw::SwapsBytes, "left == right"),
        (Flaw::LosesWhoCameInBetween, "did not happen: connecting"),
    ];
    for (flaw, expected) in flaws {
        let network = Arc::new(Bent { memory: Memory::new(), flaw });
        let Err(panic) = AssertUnwindSafe(suite::network(network)).catch_unwind().await else {
            panic!("the suite let it pass: {flaw:?}")
        };
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let said = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        assert!(said.contains(expected), "{flaw:?}: {said}");
    }
}
