//! What the driver does with a core: nothing leaves before the disk has it, and everything that is
//! there is taken in at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use net::{Addr, Alone, Gone, Lane, Lanes, Memory, Network, Server, Weather, inbox};
use protocol::NodeId;
use tokio::time::Instant;

use crate::{
    keeper::{self, Node, Reply, Request},
    toy::{self, CLUSTER, until},
};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);

fn alone() -> Node {
    Node::start(N1, Alone)
}

#[tokio::test]
async fn an_answer_waits_for_the_disk() {
    let node = alone();
    let mut saving = Box::pin(node.door.request(None, Request::Save(7)));
    assert!((&mut saving).now_or_never().is_none());
    until("the record is pushed", || node.log.pushes() == [1]).await;
    // The same question asked twice: nothing is saved for it, and yet it must wait.
    let mut reading = Box::pin(node.door.request(None, Request::Last));
    for _ in 0..10 {
        tokio::task::yield_now().await;
        assert!((&mut saving).now_or_never().is_none() && (&mut reading).now_or_never().is_none());
    }
    node.log.sync();
    assert_eq!(saving.await, Ok(Reply::Saved(7)));
    assert_eq!(reading.await, Ok(Reply::Last(7)));
}

#[tokio::test]
async fn what_came_together_is_saved_together() {
    let node = alone();
    let saves = (1..=100).map(|n| node.door.request(None, Request::Save(n)));
    let sync = async {
        until("all are appended", || node.log.records().len() == 100).await;
        node.log.sync();
    };
    let (answers, ()) = tokio::join!(join_all(saves), sync);
    assert_eq!(answers, (1..=100).map(|n| Ok(Reply::Saved(n))).collect::<Vec<_>>());
    assert_eq!(node.log.records(), (1..=100).collect::<Vec<_>>());
    assert_eq!(node.log.pushes(), [100], "one push for one turn");
}

#[tokio::test]
async fn a_deadline_already_past_means_after_the_inbox_is_empty() {
    let node = alone();
    until("the first event of its life", || node.said() == ["born"]).await;
    let batch = (1..=100).map(|n| node.door.request(None, Request::Batch(n)));
    let sync = async {
        until("the batch is appended", || !node.log.records().is_empty()).await;
        node.log.sync();
    };
    let (answers, ()) = tokio::join!(join_all(batch), sync);
    assert_eq!(answers.len(), 100);
    assert_eq!(node.log.records(), [100], "one record for all of them");
}

