//! Segments: rotated, reused, copied forward, at every step crash-safe.

use protocol::{Log, Lsn};
use wal::suite::{self, await_durable};
use wal::{Config, SimDisk, StreamId};

use super::{inline, open_dir, open_sim, try_open_sim};

#[test]
fn s8_9_15_a_reused_segment_tells_no_old_tales() {
    let _recorded = crate::Recorded::begin("s8_9_15_a_reused_segment_tells_no_old_tales");
    let report = suite::hunt_stale_records().unwrap_or_else(|why| panic!("{why}"));
    println!("{report:?}");
}

#[test]
fn s8_9_15_an_idle_stream_does_not_pin_the_log() {
    let _recorded = crate::Recorded::begin("s8_9_15_an_idle_stream_does_not_pin_the_log");
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    let (mut idle, mut busy) = (wal.stream(StreamId(0)), wal.stream(StreamId(1)));
    idle.append(b"remember me");
    idle.append(b"and me");
    idle.push();
    for lsn in 1..=500u64 {
        busy.append(&[lsn as u8; 500]);
        busy.push();
        await_durable(&mut busy, Lsn(lsn)).expect("no fault");
        busy.forget(Lsn(lsn));
    }
    let stats = wal.stats();
    assert!(stats.segments <= 4, "{stats:?}");
    assert!(stats.copied > 0, "{stats:?}");
    assert_eq!(stats.live_bytes(), 17 + 500, "{stats:?}");
    drop((wal, idle, busy));
    disk.crash(9);
    let (_, recovered) = open_sim(&disk, inline());
    assert_eq!(recovered[0].records, [b"remember me".to_vec(), b"and me".to_vec()]);
    assert_eq!(recovered[0].first, Lsn(1));
    assert_eq!(recovered[1].last(), Lsn(500));
}

/// Rotation, reuse and copying forward, crashed at every change of the disk.
#[test]
fn s8_9_15_rotation_and_recycling_are_crash_safe_at_each_step() {
    let _recorded =
        crate::Recorded::begin("s8_9_15_rotation_and_recycling_are_crash_safe_at_each_step");
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    disk.start_trace();
    let (mut idle, mut busy) = (wal.stream(StreamId(0)), wal.stream(StreamId(1)));
    idle.append(&[7; 300]);
    idle.push();
    // The length of the recording when record `lsn` was reported, and what was kept by then.
    let mut moments = vec![(disk.trace_len(), 0)];
    for lsn in 1..=60u64 {
        busy.append(&[lsn as u8; 900]);
        busy.push();
        await_durable(&mut busy, Lsn(lsn)).expect("no fault");
        busy.forget(Lsn(lsn.saturating_sub(4).max(1)));
        moments.push((disk.trace_len(), lsn));
    }
    assert!(wal.stats().copied > 0);
    let trace = disk.take_trace().expect("a recording");
    let count = trace.walk(moments[0].0, 6, &mut protocol::Rng::new(5), |point, image| {
        let durable = moments.iter().rev().find(|(len, _)| *len <= point).map_or(0, |m| m.1);
        let (_, recovered) =
            try_open_sim(image, inline()).unwrap_or_else(|e| panic!("after {point}: {e}"));
        assert_eq!(recovered[0].records, [vec![7; 300]], "after {point} changes");
        let (first, last) = recovered.get(1).map_or((1, 0), |r| (r.first.0, r.last().0));
        assert!(last == durable || last == durable + 1, "after {point}: {last} of {durable}");
        assert!(first <= durable.saturating_sub(4).max(1) + 1, "after {point}: begins at {first}");
        let records = recovered.get(1).into_iter().flat_map(|r| &r.records);
        for (lsn, record) in (first..).zip(records) {
            assert_eq!(*record, vec![lsn as u8; 900], "after {point} changes");
        }
        true
    });
    println!("{count} disks opened");
}

#[test]
fn opening_again_and_again_does_not_grow_the_log() {
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    let mut log = wal.stream(StreamId(0));
    log.append(b"still here");
    log.push();
    drop((log, wal));
    for life in 0..30 {
        let (wal, recovered) = open_sim(&disk, inline());
        assert_eq!(recovered[0].records, [b"still here".to_vec()], "life {life}");
        assert!(wal.stats().segments <= 4, "life {life}: {:?}", wal.stats());
    }
}

#[test]
fn what_was_forgotten_stays_forgotten_after_a_clean_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open_dir(dir.path(), Config::small());
    let mut log = wal.stream(StreamId(0));
    (0..10u8).for_each(|n| log.append(&[n]));
    log.push();
    await_durable(&mut log, Lsn(10)).expect("a healthy disk");
    log.forget(Lsn(9));
    drop((log, wal));
    let (wal, recovered) = open_dir(dir.path(), Config::small());
    assert_eq!((recovered[0].first, recovered[0].last()), (Lsn(9), Lsn(10)));
    let mut log = wal.stream(StreamId(0));
    log.forget(Lsn(11));
    drop((log, wal));
    let (_, recovered) = open_dir(dir.path(), Config::small());
    assert_eq!((recovered[0].first, recovered[0].last()), (Lsn(11), Lsn(10)));
}
