//! The writer: takes what all streams have queued, writes it in one piece, syncs once, reports.
//!
//! A plain struct without a thread. `log` loops over it on a thread of its own, or calls it
//! directly where the same disk calls in the same order are wanted.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Instant;

use protocol::planted;

use crate::format::{
    Kind, RECORD_HEADER, RecordHeader, Row, SEGMENT_HEADER, SegmentHeader, padded, segment_name,
};
use crate::log::{Order, Shared};
use crate::shelf::{Shelf, Spare};
use crate::{Config, DiskFile, Durability, Identity};

mod reclaim;

/// A write buffer longer than this is given back after use, in bytes.
const KEEP_BUFFER: usize = 4 << 20;

/// A segment in use.
pub(crate) struct Live {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// The position of its first record.
    pub(crate) first: u64,
    /// The highest record of each stream in it that has no copy in a newer segment.
    pub(crate) highest: BTreeMap<u32, u64>,
}

/// What the writer knows of one stream.
#[derive(Default)]
pub(crate) struct StreamState {
    pub(crate) keep: u64,
    pub(crate) next: u64,
    /// `keep` as the log says it, and as it says it durably.
    pub(crate) logged_keep: u64,
    pub(crate) durable_keep: u64,
    /// The payload lengths of the records from `keep` on, and their sum.
    pub(crate) lengths: VecDeque<u32>,
    pub(crate) live_bytes: u64,
}

/// The writer of one log.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: Config,
    pub(crate) identity: Identity,
    pub(crate) streams: Vec<StreamState>,
    /// Oldest first; the last one is written to. Never empty.
    pub(crate) live: VecDeque<Live>,
    pub(crate) shelf: Shelf,
    /// Where the next write to the current segment goes.
    pub(crate) offset: usize,
    /// Framed records that are not written yet.
    pub(crate) buffer: Vec<u8>,
    /// The position of the last record, and its checksum.
    pub(crate) position: u64,
    pub(crate) chain: u32,
    /// The highest position that is synced.
    pub(crate) mark: u64,
    /// Whether records were synced that no mark on disk covers yet, or keeps wait to be logged.
    pub(crate) unmarked: bool,
    /// Recycled when empty: the frames of orders under work.
    pub(crate) touched: Vec<u32>,
}

impl Writer {
    /// Does everything in `batch`: one write and one sync, unless a segment fills up. False when
    /// the log has failed; everybody has then been told.
    pub(crate) fn turn(&mut self, batch: &mut Vec<Order>) -> bool {
        let result = self.try_turn(batch);
        self.end(result)
    }

    /// Writes the durable mark, and what streams have forgotten, if that is not on disk yet.
    pub(crate) fn settle(&mut self) -> bool {
        let result = self.try_settle();
        self.end(result)
    }

    /// Whether `settle` has something to do.
    pub(crate) fn unsettled(&self) -> bool {
        self.unmarked
    }

    fn end(&mut self, result: io::Result<()>) -> bool {
        if let Err(error) = &result {
            self.shared.poison(error);
        }
        self.shared.counters.segments.store(self.live.len() as u64, Relaxed);
        self.shared.counters.pooled.store(self.shelf.len() as u64, Relaxed);
        self.shared.wake_stalled();
        result.is_ok()
    }

    fn try_turn(&mut self, batch: &mut Vec<Order>) -> io::Result<()> {
        for order in batch.drain(..) {
            match order {
                Order::Append { stream, frames } => {
                    self.append(stream, &frames)?;
                    self.shared.give_back(stream, frames);
                }
                Order::Forget { stream, keep } => self.forget(stream, keep),
                Order::Rotate => {
                    self.flush()?;
                    self.switch(0)?;
                }
                Order::Settle => self.try_settle()?,
            }
        }
        if !self.buffer.is_empty() {
            self.log_keeps()?;
            self.flush()?;
        }
        self.reclaim()
    }

    fn try_settle(&mut self) -> io::Result<()> {
        if !self.unmarked {
            return Ok(());
        }
        self.flush()?;
        self.log_keeps()?;
        self.add(Kind::Mark, 0, 0, &[0; RECORD_HEADER], 0)?;
        self.flush()?;
        self.unmarked = false;
        self.reclaim()
    }

    /// Adds the records of one push: frames with empty headers, lengths filled in.
    fn append(&mut self, stream: u32, frames: &[u8]) -> io::Result<()> {
        let mut rest = frames;
        while !rest.is_empty() {
            let len = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes"));
            let (frame, behind) = rest.split_at(RECORD_HEADER + padded(len as usize));
            let state = &mut self.streams[stream as usize];
            if state.next == 0 {
                (state.keep, state.next, state.logged_keep) = (1, 1, 1);
            }
            let lsn = state.next;
            self.add(Kind::Data, stream, lsn, frame, len)?;
            let state = &mut self.streams[stream as usize];
            state.next += 1;
            state.lengths.push_back(len);
            state.live_bytes += u64::from(len);
            self.shared.counters.records.fetch_add(1, Relaxed);
            rest = behind;
        }
        self.shared.live(stream, self.streams[stream as usize].live_bytes);
        if !self.touched.contains(&stream) {
            self.touched.push(stream);
        }
        Ok(())
    }

