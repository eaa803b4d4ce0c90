//! Segments ready for use: filled and named durably ahead of time, by a thread of their own, so
//! that the writer neither waits for a new file nor finds out in the middle of a batch that the
//! disk is full.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use protocol::planted;

use crate::format::segment_name;
use crate::{Config, Disk, DiskFile};

/// Bytes of zeros written and synced at once.
const ZEROS: usize = 256 << 10;

/// Pause between two pieces of zeros. A segment that is prepared at full speed keeps the device so
/// busy that the log's own syncs take ten times as long; at this pace a segment of 32 MiB is ready
/// in less than a second, and a log in a hurry does not wait for the pauses.
const PAUSE: Duration = Duration::from_millis(4);

/// Jobs and answers that may wait. The writer asks for a handful at a time.
const MAX_JOBS: usize = 64;

/// A segment's file that has not begun.
pub(crate) struct Spare {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) file: Arc<dyn DiskFile>,
}

enum Job {
    /// Create segment `number` of `len` bytes.
    Fresh { number: u64, len: u64 },
    /// Give the file of a segment that nobody needs a new number.
    Reuse { from: u64, spare: Spare },
    /// Remove a file that is not needed.
    Remove { name: String },
}

/// The shelf.
pub(crate) struct Shelf {
    disk: Arc<dyn Disk>,
    config: Config,
    ready: VecDeque<io::Result<Spare>>,
    /// Segments ordered and not yet received.
    ordered: usize,
    next_number: u64,
    hands: Option<Hands>,
}

/// The thread that prepares; without it, jobs are done at once by whoever asks.
struct Hands {
    jobs: Sender<Job>,
    done: Receiver<io::Result<Spare>>,
    thread: JoinHandle<()>,
    /// The writer waits for a segment: no more pauses until it has it.
    hurry: Arc<AtomicBool>,
}

impl Shelf {
    /// A shelf whose next segment is `next_number`.
    pub(crate) fn new(disk: Arc<dyn Disk>, config: Config, next_number: u64) -> io::Result<Self> {
        let hands = if config.inline { None } else { Some(Hands::start(disk.clone())?) };
        Ok(Self { disk, config, ready: VecDeque::new(), ordered: 0, next_number, hands })
    }

    /// Sees to it that one segment is ready, or will be soon.
    pub(crate) fn stock(&mut self) {
        if self.len() == 0 {
            let (number, len) = (self.number(), self.config.segment_bytes);
            self.order(Job::Fresh { number, len });
        }
    }

    /// Segments ready or ordered.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.ordered
    }

    /// The next segment, with room for `len` bytes. Waits for it if it must.
    pub(crate) fn take(&mut self, len: u64) -> io::Result<Spare> {
        self.stock();
        let mut spare = match (self.ready.pop_front(), &self.hands) {
            (Some(spare), _) => spare?,
            (None, Some(hands)) => {
                self.ordered -= 1;
                hands.hurry.store(true, Ordering::Relaxed);
                let spare = hands.done.recv();
                hands.hurry.store(false, Ordering::Relaxed);
                spare.map_err(|_| io::Error::other("the preparing thread died"))??
            }
            (None, None) => unreachable!("without a thread, a job is done when it is ordered"),
        };
        if spare.len < len {
            fill(&*spare.file, spare.len, len, None)?;
            spare.file.sync()?;
            spare.len = len;
        }
        Ok(spare)
    }

    /// Takes back a segment that nobody needs: to be reused, or removed when there are enough.
    pub(crate) fn give_back(&mut self, from: u64, len: u64, file: Arc<dyn DiskFile>) {
        if self.len() < self.config.pool_segments && len == self.config.segment_bytes {
            let spare = Spare { number: self.number(), len, file };
            self.order(Job::Reuse { from, spare });
        } else {
            self.remove(segment_name(from));
        }
    }

    /// Removes a file, sooner or later. If that fails, the next opening tries again.
    pub(crate) fn remove(&mut self, name: String) {
        self.order(Job::Remove { name });
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    fn order(&mut self, job: Job) {
        match &self.hands {
            None => self.ready.extend(perform(&*self.disk, job, None)),
            Some(hands) => {
                self.ordered += usize::from(!matches!(job, Job::Remove { .. }));
                while let Ok(spare) = hands.done.try_recv() {
                    self.ordered -= 1;
                    self.ready.push_back(spare);
                }
                // Only a thread that died does not take the job; `take` says so.
                let _ = hands.jobs.send(job);
            }
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Some(Hands { jobs, done, thread, hurry }) = self.hands.take() {
            hurry.store(true, Ordering::Relaxed);
            drop((jobs, done));
            // A panic there was already reported by its own message.
            let _ = thread.join();
        }
    }
}

impl Hands {
    fn start(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let (jobs, orders) = bounded::<Job>(MAX_JOBS);
        let (finished, done) = bounded(MAX_JOBS);
        let hurry = Arc::new(AtomicBool::new(false));
        let hurried = Arc::clone(&hurry);
        let thread = thread::Builder::new().name("wal-shelf".to_owned()).spawn(move || {
            for job in orders {
                if let Some(spare) = perform(&*disk, job, Some(&hurried))
                    && finished.send(spare).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, done, thread, hurry })
    }
}

fn perform(disk: &dyn Disk, job: Job, hurry: Option<&AtomicBool>) -> Option<io::Result<Spare>> {
    match job {
        Job::Fresh { number, len } => Some(prepare(disk, number, len, hurry)),
        Job::Reuse { from, spare } => Some(
            disk.rename(&segment_name(from), &segment_name(spare.number))
                .and_then(|()| sync_names(disk))
                .map(|()| spare),
        ),
        Job::Remove { name } => {
            // A file that stays is found again, and is not part of the log, at the next opening.
            let _ = disk.remove(&name);
            None
        }
    }
}

/// Creates segment `number`: zeros, synced, and its name synced. Not begun.
pub(crate) fn fresh(disk: &dyn Disk, number: u64, len: u64) -> io::Result<Spare> {
    prepare(disk, number, len, None)
}

fn prepare(
    disk: &dyn Disk,
    number: u64,
    len: u64,
    hurry: Option<&AtomicBool>,
) -> io::Result<Spare> {
    let name = segment_name(number);
    let file = disk.open(&name, true)?;
    if let Err(error) = fill(&*file, 0, len, hurry).and_then(|()| file.sync()) {
        // A full disk is kinder to others without half a segment on it.
        let _ = disk.remove(&name);
        return Err(error);
    }
    sync_names(disk)?;
    Ok(Spare { number, len, file })
}

fn sync_names(disk: &dyn Disk) -> io::Result<()> {
    if planted::is("no-directory-sync") {
        return Ok(());
    }
    disk.sync_dir()
}

/// Writes zeros from `from` up to `to`, so that later writes change no metadata. With pauses between
/// the pieces unless there is nobody to wait for, or somebody who waits.
fn fill(file: &dyn DiskFile, from: u64, to: u64, hurry: Option<&AtomicBool>) -> io::Result<()> {
    let zeros = vec![0; ZEROS.min((to - from) as usize)];
    let mut at = from;
    while at < to {
        let part = zeros.len().min((to - at) as usize);
        file.write_at(at, &zeros[..part])?;
        let calm = hurry.is_some_and(|hurry| !hurry.load(Ordering::Relaxed));
        if calm && at + (part as u64) < to {
            // Piece by piece: one flush of a whole segment would hold up the log's own syncs.
            file.sync()?;
            thread::sleep(PAUSE);
        }
        at += part as u64;
    }
    Ok(())
}
