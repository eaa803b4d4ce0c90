//! Disks that fail, tear and rot.

use std::io;

use protocol::{Log, Lsn};
use wal::simdisk::{Call, Fault, Trouble};
use wal::suite::{self, await_durable};
use wal::{Disk, OpenError, SimDisk, StreamId, Verdict, verify};

use super::{inline, open_sim, try_open_sim};

const FIRST: StreamId = StreamId(0);

/// The records of one stream, each synced on its own, the last one without a mark behind it.
fn five_batches() -> (SimDisk, Vec<Vec<u8>>) {
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    let mut log = wal.stream(FIRST);
    let records: Vec<Vec<u8>> = (1..=5u8).map(|n| vec![n; 30 * usize::from(n)]).collect();
    for (record, lsn) in records.iter().zip(1..) {
        log.append(record);
        log.push();
        await_durable(&mut log, Lsn(lsn)).expect("no fault");
    }
    (disk, records)
}

/// The newest segment, where its last record begins, and where that ends. Frames are 56 bytes of
/// header and the payload padded to 8.
fn last_record(disk: &SimDisk) -> (String, u64, u64) {
    let name = disk.list().expect("no fault").into_iter().rfind(|name| {
        let Some(number) = name.strip_prefix("wal-") else { return false };
        let bytes = wal::disk::read_whole(disk, name).expect("no fault");
        // A spare still shows the number of its last life, or none.
        bytes[40..48] == number.parse::<u64>().expect("a number").to_le_bytes()
    });
    let frames: Vec<u64> = (1..=5u64).map(|n| 56 + (30 * n).div_ceil(8) * 8).collect();
    // The opening wrote nothing before them: its tail was empty.
    let start = 8192 + frames[..4].iter().sum::<u64>();
    (name.expect("a segment"), start, start + frames[4])
}

#[test]
fn s8_9_12_a_last_write_cut_at_every_byte_is_a_torn_tail() {
    let _recorded = crate::Recorded::begin("s8_9_12_a_last_write_cut_at_every_byte_is_a_torn_tail");
    let (whole, records) = five_batches();
    let (name, start, end) = last_record(&whole);
    for cut in start..end {
        let disk = whole.copy();
        let tail = vec![0; (end - cut) as usize];
        disk.open(&name, false).and_then(|f| f.write_at(cut, &tail)).expect("no fault");
        let (_, recovered) = try_open_sim(&disk, inline()).unwrap_or_else(|e| panic!("{cut}: {e}"));
        let found = &recovered[0].records;
        // Padding and a payload's own zeros cannot be told from a cut; anything else can.
        assert!(*found == records[..4] || *found == records, "cut at {cut}");
        assert!(cut >= end - 2 || *found == records[..4], "cut at {cut} and still believed");
    }
}

#[test]
fn s8_9_12_any_byte_flipped_in_the_tail_ends_the_log_before_it() {
    let _recorded =
        crate::Recorded::begin("s8_9_12_any_byte_flipped_in_the_tail_ends_the_log_before_it");
    let (whole, records) = five_batches();
    let (name, start, end) = last_record(&whole);
    for offset in start..end {
        let disk = whole.copy();
        disk.flip(&name, offset, 1 << (offset % 8));
        let verdict = verify(&disk).expect("readable").verdict;
        assert_eq!(verdict, Verdict::TornTail { file: name.clone(), offset: start });
        let (_, recovered) = try_open_sim(&disk, inline()).expect("a torn tail opens");
        assert_eq!(recovered[0].records, records[..4], "byte {offset}");
        let again = verify(&disk).expect("readable");
        assert_eq!(again.verdict, Verdict::Clean, "the new life has no torn tail");
    }
}

#[test]
fn s8_9_12_a_byte_flipped_in_the_middle_is_corruption_with_an_address() {
    let _recorded = crate::Recorded::begin(
        "s8_9_12_a_byte_flipped_in_the_middle_is_corruption_with_an_address",
    );
    let (whole, _) = five_batches();
    let (name, last, _) = last_record(&whole);
    for offset in 8192..last {
        let disk = whole.copy();
        disk.flip(&name, offset, 0x20);
        let Err(OpenError::Corrupt { damage, .. }) = try_open_sim(&disk, inline()) else {
            panic!("byte {offset} of the middle was believed or cut away");
        };
        assert_eq!(damage.file, name);
        assert!(damage.offset <= offset && offset < damage.offset + 56 + 120, "{damage}");
    }
}

