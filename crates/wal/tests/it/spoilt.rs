//! Files that a person or a bad cable has spoilt: cut, missing, mixed up.

use std::fs;

use protocol::{Log, Lsn, Rng};
use wal::suite::await_durable;
use wal::{Config, OpenError, SimDisk, StreamId, Verdict, Wal, verify, verify_dir};

use super::{CLUSTER, NODE, inline, open_dir, open_sim, try_open_sim};

/// Sixty records over several segments, all kept, the last one covered by a mark.
fn several_segments() -> SimDisk {
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    let mut log = wal.stream(StreamId(0));
    for lsn in 1..=60u64 {
        log.append(&[lsn as u8; 700]);
        log.push();
        await_durable(&mut log, Lsn(lsn)).expect("no fault");
    }
    wal.settle();
    disk.copy()
}

fn segments(disk: &SimDisk) -> Vec<String> {
    let mut names = wal::Disk::list(disk).expect("no fault");
    names.retain(|name| {
        name.starts_with("wal-") && wal::disk::read_whole(disk, name).expect("no fault")[0] != 0
    });
    names
}

#[test]
fn s8_9_12_rot_in_a_finished_segment_is_corruption() {
    let _recorded = crate::Recorded::begin("s8_9_12_rot_in_a_finished_segment_is_corruption");
    let whole = several_segments();
    let names = segments(&whole);
    assert!(names.len() > 4);
    let mut rng = Rng::new(12);
    for name in &names[..names.len() - 1] {
        for _ in 0..200 {
            let disk = whole.copy();
            let offset = rng.range(8192, 8192 + 700 * 8);
            disk.flip(name, offset, 1 << rng.below(8));
            match try_open_sim(&disk, inline()) {
                Err(OpenError::Corrupt { damage, .. }) => assert_eq!(damage.file, *name),
                Err(other) => panic!("{name} byte {offset}: {other}"),
                Ok(_) => panic!("{name} byte {offset}: believed"),
            }
        }
    }
}

#[test]
fn s8_9_12_a_missing_segment_is_corruption_not_a_short_log() {
    let _recorded =
        crate::Recorded::begin("s8_9_12_a_missing_segment_is_corruption_not_a_short_log");
    let whole = several_segments();
    let names = segments(&whole);
    for name in &names[..names.len() - 1] {
        let disk = whole.copy();
        wal::Disk::remove(&disk, name).expect("no fault");
        assert!(matches!(try_open_sim(&disk, inline()), Err(OpenError::Corrupt { .. })), "{name}");
        assert!(matches!(verify(&disk).expect("readable").verdict, Verdict::Corrupt(_)));
    }
}

/// Sectors copied to where they do not belong, within and between files.
#[test]
fn s8_9_12_a_misdirected_sector_is_noticed() {
    let _recorded = crate::Recorded::begin("s8_9_12_a_misdirected_sector_is_noticed");
    let whole = several_segments();
    let names = segments(&whole);
    let expected: Vec<Vec<u8>> = (1..=60u8).map(|lsn| vec![lsn; 700]).collect();
    let mut rng = Rng::new(13);
    let (mut refused, mut short) = (0, 0);
    for round in 0..3000 {
        let disk = whole.copy();
        let pick =
            |rng: &mut Rng| (&names[rng.below(names.len() as u64) as usize], 512 * rng.below(32));
        let ((from, start), (to, place)) = (pick(&mut rng), pick(&mut rng));
        let bytes = wal::disk::read_whole(&disk, from).expect("no fault");
        let sector = &bytes[start as usize..start as usize + 512];
        let file = wal::Disk::open(&disk, to, false).expect("a file");
        file.write_at(place, sector).expect("no fault");
        match try_open_sim(&disk, inline()) {
            // One sector can hold the end of the last batch together with the mark that vouches
            // for it: the risk that the crate's door states. Nothing before it may go.
            Ok((_, recovered)) => {
                let found = &recovered[0].records;
                assert!(*found == expected[..found.len()], "round {round}: a stranger");
                assert!(found.len() >= 59, "round {round}: {} left, {to} at {place}", found.len());
                short += u32::from(found.len() == 59);
            }
            Err(OpenError::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("round {round}: {other}"),
        }
    }
    println!("{refused} refused, {short} times the last batch and its mark were hit together");
    assert!(refused > 1000 && short < 60, "{refused} {short}");
}

#[test]
fn s8_9_12_a_file_cut_short_anywhere_never_yields_a_stranger() {
    let _recorded =
        crate::Recorded::begin("s8_9_12_a_file_cut_short_anywhere_never_yields_a_stranger");
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open_dir(dir.path(), Config::small());
    let mut log = wal.stream(StreamId(0));
    for lsn in 1..=20u64 {
        log.append(&[lsn as u8; 100]);
        log.push();
        await_durable(&mut log, Lsn(lsn)).expect("a healthy disk");
    }
    drop((log, wal));
    let newest = fs::read_dir(dir.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let bytes = fs::read(path).expect("a file");
            bytes.len() > 8192 && bytes[..8] == *b"SYNODWAL" && bytes[8192] != 0
        })
        .max()
        .expect("a segment");
    let good = fs::read(&newest).expect("a file");
    for len in (0..8192 + 4000).step_by(37) {
        fs::write(&newest, &good[..len]).expect("a file");
        match verify_dir(dir.path()) {
            Ok(report) => match report.verdict {
                Verdict::Corrupt(damage) => assert!(newest.ends_with(&damage.file)),
                Verdict::Clean | Verdict::TornTail { .. } => {
                    assert!(report.streams.iter().all(|s| s.first.0 + s.records <= 21));
                }
            },
            Err(OpenError::HalfCreated { .. }) => assert!(len < 8192, "cut at {len}"),
            Err(other) => panic!("cut at {len}: {other}"),
        }
    }
    fs::write(&newest, &good).expect("a file");
    let (_, recovered) =
        Wal::open_dir(dir.path(), CLUSTER, NODE, Config::small()).expect("whole again");
    assert_eq!(recovered[0].records.len(), 20);
}
