//! What the days once found. A seed stands for a whole day, and days change when the weather does;
//! so each find has a few lines of its own as well.

use paxos::{Config, Paxos, Slot};
use protocol::{Desk, Lsn, NodeId, Time};
use synod_tests::day;

#[test]
fn days_that_were_bad_once() {
    // A node came back with a newer snapshot than its log knew of; the last time it was the
    // weather that spoke to it too early.
    for seed in [7, 16, 32, 101, 131, 145, 178, 1910] {
        if let Err(trouble) = day::run(seed) {
            panic!("seed {seed}: {trouble:?}");
        }
    }
}

/// A crash between *the snapshot is durable* and the checkpoint that says so: what the snapshot
/// covers is settled all the same. Otherwise the node asks for slots that nobody keeps, is told to
/// get a snapshot that it has, and never catches up.
#[test]
fn what_the_own_snapshot_covers_is_settled() {
    let config = Config::new(NodeId(1), vec![NodeId(1), NodeId(2), NodeId(3)]);
    let paxos = Paxos::recover(config, 1, Slot(9), []).expect("a sound configuration");
    let mut desk = Desk::new(NodeId(1), paxos, Lsn(0));
    desk.wake(Time(1));
    assert_eq!(desk.core().ledger().settled(), Slot(9));
    assert_eq!(desk.records().count(), 1, "the checkpoint");
}
