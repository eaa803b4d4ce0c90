//! What is durable is there, through every handle and every crash.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::Instant;

use protocol::{Log, Lsn};
use wal::simdisk::{Call, Fault, Trouble};
use wal::suite::{self, await_durable, log_conformance};
use wal::{
    Config, Disk, DiskFile, Durability, FileLog, Identity, MemoryLog, Recovered, SimDisk, StreamId,
    Wal,
};

use super::{CLUSTER, NODE, inline, open_dir, open_sim};

/// The part of a log that `log_conformance` looks at; the log itself lives as long as its stream.
fn handle((wal, recovered): (Wal, Vec<Recovered>)) -> (FileLog, Lsn, Vec<Vec<u8>>) {
    let log = wal.stream(StreamId(3));
    let found = recovered.into_iter().find(|found| found.stream == StreamId(3));
    let (first, records) = found.map_or((Lsn(1), Vec::new()), |f| (f.first, f.records));
    (log, first, records)
}

#[test]
fn the_file_log_on_a_real_disk_keeps_the_rules_of_a_log() {
    let dir = tempfile::tempdir().expect("a directory");
    log_conformance(|| handle(open_dir(dir.path(), Config::small())), true);
}

#[test]
fn the_file_log_on_a_simulated_disk_keeps_the_rules_of_a_log() {
    let disk = SimDisk::new();
    log_conformance(|| handle(open_sim(&disk, Config::small())), true);
    let disk = SimDisk::new();
    log_conformance(|| handle(open_sim(&disk, inline())), true);
    // Killed and cut from power between its lives.
    let disk = SimDisk::new();
    let mut seed = 0;
    log_conformance(
        || {
            disk.crash(seed);
            seed += 1;
            handle(open_sim(&disk, Config::small()))
        },
        true,
    );
}

#[test]
fn the_memory_log_keeps_the_rules_of_a_log() {
    log_conformance(|| (MemoryLog::new(), Lsn(1), Vec::new()), false);
}

#[test]
fn a_held_memory_log_reports_when_told() {
    let (mut log, release) = MemoryLog::held();
    log.append(b"a");
    log.append(b"b");
    log.push();
    assert!(log.poll_durable(&mut Context::from_waker(Waker::noop())).is_pending());
    release.up_to(Lsn(1));
    assert_eq!(await_durable(&mut log, Lsn(1)).expect("released"), Lsn(1));
    release.fail(io::ErrorKind::Other);
    assert!(await_durable(&mut log, Lsn(2)).is_err());
    assert_eq!(release.records(), (Lsn(1), vec![b"a".to_vec(), b"b".to_vec()]));
}

#[test]
fn s8_9_13_every_small_workload_survives_every_crash() {
    let _recorded = crate::Recorded::begin("s8_9_13_every_small_workload_survives_every_crash");
    let started = Instant::now();
    let report = suite::hunt_crash_images(24).unwrap_or_else(|why| panic!("{why}"));
    println!("{report:?} in {:?}", started.elapsed());
    assert!(report.images >= 100_000, "only {} images", report.images);
}

#[test]
fn s8_9_15_sixty_four_concurrent_appends_share_a_handful_of_syncs() {
    let _recorded =
        crate::Recorded::begin("s8_9_15_sixty_four_concurrent_appends_share_a_handful_of_syncs");
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open_dir(dir.path(), Config::small());
    let mut logs: Vec<FileLog> = (0..64).map(|id| wal.stream(StreamId(id))).collect();
    let barrier = Arc::new(std::sync::Barrier::new(64));
    let before = wal.stats();
    std::thread::scope(|scope| {
        for log in &mut logs {
            let barrier = barrier.clone();
            scope.spawn(move || {
                log.append(&[1; 256]);
                barrier.wait();
                log.push();
                await_durable(log, Lsn(1)).expect("a healthy disk");
            });
        }
    });
    let after = wal.stats();
    let syncs = after.syncs - before.syncs;
    println!("64 appends of 64 streams: {syncs} syncs");
    assert_eq!(after.records - before.records, 64);
    // How many pushes meet in one batch is the scheduler's; a sync each would be 64.
    assert!(syncs <= 32, "{syncs} syncs");
}

/// A disk whose syncs wait until they are let through.
struct Gated {
    disk: SimDisk,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

struct GatedFile(Arc<dyn DiskFile>, Arc<(Mutex<bool>, Condvar)>);

impl Disk for Gated {
    fn place(&self) -> String {
        self.disk.place()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(GatedFile(self.disk.open(name, create)?, self.gate.clone())))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

impl DiskFile for GatedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, into)
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
    fn sync(&self) -> io::Result<()> {
        let (open, changed) = &*self.1;
        let guard = open.lock().expect("nobody panics here");
        drop(changed.wait_while(guard, |open| !*open).expect("nobody panics here"));
        self.0.sync()
    }
}

/// However the threads are scheduled: what comes while a sync is under way needs one more.
#[test]
fn s8_9_15_what_waits_for_a_sync_shares_the_next_one() {
    let _recorded = crate::Recorded::begin("s8_9_15_what_waits_for_a_sync_shares_the_next_one");
    let (disk, gate) = (SimDisk::new(), Arc::new((Mutex::new(true), Condvar::new())));
    drop(open_sim(&disk, Config::small()));
    let shared: Arc<dyn Disk> = Arc::new(Gated { disk, gate: gate.clone() });
    let identity = Identity::open(&*shared, CLUSTER, NODE).expect("its own");
    let (wal, _) = Wal::open(shared, &identity, Config::small()).expect("a sound log");
    let mut logs: Vec<FileLog> = (0..65).map(|id| wal.stream(StreamId(id))).collect();
    let before = wal.stats();
    let hold = |open: bool| {
        *gate.0.lock().expect("nobody panics here") = open;
        gate.1.notify_all();
    };
    hold(false);
    for log in &mut logs {
        log.append(&[7; 256]);
        log.push();
    }
    assert!(logs[0].poll_durable(&mut Context::from_waker(Waker::noop())).is_pending());
    hold(true);
    for log in &mut logs {
        await_durable(log, Lsn(1)).expect("a healthy disk");
    }
    let after = wal.stats();
    assert_eq!(after.records - before.records, 65);
    // The one that was under way with what it had, the one for all the others, and a mark.
    assert!(after.syncs - before.syncs <= 4, "{} syncs", after.syncs - before.syncs);
}

