//! How long a node waits for its log: writes so many megabytes of records and times the opening.
//!
//! `cargo run --release -p wal --example restart -- 1024 [DIR]`: megabytes, and where the disk is.

use std::{
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

use protocol::{Log, Lsn, NodeId};
use wal::{ClusterId, Config, StreamId, Wal, init_dir, suite::await_durable};

/// Payload bytes of one record: about what a batch of small writes makes.
const RECORD: usize = 4096;

/// Records pushed at once.
const BATCH: u64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let megabytes: u64 = words.next().map_or(Ok(1024), |word| word.parse())?;
    let own = tempfile::tempdir()?;
    let dir = words.next().map_or(own.path().join("node"), |word| Path::new(&word).join("node"));
    // All of it alive, and so much that nothing is copied forward.
    let config = Config { max_segments: usize::MAX, ..Config::default() };
    let (cluster, node) = (ClusterId(1), NodeId(1));
    init_dir(&dir, cluster, node, &config)?;
    let (wal, _) = Wal::open_dir(&dir, cluster, node, config)?;
    let mut log = wal.stream(StreamId(0));
    let count = megabytes * (1 << 20) / RECORD as u64;
    let began = Instant::now();
    let mut record = vec![0; RECORD];
    for number in 1..=count {
        record[..8].copy_from_slice(&number.to_le_bytes());
        log.append(&record);
        if number % BATCH == 0 || number == count {
            log.push();
            await_durable(&mut log, Lsn(number))?;
        }
    }
    drop((log, wal));
    println!("wrote    {count} records, {megabytes} MiB, in {:.2?}", began.elapsed());
    let mut best = Duration::MAX;
    let mut busy = processor();
    for round in 1..=3 {
        let began = Instant::now();
        let (wal, recovered) = Wal::open_dir(&dir, cluster, node, config)?;
        let took = began.elapsed();
        best = best.min(took);
        let found = recovered.first().map_or(0, |stream| stream.records.len() as u64);
        assert_eq!(found, count, "every record is there");
        let rate = megabytes as f64 / took.as_secs_f64();
        let spent = processor().saturating_sub(busy);
        println!(
            "opening  {round}: {took:.2?}, {rate:.0} MiB a second, {found} records, of it \
             {spent:.2?} on the processor"
        );
        drop((wal, recovered));
        busy = processor();
    }
    println!("best     {best:.2?}");
    Ok(())
}

/// How long this thread has had a processor: on a machine with others at work, what counts. Zero
/// where the system does not say.
fn processor() -> Duration {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = said.split_whitespace().next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}
