//! Servers with disks: what was acknowledged outlives the loss of power, of one or of all.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use net::{Memory, Network, Tcp};
use pbservice::{
    Duty, Record, Storage,
    storage::{self, Disk, LogConfig},
};
use protocol::{NodeId, Rng};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::Instant};
use viewservice::{SERVICE_NODE, View, server as views};
use wal::{ClusterId, RealDisk, SimDisk};

use crate::{
    ledger::{Ledger, Witness},
    shell::{CLUSTER, Shells, b, until},
};

/// Who comes back after the power was gone, one after the other.
type Order = &'static [u16];

/// The primary and the backup in both orders, and each by itself.
const ORDERS: [Order; 4] = [&[1, 2], &[2, 1], &[1], &[2]];

fn init(disk: &dyn Disk, node: NodeId) {
    wal::init(disk, ClusterId(u128::from(CLUSTER)), node, &LogConfig::small())
        .expect("an empty disk");
}

fn views_on(disk: Arc<dyn Disk>) -> views::Storage {
    views::Storage::on(disk, CLUSTER, SERVICE_NODE, LogConfig::small()).expect("a sound disk")
}

fn server_on(disk: Arc<dyn Disk>, me: u16) -> Storage {
    Storage::on(disk, CLUSTER, NodeId(me), LogConfig::small()).expect("a sound disk")
}

/// A view service and servers 1 and 2, each on a simulated disk, on one network.
struct Pair {
    disks: [SimDisk; 3],
    shells: Shells,
}

impl Pair {
    async fn new(network: Arc<dyn Network>) -> Self {
        let disks = [SimDisk::new(), SimDisk::new(), SimDisk::new()];
        for (node, disk) in (0..).map(NodeId).zip(&disks) {
            init(disk, node);
        }
        let shells = Shells::with(network, views_on(Arc::new(disks[0].clone()))).await;
        let mut pair = Self { disks, shells };
        // Small enough for the state to be written down again, and the rest to be forgotten, all
        // the time.
        pair.shells.checkpoint_bytes = 4 << 10;
        pair.start(1).await;
        pair.shells.becomes("somebody is primary", |view| view.number.0 == 1).await;
        pair.start(2).await;
        pair
    }

    async fn start(&mut self, me: u16) {
        let disk = Arc::new(self.disks[usize::from(me)].clone());
        self.shells.start_on(me, server_on(disk, me)).await;
    }

    /// The power goes everywhere at once, and comes back at the view service first. What was
    /// written and not synced is there or not.
    async fn power_cut(&mut self, rng: &mut Rng) {
        // Nobody else runs between these lines: whatever was answered was answered before.
        self.disks = std::array::from_fn(|at| self.disks[at].image(rng.next_u64()));
        self.shells.running.clear();
        self.shells.service = None;
        let network = self.shells.network("anybody");
        let view = self.shells.view.clone();
        until("the view service is gone", async || network.connect(&view).await.is_err()).await;
        self.shells.start_service(views_on(Arc::new(self.disks[0].clone()))).await;
    }
}

/// Appends until the time is up, and puts so much besides that its servers write their state down
/// again and again.
async fn works(mut witness: Witness, number: u64, end: Instant) {
    let filler = Bytes::from(vec![b'f'; 200]);
    for step in 0_u64.. {
        if Instant::now() >= end {
            return;
        }
        let value = b(&format!("{number}.{step};"));
        witness.append(&b("log"), &value).await.expect("append");
        witness.put(&b(&format!("k{number}.{}", step % 8)), &filler).await.expect("put");
        if step.is_multiple_of(16) {
            witness.get(&b("log")).await.expect("get");
        }
    }
}

/// A pair at work loses power; its clients wait, and go on when it is back.
async fn loses_power(seed: u64) -> u64 {
    println!(
        "seed {seed}; replay: SEED={seed} cargo test -p pbservice --test it \
         a_pair_that_loses_power"
    );
    let mut rng = Rng::new(seed);
    let mut pair = Pair::new(Arc::new(Memory::new())).await;
    let ledger = Ledger::new();
    let mut clients = JoinSet::new();
    let end = Instant::now() + Duration::from_secs(3);
    for number in 1..=3 {
        clients.spawn(works(ledger.witness(pair.shells.client(number)), number, end));
    }
    if rng.chance(700) {
        // Otherwise the power may go in the middle of the transfer.
        pair.shells.is(1, Some(2)).await;
    }
    tokio::time::sleep(rng.between(Duration::ZERO, Duration::from_millis(300))).await;
    let status = pair.shells.views().await;
    let order = ORDERS[seed as usize % ORDERS.len()];
    let before = ledger.answered().0;
    pair.power_cut(&mut rng).await;
    // Of a view that was not acknowledged only the primary is known to have everything.
    let alone = order == [2] && !(status.acknowledged && status.view.backup.is_some());
    for me in if alone { ORDERS[1] } else { order } {
        pair.start(*me).await;
        tokio::time::sleep(rng.between(Duration::ZERO, Duration::from_millis(800))).await;
    }
    clients.join_all().await;
    let after = ledger.answered().0;
    assert!(after > before, "order {order:?}: it never came back: {before} answers, {after} after");
    let mut last = ledger.witness(pair.shells.client(9));
    last.get(&b("log")).await.expect("get");
    ledger.judge();
    pair.shells.stop_all().await;
    before
}