#[test]
fn s8_9_15_a_hundred_megabytes_are_recovered_in_time() {
    let _recorded = crate::Recorded::begin("s8_9_15_a_hundred_megabytes_are_recovered_in_time");
    let dir = tempfile::tempdir().expect("a directory");
    let config = Config::default();
    let (wal, _) = open_dir(dir.path(), config);
    let mut log = wal.stream(StreamId(0));
    let record = [0x5A; 1024];
    let count = 100 << 10;
    for number in 1..=count {
        log.append(&record);
        if number % 512 == 0 {
            log.push();
        }
    }
    await_durable(&mut log, Lsn(count)).expect("a healthy disk");
    drop((log, wal));
    let started = Instant::now();
    let (_wal, recovered) = open_dir(dir.path(), config);
    let took = started.elapsed();
    println!("{} records of 1 KiB recovered in {took:?}", recovered[0].records.len());
    assert_eq!(recovered[0].records.len() as u64, count);
    assert!(took.as_secs_f64() < 2.0, "{took:?}");
}

#[test]
fn a_record_may_be_larger_than_a_segment_but_not_than_the_limit() {
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, inline());
    let mut log = wal.stream(StreamId(0));
    for size in [100, 100_000, 100] {
        log.append(&vec![size as u8; size]);
        log.push();
    }
    await_durable(&mut log, Lsn(3)).expect("large records get a large segment");
    drop((log, wal));
    let (wal, recovered) = open_sim(&disk, inline());
    let sizes: Vec<usize> = recovered[0].records.iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100_000, 100]);
    let mut log = wal.stream(StreamId(0));
    log.append(&vec![0; wal::MAX_RECORD]);
    log.push();
    await_durable(&mut log, Lsn(4)).expect("exactly the limit");
    log.append(&vec![0; wal::MAX_RECORD + 1]);
    log.push();
    let error = await_durable(&mut log, Lsn(5)).expect_err("beyond the limit");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn dropping_the_last_handle_writes_what_was_pushed_and_ends_the_threads() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open_dir(dir.path(), Config::small());
    let mut log = wal.stream(StreamId(0));
    for _ in 0..100 {
        log.append(&[3; 100]);
        log.push();
    }
    drop(wal);
    drop(log);
    // The lock is held until the writer has gone, so opening at once proves that it went.
    let (wal, recovered) = open_dir(dir.path(), Config::small());
    assert_eq!(recovered[0].records.len(), 100);
    assert_eq!(recovered[0].last(), Lsn(100));
    assert_eq!(wal.stats().live, [(StreamId(0), 10_000)]);
}

#[test]
fn a_full_queue_delays_but_loses_nothing_and_wakes_whoever_waits() {
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, Config { segment_bytes: 4 << 20, ..Config::small() });
    let mut logs: Vec<FileLog> = (0..4).map(|id| wal.stream(StreamId(id))).collect();
    std::thread::scope(|scope| {
        for log in &mut logs {
            // More pushes than the queue has places, by owners who do not wait in between.
            scope.spawn(move || {
                for number in 1..=5000u64 {
                    log.append(&number.to_le_bytes());
                    log.push();
                }
                await_durable(log, Lsn(5000)).expect("a healthy disk");
            });
        }
    });
    drop((wal, logs));
    disk.crash(4);
    let (_, recovered) = open_sim(&disk, Config::small());
    assert_eq!(recovered.len(), 4);
    for found in recovered {
        for (record, number) in found.records.iter().zip(1u64..) {
            assert_eq!(*record, number.to_le_bytes());
        }
        assert_eq!(found.last(), Lsn(5000));
    }
}

#[test]
fn memory_mode_syncs_nothing_and_survives_the_process_only() {
    let config = Config { durability: Durability::Memory, ..inline() };
    let disk = SimDisk::new();
    let (wal, _) = open_sim(&disk, config);
    let (call, trouble) = (Some(Call::Sync), Trouble::Eio);
    disk.fail(Fault { call, after: 0, trouble, forever: true });
    let mut log = wal.stream(StreamId(0));
    log.append(b"as good as the process");
    log.push();
    await_durable(&mut log, Lsn(1)).expect("no sync was asked for");
    drop((log, wal));
    disk.heal();
    assert_eq!(open_sim(&disk, config).1[0].records, [b"as good as the process".to_vec()]);
}

#[test]
fn the_mark_follows_a_quiet_time_so_that_rot_is_not_taken_for_a_tear() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open_dir(dir.path(), Config::small());
    let mut log = wal.stream(StreamId(0));
    log.append(b"alone");
    log.push();
    await_durable(&mut log, Lsn(1)).expect("a healthy disk");
    // The record and then its mark, 20 ms later: two syncs. Asking is how we notice.
    let deadline = Instant::now() + std::time::Duration::from_secs(30);
    while wal.stats().syncs < 2 {
        assert!(Instant::now() < deadline, "no mark was written: {:?}", wal.stats());
        std::thread::yield_now();
    }
    assert_eq!(wal.stats().records, 1);
}
