//! What every implementation of [`Log`] must do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use protocol::{Log, Lsn};

/// How long a healthy disk may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Wakes a thread, and counts how often.
struct Bell {
    thread: Thread,
    rings: AtomicU64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rings.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}

/// Waits, woken by the log alone, until `lsn` records are durable.
///
/// # Errors
///
/// The log's own error, or `TimedOut` after a minute without a report.
pub fn await_durable(log: &mut impl Log, lsn: Lsn) -> io::Result<Lsn> {
    let bell = Arc::new(Bell { thread: thread::current(), rings: AtomicU64::new(0) });
    let waker = Waker::from(bell.clone());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rings = bell.rings.load(Ordering::Acquire);
        match log.poll_durable(&mut Context::from_waker(&waker)) {
            Poll::Ready(Ok(durable)) if durable >= lsn => return Ok(durable),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Err(error),
            // Only a ring may end the wait: a log that forgets to wake must not pass by luck.
            Poll::Pending => {
                while bell.rings.load(Ordering::Acquire) == rings {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    thread::park_timeout(left);
                }
            }
        }
    }
}

/// One look without waiting.
fn look(log: &mut impl Log) -> Poll<io::Result<Lsn>> {
    log.poll_durable(&mut Context::from_waker(Waker::noop()))
}

/// Runs every rule on one implementation. `open` opens the same log again each time it is called
/// and says what it held: the number of the first record and the records. It is called for the
/// first time on an empty log. `survives` says whether records outlive the handle; a log in
/// memory passes `false` and is then opened once.
///
/// # Panics
///
/// With the broken rule.
pub fn log_conformance<L: Log>(mut open: impl FnMut() -> (L, Lsn, Vec<Vec<u8>>), survives: bool) {
    let (mut log, first, records) = open();
    assert_eq!((first, records.len()), (Lsn(1), 0), "a new log is empty and begins with record 1");
    assert!(look(&mut log).is_pending(), "an empty log has nothing to report");

    log.append(b"one");
    log.append(b"");
    assert!(look(&mut log).is_pending(), "what was not pushed is not durable");
    log.push();
    let count = await_durable(&mut log, Lsn(2)).expect("a healthy log");
    assert_eq!(count, Lsn(2), "the count is dense: two records, number two");
    assert!(look(&mut log).is_pending(), "the same count is not reported twice");
    log.push();
    assert!(look(&mut log).is_pending(), "a push of nothing is no news");

    let mut expected: Vec<Vec<u8>> = vec![b"one".to_vec(), Vec::new()];
    let mut seen = Lsn(2);
    for round in 0..40u64 {
        for size in [1, 7, 8, 9, 511, 512, 700] {
            let record = vec![round as u8 ^ size as u8; size];
            log.append(&record);
            expected.push(record);
        }
        log.push();
        if round % 4 == 0 {
            let now = await_durable(&mut log, Lsn(expected.len() as u64)).expect("a healthy log");
            assert!(now > seen, "counts only rise");
            assert_eq!(now, Lsn(expected.len() as u64), "nothing counts that was not pushed");
            seen = now;
        }
    }
    await_durable(&mut log, Lsn(expected.len() as u64)).expect("a healthy log");
    log.forget(Lsn(101));
    log.append(b"after forgetting");
    expected.push(b"after forgetting".to_vec());
    log.push();
    let count = await_durable(&mut log, Lsn(expected.len() as u64)).expect("a healthy log");
    assert_eq!(count, Lsn(expected.len() as u64), "forgetting does not change the count");
    log.forget(Lsn(101));
    log.push();
    assert!(look(&mut log).is_pending(), "forgetting is no news");
    if survives {
        reopened(log, &mut open, expected);
    }
}

fn reopened<L: Log>(
    log: L,
    open: &mut impl FnMut() -> (L, Lsn, Vec<Vec<u8>>),
    mut expected: Vec<Vec<u8>>,
) {
    drop(log);
    for life in 0..3u8 {
        let (mut log, first, records) = open();
        assert!(first <= Lsn(101), "records from `keep` on are there");
        let skipped = (first.0 - 1) as usize;
        assert_eq!(records, expected[skipped..], "every kept record is there, in order, unchanged");
        assert!(look(&mut log).is_pending(), "what was recovered is no news");
        let record = vec![life; 100];
        log.append(&record);
        expected.push(record);
        log.push();
        let count = await_durable(&mut log, Lsn(expected.len() as u64)).expect("a healthy log");
        assert_eq!(count, Lsn(expected.len() as u64), "the count goes on where it ended");
    }
}
