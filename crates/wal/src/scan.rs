//! Reading a log without changing it: which records there are, and whether what does not verify
//! is a torn tail or rot.

use std::collections::{BTreeMap, VecDeque};

use protocol::{Lsn, planted};

use crate::disk::read_whole;
use crate::error::Damage;
use crate::format::{
    Kind, MAX_STREAMS, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader, claimed_segment,
    segment_name, segment_number,
};
use crate::survey::{Entry, What};
use crate::{Disk, Identity, OpenError, Recovered, StreamId};

mod link;

use link::{link, read_front};

/// One segment that is part of the log.
pub(crate) struct Scanned {
    pub(crate) header: SegmentHeader,
    pub(crate) len: u64,
    /// The highest record of each stream in it.
    pub(crate) highest: BTreeMap<u32, u64>,
}

/// One stream, as far as it was read.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) keep: u64,
    pub(crate) next: u64,
    /// Records from `keep` on. A hole is a record whose copy is yet to come.
    pub(crate) records: VecDeque<Option<Vec<u8>>>,
}

/// The records behind the last mark, which may or may not be on the platter.
#[derive(Default)]
pub(crate) struct Tail {
    /// The first position of the tail, and the chain value before it.
    pub(crate) first: u64,
    pub(crate) chain: u32,
    /// The raw frames, one after the other.
    pub(crate) frames: Vec<u8>,
}

/// Everything a log says.
pub(crate) struct Scan {
    /// Oldest first; never empty.
    pub(crate) segments: Vec<Scanned>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) tail: Tail,
    /// Segment files that are not part of the log any more, or not yet.
    pub(crate) orphans: Vec<String>,
    pub(crate) highest_number: u64,
    pub(crate) torn: Option<(String, usize)>,
    /// The last position that verifies, and the highest that is known to be durable.
    pub(crate) position: u64,
    pub(crate) mark: u64,
}

/// Who is shown every record that verifies, in the order of positions.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&Entry<'_>);

/// Where reading a segment ended.
struct End {
    offset: usize,
    position: u64,
}

impl Scan {
    /// Reads the log that belongs to `identity`.
    pub(crate) fn read(disk: &dyn Disk, identity: &Identity) -> Result<Self, OpenError> {
        Self::walk(disk, identity, &mut |_| ())
    }

    /// The same, and shows each record to `visit` on the way.
    pub(crate) fn walk(
        disk: &dyn Disk,
        identity: &Identity,
        visit: Visit<'_>,
    ) -> Result<Self, OpenError> {
        let dir = disk.place();
        let names = disk.list().map_err(OpenError::io(&dir, "list the files"))?;
        let mut fronts = BTreeMap::new();
        for number in names.iter().filter_map(|name| segment_number(name)) {
            fronts.insert(number, read_front(disk, number, identity)?);
        }
        let live = link(disk, &fronts)?;
        let mut scan = Self {
            segments: Vec::new(),
            streams: (0..MAX_STREAMS).map(|_| Stream::default()).collect(),
            tail: Tail::default(),
            orphans: Vec::new(),
            highest_number: fronts.keys().next_back().copied().unwrap_or(0),
            torn: None,
            position: 0,
            mark: 0,
        };
        scan.orphans.extend(fronts.keys().filter(|n| !live.contains(n)).map(|n| segment_name(*n)));
        for (index, number) in live.iter().enumerate() {
            let header = fronts[number].clone().expect("linked segments have headers");
            let until = live.get(index + 1).map(|next| fronts[next].as_ref().expect("linked"));
            scan.segment(disk, header, until, visit)?;
        }
        scan.check_dense(&dir)?;
        Ok(scan)
    }

    /// The streams that ever held a record.
    pub(crate) fn known(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        (0u32..).map(StreamId).zip(&self.streams).filter(|(_, stream)| stream.next > 0)
    }

    /// What every stream kept. For the proofs, which look at a disk without opening it.
    pub(crate) fn recovered(&self) -> Vec<Recovered> {
        self.known()
            .map(|(stream, state)| Recovered {
                stream,
                first: Lsn(state.keep),
                records: state.records.iter().flatten().cloned().collect(),
            })
            .collect()
    }

