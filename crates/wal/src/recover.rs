//! From what is on disk to a writer that goes on: read and judge everything, then write down
//! again what no mark vouches for, in a new segment, and only then speak.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use protocol::Lsn;

use crate::format::{
    Kind, MAX_STREAMS, RecordHeader, Row, SEGMENT_HEADER, SegmentHeader, segment_name,
};
use crate::log::{Recovered, Shared};
use crate::scan::Scan;
use crate::shelf::{Shelf, Spare, fresh};
use crate::writer::{Live, StreamState, Writer};
use crate::{Config, Disk, Identity, OpenError};

/// Creates the first segment of a new log.
pub(crate) fn begin_log(disk: &dyn Disk, identity: &Identity, config: &Config) -> io::Result<()> {
    let Spare { number, len, file } = fresh(disk, 1, config.segment_bytes)?;
    let header = SegmentHeader {
        cluster: identity.cluster,
        node: identity.node,
        segment: number,
        previous: 0,
        oldest: number,
        first: 1,
        chain: 0,
        incarnation: identity.incarnation,
        len,
        table: vec![Row::default(); MAX_STREAMS],
    };
    file.write_at(0, &header.encode())?;
    file.sync()
}

/// Recovers the log on `disk` and makes its writer.
pub(crate) fn open(
    disk: &Arc<dyn Disk>,
    identity: &Identity,
    config: &Config,
) -> Result<(Writer, Vec<Recovered>), OpenError> {
    config.validate()?;
    let dir = disk.place();
    let mut scan = Scan::read(&**disk, identity)?;
    let writer = go_on(disk, identity, config, &mut scan)
        .map_err(OpenError::io(&dir, "begin a new segment of the log"))?;
    let mut recovered = Vec::new();
    for (stream, state) in scan.known() {
        let slot = &writer.shared.slots[stream.0 as usize];
        slot.durable.store(state.next - 1, std::sync::atomic::Ordering::Release);
        writer.shared.live(stream.0, writer.streams[stream.0 as usize].live_bytes);
        recovered.push(Recovered { stream, first: Lsn(state.keep), records: Vec::new() });
    }
    for found in &mut recovered {
        let records = &mut scan.streams[found.stream.0 as usize].records;
        found.records = records.drain(..).flatten().collect();
    }
    Ok((writer, recovered))
}

/// The writer behind `scan`, in a new segment. The first thing that writes.
fn go_on(
    disk: &Arc<dyn Disk>,
    identity: &Identity,
    config: &Config,
    scan: &mut Scan,
) -> io::Result<Writer> {
    // First of all, so that a full disk has room for the new segment. They are not part of the
    // log, whether their removal lasts or not; one that cannot be removed is tried again.
    for orphan in scan.orphans.drain(..) {
        let _ = disk.remove(&orphan);
    }
    let number = scan.highest_number + 1;
    let mut live = VecDeque::new();
    for segment in scan.segments.drain(..) {
        let number = segment.header.segment;
        live.push_back(Live {
            number,
            len: segment.len,
            file: disk.open(&segment_name(number), false)?,
            first: segment.header.first,
            highest: segment.highest,
        });
    }
    // A last segment of which no mark covers anything may itself be no more than a picture in the
    // page cache, its header included: the new segment takes its whole place.
    let unsure = live.pop_back_if(|last: &mut Live| last.first == scan.tail.first);
    let mut writer = Writer {
        shared: Arc::new(Shared::default()),
        config: *config,
        identity: *identity,
        streams: scan.streams.iter().map(state).collect(),
        live,
        shelf: Shelf::new(disk.clone(), *config, number + 1)?,
        offset: SEGMENT_HEADER,
        buffer: Vec::new(),
        position: scan.tail.first - 1,
        chain: scan.tail.chain,
        mark: scan.tail.first - 1,
        unmarked: true,
        touched: Vec::new(),
    };
    let room = config.segment_bytes.max((SEGMENT_HEADER + scan.tail.frames.len()) as u64);
    let Spare { len, file, .. } = fresh(&**disk, number, room)?;
    // The header must not count before the tail it replaces is safe: records first, then the
    // header, each with its own sync.
    let header = writer.header(number, len, scan.tail.first, scan.tail.chain);
    let highest = writer.rewrite(number, &mut scan.tail.frames);
    if !scan.tail.frames.is_empty() {
        file.write_at(SEGMENT_HEADER as u64, &scan.tail.frames)?;
        file.sync()?;
    }
    file.write_at(0, &header.encode())?;
    file.sync()?;
    writer.mark = writer.position;
    writer.offset += scan.tail.frames.len();
    writer.live.push_back(Live { number, len, file, first: scan.tail.first, highest });
    if let Some(replaced) = unsure {
        writer.shelf.give_back(replaced.number, replaced.len, replaced.file);
    }
    if !writer.turn(&mut Vec::new()) {
        return Err(writer.shared.failure().unwrap_or_else(|| io::Error::other("no reason")));
    }
    writer.shelf.stock();
    Ok(writer)
}

fn state(stream: &crate::scan::Stream) -> StreamState {
    let lengths: VecDeque<u32> =
        stream.records.iter().flatten().map(|record| record.len() as u32).collect();
    StreamState {
        keep: stream.keep,
        next: stream.next,
        logged_keep: stream.keep,
        durable_keep: stream.keep,
        live_bytes: lengths.iter().map(|len| u64::from(*len)).sum(),
        lengths,
    }
}

impl Writer {
    /// Gives the records of the old tail their place in segment `number`: same position, same
    /// content. Returns the highest record of each stream among them.
    fn rewrite(&mut self, number: u64, frames: &mut [u8]) -> BTreeMap<u32, u64> {
        let mut highest = BTreeMap::new();
        let mut offset = 0;
        while offset < frames.len() {
            let (old, _) = RecordHeader::decode(&frames[offset..]).expect("the scan verified it");
            self.position += 1;
            let header = RecordHeader {
                segment: number,
                chain: self.chain,
                mark: self.mark,
                position: self.position,
                ..old
            };
            self.chain = header.encode(&mut frames[offset..]);
            if old.kind == Kind::Data {
                let entry = highest.entry(old.stream).or_insert(old.lsn);
                *entry = old.lsn.max(*entry);
            }
            offset += header.frame();
        }
        highest
    }
}
