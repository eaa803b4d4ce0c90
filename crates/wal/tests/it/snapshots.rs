//! Snapshots are there completely, or the one before them is.

use std::sync::Arc;

use wal::simdisk::{Fault, Trouble};
use wal::snapshots::SnapshotError;
use wal::{Disk, SimDisk, Snapshots, StreamId};

const STREAM: StreamId = StreamId(4);

fn store(disk: &SimDisk) -> Snapshots {
    Snapshots::new(Arc::new(disk.clone()))
}

#[test]
fn the_newest_is_found_whole_and_in_pieces() {
    let disk = SimDisk::new();
    let snapshots = store(&disk);
    assert!(snapshots.newest(STREAM).expect("no fault").found.is_none());
    let payload: Vec<u8> = (0..1_300_000u32).map(|n| n as u8).collect();
    snapshots.save(STREAM, 9, b"older").expect("no fault");
    snapshots.save(StreamId(5), 99, b"another's").expect("no fault");
    let saved = snapshots.save(STREAM, 10, &payload).expect("no fault");
    let newest = snapshots.newest(STREAM).expect("no fault");
    assert_eq!(newest.found, Some((saved, payload.clone())));
    let mut pieces = Vec::new();
    loop {
        let at = pieces.len() as u64;
        let piece = snapshots.chunk(&saved, at, 500_000).expect("no fault");
        if piece.is_empty() {
            break;
        }
        pieces.extend_from_slice(&piece);
    }
    assert_eq!(pieces, payload);
    snapshots.remove_below(STREAM, 10).expect("no fault");
    assert_eq!(snapshots.list(STREAM).expect("no fault"), [saved]);
}

#[test]
fn a_damaged_newest_gives_way_to_the_one_before_and_is_reported() {
    let disk = SimDisk::new();
    let snapshots = store(&disk);
    let older = snapshots.save(STREAM, 1, b"one").expect("no fault");
    let newer = snapshots.save(STREAM, 2, b"two").expect("no fault");
    for byte in 0..43 {
        let rotten = disk.copy();
        rotten.flip(&newer.file(), byte, 2);
        let newest = store(&rotten).newest(STREAM).expect("no fault");
        assert_eq!(newest.found, Some((older, b"one".to_vec())), "byte {byte}");
        assert!(matches!(newest.damaged[..], [SnapshotError::Damaged { .. }]), "byte {byte}");
    }
}

#[test]
fn s8_9_13_a_crash_at_any_point_leaves_the_old_or_the_new_snapshot() {
    let _recorded =
        crate::Recorded::begin("s8_9_13_a_crash_at_any_point_leaves_the_old_or_the_new_snapshot");
    let disk = SimDisk::new();
    let snapshots = store(&disk);
    snapshots.save(STREAM, 1, &[1; 2000]).expect("no fault");
    disk.start_trace();
    snapshots.save(STREAM, 2, &[2; 3000]).expect("no fault");
    let saved = disk.trace_len();
    snapshots.remove_below(STREAM, 2).expect("no fault");
    let trace = disk.take_trace().expect("a recording");
    trace.walk(0, 200, &mut protocol::Rng::new(2), |point, image| {
        let newest = store(image).newest(STREAM).expect("no fault");
        let (snapshot, payload) = newest.found.expect("one of them is whole");
        assert_eq!(payload, vec![snapshot.index as u8; 1000 + 1000 * snapshot.index as usize]);
        assert!(newest.damaged.is_empty(), "a name is given only to a whole file");
        assert!(point < saved || snapshot.index == 2, "a saved snapshot was lost");
        true
    });
}

#[test]
fn s8_9_14_a_snapshot_that_cannot_be_written_leaves_the_old_one() {
    let _recorded =
        crate::Recorded::begin("s8_9_14_a_snapshot_that_cannot_be_written_leaves_the_old_one");
    for after in 0..8 {
        let disk = SimDisk::new();
        let snapshots = store(&disk);
        snapshots.save(STREAM, 1, b"one").expect("no fault");
        disk.fail(Fault { call: None, after, trouble: Trouble::Enospc, forever: true });
        let saved = snapshots.save(STREAM, 2, b"two");
        disk.heal();
        disk.crash(after);
        let (snapshot, _) = store(&disk).newest(STREAM).expect("no fault").found.expect("one");
        assert!(snapshot.index == 2 || saved.is_err(), "call {after}");
        store(&disk).save(STREAM, 2, b"two").expect("what is left over is no obstacle");
    }
    assert!(SimDisk::new().list().expect("no fault").is_empty());
}