    fn segment(
        &mut self,
        disk: &dyn Disk,
        header: SegmentHeader,
        next: Option<&SegmentHeader>,
        visit: Visit<'_>,
    ) -> Result<(), OpenError> {
        let dir = disk.place();
        let name = segment_name(header.segment);
        let bytes = read_whole(disk, &name).map_err(OpenError::io(&dir, format!("read {name}")))?;
        if (bytes.len() as u64) < header.len {
            // Filled and synced before it began: no crash makes it shorter.
            let end = End { offset: bytes.len(), position: header.first };
            let why = format!("it had {} bytes, its end is missing", header.len);
            return Err(OpenError::Corrupt { dir, damage: damage(&name, &bytes, &end, &why) });
        }
        let oldest = self.segments.is_empty();
        for (stream, row) in self.streams.iter_mut().zip(&header.table) {
            // Only the oldest table says what comes next; later ones may count records of a tail
            // that was written down again.
            if oldest && row.next > 0 {
                stream.next = row.next;
                stream.keep = row.keep;
                stream.records.resize((row.next - row.keep) as usize, None);
            }
            stream.forget(row.keep);
        }
        let mut scanned = Scanned { header, len: bytes.len() as u64, highest: BTreeMap::new() };
        let until = next.map(|next| (next.first, next.chain));
        self.mark = scanned.header.first - 1;
        let corrupt = |damage| OpenError::Corrupt { dir: dir.clone(), damage };
        let end = self.records(&bytes, &name, &mut scanned, until, visit).map_err(corrupt)?;
        self.position = end.position - 1;
        if let Some((first, _)) = until {
            if end.position != first {
                let why = "it belongs to a finished segment and does not verify";
                return Err(corrupt(damage(&name, &bytes, &end, why)));
            }
        } else {
            self.judge(&bytes, &name, &scanned, &end).map_err(corrupt)?;
        }
        self.segments.push(scanned);
        Ok(())
    }

    /// Reads records until one does not verify, or up to the position `until`.
    fn records(
        &mut self,
        bytes: &[u8],
        name: &str,
        scanned: &mut Scanned,
        until: Option<(u64, u32)>,
        visit: Visit<'_>,
    ) -> Result<End, Damage> {
        let mut chain = scanned.header.chain;
        let mut end = End { offset: SEGMENT_HEADER, position: scanned.header.first };
        loop {
            if let Some((first, expected)) = until
                && end.position == first
            {
                if chain == expected {
                    return Ok(end);
                }
                let why = "the next segment continues another story";
                return Err(damage(name, bytes, &end, why));
            }
            let place = Place { segment: scanned.header.segment, position: end.position, chain };
            let Some((header, crc)) = verified(&bytes[end.offset..], &place) else {
                return Ok(end);
            };
            let stale = header.segment != place.segment;
            let payload = &bytes[end.offset + RECORD_HEADER..][..header.len as usize];
            let (id, stream) = (StreamId(header.stream), &mut self.streams[header.stream as usize]);
            let what = match header.kind {
                Kind::Mark => What::Mark,
                Kind::Forget => {
                    stream.forget(header.lsn);
                    What::Forget { stream: id, keep: Lsn(header.lsn) }
                }
                Kind::Data => {
                    let lsn = if stale { stream.next.max(1) } else { header.lsn };
                    if !stream.take(lsn, payload) {
                        return Err(damage(name, bytes, &end, "records before it are missing"));
                    }
                    let highest = scanned.highest.entry(header.stream).or_default();
                    *highest = (*highest).max(lsn);
                    What::Data { stream: id, lsn: Lsn(lsn), payload }
                }
            };
            let (position, mark) = (header.position, header.mark);
            visit(&Entry { file: name, offset: end.offset as u64, position, mark, what });
            self.mark = self.mark.max(mark);
            chain = crc;
            end = End { offset: end.offset + header.frame(), position: end.position + 1 };
        }
    }

