//! The bytes on disk, field by field, little endian. Ours alone: no serializer decides them, and
//! golden tests hold them still.
//!
//! ```text
//! segment   header (8 KiB) | record | record | ...
//! record    header (56 bytes) | payload, padded with zeros to 8 bytes
//! ```

use protocol::NodeId;

use crate::identity::ClusterId;

/// The format of segments, records and their headers.
pub const VERSION: u32 = 1;

/// Bytes of a segment's header, its table of streams included.
pub const SEGMENT_HEADER: usize = 8192;

/// Bytes of a record's header.
pub const RECORD_HEADER: usize = 56;

/// The longest payload of one record, in bytes.
pub const MAX_RECORD: usize = 16 << 20;

/// How many streams can share one log: their ids are below this.
pub const MAX_STREAMS: usize = 256;

const MAGIC: [u8; 8] = *b"SYNODWAL";
const TABLE: usize = 128;

/// One stream of records in a log that several share. Below [`MAX_STREAMS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u32);

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stream {}", self.0)
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A stream's record; `lsn` is its number there.
    Data = 1,
    /// The stream needs nothing below `lsn` any more.
    Forget = 2,
    /// Says nothing but its durable mark.
    Mark = 3,
}

/// The header of one record.
///
/// ```text
///  0 u32 checksum of bytes 4..56      16 u32 stream       32 u64 position
///  4 u32 checksum of payload and pad  20 u32 chain        40 u64 segment
///  8 u32 payload length               24 u64 lsn          48 u64 durable mark
/// 12 u8 kind, 13..16 zero
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) payload_crc: u32,
    pub(crate) len: u32,
    pub(crate) kind: Kind,
    pub(crate) stream: u32,
    pub(crate) chain: u32,
    pub(crate) lsn: u64,
    pub(crate) position: u64,
    pub(crate) segment: u64,
    pub(crate) mark: u64,
}

/// The bytes of a payload of `len` bytes with its padding.
pub(crate) fn padded(len: usize) -> usize {
    len.div_ceil(8) * 8
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

impl RecordHeader {
    /// Writes the header into the first bytes of `into` and returns its checksum, which is the
    /// chain value of the next record.
    pub(crate) fn encode(&self, into: &mut [u8]) -> u32 {
        let into = &mut into[..RECORD_HEADER];
        into.fill(0);
        put(into, 4, &self.payload_crc.to_le_bytes());
        put(into, 8, &self.len.to_le_bytes());
        into[12] = self.kind as u8;
        put(into, 16, &self.stream.to_le_bytes());
        put(into, 20, &self.chain.to_le_bytes());
        put(into, 24, &self.lsn.to_le_bytes());
        put(into, 32, &self.position.to_le_bytes());
        put(into, 40, &self.segment.to_le_bytes());
        put(into, 48, &self.mark.to_le_bytes());
        let crc = crc32c::crc32c(&into[4..]);
        put(into, 0, &crc.to_le_bytes());
        crc
    }

    /// The header at the start of `bytes` and its checksum, if it verifies. The payload is not
    /// looked at.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let bytes = bytes.get(..RECORD_HEADER)?;
        let crc = u32_at(bytes, 0);
        let kind = match bytes[12] {
            1 => Kind::Data,
            2 => Kind::Forget,
            3 => Kind::Mark,
            _ => return None,
        };
        if crc != crc32c::crc32c(&bytes[4..]) {
            return None;
        }
        let header = Self {
            payload_crc: u32_at(bytes, 4),
            len: u32_at(bytes, 8),
            kind,
            stream: u32_at(bytes, 16),
            chain: u32_at(bytes, 20),
            lsn: u64_at(bytes, 24),
            position: u64_at(bytes, 32),
            segment: u64_at(bytes, 40),
            mark: u64_at(bytes, 48),
        };
        let sane = header.len as usize <= MAX_RECORD && (header.stream as usize) < MAX_STREAMS;
        sane.then_some((header, crc))
    }

    /// Header and padded payload together, in bytes.
    pub(crate) fn frame(&self) -> usize {
        RECORD_HEADER + padded(self.len as usize)
    }
}

