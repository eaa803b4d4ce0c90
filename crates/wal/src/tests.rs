//! The bytes on disk, held still, and the small rules of the parts.

use std::io;
use std::sync::Arc;

use protocol::NodeId;
use sim::golden::Golden;

use crate::disk::read_whole;
use crate::format::{Front, Kind, RecordHeader, Row, SEGMENT_HEADER, SegmentHeader};
use crate::simdisk::{Call, Fault, Trouble};
use crate::{
    ClusterId, Config, Disk, DiskFile, Identity, Portable, SimDisk, Snapshots, StreamId, init,
};

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

/// Every file that the log writes, and every record in it.
#[test]
fn golden_bytes_of_everything_on_disk() {
    let mut golden = Golden::new(env!("CARGO_MANIFEST_DIR"), "tests/golden/disk.txt");
    golden.about("the header of each kind of record");
    let (name, all) = sim::variants!(Kind:
        "data" => Kind::Data,
        "forget" => Kind::Forget,
        "mark" => Kind::Mark,
    );
    let headers = [
        header(Kind::Data, 5, 77, b"12345678"),
        header(Kind::Forget, 255, 78, b""),
        header(Kind::Mark, 0, 0, b""),
    ];
    assert_eq!(headers.iter().map(|it| name(&it.kind)).collect::<Vec<_>>(), all);
    for header in headers {
        let mut bytes = [0xEE; 56];
        let crc = header.encode(&mut bytes);
        assert_eq!(RecordHeader::decode(&bytes), Some((header, crc)));
        golden.hold(name(&header.kind), &bytes);
        for bit in 0..56 * 8 {
            let mut rotten = bytes;
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&rotten), None, "bit {bit} went unnoticed");
        }
    }
    golden.about("the header of a segment, with the rows of streams 0 and 255");
    golden.hold("segment", &segment().encode());
    golden.about("the identity of a node, as init writes it and after its first opening");
    let disk = SimDisk::new();
    let (cluster, node) = (ClusterId(0x1122_3344_5566_7788_99AA_BBCC_DDEE_FF00), NodeId(0x0203));
    init(&disk, cluster, node, &Config::small()).expect("no fault");
    golden.hold("identity", &read_whole(&disk, "identity").expect("a file"));
    let opened = Identity::open(&disk, cluster, node).expect("its own");
    assert_eq!(opened, Identity { cluster, node, incarnation: 1 });
    golden.hold("identity, opened", &read_whole(&disk, "identity").expect("a file"));
    golden.about("a snapshot of stream 7 up to 300, and the same to be carried away");
    let snapshots = Snapshots::new(Arc::new(disk.clone()));
    let snapshot = snapshots.save(StreamId(7), 300, b"state").expect("no fault");
    assert_eq!(snapshots.read(&snapshot).expect("whole"), b"state");
    golden.hold(&snapshot.file(), &read_whole(&disk, &snapshot.file()).expect("a file"));
    let dir = tempfile::tempdir().expect("a directory");
    let portable = Portable { cluster, index: 300, payload: b"state".to_vec() };
    portable.save(&dir.path().join("s"), false).expect("a new file");
    assert_eq!(Portable::load(&dir.path().join("s")).expect("whole"), portable);
    golden.hold("portable", &std::fs::read(dir.path().join("s")).expect("a file"));
    golden.end();
}

fn segment() -> SegmentHeader {
    let mut table = vec![Row::default(); crate::MAX_STREAMS];
    table[0] = Row { keep: 3, next: 9 };
    table[255] = Row { keep: 1, next: 2 };
    SegmentHeader {
        cluster: ClusterId(0x1122_3344_5566_7788_99AA_BBCC_DDEE_FF00),
        node: NodeId(0x0203),
        segment: 9,
        previous: 8,
        oldest: 6,
        first: 1000,
        chain: 0x0A0B_0C0D,
        incarnation: 4,
        len: 64 << 10,
        table,
    }
}

#[test]
fn any_byte_of_a_segment_header_counts() {
    let header = segment();
    let bytes = header.encode();
    assert_eq!(bytes.len(), SEGMENT_HEADER);
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
    let read = |disk: &SimDisk| read_whole(disk, "a").expect("a file");
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
        assert_eq!(read_whole(image, "a").expect("a file"), [7; 1000]);
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
        seen.insert(read_whole(image, "a").expect("a file"));
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
