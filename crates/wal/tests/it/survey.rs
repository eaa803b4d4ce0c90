//! Looking at a log: what is there, without touching it, while somebody writes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::{Log, Lsn};
use wal::suite::await_durable;
use wal::survey::What;
use wal::{Config, OpenError, SimDisk, StreamId, Verdict, survey, survey_dir};

use super::{inline, open_dir, open_sim};

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |entry: Result<fs::DirEntry, _>| {
        let entry = entry.expect("an entry");
        let bytes = fs::read(entry.path()).expect("readable");
        (entry.file_name().into_string().expect("text"), bytes)
    };
    fs::read_dir(dir).expect("a directory").map(entry).collect()
}

#[test]
fn every_record_is_shown_and_live_bytes_are_those_of_the_running_log() {
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    let (mut one, mut two) = (wal.stream(StreamId(0)), wal.stream(StreamId(7)));
    for lsn in 1..=30u64 {
        one.append(&[lsn as u8; 100]);
        two.append(&[lsn as u8; 700]);
        one.push();
        two.push();
        await_durable(&mut two, Lsn(lsn)).expect("no fault");
    }
    one.forget(Lsn(11));
    two.forget(Lsn(29));
    wal.settle();
    let (mut last, mut marks, mut keeps) = (BTreeMap::new(), 0, BTreeMap::new());
    let mut before = 0;
    let report = survey(&disk, &mut |entry| {
        assert_eq!(entry.position, before.max(entry.position - 1) + 1, "in order");
        before = entry.position;
        match entry.what {
            What::Data { stream, lsn, payload } => {
                assert!(payload.iter().all(|byte| u64::from(*byte) == lsn.0));
                last.insert(stream, lsn);
            }
            What::Forget { stream, keep } => drop(keeps.insert(stream, keep)),
            What::Mark => marks += 1,
        }
    })
    .expect("readable");
    assert_eq!(report.verdict, Verdict::Clean);
    assert_eq!(last, BTreeMap::from([(StreamId(0), Lsn(30)), (StreamId(7), Lsn(30))]));
    assert_eq!(keeps, BTreeMap::from([(StreamId(0), Lsn(11)), (StreamId(7), Lsn(29))]));
    assert!(marks > 0);
    let live: Vec<_> = report.streams.iter().map(|s| (s.stream, s.live_bytes)).collect();
    assert_eq!(live, wal.stats().live);
    assert_eq!(live, [(StreamId(0), 20 * 100), (StreamId(7), 2 * 700)]);
    assert_eq!(report.live_bytes(), wal.stats().live_bytes());
    assert_eq!(report.segments as u64, wal.stats().segments);
    // The mark itself says that all before it is safe; nothing yet says so of the mark.
    assert_eq!((report.position, report.mark), (before, before - 1));
}

/// Small segments, three streams, rotation and recycling at full speed, and looks all the time.
#[test]
fn a_log_that_is_being_written_is_never_called_corrupt() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Config { segment_bytes: 256 << 10, max_segments: 4, ..Config::default() };
    let (wal, _) = open_dir(dir.path(), config);
    let done = AtomicBool::new(false);
    let (looks, torn, seen) = std::thread::scope(|scope| {
        for id in 0..3 {
            let (mut log, done) = (wal.stream(StreamId(id)), &done);
            scope.spawn(move || {
                let mut lsn = 0;
                while !done.load(Ordering::Relaxed) {
                    for _ in 0..16 {
                        lsn += 1;
                        log.append(&vec![lsn as u8; 40 + (lsn % 7 * 300) as usize]);
                    }
                    log.push();
                    await_durable(&mut log, Lsn(lsn)).expect("a healthy disk");
                    log.forget(Lsn(lsn.saturating_sub(40).max(1)));
                }
            });
        }
        let (mut torn, mut seen, mut looks) = (0u64, 0u64, 0u64);
        let mut too_fast = 0u64;
        while looks < 300 {
            let mut last = 0;
            let looked = survey_dir(dir.path(), &mut |entry| {
                assert!(entry.position > last, "each record once");
                last = entry.position;
                seen += 1;
            });
            looks += 1;
            match looked {
                Ok(report) => match report.verdict {
                    Verdict::Clean => {}
                    Verdict::TornTail { .. } => torn += 1,
                    Verdict::Corrupt(damage) => panic!("look {looks}: {damage}"),
                },
                Err(OpenError::Io { source, .. }) if source.to_string().contains("faster") => {
                    too_fast += 1;
                }
                Err(error) => panic!("look {looks}: {error}"),
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(too_fast * 10 < looks, "{too_fast} of {looks} looks came to no end");
        (looks, torn, seen)
    });
    println!("{looks} looks at {seen} records; {torn} met a batch that was being written");
    assert!(wal.stats().segments > 0 && seen > 0);
}

#[test]
fn looking_changes_nothing_and_hinders_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open_dir(dir.path(), Config::small());
    let mut log = wal.stream(StreamId(0));
    log.append(b"mine");
    log.push();
    await_durable(&mut log, Lsn(1)).expect("a healthy disk");
    survey_dir(dir.path(), &mut |_| ()).expect("a log in use may be looked at");
    drop((log, wal));
    let before = files(dir.path());
    let report = survey_dir(dir.path(), &mut |_| ()).expect("readable");
    assert_eq!(report.verdict, Verdict::Clean);
    assert_eq!(files(dir.path()), before);
    let none = dir.path().join("none");
    assert!(matches!(survey_dir(&none, &mut |_| ()), Err(OpenError::Empty { .. })));
    assert!(!none.exists(), "looking creates nothing");
}

#[test]
fn what_stands_before_the_damage_is_shown_and_the_damage_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open_dir(dir.path(), Config::small());
    let mut log = wal.stream(StreamId(0));
    for lsn in 1..=9u64 {
        log.append(&[lsn as u8; 64]);
        log.push();
        await_durable(&mut log, Lsn(lsn)).expect("a healthy disk");
    }
    drop((log, wal));
    let newest = fs::read_dir(dir.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let bytes = fs::read(path).expect("readable");
            bytes.len() > 9000 && bytes[8192..9000].iter().any(|byte| *byte != 0)
        })
        .max()
        .expect("a segment with records");
    let mut bytes = fs::read(&newest).expect("readable");
    bytes[8192 + 4 * 120 + 70] ^= 1; // In the payload of the fifth record.
    fs::write(&newest, bytes).expect("written");
    let mut shown = Vec::new();
    let report = survey_dir(dir.path(), &mut |entry| {
        if let What::Data { lsn, .. } = entry.what {
            shown.push(lsn.0);
        }
    })
    .expect("readable");
    let Verdict::Corrupt(damage) = report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!(damage.record.map(|(_, lsn)| lsn), Some(shown.len() as u64 + 1), "{damage}");
}
