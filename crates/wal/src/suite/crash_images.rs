//! All small workloads, crashed at every point, in every way up to a bound.

use std::sync::Arc;

use protocol::{Log, Lsn, Rng};

use super::Report;
use crate::simdisk::Trace;
use crate::{ClusterId, Config, Disk, FileLog, Identity, Recovered, SimDisk, StreamId, Wal, init};

/// Operations of the longest workload.
const LONGEST: usize = 4;

/// Every so many images, the log is really opened on one, and that opening is crashed too.
const OPEN_EVERY: u64 = 16;

/// One step of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record of a few bytes, on stream 0, queued.
    Small,
    /// A record of several sectors, on stream 1, queued.
    Large,
    /// Everything queued is pushed, and its report awaited.
    Push,
    /// A new segment.
    Rotate,
    /// Stream 0 forgets all that is durable but the last record.
    Forget,
    /// The process dies and comes back; the machine does not.
    Reopen,
}

const STEPS: [Step; 6] =
    [Step::Small, Step::Large, Step::Push, Step::Rotate, Step::Forget, Step::Reopen];

/// Segments so small that a workload fills one.
pub(super) fn tiny() -> Config {
    Config { segment_bytes: 12 << 10, max_segments: 3, inline: true, ..Config::default() }
}

/// What must and what may be recovered, for one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    /// Every record ever handed to the log, and how many of them were reported durable.
    pub(super) handed: Vec<Vec<u8>>,
    pub(super) durable: u64,
    /// Records below this may be gone.
    pub(super) keep: u64,
}

/// A log under test, and what is known about it.
pub(super) struct World {
    pub(super) disk: SimDisk,
    log: Option<(Wal, Vec<FileLog>)>,
    queued: Vec<Vec<Vec<u8>>>,
    pub(super) truth: Vec<Truth>,
    born: u64,
}

impl World {
    pub(super) fn new() -> Result<Self, String> {
        let disk = SimDisk::new();
        init(&disk, ClusterId(7), protocol::NodeId(1), &tiny()).map_err(|e| e.to_string())?;
        let mut world = Self {
            disk,
            log: None,
            queued: vec![Vec::new(); 2],
            truth: vec![Truth::default(); 2],
            born: 0,
        };
        world.open()?;
        Ok(world)
    }

    /// Opens the log, as a process that was just started would, and checks what it finds.
    pub(super) fn open(&mut self) -> Result<u64, String> {
        self.log = None;
        self.queued.iter_mut().for_each(Vec::clear);
        let (wal, recovered) = open(&self.disk)?;
        let checked = check(&recovered, &self.truth)?;
        for (id, truth) in self.truth.iter_mut().enumerate() {
            // What was not reported and is not there either is gone for good.
            let last = recovered.iter().find(|r| r.stream.0 == id as u32).map_or(0, |r| r.last().0);
            truth.handed.truncate(last as usize);
            truth.durable = last;
        }
        let logs = (0..2).map(|id| wal.stream(StreamId(id))).collect();
        self.log = Some((wal, logs));
        Ok(checked)
    }

    fn record(&mut self, stream: usize, size: usize) {
        self.born += 1;
        let mut record = vec![self.born as u8; size];
        record[..8].copy_from_slice(&self.born.to_le_bytes());
        if let Some((_, logs)) = &mut self.log {
            logs[stream].append(&record);
        }
        self.queued[stream].push(record);
    }

    /// Pushes every stream. A record is handed over before its report can come.
    pub(super) fn push(&mut self) -> Result<(), String> {
        let Some((_, logs)) = &mut self.log else { return Ok(()) };
        for (id, log) in logs.iter_mut().enumerate() {
            if self.queued[id].is_empty() {
                continue;
            }
            self.truth[id].handed.append(&mut self.queued[id]);
            log.push();
            let count = Lsn(self.truth[id].handed.len() as u64);
            let durable = super::await_durable(log, count).map_err(|e| e.to_string())?;
            self.truth[id].durable = durable.0;
        }
        Ok(())
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Small => self.record(0, 20),
            Step::Large => self.record(1, 1500),
            Step::Push => self.push()?,
            Step::Rotate => self.log.iter().for_each(|(wal, _)| wal.rotate()),
            Step::Forget => {
                let truth = &mut self.truth[0];
                truth.keep = truth.durable.max(1);
                let keep = Lsn(truth.keep);
                if let Some((wal, logs)) = &mut self.log {
                    logs[0].forget(keep);
                    wal.settle();
                }
            }
            Step::Reopen => drop(self.open()?),
        }
        Ok(())
    }
}

pub(super) fn open(disk: &SimDisk) -> Result<(Wal, Vec<Recovered>), String> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Identity::open(&*shared, ClusterId(7), protocol::NodeId(1))
        .and_then(|identity| Wal::open(shared, &identity, tiny()))
        .map_err(|e| e.to_string())
}

