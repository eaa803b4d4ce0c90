//! Writing and reading snapshots, beside the replica: disks are slow, and it never waits for one.

use std::sync::{
    Arc,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use net::{Inbox, abort_on_panic};
use tokio::sync::mpsc;
use wal::{Snapshots, StreamId};

use crate::{
    agreement::Index,
    core::MAX_IMAGE,
    message::{CHUNK, Chunk, Output, Request},
};

/// What can be installed can be written.
const _: () = assert!(MAX_IMAGE == wal::snapshots::MAX_SNAPSHOT);

/// Where snapshots are written and read.
#[derive(Clone, Default)]
pub enum Aside {
    /// On a thread of their own.
    #[default]
    Thread,
    /// On a task of the runtime, one job after the other: the disk answers at once, and the job
    /// counts as done when what this returns is. For simulations, which have a clock of their own
    /// that no thread keeps to.
    Task(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>),
}

/// Jobs waiting to be done, at most. A replica has one snapshot being written and at most
/// sixteen pieces being read, so this is never full.
const ROOM: usize = 64;

/// What there is to do.
type Job = Output;

/// Comes true (as an error: nothing is ever said) when the last job is done and the disk was let
/// go of.
pub(crate) type Gone = tokio::sync::oneshot::Receiver<std::convert::Infallible>;

/// The way to the one who does the jobs. When it is dropped he finishes what he has and ends.
pub(crate) struct Librarian {
    jobs: Jobs,
}

enum Jobs {
    Thread(SyncSender<Job>),
    Task(mpsc::Sender<Job>),
}

impl Librarian {
    /// Somebody who works on `snapshots` and reports to `inbox`.
    pub(crate) fn start<Q, R>(
        stream: StreamId,
        snapshots: Arc<Snapshots>,
        aside: Aside,
        inbox: Inbox<Request<Q>, R>,
    ) -> std::io::Result<(Self, Gone)>
    where
        Q: Send + 'static,
        R: Send + 'static,
    {
        let (here, gone) = tokio::sync::oneshot::channel();
        let jobs = match aside {
            Aside::Thread => {
                let (jobs, work) = sync_channel(ROOM);
                std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
                    // It never waits, so it is ready at once.
                    let _ = abort_on_panic("the keeper of snapshots", async {
                        work_through(stream, &snapshots, &work, &inbox);
                    })
                    .now_or_never();
                    // The directory may be opened again as soon as `here` is gone.
                    drop(snapshots);
                    drop(here);
                })?;
                Jobs::Thread(jobs)
            }
            Aside::Task(settled) => {
                let (jobs, mut work) = mpsc::channel(ROOM);
                tokio::spawn(abort_on_panic("the keeper of snapshots", async move {
                    while let Some(job) = work.recv().await {
                        if let Some(report) = perform(stream, &snapshots, job) {
                            settled().await;
                            inbox.tell(report).await;
                        }
                    }
                    drop(snapshots);
                    drop(here);
                }));
                Jobs::Task(jobs)
            }
        };
        Ok((Self { jobs }, gone))
    }

    /// Hands on a job, if the output is one.
    pub(crate) fn give(&self, output: Output) {
        if matches!(output, Output::Save { .. } | Output::Load { .. }) {
            // Full or gone: the job is lost as if the disk had failed, and is asked for again.
            match &self.jobs {
                Jobs::Thread(jobs) => drop(jobs.try_send(output)),
                Jobs::Task(jobs) => drop(jobs.try_send(output)),
            }
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
        if let Some(report) = perform(stream, snapshots, job) {
            inbox.tell_blocking(report);
        }
    }
}

/// Does one job; what to report, if there was one.
fn perform<Q>(stream: StreamId, snapshots: &Snapshots, job: Job) -> Option<Request<Q>> {
    match job {
        Output::Save { upto, image } => {
            let written = save(stream, snapshots, upto, &image.write());
            Some(Request::Saved { upto, written })
        }
        Output::Load { ticket, chunk } => {
            let piece = load(stream, snapshots, chunk);
            Some(Request::Loaded { ticket, piece })
        }
        Output::Applied { .. } | Output::Installed(_) => None,
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
