//! Who used how much of the processors.

use std::{path::Path, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// What this process has used, all its threads.
#[must_use]
pub fn own() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// What this thread has used: other programs of a busy machine do not count.
#[must_use]
pub fn thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// What these processes have used, threads included; to a hundredth of a second.
#[must_use]
pub fn of(processes: &[u32]) -> Duration {
    /// One tick of the files in `/proc`: a hundred a second on Linux, whatever the kernel's own.
    const TICK: Duration = Duration::from_millis(10);
    let ticks = |id: &u32| -> Option<u32> {
        let stat = Path::new("/proc").join(id.to_string()).join("stat");
        let stat = std::fs::read_to_string(stat).ok()?;
        // The name in parentheses may hold anything; numbers start behind the last one.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system): (u32, u32) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(user + system)
    };
    processes.iter().filter_map(ticks).map(|ticks| TICK * ticks).sum()
}
