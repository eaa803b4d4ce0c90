//! A relay that counts what goes through it: what a backup is sent is counted on real sockets,
//! without a word in the servers' own code.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use net::Addr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::Outcome;

/// Bytes copied at once.
const GULP: usize = 64 << 10;

/// Bytes that went through, there and back.
#[derive(Default)]
pub(crate) struct Counts {
    there: AtomicU64,
    back: AtomicU64,
}

impl Counts {
    pub(crate) fn now(&self) -> (u64, u64) {
        (self.there.load(Relaxed), self.back.load(Relaxed))
    }
}

/// A relay to an address that is told later, since the server behind it must know the relay's own
/// address first.
pub(crate) struct Relay {
    pub(crate) addr: Addr,
    pub(crate) counts: Arc<Counts>,
    target: watch::Sender<Option<String>>,
}

impl Relay {
    pub(crate) async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = Addr::from(listener.local_addr()?.to_string());
        let counts = Arc::new(Counts::default());
        let (target, told) = watch::channel(None);
        tokio::spawn(accept(listener, told, Arc::clone(&counts)));
        Ok(Self { addr, counts, target })
    }

    /// From now on everything goes there.
    pub(crate) fn leads_to(&self, target: &Addr) {
        self.target.send_replace(Some(target.to_string()));
    }
}

async fn accept(
    listener: TcpListener,
    mut told: watch::Receiver<Option<String>>,
    counts: Arc<Counts>,
) {
    while let Ok((near, _)) = listener.accept().await {
        let Ok(target) = told.wait_for(Option::is_some).await.map(|it| it.clone()) else { return };
        let Some(Ok(far)) = connected(target).await else { continue };
        // Nothing here may wait for more to come.
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        let (there, back) = (Arc::clone(&counts), Arc::clone(&counts));
        // A connection that breaks is made again by whoever needs it.
        tokio::spawn(async move { copy(near_in, far_out, &there.there).await });
        tokio::spawn(async move { copy(far_in, near_out, &back.back).await });
    }
}

async fn connected(target: Option<String>) -> Option<io::Result<TcpStream>> {
    Some(TcpStream::connect(target?).await)
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut bytes = vec![0; GULP];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        count.fetch_add(read as u64, Relaxed);
        to.write_all(&bytes[..read]).await?;
    }
}
