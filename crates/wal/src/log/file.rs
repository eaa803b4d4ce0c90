//! One stream of a log: bytes into a buffer, the buffer to the writer, a count back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use protocol::{Log, Lsn};

use super::{Inner, Order, lock};
use crate::format::{MAX_RECORD, RECORD_HEADER, padded};

/// One stream of a [`Wal`](crate::Wal).
pub struct FileLog {
    pub(super) inner: Arc<Inner>,
    pub(super) stream: u32,
    /// Framed records, the headers still empty.
    pub(super) frames: Vec<u8>,
    /// How many bytes of `frames` were pushed and found the queue full.
    pub(super) pushed: usize,
    pub(super) keep: u64,
    pub(super) reported: u64,
    /// Why a record was not taken. Final, like every error of a log.
    pub(super) refused: Option<String>,
}

impl FileLog {
    /// Hands over what was pushed and what may be forgotten, as far as the queue has room.
    fn hand_over(&mut self) {
        if self.try_hand_over() {
            return;
        }
        // Ask to be woken when there is room, then try again: the queue may have been emptied in
        // between, and then nobody would wake us.
        self.inner.shared.slots[self.stream as usize].stalled.store(true, Ordering::Release);
        self.try_hand_over();
    }

    /// False when the queue is full and something was left.
    fn try_hand_over(&mut self) -> bool {
        if self.pushed > 0 {
            let slot = &self.inner.shared.slots[self.stream as usize];
            let rest = self.frames.split_off(self.pushed);
            let frames =
                std::mem::replace(&mut self.frames, std::mem::take(&mut *lock(&slot.spare)));
            self.frames.extend_from_slice(&rest);
            match self.inner.try_hand(Order::Append { stream: self.stream, frames }) {
                Ok(()) => self.pushed = 0,
                Err(Order::Append { mut frames, .. }) => {
                    frames.extend_from_slice(&rest);
                    self.frames = frames;
                    return false;
                }
                Err(_) => unreachable!("the queue gives back what it was given"),
            }
        }
        if self.keep > 0 {
            match self.inner.try_hand(Order::Forget { stream: self.stream, keep: self.keep }) {
                Ok(()) => self.keep = 0,
                Err(_) => return false,
            }
        }
        true
    }

    fn news(&mut self) -> Option<io::Result<Lsn>> {
        if let Some(error) = self.inner.shared.failure() {
            return Some(Err(error));
        }
        if let Some(why) = &self.refused {
            return Some(Err(io::Error::new(io::ErrorKind::InvalidInput, why.clone())));
        }
        let slot = &self.inner.shared.slots[self.stream as usize];
        let durable = slot.durable.load(Ordering::Acquire);
        (durable > self.reported).then(|| {
            self.reported = durable;
            Ok(Lsn(durable))
        })
    }
}

impl Log for FileLog {
    fn append(&mut self, record: &[u8]) {
        if record.len() > MAX_RECORD || self.refused.is_some() {
            let len = record.len();
            self.refused.get_or_insert_with(|| {
                format!("a record of {len} bytes is longer than the {MAX_RECORD} a log takes")
            });
            return;
        }
        let start = self.frames.len();
        let end = start + RECORD_HEADER + record.len();
        self.frames.extend_from_slice(&[0; RECORD_HEADER]);
        self.frames[start + 8..start + 12].copy_from_slice(&(record.len() as u32).to_le_bytes());
        self.frames.extend_from_slice(record);
        self.frames.resize(end - record.len() + padded(record.len()), 0);
    }

    fn push(&mut self) {
        self.pushed = self.frames.len();
        self.hand_over();
    }

    fn poll_durable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Lsn>> {
        if self.pushed > 0 || self.keep > 0 {
            self.hand_over();
        }
        if let Some(news) = self.news() {
            return Poll::Ready(news);
        }
        {
            let mut waker = lock(&self.inner.shared.slots[self.stream as usize].waker);
            match &mut *waker {
                Some(old) => old.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        // The writer may have spoken between the look and the waker.
        self.news().map_or(Poll::Pending, Poll::Ready)
    }

    fn forget(&mut self, keep: Lsn) {
        self.keep = self.keep.max(keep.0);
        self.hand_over();
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        if self.pushed > 0 {
            self.frames.truncate(self.pushed);
            let frames = std::mem::take(&mut self.frames);
            self.inner.hand(Order::Append { stream: self.stream, frames });
        }
        if self.keep > 0 {
            self.inner.hand(Order::Forget { stream: self.stream, keep: self.keep });
        }
        self.inner.shared.slots[self.stream as usize].taken.store(false, Ordering::Release);
    }
}
