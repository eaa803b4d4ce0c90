//! Hunts for one mistake each: a failed sync believed, rot taken for a torn tail, the records of
//! a reused file replayed.

use std::sync::Arc;

use protocol::{Log, Lsn, NodeId, Rng};

use super::crash_images::{Step, Truth, World, check, open, tiny};
use super::{Report, await_durable};
use crate::simdisk::{Call, Fault, Trouble};
use crate::{ClusterId, Disk, Identity, OpenError, SimDisk, StreamId, Verdict, Wal, init, verify};

/// Syncs of a workload that are failed, one after the other.
const SYNCS: u64 = 24;

/// Fails each sync of a workload in turn, once. A log that has seen it never reports again; what
/// it had reported survives the machine; and what a next life of the process finds survives too,
/// although the pages of the failed sync look clean.
///
/// # Errors
///
/// With what was believed and lost.
pub fn hunt_fsync_failure() -> Result<Report, String> {
    let mut report = Report::default();
    let steps = [Step::Small, Step::Push, Step::Large, Step::Push, Step::Rotate, Step::Small];
    for after in 0..SYNCS {
        for seed in 0..8 {
            report.workloads += 1;
            let mut world = World::new()?;
            let trouble = Trouble::Eio;
            world.disk.fail(Fault { call: Some(Call::Sync), after, trouble, forever: false });
            let mut failed = false;
            for step in steps.iter().chain(&[Step::Push]).cycle().take(28) {
                // After the failure the owner may try on: nothing more may be reported.
                let reported: Vec<u64> = world.truth.iter().map(|t| t.durable).collect();
                failed |= world.step(*step).is_err();
                if failed && world.truth.iter().zip(&reported).any(|(t, old)| t.durable > *old) {
                    return Err("a log that had failed reported again".to_owned());
                }
            }
            world.disk.heal();
            if seed % 2 == 0 && failed {
                report.records += world.open()?;
                world.push()?;
            }
            world.disk.crash(seed);
            let (_, recovered) = open(&world.disk)?;
            report.images += 1;
            report.records += check(&recovered, &world.truth)
                .map_err(|why| format!("sync {after} failed once, then a power cut: {why}"))?;
        }
    }
    Ok(report)
}

/// A disk with a log of five synced batches and a mark, and where each of its records begins.
fn marked_log() -> Result<(SimDisk, Vec<Truth>), String> {
    let mut world = World::new()?;
    for _ in 0..5 {
        world.step(Step::Small)?;
        world.step(Step::Push)?;
    }
    // Forgetting nothing new still settles: the mark covers all five.
    world.step(Step::Forget)?;
    world.truth[0].keep = world.truth[0].durable;
    Ok((world.disk.copy(), world.truth))
}

/// Rots every byte of a log's records, one at a time. Opening either finds every durable record
/// unchanged, or refuses as corrupt; it never returns fewer, and never another.
///
/// # Errors
///
/// With the byte that went unnoticed.
pub fn hunt_rot() -> Result<Report, String> {
    let mut report = Report { workloads: 1, ..Report::default() };
    let (disk, truth) = marked_log()?;
    let names = disk.list().map_err(|e| e.to_string())?;
    for name in names.iter().filter(|name| name.starts_with("wal-")) {
        for offset in 0..12 << 10 {
            // Most of a segment is zeros behind the end; a sample of them will do.
            if offset > 9500 && offset % 64 != 0 {
                continue;
            }
            let rotten = disk.copy();
            rotten.flip(name, offset, 1 << (offset % 8));
            report.images += 1;
            let before = verify(&rotten);
            match open_typed(&rotten) {
                Ok((_, recovered)) => {
                    report.records += check(&recovered, &truth)
                        .map_err(|why| format!("{name}, byte {offset} rotted: {why}"))?;
                }
                Err(OpenError::Corrupt { .. }) => {
                    if !matches!(before, Ok(ref r) if matches!(r.verdict, Verdict::Corrupt(_))) {
                        return Err(format!("{name}, byte {offset}: `verify` said otherwise"));
                    }
                }
                Err(OpenError::UnknownVersion { .. }) if (8..12).contains(&offset) => {}
                Err(other) => return Err(format!("{name}, byte {offset} rotted: {other}")),
            }
        }
    }
    Ok(report)
}

fn open_typed(disk: &SimDisk) -> Result<(Wal, Vec<crate::Recovered>), OpenError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let identity = Identity::open(&*shared, ClusterId(7), NodeId(1))?;
    Wal::open(shared, &identity, tiny())
}

/// Writes, forgets and reuses segments with records of one size, so that what an earlier life
/// left behind lies exactly where the next record would be, and opens after each batch.
///
/// # Errors
///
/// With the record that rose from the dead.
pub fn hunt_stale_records() -> Result<Report, String> {
    let mut report = Report { workloads: 1, ..Report::default() };
    let disk = SimDisk::new();
    init(&disk, ClusterId(7), NodeId(1), &tiny()).map_err(|e| e.to_string())?;
    let (wal, _) = open(&disk)?;
    let mut log = wal.stream(StreamId(0));
    let mut truth = Truth::default();
    let mut rng = Rng::new(31);
    for round in 0..200u64 {
        let record = vec![round as u8; 200];
        truth.handed.push(record.clone());
        log.append(&record);
        log.push();
        truth.durable = round + 1;
        await_durable(&mut log, Lsn(round + 1)).map_err(|e| e.to_string())?;
        // Keep a handful: enough to overlap two segments now and then.
        truth.keep = (round + 1).saturating_sub(6).max(1);
        log.forget(Lsn(truth.keep));
        let image = disk.image(rng.next_u64());
        let (_, recovered) = open(&image).map_err(|why| format!("round {round}: {why}"))?;
        report.images += 1;
        report.records += check(&recovered, std::slice::from_ref(&truth))
            .map_err(|why| format!("round {round}: {why}"))?;
    }
    Ok(report)
}