#[tokio::test(start_paused = true)]
async fn the_timer_goes_off_when_it_should() {
    let node = alone();
    let begun = Instant::now();
    // Put off, brought forward, and put off again: the last word counts.
    for millis in [50, 500, 20, 300] {
        node.door.tell(Request::Alarm(Duration::from_millis(millis))).await;
        tokio::task::yield_now().await;
    }
    until("the alarm", || node.said().contains(&"alarm")).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took <= Duration::from_millis(303), "{took:?}");
    assert_eq!(node.said().iter().filter(|said| **said == "alarm").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_ill_disk_is_noticed_and_so_is_its_recovery() {
    let node = alone();
    node.door.tell(Request::Save(1)).await;
    tokio::time::sleep(Duration::from_millis(499)).await;
    assert_eq!(node.said(), ["born"]);
    tokio::time::sleep(Duration::from_millis(3)).await;
    assert_eq!(node.said(), ["born", "ill"]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    node.log.sync();
    until("it is well again", || node.said() == ["born", "ill", "well"]).await;
}

#[tokio::test]
async fn a_log_that_fails_ends_the_driver() {
    let mut node = alone();
    let saving = node.door.request(None, Request::Save(1));
    let fail = async {
        until("the record is pushed", || !node.log.pushes().is_empty()).await;
        node.log.break_down();
    };
    let (answer, ()) = tokio::join!(saving, fail);
    assert_eq!(answer, Err(Gone), "nothing was promised");
    let error = node.running.ended().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
}

#[tokio::test]
async fn late_answers_find_nobody() {
    let node = alone();
    for n in 0..50 {
        let leaving = node.door.request(None, Request::Save(n));
        assert!(leaving.now_or_never().is_none());
    }
    until("all were asked", || node.log.records().len() == 50).await;
    let staying = node.door.request(None, Request::Save(50));
    let sync = async {
        until("it was asked too", || node.log.records().len() == 51).await;
        node.log.sync();
    };
    let (answer, ()) = tokio::join!(staying, sync);
    assert_eq!(answer, Ok(Reply::Saved(50)));
}

#[tokio::test]
async fn the_inbox_is_bounded_and_gives_back_what_it_cannot_take() {
    let (door, post) = inbox::<Request, Reply>(2);
    door.try_tell(Request::Last).unwrap();
    door.try_tell(Request::Last).unwrap();
    assert!(matches!(door.try_tell(Request::Save(3)), Err(Request::Save(3))));
    assert!(door.tell(Request::Save(3)).now_or_never().is_none(), "it waits for room");
    let node = Node::start_on(N1, Alone, door, post);
    node.door.tell(Request::Save(4)).await;
    until("only what was let in", || node.log.records() == [4]).await;
}

#[tokio::test]
async fn a_driver_ends_with_its_last_inbox_and_when_told() {
    let Node { door, mut running, .. } = alone();
    drop(door);
    running.ended().await.unwrap().unwrap();

    let node = alone();
    let muted = node.door.request(None, Request::Mute);
    let door = node.door.clone();
    let (answer, ended) = tokio::join!(muted, node.running.stop());
    ended.unwrap().unwrap();
    assert_eq!(answer, Err(Gone));
    assert_eq!(door.request(None, Request::Last).await, Err(Gone));
}

async fn pair(network: Arc<dyn Network>, back: Arc<dyn Network>) -> (Node, Node, toy::Served) {
    let two = Node::start(N2, Alone);
    let server = Server::new(CLUSTER, N2).mount("keep", keeper::mount(&two.door));
    let served = toy::serve_with(&*back, &Addr::any(), server).await;
    let addrs = BTreeMap::from([(N2, served.addr.clone())]);
    let control = keeper::peers(Arc::clone(&network), N1, addrs.clone());
    let bulk = keeper::peers(network, N1, addrs);
    let choose = |request: &Request| match request {
        Request::Last => Lane::Control,
        _ => Lane::Bulk,
    };
    (Node::start(N1, Lanes { control, bulk, choose }), two, served)
}

#[tokio::test]
async fn a_core_hears_from_another_what_that_ones_disk_holds() {
    let memory = Arc::new(Memory::new());
    let (one, two, served) = pair(memory.clone(), memory).await;
    let saving = two.door.request(None, Request::Save(9));
    let relayed = one.door.request(None, Request::LastOf(N2));
    let sync = async {
        until("the record is pushed", || !two.log.pushes().is_empty()).await;
        two.log.sync();
    };
    let (_, heard, ()) = tokio::join!(saving, relayed, sync);
    assert_eq!(heard, Ok(Reply::Last(9)));
    assert_eq!(served.count("accepted"), 1, "the bulk lane was never needed");
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_dead_or_cut_off_peer_fails() {
    let (weather, memory) = (Weather::new(), Arc::new(Memory::new()));
    let networks = [weather.over(memory.clone(), "n1"), weather.over(memory, "n2")].map(Arc::new);
    let [near, far] = networks;
    let (one, two, served) = pair(near, far).await;
    let ask = || one.door.request(None, Request::LastOf(N2));
    assert_eq!(ask().await, Ok(Reply::Last(0)));
    assert_eq!(
        one.door.request(None, Request::LastOf(NodeId(77))).await,
        Ok(Reply::Unreachable),
        "nobody knows n77"
    );

    weather.isolate("n2");
    assert_eq!(ask().await, Ok(Reply::Unreachable));
    weather.rejoin("n2");
    assert_eq!(ask().await, Ok(Reply::Last(0)));

    served.running.stop().await.unwrap();
    assert_eq!(ask().await, Ok(Reply::Unreachable));
    drop(two);
}
