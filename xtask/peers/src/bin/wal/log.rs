//! Our log on the real disk, as a node opens it.

use std::{
    future::poll_fn,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use protocol::{Log, Lsn, NodeId};
use tokio::task::JoinSet;
use wal::{ClusterId, Config, FileLog, StreamId, Wal};

use crate::{Cell, Measured};

/// What the log does before it is measured: its first segments are being filled.
const WARM_UP: Duration = Duration::from_millis(200);
/// A writer forgets what it has after so many records, as a snapshot lets a node do.
const FORGET: u64 = 1024;

/// Writers share a log, in one thread; the log's own writer has another.
pub(crate) fn measured(cell: Cell, home: &Path) -> Result<Measured> {
    let folder = tempfile::Builder::new().prefix("wal-").tempdir_in(home)?;
    let (cluster, node, config) = (ClusterId(1), NodeId(1), Config::default());
    wal::init_dir(folder.path(), cluster, node, &config)?;
    let (log, _) = Wal::open_dir(folder.path(), cluster, node, config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let measured = tokio::task::LocalSet::new().block_on(&runtime, async {
        let begun = Instant::now() + WARM_UP;
        let end = begun + cell.time;
        let mut writers = JoinSet::new();
        for writer in 0..cell.writers as u32 {
            let stream = log.stream(StreamId(writer));
            writers.spawn_local(write(stream, vec![7; cell.size], begun, end));
        }
        tokio::time::sleep(WARM_UP).await;
        let syncs = log.stats().syncs;
        tokio::time::sleep_until(end.into()).await;
        let syncs = log.stats().syncs - syncs;
        let mut records = 0;
        while let Some(counted) = writers.join_next().await {
            records += counted??;
        }
        let seconds = cell.time.as_secs_f64();
        Ok(Measured { per_second: records as f64 / seconds, syncs: syncs as f64 / seconds })
    });
    measured
}

/// Appends, waits, appends; the number of records that became durable between `begun` and `end`.
async fn write(mut stream: FileLog, record: Vec<u8>, begun: Instant, end: Instant) -> Result<u64> {
    let (mut counted, mut last) = (0, Lsn(0));
    loop {
        stream.append(&record);
        stream.push();
        last.0 += 1;
        while poll_fn(|cx| stream.poll_durable(cx)).await? < last {}
        if last.0.is_multiple_of(FORGET) {
            stream.forget(last);
        }
        let now = Instant::now();
        if now >= end {
            return Ok(counted);
        }
        counted += u64::from(now >= begun);
    }
}
