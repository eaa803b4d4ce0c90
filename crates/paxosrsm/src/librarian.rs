//! Writing and reading snapshots, on a thread of its own: disks are slow, and a replica never
//! waits for one.

use std::sync::{
    Arc,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use bytes::Bytes;
use net::Inbox;
use wal::{Snapshots, StreamId};

use crate::{
    agreement::Index,
    message::{CHUNK, Chunk, Output, Request},
};

/// Jobs waiting for the thread, at most. A replica has one snapshot being written and at most
/// sixteen pieces being read, so this is never full.
const ROOM: usize = 64;

/// What the thread is asked to do.
type Job = Output;

/// Comes true (as an error: nothing is ever said) when the thread has ended and has let go of the
/// disk.
pub(crate) type Gone = tokio::sync::oneshot::Receiver<std::convert::Infallible>;

/// The way to the thread. When it is dropped the thread finishes what it has and ends.
pub(crate) struct Librarian {
    jobs: SyncSender<Job>,
}

impl Librarian {
    /// A thread that works on `snapshots` and reports to `inbox`.
    pub(crate) fn start<Q, R>(
        stream: StreamId,
        snapshots: Arc<Snapshots>,
        inbox: Inbox<Request<Q>, R>,
    ) -> std::io::Result<(Self, Gone)>
    where
        Q: Send + 'static,
        R: Send + 'static,
    {
        let (jobs, work) = sync_channel(ROOM);
        let (here, gone) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            work_through(stream, &snapshots, &work, &inbox);
            // The directory may be opened again as soon as `here` is gone.
            drop(snapshots);
            drop(here);
        })?;
        Ok((Self { jobs }, gone))
    }

    /// Gives the thread a job, if the output is one.
    pub(crate) fn give(&self, output: Output) {
        if matches!(output, Output::Save { .. } | Output::Load { .. }) {
            // Full or gone: the job is lost as if the disk had failed, and is asked for again.
            let _ = self.jobs.try_send(output);
        }
    }
}

fn work_through<Q, R>(
    stream: StreamId,
    snapshots: &Snapshots,
    work: &Receiver<Job>,
    inbox: &Inbox<Request<Q>, R>,
) {
    while let Ok(job) = work.recv() {
        match job {
            Output::Save { upto, image } => {
                let written = save(stream, snapshots, upto, &image.write());
                inbox.tell_blocking(Request::Saved { upto, written });
            }
            Output::Load { ticket, chunk } => {
                let piece = load(stream, snapshots, chunk);
                inbox.tell_blocking(Request::Loaded { ticket, piece });
            }
            Output::Applied { .. } | Output::Installed(_) => {}
        }
    }
}

/// Writes a snapshot, then removes all but it and the one before.
fn save(stream: StreamId, snapshots: &Snapshots, upto: Index, image: &[u8]) -> bool {
    if let Err(error) = snapshots.save(stream, upto.0, image) {
        tracing::error!(%error, upto = upto.0, "a snapshot could not be written; the log stays long");
        return false;
    }
    let kept = snapshots.list(stream).unwrap_or_default();
    if let Some(before) = kept.get(1) {
        let removed = snapshots.remove_below(stream, before.index);
        if let Err(error) = removed {
            tracing::warn!(%error, "an old snapshot could not be removed");
        }
    }
    true
}

fn load(stream: StreamId, snapshots: &Snapshots, chunk: Chunk) -> Option<(u64, Bytes)> {
    let kept = snapshots.list(stream).ok()?;
    let snapshot = kept.iter().find(|snapshot| snapshot.index == chunk.upto.0)?;
    let piece = snapshots.chunk(snapshot, chunk.offset, CHUNK).ok()?;
    let total = snapshots.size(snapshot).ok()?;
    Some((total, Bytes::from(piece)))
}
