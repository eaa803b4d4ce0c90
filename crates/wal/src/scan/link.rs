//! Which segment files are the log, and in which order.

use std::collections::BTreeMap;

use crate::disk::read_whole;
use crate::error::Damage;
use crate::format::{
    Front, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader, VERSION, claimed_segment,
    segment_name,
};
use crate::{Disk, Identity, OpenError};

/// The header of segment `number`, or `None` where it has not begun.
pub(super) fn read_front(
    disk: &dyn Disk,
    number: u64,
    identity: &Identity,
) -> Result<Option<SegmentHeader>, OpenError> {
    let (dir, file) = (disk.place(), segment_name(number));
    let handle = disk.open(&file, false).map_err(OpenError::io(&dir, format!("open {file}")))?;
    let size = handle.size().map_err(OpenError::io(&dir, format!("measure {file}")))?;
    if size < SEGMENT_HEADER as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; SEGMENT_HEADER];
    handle.read_at(0, &mut bytes).map_err(OpenError::io(&dir, format!("read {file}")))?;
    let header = match SegmentHeader::decode(&bytes) {
        Front::NotBegun => return Ok(None),
        Front::Unknown(found) => {
            return Err(OpenError::UnknownVersion { dir, file, found, known: VERSION });
        }
        Front::Begun(header) => header,
    };
    if (header.cluster, header.node) != (identity.cluster, identity.node) {
        let theirs = Identity { cluster: header.cluster, node: header.node, incarnation: 0 };
        let (found, expected) = (theirs.owner(), identity.owner());
        return Err(OpenError::Foreign { dir, file, found, expected });
    }
    // A reused file still shows the header of its last life: not begun under this name.
    Ok(Some(*header).filter(|header| header.segment == number))
}

/// The segments that make up the log, oldest first: from the newest that has begun, back along
/// the links, to the oldest that is still there.
pub(super) fn link(
    disk: &dyn Disk,
    fronts: &BTreeMap<u64, Option<SegmentHeader>>,
) -> Result<Vec<u64>, OpenError> {
    let dir = disk.place();
    let newest = fronts.iter().rev().find_map(|(number, front)| Some((*number, front.as_ref()?)));
    // A header is synced before the first record that follows it. So where a later file has no
    // header and yet a record that vouches for another one, the header has rotted.
    for number in fronts.range(newest.map_or(0, |(number, _)| number + 1)..).map(|(n, _)| *n) {
        let file = segment_name(number);
        let bytes = read_whole(disk, &file).map_err(OpenError::io(&dir, format!("read {file}")))?;
        if let Some(position) = vouches(&bytes, number) {
            return Err(spoilt(dir, file, position));
        }
    }
    let Some((newest, header)) = newest else {
        let what = "no segment of its log has begun".to_owned();
        return Err(OpenError::HalfCreated { dir, what });
    };
    let mut live = vec![newest];
    let mut at = header;
    while at.previous >= header.oldest && at.previous > 0 {
        match fronts.get(&at.previous) {
            None => break,
            Some(None) => return Err(spoilt(dir, segment_name(at.previous), at.first)),
            Some(Some(previous)) => {
                live.push(at.previous);
                at = previous;
            }
        }
    }
    live.reverse();
    Ok(live)
}

/// The first position of a segment without a header, if a record in it has a mark that covers
/// another one in it.
fn vouches(bytes: &[u8], segment: u64) -> Option<u64> {
    let mut lowest = u64::MAX;
    let end = bytes.len().saturating_sub(RECORD_HEADER);
    for here in (SEGMENT_HEADER..end).step_by(8).map(|at| &bytes[at..]) {
        if claimed_segment(here) == segment
            && let Some((header, _)) = RecordHeader::decode(here)
        {
            lowest = lowest.min(header.position);
            if header.mark >= lowest {
                return Some(lowest);
            }
        }
    }
    None
}

fn spoilt(dir: String, file: String, position: u64) -> OpenError {
    let why = "its header does not verify, and it had begun".to_owned();
    OpenError::Corrupt { dir, damage: Damage { file, offset: 0, position, record: None, why } }
}
