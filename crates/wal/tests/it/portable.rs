//! Snapshots outside of a node: whole or refused, and never of the old cluster again.

use std::fs;

use protocol::NodeId;
use wal::{ClusterId, Config, Disk, Portable, PortableError, RealDisk, Snapshots, StreamId, Wal};

use super::CLUSTER;

fn portable() -> Portable {
    let payload = (0..1_200_000u32).map(|n| (n * 7) as u8).collect();
    Portable { cluster: CLUSTER, index: 41, payload }
}

#[test]
fn what_was_saved_is_read_back_and_nothing_is_overwritten_unasked() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("today.snap");
    let saved = portable();
    saved.save(&file, false).expect("a new file");
    assert_eq!(Portable::load(&file).expect("whole"), saved);
    let other = Portable { index: 42, ..portable() };
    assert!(matches!(other.save(&file, false), Err(PortableError::Exists { .. })));
    assert_eq!(Portable::load(&file).expect("untouched").index, 41);
    other.save(&file, true).expect("it was asked for");
    assert_eq!(Portable::load(&file).expect("whole").index, 42);
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a directory").collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[test]
fn a_damaged_half_or_foreign_file_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("s");
    let small = Portable { payload: b"thirty bytes of a small payload".to_vec(), ..portable() };
    small.save(&file, false).expect("a new file");
    let whole = fs::read(&file).expect("readable");
    let refused = |bytes: &[u8]| {
        fs::write(&file, bytes).expect("written");
        Portable::load(&file).expect_err("it is not whole")
    };
    for cut in 1..whole.len() {
        let error = refused(&whole[..cut]);
        assert!(matches!(error, PortableError::Damaged { .. }), "cut at {cut}: {error}");
    }
    for bit in 0..whole.len() * 8 {
        let mut spoilt = whole.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        let error = refused(&spoilt);
        let foreign = matches!(error, PortableError::Foreign { .. }) && bit < 64;
        assert!(foreign || matches!(error, PortableError::Damaged { .. }), "bit {bit}: {error}");
    }
    assert!(matches!(refused(&[&whole[..], b"x"].concat()), PortableError::Damaged { .. }));
    assert!(matches!(refused(b"a letter to my aunt"), PortableError::Foreign { .. }));
    assert!(matches!(refused(b""), PortableError::Foreign { .. }));
}

#[test]
fn a_restored_directory_holds_the_snapshot_and_belongs_to_another_cluster() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, new) = (dir.path().join("node"), ClusterId(0xC2));
    let (saved, me) = (portable(), NodeId(3));
    let same = saved.restore(&node, CLUSTER, me, Config::small(), b"first");
    assert!(matches!(same, Err(PortableError::SameCluster { .. })));
    assert!(!node.exists());
    saved.restore(&node, new, me, Config::small(), b"first").expect("a new directory");
    let again = saved.restore(&node, new, me, Config::small(), b"first");
    assert!(matches!(again, Err(PortableError::NotEmpty { .. })));
    let old = Wal::open_dir(&node, CLUSTER, me, Config::small());
    assert!(old.is_err(), "it is no member of the old cluster");
    let (wal, recovered) = Wal::open_dir(&node, new, me, Config::small()).expect("its own");
    assert_eq!(recovered[0].records, [b"first".to_vec()]);
    drop(wal);
    let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(RealDisk::read_only(&node));
    let found = Snapshots::new(disk).newest(StreamId(0)).expect("readable").found;
    let (snapshot, payload) = found.expect("a sound snapshot");
    assert_eq!((snapshot.index, payload), (41, saved.payload));
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a directory").collect();
    assert_eq!(left.len(), 1, "nothing half made is left");
}
