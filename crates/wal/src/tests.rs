//! The bytes on disk, held still, and the small rules of the parts.

use std::io;
use std::sync::Arc;

use protocol::NodeId;

use crate::format::{Front, Kind, RecordHeader, Row, SEGMENT_HEADER, SegmentHeader};
use crate::simdisk::{Call, Fault, Trouble};
use crate::{ClusterId, Disk, DiskFile, SimDisk};

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(8)
        .map(|c| c.iter().map(|b| format!("{b:02x}")).collect())
        .collect::<Vec<String>>()
        .join(" ")
}

fn header(kind: Kind, stream: u32, lsn: u64, payload: &[u8]) -> RecordHeader {
    RecordHeader {
        payload_crc: crc32c::crc32c(payload),
        len: payload.len() as u32,
        kind,
        stream,
        chain: 0x0A0B_0C0D,
        lsn,
        position: 0x0102_0304_0506_0708,
        segment: 9,
        mark: 0x0102_0304_0506_0707,
    }
}

/// Whoever changes these bytes has changed the format, and must raise its version.
#[test]
fn golden_bytes_of_each_record_kind() {
    let golden = [
        (header(Kind::Data, 5, 77, b"12345678"), GOLDEN_DATA),
        (header(Kind::Forget, 255, 78, b""), GOLDEN_FORGET),
        (header(Kind::Mark, 0, 0, b""), GOLDEN_MARK),
    ];
    for (header, expected) in golden {
        let mut bytes = [0xEE; 56];
        let crc = header.encode(&mut bytes);
        assert_eq!(hex(&bytes), expected, "{:?}", header.kind);
        assert_eq!(RecordHeader::decode(&bytes), Some((header, crc)));
        for bit in 0..56 * 8 {
            let mut rotten = bytes;
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&rotten), None, "bit {bit} went unnoticed");
        }
    }
}

#[test]
fn golden_bytes_of_a_segment_header() {
    let mut table = vec![Row::default(); crate::MAX_STREAMS];
    table[0] = Row { keep: 3, next: 9 };
    table[255] = Row { keep: 1, next: 2 };
    let header = SegmentHeader {
        cluster: ClusterId(0x1122_3344_5566_7788_99AA_BBCC_DDEE_FF00),
        node: NodeId(0x0203),
        segment: 9,
        previous: 8,
        oldest: 6,
        first: 1000,
        chain: 0x0A0B_0C0D,
        incarnation: 4,
        table,
    };
    let bytes = header.encode();
    assert_eq!(bytes.len(), SEGMENT_HEADER);
    assert_eq!(hex(&bytes[..144]), GOLDEN_SEGMENT);
    assert_eq!(hex(&bytes[128 + 255 * 16..][..16]), "0100000000000000 0200000000000000");
    assert!(matches!(SegmentHeader::decode(&bytes), Front::Begun(back) if *back == header));
    for byte in (0..SEGMENT_HEADER).filter(|byte| !(8..12).contains(byte)) {
        let mut rotten = bytes.clone();
        rotten[byte] ^= 0x10;
        assert!(matches!(SegmentHeader::decode(&rotten), Front::NotBegun), "byte {byte}");
    }
    let mut newer = bytes;
    newer[8] = 2;
    assert!(matches!(SegmentHeader::decode(&newer), Front::Unknown(2)));
}

#[test]
fn a_failed_sync_marks_pages_clean_and_shows_them_until_the_power_goes() {
    let disk = SimDisk::new();
    let file = disk.open("a", true).expect("a new file");
    disk.sync_dir().expect("no fault");
    file.write_at(0, b"old").expect("no fault");
    file.sync().expect("no fault");
    file.write_at(0, b"new").expect("no fault");
    let (call, trouble) = (Some(Call::Sync), Trouble::Eio);
    disk.fail(Fault { call, after: 0, trouble, forever: false });
    assert!(file.sync().is_err());
    file.sync().expect("the second sync finds nothing dirty");
    let read = |disk: &SimDisk| crate::disk::read_whole(disk, "a").expect("a file");
    assert_eq!(read(&disk), b"new", "reads still show what was written");
    let outcomes: Vec<Vec<u8>> = (0..64).map(|seed| read(&disk.image(seed))).collect();
    assert!(outcomes.contains(&b"old".to_vec()) && outcomes.contains(&b"new".to_vec()));
}

#[test]
fn names_that_were_not_synced_may_come_or_go() {
    let disk = SimDisk::new();
    let file = disk.open("a", true).expect("a new file");
    file.write_at(0, &[7; 1000]).expect("no fault");
    file.sync().expect("no fault");
    let mut there = [0, 0];
    for seed in 0..64 {
        there[usize::from(disk.image(seed).list().expect("no fault").len() == 1)] += 1;
    }
    assert!(there[0] > 0 && there[1] > 0, "{there:?}");
    disk.sync_dir().expect("no fault");
    disk.images(1000, 1, |image| {
        assert_eq!(crate::disk::read_whole(image, "a").expect("a file"), [7; 1000]);
        true
    });
}

#[test]
fn a_small_tree_of_crash_images_is_walked_completely() {
    let disk = SimDisk::new();
    let file = disk.open("a", true).expect("a new file");
    file.write_at(0, &[1; 1024]).expect("no fault");
    file.sync().expect("no fault");
    disk.sync_dir().expect("no fault");
    file.write_at(0, &[2; 1024]).expect("no fault");
    let mut seen = std::collections::BTreeSet::new();
    disk.images(100, 1, |image| {
        seen.insert(crate::disk::read_whole(image, "a").expect("a file"));
        true
    });
    // Two sectors, each old, new, or half of each in two ways.
    assert_eq!(seen.len(), 16);
}

#[test]
fn a_crash_ends_old_handles_and_a_quota_ends_growth() {
    let disk = SimDisk::new();
    let file = disk.open("a", true).expect("a new file");
    disk.set_quota(Some(600));
    file.write_at(0, &[0; 600]).expect("within the quota");
    let error = file.write_at(600, &[0; 1]).expect_err("beyond the quota");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    disk.crash(1);
    assert!(file.size().is_err());
}

/// Cloning the handle must not clone the disk.
#[test]
fn clones_share_the_disk() {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let file: Arc<dyn DiskFile> = shared.open("a", true).expect("a new file");
    file.write_at(0, b"x").expect("no fault");
    assert_eq!(disk.list().expect("no fault"), ["a"]);
}

const GOLDEN_DATA: &str = "aca6a7359a808760 0800000001000000 050000000d0c0b0a \
    4d00000000000000 0807060504030201 0900000000000000 0707060504030201";
const GOLDEN_FORGET: &str = "a771ae7900000000 0000000002000000 ff0000000d0c0b0a \
    4e00000000000000 0807060504030201 0900000000000000 0707060504030201";
const GOLDEN_MARK: &str = "278e4b7700000000 0000000003000000 000000000d0c0b0a \
    0000000000000000 0807060504030201 0900000000000000 0707060504030201";
const GOLDEN_SEGMENT: &str = "53594e4f4457414c 0100000050c09a2c 00ffeeddccbbaa99 \
    8877665544332211 0302000000000000 0900000000000000 0800000000000000 0600000000000000 \
    e803000000000000 0d0c0b0a00000000 0400000000000000 0000000000000000 0000000000000000 \
    0000000000000000 0000000000000000 0000000000000000 0300000000000000 0900000000000000";