#[tokio::test]
async fn a_pair_that_loses_power_together_has_lost_nothing_acknowledged() {
    let seeds = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..16,
    };
    let runs = join_all(seeds.map(loses_power)).await;
    let acknowledged: u64 = runs.into_iter().sum();
    assert!(acknowledged > 100, "there was something to lose: {acknowledged}");
}

fn directory(home: &Path, me: u16) -> Arc<dyn Disk> {
    Arc::new(RealDisk::open(&home.join(me.to_string())).expect("its own directory"))
}

/// The same in directories, over real sockets: both are ended hard and opened again, in both
/// orders.
#[tokio::test]
async fn a_pair_resumes_from_its_directories_in_either_order() {
    for order in &ORDERS[..2] {
        let home = TempDir::new().expect("a directory");
        for me in 0..3 {
            let path = home.path().join(me.to_string());
            wal::init_dir(&path, ClusterId(u128::from(CLUSTER)), NodeId(me), &LogConfig::small())
                .expect("a new directory");
        }
        let storage = views_on(directory(home.path(), 0));
        let mut shells = Shells::with(Arc::new(Tcp), storage).await;
        for me in [1, 2] {
            shells.start_on(me, server_on(directory(home.path(), me), me)).await;
            shells.becomes("it is a member", |view| view.member_of(NodeId(me)).is_some()).await;
        }
        let mut client = shells.client(1);
        let mut told = String::new();
        for round in 0..3 {
            let view = shells.becomes("a pair", |view| view.backup.is_some()).await;
            for step in 0..20 {
                let value = format!("{round}.{step};");
                client.append(b("log"), b(&value)).await.expect("append");
                told += &value;
            }
            let (one, two) = (shells.status(1).await, shells.status(2).await);
            assert!(one.whole && two.whole, "both have everything in {view}");
            assert!(shells.running[&1].wal.is_some());
            shells.kill(1);
            shells.kill(2);
            for me in *order {
                let path = home.path().join(me.to_string());
                let free = async || RealDisk::open(&path).is_ok();
                until("the directory is free", free).await;
                shells.start_on(*me, server_on(directory(home.path(), *me), *me)).await;
            }
            assert_eq!(client.get(b("log")).await, Ok(Some(b(&told))), "{order:?}");
        }
        shells.stop_all().await;
    }
}

/// A backup whose disk is new again is nobody's heir: it gets everything once more, and what it
/// does not have yet is not served without the primary.
#[tokio::test]
async fn a_server_that_lost_its_disk_comes_back_empty() {
    let mut pair = Pair::new(Arc::new(Memory::new())).await;
    pair.shells.is(1, Some(2)).await;
    let mut client = pair.shells.client(1);
    client.put(b("k"), b("v")).await.expect("put");
    pair.shells.kill(2);
    pair.disks[2] = SimDisk::new();
    init(&pair.disks[2], NodeId(2));
    pair.start(2).await;
    // Its earlier life is over, and it is the only one who can take that life's place.
    let again = |view: &View| view.number.0 > 2 && view.member_of(NodeId(2)).is_some();
    let view = pair.shells.becomes("the new life has everything", again).await;
    assert_eq!(view.primary.expect("a pair").member.node, NodeId(1));
    pair.shells.kill(1);
    pair.shells.is(2, None).await;
    assert_eq!(client.get(b("k")).await, Ok(Some(b("v"))));
    assert_eq!(pair.shells.status(2).await.duty, Duty::Alone);
    pair.shells.stop_all().await;
}

/// What a server has written into its log so far.
fn records(disk: &SimDisk, me: u16) -> Vec<Record> {
    let storage = server_on(Arc::new(disk.image(0)), me);
    let read = |bytes: &Vec<u8>| storage::decode(bytes).expect("its own record");
    storage.kept.1.iter().map(read).collect()
}

/// A disk on which nothing ever began hears once that its state is whole and empty, though its
/// server has two reasons to say so: it is born, and it is the first primary.
#[tokio::test]
async fn the_first_primary_says_once_that_its_state_is_empty() {
    let mut pair = Pair::new(Arc::new(Memory::new())).await;
    pair.shells.is(1, Some(2)).await;
    let fresh = |records: &[Record]| records.iter().filter(|it| is_fresh(it)).count();
    let first = records(&pair.disks[1], 1);
    assert_eq!((fresh(&first), is_fresh(&first[0])), (1, true), "{first:?}");
    // The backup is given a state, and forgets that it had an empty one.
    let second = records(&pair.disks[2], 2);
    assert!(!second.iter().any(is_fresh), "{second:?}");
    pair.shells.stop_all().await;
}

fn is_fresh(record: &Record) -> bool {
    matches!(record, Record::Fresh(_))
}
