//! Getting segments back: the oldest is given back when nobody needs a record in it; when there
//! are too many, what is alive in the oldest is written again at the end, so that a stream that
//! has fallen silent does not pin the log.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::Writer;
use crate::format::{Kind, RECORD_HEADER, RecordHeader, SEGMENT_HEADER};

impl Writer {
    /// Frees what is free, and copies forward while there are too many segments and copying pays.
    pub(super) fn reclaim(&mut self) -> io::Result<()> {
        self.free();
        // At most one copy for each segment there was: more would only chase its own tail.
        for _ in 0..self.live.len() {
            if self.live.len() <= self.config.max_segments || !self.pays() {
                break;
            }
            self.copy_oldest()?;
            self.free();
        }
        Ok(())
    }

    /// Gives back the oldest segments while nobody needs a record in them. What nobody needs is
    /// judged by the keeps that the log itself says durably, never by those in memory.
    fn free(&mut self) {
        while self.live.len() > 1 {
            let streams = &self.streams;
            let oldest = &self.live[0];
            let needed = |(stream, highest): (&u32, &u64)| {
                streams[*stream as usize].durable_keep <= *highest
            };
            if oldest.highest.iter().any(needed) {
                break;
            }
            if let Some(old) = self.live.pop_front() {
                self.shelf.give_back(old.number, old.len, old.file);
            }
        }
    }

    /// Whether less than half of what the segments hold is alive: then each copy frees more than
    /// it fills. Otherwise the log is simply that long.
    fn pays(&self) -> bool {
        let alive: u64 = self
            .streams
            .iter()
            .map(|s| s.live_bytes + (s.lengths.len() * (RECORD_HEADER + 8)) as u64)
            .sum();
        alive * 2 < self.live.iter().map(|live| live.len - SEGMENT_HEADER as u64).sum::<u64>()
    }

    /// Writes every live record of the oldest segment again. On replay the last copy counts.
    fn copy_oldest(&mut self) -> io::Result<()> {
        let oldest = &self.live[0];
        let (number, file, end) = (oldest.number, oldest.file.clone(), self.live[1].first);
        let mut position = oldest.first;
        let highest = oldest.highest.clone();
        let mut bytes = vec![0; oldest.len as usize];
        file.read_at(0, &mut bytes)?;
        let mut offset = SEGMENT_HEADER;
        while position < end {
            let rest = &bytes[offset..];
            let Some((header, _)) = RecordHeader::decode(rest)
                .filter(|(header, _)| (header.segment, header.position) == (number, position))
            else {
                return Err(Self::spoilt(number));
            };
            let frame = rest.get(..header.frame()).ok_or_else(|| Self::spoilt(number))?;
            let alive = header.kind == Kind::Data
                && highest.contains_key(&header.stream)
                && self.streams[header.stream as usize].keep <= header.lsn;
            if alive {
                if crc32c::crc32c(&frame[RECORD_HEADER..]) != header.payload_crc {
                    return Err(Self::spoilt(number));
                }
                self.add(Kind::Data, header.stream, header.lsn, frame, header.len)?;
                self.shared.counters.copied.fetch_add(1, Relaxed);
            }
            offset += frame.len();
            position += 1;
        }
        self.log_keeps()?;
        self.flush()?;
        self.live[0].highest.clear();
        Ok(())
    }
}
