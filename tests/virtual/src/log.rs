//! The log of a host: the shipped writer, and a twin of its thread.
//!
//! The shipped writer runs inside `push` (`inline`), and the twin does what the thread does: while
//! the disk is busy with one batch it lets records gather, it reports a batch only when the disk
//! has done it, and after some quiet it has the mark written.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use protocol::{Log, Lsn};
use tokio::time::{Sleep, sleep};
use wal::{FileLog, QUIET_MS, Wal};

use crate::{disk::Disk, story::now};

/// One stream of a log on a disk that takes its time.
pub(crate) struct Late {
    wal: Arc<Wal>,
    stream: FileLog,
    disk: Disk,
    /// Records wait for the disk.
    pushed: bool,
    /// When the disk has done the batch it is busy with, and a timer for it.
    busy: Option<(Duration, Pin<Box<Sleep>>)>,
    /// When to write the mark.
    quiet: Option<Pin<Box<Sleep>>>,
}

impl Late {
    /// The stream of `wal`, which lies on `disk`.
    pub(crate) fn new(wal: &Arc<Wal>, stream: FileLog, disk: &Disk) -> Self {
        let (wal, disk) = (Arc::clone(wal), disk.clone());
        Self { wal, stream, disk, pushed: false, busy: None, quiet: None }
    }

    /// Gives the disk what has gathered, unless it is busy.
    fn start(&mut self) {
        if self.pushed && self.busy.is_none() {
            self.pushed = false;
            self.quiet = None;
            self.stream.push();
            let due = self.disk.due();
            self.busy = Some((due, Box::pin(sleep(due.saturating_sub(now())))));
        }
    }
}

impl Log for Late {
    fn append(&mut self, record: &[u8]) {
        self.stream.append(record);
    }

    fn push(&mut self) {
        self.pushed = true;
        self.start();
    }

    fn poll_durable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Lsn>> {
        while let Some((due, timer)) = &mut self.busy {
            ready!(timer.as_mut().poll(cx));
            let due = *due;
            if now() < due {
                self.busy = Some((due, Box::pin(sleep(due.saturating_sub(now())))));
                continue;
            }
            self.busy = None;
            let durable = self.stream.poll_durable(cx);
            self.quiet = Some(Box::pin(sleep(Duration::from_millis(QUIET_MS))));
            self.start();
            if durable.is_ready() {
                return durable;
            }
        }
        if let Some(quiet) = &mut self.quiet {
            ready!(quiet.as_mut().poll(cx));
            self.quiet = None;
            self.wal.settle();
        }
        Poll::Pending
    }

    fn forget(&mut self, keep: Lsn) {
        self.stream.forget(keep);
    }
}
