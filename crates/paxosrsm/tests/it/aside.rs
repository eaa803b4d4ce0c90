//! Snapshots that are written on a task of the runtime, not on a thread.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use net::{Addr, Memory};
use paxosrsm::{
    core::Config,
    engine::{Neighbours, Single},
    message::{ReplicaStatus, Reply, Request, Submit},
    server::Group,
    storage::{Aside, Storage},
    suite::Tape,
};
use protocol::NodeId;
use tokio::time::Instant;

/// How long the disk of this test takes for a snapshot.
const SLOW: Duration = Duration::from_secs(40);

#[tokio::test(start_paused = true)]
async fn a_snapshot_beside_the_replica_counts_only_when_the_disk_has_settled() {
    let asked = Arc::new(AtomicU64::new(0));
    let settled = {
        let asked = Arc::clone(&asked);
        Aside::Task(Arc::new(move || {
            asked.fetch_add(1, Relaxed);
            Box::pin(tokio::time::sleep(SLOW))
        }))
    };
    let me = NodeId(1);
    let storage = Storage { aside: settled, ..Storage::memory(1) };
    let neighbours = Neighbours {
        network: Arc::new(Memory::new()),
        cluster: 7,
        me,
        addrs: BTreeMap::from([(me, Addr::any())]),
        seed: 1,
    };
    let config = Config { me, snapshot_bytes: 100 };
    let group =
        Group::open(Single(me), config, storage, neighbours, Tape::default(), |server, _| server)
            .await
            .expect("a group of one in memory");
    let begun = Instant::now();
    let status = async || -> ReplicaStatus {
        match group.door.request(None, Request::Inspect).await {
            Ok(Reply::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    };
    while asked.load(Relaxed) == 0 {
        let submit = Submit(Bytes::from_static(b"a word for the tape"));
        group.door.request(None, Request::Submit(submit)).await.expect("it lives");
    }
    assert_eq!(status().await.snapshot.0, 0, "nobody may hear of it before it is durable");
    while status().await.snapshot.0 == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() >= SLOW, "it counted after {:?}", begun.elapsed());
    group.stop().await.expect("its log is sound");
}