    /// Decides about the end of the last segment: a clean end, a torn tail, or rot.
    fn judge(
        &mut self,
        bytes: &[u8],
        name: &str,
        scanned: &Scanned,
        end: &End,
    ) -> Result<(), Damage> {
        let segment = scanned.header.segment;
        if let Some(witness) = witness(bytes, end.offset, segment, end.position)
            && !planted::is("mid-log-rot-as-torn-tail")
        {
            let why = format!("the record at byte {witness} proves that it was durable");
            return Err(damage(name, bytes, end, &why));
        }
        let rest = &bytes[end.offset..];
        let blank = rest.iter().take(RECORD_HEADER).all(|byte| *byte == 0);
        // What an older life of the file left there has a lower number and is no tear.
        let older = RecordHeader::decode(rest).is_some_and(|(h, _)| h.segment < segment);
        if !blank && !older {
            self.torn = Some((name.to_owned(), end.offset));
        }
        // The tail: everything behind the mark. A second walk finds where it begins.
        let (mut offset, mut chain) = (SEGMENT_HEADER, scanned.header.chain);
        let mut position = scanned.header.first;
        while position <= self.mark && offset < end.offset {
            let (header, crc) = RecordHeader::decode(&bytes[offset..]).expect("read before");
            (offset, chain, position) = (offset + header.frame(), crc, position + 1);
        }
        let frames = bytes[offset..end.offset].to_vec();
        self.tail = Tail { first: position, chain, frames };
        Ok(())
    }

    /// Every stream must hold all it keeps: a hole is a record that was acknowledged and is gone.
    fn check_dense(&self, dir: &str) -> Result<(), OpenError> {
        for (id, stream) in self.known() {
            if let Some(hole) = stream.records.iter().position(Option::is_none) {
                let oldest = &self.segments[0].header;
                let damage = Damage {
                    file: segment_name(oldest.segment),
                    offset: 0,
                    position: oldest.first,
                    record: Some((id.0, stream.keep + hole as u64)),
                    why: "no segment holds this record; an older file is missing".to_owned(),
                };
                return Err(OpenError::Corrupt { dir: dir.to_owned(), damage });
            }
        }
        Ok(())
    }
}

impl Stream {
    /// Takes record `lsn`: the next one, or another copy of an old one. False if there is a gap.
    fn take(&mut self, lsn: u64, payload: &[u8]) -> bool {
        if self.next == 0 {
            (self.keep, self.next) = (1, 1);
        }
        if lsn == self.next {
            self.next += 1;
            if lsn >= self.keep {
                self.records.push_back(Some(payload.to_vec()));
            }
        } else if lsn > self.next {
            return false;
        } else if let Some(at) = lsn.checked_sub(self.keep) {
            self.records[at as usize] = Some(payload.to_vec());
        }
        true
    }

    fn forget(&mut self, keep: u64) {
        let gone = keep.saturating_sub(self.keep).min(self.records.len() as u64);
        self.records.drain(..gone as usize);
        self.keep = self.keep.max(keep);
    }
}

/// Where a record must belong to be believed.
struct Place {
    segment: u64,
    position: u64,
    chain: u32,
}

/// The record at the start of `bytes`, if all of it verifies and it belongs to `place`.
fn verified(bytes: &[u8], place: &Place) -> Option<(RecordHeader, u32)> {
    let (header, crc) = RecordHeader::decode(bytes)?;
    let belongs = (header.segment, header.position, header.chain)
        == (place.segment, place.position, place.chain);
    if !belongs && !planted::is("stale-records-of-recycled-segment") {
        return None;
    }
    let payload = bytes.get(RECORD_HEADER..header.frame())?;
    (crc32c::crc32c(payload) == header.payload_crc).then_some((header, crc))
}

/// The offset of a record behind `from` whose mark says that `position` was durable.
fn witness(bytes: &[u8], from: usize, segment: u64, position: u64) -> Option<usize> {
    let last = bytes.len().checked_sub(RECORD_HEADER)?;
    (from..=last).step_by(8).find(|at| {
        let here = &bytes[*at..];
        claimed_segment(here) == segment
            && RecordHeader::decode(here)
                .is_some_and(|(h, _)| h.position > position && h.mark >= position)
    })
}

fn damage(name: &str, bytes: &[u8], end: &End, why: &str) -> Damage {
    let header = RecordHeader::decode(&bytes[end.offset..]).map(|(header, _)| header);
    Damage {
        file: name.to_owned(),
        offset: end.offset as u64,
        position: end.position,
        record: header.filter(|h| h.kind == Kind::Data).map(|h| (h.stream, h.lsn)),
        why: why.to_owned(),
    }
}