/// The segment number that a record at the start of `bytes` would claim: a quick look before the
/// checksum is worth computing.
pub(crate) fn claimed_segment(bytes: &[u8]) -> u64 {
    u64_at(bytes, 40)
}

/// What a stream keeps and what comes next, as a segment's header says it. Zeros: not a stream yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) keep: u64,
    pub(crate) next: u64,
}

/// The header of one segment.
///
/// ```text
///  0 "SYNODWAL"        16 u128 cluster          40 u64 segment     64 u64 first position
///  8 u32 version       32 u16 node, zeros       48 u64 previous    72 u32 chain, zeros
/// 12 u32 checksum of all else                   56 u64 oldest      80 u64 incarnation
///                                                                  88 u64 length of the file
/// 128 table: for each of 256 streams u64 keep, u64 next; zeros to the end
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) segment: u64,
    /// The segment before this one; zero for the first of all.
    pub(crate) previous: u64,
    /// The oldest segment that was needed when this one began.
    pub(crate) oldest: u64,
    /// The position of the first record here. What an older segment holds from there on is void.
    pub(crate) first: u64,
    pub(crate) chain: u32,
    pub(crate) incarnation: u64,
    /// The length of the file when it began; it was filled and synced before. Zero: not said.
    pub(crate) len: u64,
    pub(crate) table: Vec<Row>,
}

/// What the first bytes of a segment's file turn out to be.
#[derive(Debug)]
pub(crate) enum Front {
    /// A header that verifies.
    Begun(Box<SegmentHeader>),
    /// Zeros, or a header that was being written when the power went.
    NotBegun,
    /// One of ours, of a format we do not know.
    Unknown(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; SEGMENT_HEADER];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.cluster.0.to_le_bytes());
        put(&mut bytes, 32, &self.node.0.to_le_bytes());
        put(&mut bytes, 40, &self.segment.to_le_bytes());
        put(&mut bytes, 48, &self.previous.to_le_bytes());
        put(&mut bytes, 56, &self.oldest.to_le_bytes());
        put(&mut bytes, 64, &self.first.to_le_bytes());
        put(&mut bytes, 72, &self.chain.to_le_bytes());
        put(&mut bytes, 80, &self.incarnation.to_le_bytes());
        put(&mut bytes, 88, &self.len.to_le_bytes());
        for (row, at) in self.table.iter().zip((TABLE..).step_by(16)) {
            put(&mut bytes, at, &row.keep.to_le_bytes());
            put(&mut bytes, at + 8, &row.next.to_le_bytes());
        }
        let crc = header_crc(&bytes);
        put(&mut bytes, 12, &crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Front {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER) else { return Front::NotBegun };
        if bytes[..8] != MAGIC {
            return Front::NotBegun;
        }
        // Magic and version share a sector, so a torn header never shows a wrong version.
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Front::Unknown(version);
        }
        if u32_at(bytes, 12) != header_crc(bytes) {
            return Front::NotBegun;
        }
        let row = |at| Row { keep: u64_at(bytes, at), next: u64_at(bytes, at + 8) };
        Front::Begun(Box::new(Self {
            cluster: ClusterId(u128::from_le_bytes(bytes[16..32].try_into().expect("16 bytes"))),
            node: NodeId(u16::from_le_bytes([bytes[32], bytes[33]])),
            segment: u64_at(bytes, 40),
            previous: u64_at(bytes, 48),
            oldest: u64_at(bytes, 56),
            first: u64_at(bytes, 64),
            chain: u32_at(bytes, 72),
            incarnation: u64_at(bytes, 80),
            len: u64_at(bytes, 88),
            table: (0..MAX_STREAMS).map(|stream| row(TABLE + 16 * stream)).collect(),
        }))
    }
}

fn header_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// The file name of a segment.
pub(crate) fn segment_name(segment: u64) -> String {
    format!("wal-{segment:012}")
}

/// The segment number in a file name, if it is a segment's.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("wal-")?;
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
