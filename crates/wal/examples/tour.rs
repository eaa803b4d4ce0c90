//! A log in a temporary directory: written, abandoned without a goodbye, opened again.
//!
//! `cargo run -p wal --example tour`

use std::error::Error;

use protocol::{Log, Lsn, NodeId};
use wal::suite::await_durable;
use wal::{ClusterId, Config, StreamId, Wal, init_dir, verify_dir};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("wal-tour-{}", std::process::id()));
    let (cluster, node) = (ClusterId(0x5EED), NodeId(1));

    // A directory becomes a node's once, on purpose. Opening an empty one is refused.
    std::fs::create_dir_all(&dir)?;
    if let Err(refused) = Wal::open_dir(&dir, cluster, node, Config::small()) {
        println!("before init:   {refused}");
    }
    init_dir(&dir, cluster, node, &Config::small())?;

    {
        let (wal, _) = Wal::open_dir(&dir, cluster, node, Config::small())?;
        let (mut votes, mut orders) = (wal.stream(StreamId(0)), wal.stream(StreamId(1)));
        for number in 1..=1000u32 {
            votes.append(format!("vote {number}").as_bytes());
            orders.append(format!("order {number}").as_bytes());
        }
        votes.push();
        orders.push();
        let durable = await_durable(&mut votes, Lsn(1000))?;
        await_durable(&mut orders, Lsn(1000))?;
        let stats = wal.stats();
        println!("durable:       {} votes, with {} syncs for both streams", durable.0, stats.syncs);

        // The first 990 votes are in a snapshot somewhere; their space may be used again.
        votes.forget(Lsn(991));
        // Queued and never pushed: nobody was told that it is safe, and it is not.
        votes.append(b"a vote nobody pushed");
    }

    println!("on disk:       {:?}", verify_dir(&dir)?.verdict);
    let (wal, recovered) = Wal::open_dir(&dir, cluster, node, Config::small())?;
    for stream in &recovered {
        let (first, last) = (stream.first.0, stream.last().0);
        let text = stream.records.last().map(|record| String::from_utf8_lossy(record));
        println!("recovered:     {} has {first} to {last}, the last is {text:?}", stream.stream);
    }
    if let Err(refused) = Wal::open_dir(&dir, cluster, node, Config::small()) {
        println!("a second time: {refused}");
    }
    drop(wal);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
