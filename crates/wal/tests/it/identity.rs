//! Whose directory it is, and who may open it.

use std::fs;

use protocol::NodeId;
use wal::disk::RealDisk;
use wal::{ClusterId, Config, Disk, Identity, OpenError, SimDisk, Wal, init, init_dir, verify_dir};

use super::{CLUSTER, NODE, inline, open_dir, open_sim};

fn refused(dir: &std::path::Path) -> OpenError {
    match Wal::open_dir(dir, CLUSTER, NODE, Config::small()) {
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(&dir.display().to_string()), "no directory in: {text}");
            error
        }
        Ok(_) => panic!("opened"),
    }
}

#[test]
fn s8_9_17_two_owners_cannot_open_one_directory() {
    let _recorded = crate::Recorded::begin("s8_9_17_two_owners_cannot_open_one_directory");
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open_dir(dir.path(), Config::small());
    assert!(matches!(refused(dir.path()), OpenError::Locked { .. }));
    verify_dir(dir.path()).expect("looking is allowed");
    drop(wal);
    drop(open_dir(dir.path(), Config::small()));
}

#[test]
fn s8_9_17_empty_absent_and_half_created_directories_are_refused() {
    let _recorded =
        crate::Recorded::begin("s8_9_17_empty_absent_and_half_created_directories_are_refused");
    let dir = tempfile::tempdir().expect("a directory");
    assert!(matches!(refused(&dir.path().join("absent")), OpenError::Empty { .. }));
    assert!(matches!(refused(dir.path()), OpenError::Empty { .. }));
    init_dir(dir.path(), CLUSTER, NODE, &Config::small()).expect("an empty directory");
    let again = init_dir(dir.path(), CLUSTER, NODE, &Config::small());
    assert!(matches!(again, Err(OpenError::AlreadyInitialised { .. })));

    // A log without an identity, and an identity without a log.
    let identity = fs::read(dir.path().join("identity")).expect("a file");
    fs::remove_file(dir.path().join("identity")).expect("a file");
    assert!(matches!(refused(dir.path()), OpenError::HalfCreated { .. }));
    let again = init_dir(dir.path(), CLUSTER, NODE, &Config::small());
    assert!(matches!(again, Err(OpenError::HalfCreated { .. })));
    fs::write(dir.path().join("identity"), &identity).expect("a file");
    fs::remove_file(dir.path().join("wal-000000000001")).expect("a file");
    assert!(matches!(refused(dir.path()), OpenError::HalfCreated { .. }));
}

#[test]
fn s8_9_17_a_foreign_or_damaged_identity_is_refused() {
    let _recorded = crate::Recorded::begin("s8_9_17_a_foreign_or_damaged_identity_is_refused");
    let dir = tempfile::tempdir().expect("a directory");
    init_dir(dir.path(), CLUSTER, NodeId(2), &Config::small()).expect("an empty directory");
    assert!(matches!(refused(dir.path()), OpenError::Foreign { .. }));

    let path = dir.path().join("identity");
    let good = fs::read(&path).expect("a file");
    for byte in 0..good.len() {
        let mut rotten = good.clone();
        rotten[byte] ^= 4;
        fs::write(&path, rotten).expect("a file");
        let error = refused(dir.path());
        let version = (8..12).contains(&byte);
        assert!(
            matches!(error, OpenError::DamagedIdentity { .. }) && !version
                || matches!(error, OpenError::UnknownVersion { .. }) && version,
            "byte {byte}: {error}"
        );
    }
    for len in 0..good.len() {
        fs::write(&path, &good[..len]).expect("a file");
        assert!(matches!(refused(dir.path()), OpenError::DamagedIdentity { .. }));
    }
}

#[test]
fn s8_9_17_a_segment_of_another_node_or_format_is_refused() {
    let _recorded =
        crate::Recorded::begin("s8_9_17_a_segment_of_another_node_or_format_is_refused");
    let [ours, theirs] = [0, 1].map(|_| tempfile::tempdir().expect("a directory"));
    init_dir(ours.path(), CLUSTER, NODE, &Config::small()).expect("an empty directory");
    init_dir(theirs.path(), ClusterId(5), NODE, &Config::small()).expect("an empty directory");
    let segment = "wal-000000000001";
    let good = fs::read(ours.path().join(segment)).expect("a file");
    fs::copy(theirs.path().join(segment), ours.path().join(segment)).expect("a copy");
    assert!(matches!(refused(ours.path()), OpenError::Foreign { .. }));
    let mut newer = good;
    newer[8] = 9;
    fs::write(ours.path().join(segment), newer).expect("a file");
    assert!(matches!(refused(ours.path()), OpenError::UnknownVersion { found: 9, .. }));
}

#[test]
fn s8_9_17_the_incarnation_rises_at_every_open_and_survives_a_crash() {
    let _recorded =
        crate::Recorded::begin("s8_9_17_the_incarnation_rises_at_every_open_and_survives_a_crash");
    let disk = SimDisk::new();
    drop(open_sim(&disk, inline()));
    let mut last = Identity::peek(&disk).expect("an identity").incarnation;
    for seed in 0..20 {
        let identity = Identity::open(&disk, CLUSTER, NODE).expect("an identity");
        assert_eq!(identity.incarnation, last + 1);
        last = identity.incarnation;
        disk.crash(seed);
        assert_eq!(Identity::peek(&disk).expect("an identity").incarnation, last);
    }
}

#[test]
fn a_crash_while_a_node_is_created_leaves_all_of_it_or_a_refusal() {
    let disk = SimDisk::new();
    disk.start_trace();
    init(&disk, CLUSTER, NODE, &inline()).expect("an empty disk");
    let trace = disk.take_trace().expect("a recording");
    let mut outcomes = [0; 3];
    trace.walk(0, 40, &mut protocol::Rng::new(1), |_, image| {
        match super::try_open_sim(image, inline()) {
            Ok(_) => outcomes[0] += 1,
            Err(OpenError::Empty { .. }) => outcomes[1] += 1,
            Err(OpenError::HalfCreated { .. }) => outcomes[2] += 1,
            Err(other) => panic!("{other}"),
        }
        true
    });
    assert!(outcomes.iter().all(|seen| *seen > 0), "{outcomes:?}");
}

#[test]
fn a_directory_opened_to_read_refuses_to_write() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = RealDisk::read_only(dir.path());
    assert!(disk.open("a", true).is_err());
    assert!(disk.remove("a").is_err());
}
