//! The driver's side of a log. It lives here because both the driver and the log need it.

use std::{io, task};

use crate::Lsn;

/// One stream of records, already encoded. The file log and the memory log of `wal` implement it.
pub trait Log {
    /// Queues a record behind all earlier ones. Never waits and cannot fail: trouble shows in
    /// [`poll_durable`](Self::poll_durable).
    fn append(&mut self, record: &[u8]);

    /// Hands what was queued to the writer. Called once a turn.
    fn push(&mut self);

    /// How many records are durable, when that is more than was last reported. An error is final:
    /// the disk failed, and the process must stop.
    fn poll_durable(&mut self, cx: &mut task::Context<'_>) -> task::Poll<io::Result<Lsn>>;

    /// Records below `keep` are not needed any more; their space may be used again.
    fn forget(&mut self, keep: Lsn);
}

impl<L: Log + ?Sized> Log for Box<L> {
    fn append(&mut self, record: &[u8]) {
        (**self).append(record);
    }

    fn push(&mut self) {
        (**self).push();
    }

    fn poll_durable(&mut self, cx: &mut task::Context<'_>) -> task::Poll<io::Result<Lsn>> {
        (**self).poll_durable(cx)
    }

    fn forget(&mut self, keep: Lsn) {
        (**self).forget(keep);
    }
}