    /// Adds one record to the buffer, in the next segment if this one is full.
    fn add(&mut self, kind: Kind, stream: u32, lsn: u64, frame: &[u8], len: u32) -> io::Result<()> {
        if self.offset + self.buffer.len() + frame.len() > self.current().len as usize {
            self.flush()?;
            self.switch(frame.len())?;
        }
        let header = RecordHeader {
            payload_crc: crc32c::crc32c(&frame[RECORD_HEADER..]),
            len,
            kind,
            stream,
            chain: self.chain,
            lsn,
            position: self.position + 1,
            segment: self.current().number,
            mark: self.mark,
        };
        let start = self.buffer.len();
        self.buffer.extend_from_slice(frame);
        self.chain = header.encode(&mut self.buffer[start..]);
        self.position += 1;
        self.unmarked |= kind != Kind::Mark;
        if kind == Kind::Data {
            let highest = self.current_mut().highest.entry(stream).or_default();
            *highest = (*highest).max(lsn);
        }
        Ok(())
    }

    fn forget(&mut self, stream: u32, keep: u64) {
        let state = &mut self.streams[stream as usize];
        // Nobody can forget what was not yet written.
        let keep = keep.min(state.next);
        while state.keep < keep {
            let len = state.lengths.pop_front().expect("one length a live record");
            state.live_bytes -= u64::from(len);
            state.keep += 1;
            self.unmarked = true;
        }
        self.shared.live(stream, state.live_bytes);
    }

    /// Adds a record for every stream whose keep the log does not say yet.
    fn log_keeps(&mut self) -> io::Result<()> {
        for stream in 0..self.streams.len() {
            let state = &mut self.streams[stream];
            if state.logged_keep < state.keep {
                let keep = state.keep;
                state.logged_keep = keep;
                self.add(Kind::Forget, stream as u32, keep, &[0; RECORD_HEADER], 0)?;
            }
        }
        Ok(())
    }

    /// Writes the buffer, syncs, and reports.
    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let file = self.current().file.clone();
        file.write_at(self.offset as u64, &self.buffer)?;
        self.sync(&*file)?;
        self.shared.counters.synced(self.buffer.len() as u64, started.elapsed());
        self.offset += self.buffer.len();
        self.mark = self.position;
        self.buffer.clear();
        if self.buffer.capacity() > KEEP_BUFFER {
            self.buffer = Vec::new();
        }
        for state in &mut self.streams {
            state.durable_keep = state.logged_keep;
        }
        self.report();
        Ok(())
    }

    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        if self.config.durability == Durability::Memory {
            return Ok(());
        }
        match file.sync() {
            // The classic mistake: the second try finds clean pages and succeeds at nothing.
            Err(_) if planted::is("fsync-failure-believed") => file.sync(),
            result => result,
        }
    }

    /// Tells each stream in this batch how many of its records are synced.
    fn report(&mut self) {
        let mut touched = mem::take(&mut self.touched);
        for stream in touched.drain(..) {
            self.tell(stream);
        }
        self.touched = touched;
    }

    fn tell(&self, stream: u32) {
        let slot = &self.shared.slots[stream as usize];
        slot.durable.store(self.streams[stream as usize].next - 1, Release);
        slot.wake();
    }

    /// Begins the next segment, with room for a record of `frame` bytes. Everything before it is
    /// synced; its header is synced before any record follows.
    fn switch(&mut self, frame: usize) -> io::Result<()> {
        debug_assert!(self.buffer.is_empty(), "a new segment begins only behind a sync");
        let Spare { number, len, file } = self.shelf.take(self.config.segment_for(frame))?;
        let header = self.header(number, len, self.position + 1, self.chain);
        file.write_at(0, &header.encode())?;
        self.sync(&*file)?;
        for state in &mut self.streams {
            state.logged_keep = state.keep;
            state.durable_keep = state.keep;
        }
        self.offset = SEGMENT_HEADER;
        let first = self.position + 1;
        self.live.push_back(Live { number, len, file, first, highest: BTreeMap::new() });
        self.shelf.stock();
        Ok(())
    }

    /// The header of a segment that begins now.
    pub(crate) fn header(&self, segment: u64, len: u64, first: u64, chain: u32) -> SegmentHeader {
        SegmentHeader {
            cluster: self.identity.cluster,
            node: self.identity.node,
            segment,
            previous: self.live.back().map_or(0, |live| live.number),
            oldest: self.live.front().map_or(segment, |live| live.number),
            first,
            chain,
            incarnation: self.identity.incarnation,
            len,
            table: self.streams.iter().map(|s| Row { keep: s.keep, next: s.next }).collect(),
        }
    }

    fn current(&self) -> &Live {
        self.live.back().expect("a segment is always in use")
    }

    fn current_mut(&mut self) -> &mut Live {
        self.live.back_mut().expect("a segment is always in use")
    }

    /// The name of a segment in a message.
    fn spoilt(number: u64) -> io::Error {
        let name = segment_name(number);
        io::Error::new(io::ErrorKind::InvalidData, format!("{name} has rotted while in use"))
    }
}
