//! Three nodes on a stage, with neither network nor clock: one is elected, a value reaches a
//! minority, the leader loses power, and the next one finishes what it had begun.
//!
//! ```text
//! cargo run -p paxos --example tour
//! ```

use std::time::Duration;

use bytes::Bytes;
use paxos::{Config, Paxos, Request, Slot};
use protocol::NodeId;
use sim::Stage;

/// What is not printed: signs of life, and hints.
fn hidden(text: &str) -> bool {
    ["Heartbeat", "Beat(", "Probe", "Pulse", "Role", "Ignored"].iter().any(|w| text.starts_with(w))
}

/// A node with what its disk kept.
fn enter(stage: &mut Stage<Paxos>, me: NodeId, life: u64) {
    let config = Config::new(me, (1..=3).map(NodeId).collect());
    stage.enter(me, |past| Paxos::recover(config, life, Slot(0), past).expect("a sound past"));
}

/// Time passes for this node alone until it campaigns; then it may talk to everybody.
fn elect(stage: &mut Stage<Paxos>, me: NodeId) {
    while stage.core(me).is_some_and(|core| core.role().ballot().is_none()) {
        stage.wake(me, Duration::from_millis(1));
        while stage.deliver(|_, _, text| text.starts_with("Probe") || text.starts_with("Pulse")) {}
    }
    stage.deliver_all();
    println!("{}-- {me} leads --", stage.printed());
}

fn propose(stage: &mut Stage<Paxos>, node: NodeId, text: &'static str) {
    stage.ask(node, Request::Append(Bytes::from(text)));
    stage.wake_due();
}

fn main() {
    let (n1, n2, n3) = (NodeId(1), NodeId(2), NodeId(3));
    let mut stage = Stage::new(hidden);
    [n1, n2, n3].into_iter().for_each(|node| enter(&mut stage, node, 1));
    elect(&mut stage, n1);

    propose(&mut stage, n1, "bread");
    stage.deliver_all();
    println!("{}-- chosen: a majority voted, n1 among them --", stage.printed());

    // Saved by n1 and n2, and nobody has heard that it is: it is chosen, and no one knows.
    propose(&mut stage, n1, "milk");
    stage.lose(false, |_, to, _| to == n3);
    stage.deliver(|_, to, text| to == n2 && text.starts_with("Accept"));
    stage.lose(false, |_, _, _| true);
    stage.crash(n1, 0);
    println!("{}-- n1 is gone --", stage.printed());

    elect(&mut stage, n3);
    println!("-- n3 asked n2, which had voted for milk: nothing else may stand there --");

    enter(&mut stage, n1, 2);
    propose(&mut stage, n3, "honey");
    // A few heartbeats, so that everybody hears what is chosen.
    for _ in 0..40 {
        stage.deliver_all();
        stage.wake(n3, Duration::from_millis(5));
    }
    println!("{}-- n1 is back --", stage.printed());
    for node in [n1, n2, n3] {
        let settled = stage.core(node).map(|core| core.status().settled);
        println!("{node} knows all below {settled:?}");
        assert_eq!(settled, Some(Slot(3)));
    }
}