/// Compares what came back with what must and may. Returns the records that had to be there.
pub(super) fn check(recovered: &[Recovered], truth: &[Truth]) -> Result<u64, String> {
    let mut checked = 0;
    for found in recovered {
        if found.stream.0 as usize >= truth.len() {
            return Err(format!("{} came out of nothing", found.stream));
        }
    }
    for (id, truth) in truth.iter().enumerate() {
        let found = recovered.iter().find(|found| found.stream.0 as usize == id);
        let (first, last) = found.map_or((1, 0), |found| (found.first.0, found.last().0));
        if last < truth.durable {
            let durable = truth.durable;
            return Err(format!("stream {id}: {durable} records were durable, {last} came back"));
        }
        if first > truth.keep.max(1) {
            return Err(format!("stream {id} begins at {first}, but {} was kept", truth.keep));
        }
        if last > truth.handed.len() as u64 {
            return Err(format!("stream {id}: record {last} came back and was never written"));
        }
        for (lsn, record) in (first..).zip(found.iter().flat_map(|found| &found.records)) {
            if *record != truth.handed[lsn as usize - 1] {
                return Err(format!("stream {id}: record {lsn} came back changed"));
            }
        }
        checked += (truth.durable + 1).saturating_sub(first);
    }
    Ok(checked)
}

/// The truth at some length of the recording.
type Moments = Vec<(usize, Vec<Truth>)>;

/// Runs a workload and records it. Returns the recording, the truth after each step, and the
/// length at which the last step began.
fn run(steps: &[Step]) -> Result<(Trace, Moments, usize), String> {
    let mut world = World::new()?;
    // Something to lose from the first moment on.
    for step in [Step::Small, Step::Large, Step::Push] {
        world.step(step)?;
    }
    world.disk.start_trace();
    let mut moments = vec![(0, world.truth.clone())];
    let mut began = 0;
    for step in steps {
        began = world.disk.trace_len();
        world.step(*step)?;
        moments.push((world.disk.trace_len(), world.truth.clone()));
    }
    let trace = world.disk.take_trace().ok_or("no recording")?;
    Ok((trace, moments, began))
}

/// What must and may be there when `point` changes were made: the reports of the last moment
/// reached, and the records and forgettings of the next one, which may have begun.
fn truth_at(moments: &Moments, point: usize) -> Vec<Truth> {
    let before = moments.iter().rev().find(|(len, _)| *len <= point).map(|(_, truth)| truth);
    let after = moments.iter().find(|(len, _)| *len > point).or(moments.last());
    let (Some(before), Some((_, after))) = (before, after) else { return Vec::new() };
    let join = |(before, after): (&Truth, &Truth)| Truth {
        // A reopening may drop records that were handed over; until it is done they may be there.
        handed: if after.handed.len() < before.handed.len() { before } else { after }
            .handed
            .clone(),
        durable: before.durable.min(after.durable),
        keep: after.keep,
    };
    before.iter().zip(after).map(join).collect()
}

/// Every workload of up to four steps, crashed at every change of its last step, in at most
/// `bound` ways each: what was durable is there, what is there was written, and no crash is ever
/// taken for rot. Every sixteenth image is opened for good, and that opening is crashed as well.
///
/// # Errors
///
/// With the workload and what was lost.
pub fn hunt_crash_images(bound: usize) -> Result<Report, String> {
    let mut report = Report::default();
    let mut rng = Rng::new(0xC4A5_4000);
    for length in 1..=LONGEST {
        for number in 0..STEPS.len().pow(length as u32) {
            let digits = |at: usize| number / STEPS.len().pow(at as u32) % STEPS.len();
            let steps: Vec<Step> = (0..length).map(|at| STEPS[digits(at)]).collect();
            report.workloads += 1;
            crash_all(&steps, bound, &mut rng, &mut report)
                .map_err(|why| format!("{steps:?}: {why}"))?;
        }
    }
    Ok(report)
}

fn crash_all(
    steps: &[Step],
    bound: usize,
    rng: &mut Rng,
    report: &mut Report,
) -> Result<(), String> {
    let (trace, moments, began) = run(steps)?;
    if trace.len() == began {
        return Ok(());
    }
    let mut failed = None;
    let identity = Identity { cluster: ClusterId(7), node: protocol::NodeId(1), incarnation: 0 };
    trace.walk(began, bound, &mut rng.fork(report.workloads), |point, image| {
        report.images += 1;
        let truth = truth_at(&moments, point);
        let result = crate::scan::Scan::read(image, &identity)
            .map_err(|e| e.to_string())
            .and_then(|scan| check(&scan.recovered(), &truth))
            .and_then(|checked| {
                report.records += checked;
                if report.images.is_multiple_of(OPEN_EVERY) {
                    report.images += crash_recovery(image, &truth, rng)?;
                }
                Ok(())
            });
        failed = result.err().map(|why| format!("after {point} changes: {why}"));
        failed.is_none()
    });
    failed.map_or(Ok(()), Err)
}

/// Opens the log on a crashed disk, crashes that at every change in two ways, and demands that
/// what the opening found is found again.
fn crash_recovery(image: &SimDisk, truth: &[Truth], rng: &mut Rng) -> Result<u64, String> {
    image.start_trace();
    let (wal, recovered) = open(image)?;
    check(&recovered, truth)?;
    let trace = image.take_trace().ok_or("no recording")?;
    drop(wal);
    let mut failed = None;
    let identity = Identity { cluster: ClusterId(7), node: protocol::NodeId(1), incarnation: 0 };
    let end = trace.len();
    let count = trace.walk(1, 2, rng, |point, again| {
        let result =
            crate::scan::Scan::read(again, &identity).map_err(|e| e.to_string()).and_then(|scan| {
                let found = scan.recovered();
                check(&found, truth)?;
                // Once the opening has returned, its answer binds: its owner may have spoken.
                if point == end && found != recovered {
                    return Err("a second crash changed what the opening had found".to_owned());
                }
                Ok(())
            });
        failed = result.err().map(|why| format!("recovery crashed after {point} changes: {why}"));
        failed.is_none()
    });
    failed.map_or(Ok(count), Err)
}