#[test]
fn s8_9_12_every_rotten_byte_is_noticed() {
    let _recorded = crate::Recorded::begin("s8_9_12_every_rotten_byte_is_noticed");
    let report = suite::hunt_rot().unwrap_or_else(|why| panic!("{why}"));
    println!("{report:?}");
}

#[test]
fn s8_9_14_a_failed_sync_is_never_believed() {
    let _recorded = crate::Recorded::begin("s8_9_14_a_failed_sync_is_never_believed");
    let report = suite::hunt_fsync_failure().unwrap_or_else(|why| panic!("{why}"));
    println!("{report:?}");
}

/// The error sweep: call n of a workload fails, for every n until it finishes untouched.
#[test]
fn s8_9_14_every_disk_call_that_fails_closes_the_log() {
    let _recorded = crate::Recorded::begin("s8_9_14_every_disk_call_that_fails_closes_the_log");
    let mut images = 0;
    for trouble in [Trouble::Eio, Trouble::Enospc, Trouble::Short] {
        for forever in [false, true] {
            for after in 0.. {
                let disk = SimDisk::new();
                drop(open_sim(&disk, inline()));
                disk.fail(Fault { call: None, after, trouble, forever });
                let before = disk.calls();
                let (handed, durable) = busy(&disk);
                let calls = disk.calls() - before;
                disk.heal();
                disk.crash(after);
                let (_, recovered) = open_sim(&disk, inline());
                let last = recovered.first().map_or(0, |found| found.last().0);
                assert!(last >= durable, "call {after}: {durable} durable, {last} recovered");
                assert!(last <= handed, "call {after}: {handed} handed, {last} recovered");
                for found in recovered {
                    for (lsn, record) in (found.first.0..).zip(&found.records) {
                        assert_eq!(*record, vec![lsn as u8; 900]);
                    }
                }
                images += 1;
                if calls <= after {
                    break;
                }
            }
        }
    }
    println!("{images} workloads with one failing call each");
}

/// Opens and writes forty records; forgets most. How many were handed over and reported.
fn busy(disk: &SimDisk) -> (u64, u64) {
    let Ok((wal, _)) = try_open_sim(disk, inline()) else { return (0, 0) };
    let mut log = wal.stream(FIRST);
    let mut durable = 0;
    for lsn in 1..=40u64 {
        log.append(&vec![lsn as u8; 900]);
        log.push();
        match await_durable(&mut log, Lsn(lsn)) {
            Ok(now) => durable = now.0,
            Err(_) => {
                let again = await_durable(&mut log, Lsn(1));
                assert!(again.is_err(), "an error of the log is final");
                return (lsn, durable);
            }
        }
        log.forget(Lsn(lsn.saturating_sub(3).max(1)));
    }
    (40, durable)
}

#[test]
fn s8_9_14_a_full_disk_says_so_and_loses_nothing() {
    let _recorded = crate::Recorded::begin("s8_9_14_a_full_disk_says_so_and_loses_nothing");
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    disk.set_quota(Some(80 << 10));
    let mut log = wal.stream(FIRST);
    let mut durable = 0;
    let error = loop {
        log.append(&[durable as u8 + 1; 900]);
        log.push();
        match await_durable(&mut log, Lsn(durable + 1)) {
            Ok(now) => durable = now.0,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    drop((log, wal));
    disk.crash(3);
    disk.set_quota(None);
    let (_, recovered) = open_sim(&disk, inline());
    assert!(recovered[0].last().0 >= durable && durable > 0);
}

#[test]
fn a_failure_reaches_every_stream() {
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    let (mut one, mut other) = (wal.stream(FIRST), wal.stream(StreamId(1)));
    let (call, trouble) = (Some(Call::Write), Trouble::Short);
    disk.fail(Fault { call, after: 0, trouble, forever: false });
    one.append(b"x");
    one.push();
    assert!(await_durable(&mut one, Lsn(1)).is_err());
    other.append(b"y");
    other.push();
    assert!(await_durable(&mut other, Lsn(1)).is_err());
}
