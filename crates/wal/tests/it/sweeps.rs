//! Sweeps: every damage, every failing call.

use std::sync::Arc;
use std::time::Instant;

use protocol::{Log, Lsn};
use sim::Scenario;
use wal::simdisk::{Call, Fault, Trouble};
use wal::suite::{self, await_durable};
use wal::{SimDisk, Snapshots, StreamId, Verdict, verify};

use super::{inline, open_sim, try_open_sim};

/// Damaged logs that must have been looked at.
const IMAGES: u64 = 500_000;

#[test]
fn s8_9_12_half_a_million_damaged_logs_are_whole_torn_or_refused() {
    let name = "s8_9_12_half_a_million_damaged_logs_are_whole_torn_or_refused";
    let (seed, began) = (1, Instant::now());
    let swept = suite::hunt_corruption(seed, IMAGES).unwrap_or_else(|why| panic!("{why}"));
    println!("{swept:?} in {:?}", began.elapsed());
    assert!(swept.images >= IMAGES, "{swept:?}");
    assert!(swept.identical > 1000 && swept.torn > 500 && swept.refused > 1000, "{swept:?}");
    assert!(swept.opened > 100, "{swept:?}");
    let figure = format!(
        "{} damaged logs of seed {seed}: {} whole, {} torn, {} refused, {} of them opened and \
         written again",
        swept.images, swept.identical, swept.torn, swept.refused, swept.opened
    );
    Scenario { seeds: 4, events: swept.images, acknowledged: 0, figure }.write(name);
}

const CALLS: [Option<Call>; 10] = [
    None,
    Some(Call::List),
    Some(Call::Open),
    Some(Call::Create),
    Some(Call::Read),
    Some(Call::Write),
    Some(Call::Sync),
    Some(Call::Rename),
    Some(Call::Remove),
    Some(Call::SyncDir),
];

/// What a workload was told.
#[derive(Default)]
struct Told {
    /// Records handed over and reported durable, of each stream.
    handed: [u64; 2],
    durable: [u64; 2],
    /// The newest snapshot that was reported saved.
    snapshot: u64,
    /// Whether anything failed.
    failed: bool,
}

/// Two lives of two streams: records, segments, forgetting, snapshots. A log that has failed is
/// tried on, and must refuse.
fn workload(disk: &SimDisk) -> Told {
    let mut told = Told::default();
    let snapshots = Snapshots::new(Arc::new(disk.clone()));
    for _ in 0..2 {
        let Ok((wal, _)) = try_open_sim(disk, inline()) else {
            told.failed = true;
            continue;
        };
        let mut logs = [wal.stream(StreamId(0)), wal.stream(StreamId(1))];
        // What a life finds is where it goes on.
        told.handed = told.durable;
        let mut poisoned = false;
        for round in 0..14u64 {
            for (id, log) in logs.iter_mut().enumerate() {
                told.handed[id] += 1;
                log.append(&vec![told.handed[id] as u8; 600 + 500 * id]);
                log.push();
                match await_durable(log, Lsn(told.handed[id])) {
                    Ok(durable) => {
                        assert!(!poisoned, "a log that had failed reported again");
                        told.durable[id] = durable.0;
                    }
                    Err(_) => (poisoned, told.failed) = (true, true),
                }
                log.forget(Lsn(told.durable[id].saturating_sub(3).max(1)));
            }
            if round % 5 == 4 && !poisoned {
                wal.rotate();
                wal.settle();
                let index = told.durable[0];
                let saved = snapshots.save(StreamId(0), index, &vec![index as u8; 700]);
                match saved.is_ok() {
                    true => told.snapshot = index,
                    false => told.failed = true,
                }
                // An old snapshot that stays is no loss.
                told.failed |= snapshots.remove_below(StreamId(0), told.snapshot).is_err();
            }
            if poisoned {
                return told;
            }
        }
    }
    told
}

fn recovered_right(disk: &SimDisk, told: &Told, case: &str) {
    let (wal, recovered) = open_sim(disk, inline());
    for id in 0..2 {
        let found = recovered.iter().find(|found| found.stream.0 as usize == id);
        let (first, last) = found.map_or((1, 0), |found| (found.first.0, found.last().0));
        let (durable, handed) = (told.durable[id], told.handed[id]);
        assert!(durable <= last && last <= handed, "{case}: {durable} <= {last} <= {handed}");
        assert!(first <= durable.saturating_sub(3).max(1), "{case}: begins at {first}");
        for (lsn, record) in (first..).zip(found.iter().flat_map(|found| &found.records)) {
            assert_eq!(*record, vec![lsn as u8; 600 + 500 * id], "{case}");
        }
    }
    let newest = Snapshots::new(Arc::new(disk.clone())).newest(StreamId(0)).expect("no fault");
    let there = newest.found.map_or(0, |(snapshot, payload)| {
        assert_eq!(payload, vec![snapshot.index as u8; 700], "{case}");
        snapshot.index
    });
    assert!(there >= told.snapshot, "{case}: snapshot {} was saved", told.snapshot);
    drop(wal);
    assert_eq!(verify(disk).expect("readable").verdict, Verdict::Clean, "{case}");
}

/// The n-th call of each kind fails in each way, for every n until the workload ends untouched.
#[test]
fn s8_9_14_each_kind_of_call_that_fails_in_each_way_loses_nothing() {
    let name = "s8_9_14_each_kind_of_call_that_fails_in_each_way_loses_nothing";
    let (mut cases, mut failed, mut acknowledged) = (0u64, 0u64, 0u64);
    for call in CALLS {
        for trouble in [Trouble::Eio, Trouble::Enospc, Trouble::Short] {
            for forever in [false, true] {
                for after in 0.. {
                    let disk = SimDisk::new();
                    drop(open_sim(&disk, inline()));
                    disk.fail(Fault { call, after, trouble, forever });
                    let told = workload(&disk);
                    let met = disk.met();
                    let case = format!("{call:?} {after} {trouble:?} forever {forever}");
                    disk.heal();
                    // Half of the cases, the process comes back without a power cut first.
                    if after % 2 == 1 {
                        recovered_right(&disk, &told, &case);
                    }
                    disk.crash(after);
                    recovered_right(&disk, &told, &case);
                    cases += 1;
                    acknowledged += told.durable.iter().sum::<u64>();
                    failed += u64::from(told.failed);
                    assert!(met || !told.failed, "{case}: nothing failed, and yet it did");
                    if !met {
                        assert_eq!(told.durable, [28, 28], "{case}");
                        break;
                    }
                }
            }
        }
    }
    println!("{cases} workloads, {failed} told of a failure");
    assert!(failed > 500 && cases > 1000, "{cases} cases, {failed} failed");
    let figure = format!("{cases} workloads with one failing call each, {failed} stopped by it");
    Scenario { seeds: 0, events: cases, acknowledged, figure }.write(name);
}
