//! A view service and three servers on a stage, with neither network nor clock: a primary, a
//! backup, a primary that falls silent, and the service itself losing power between two views.
//!
//! ```text
//! cargo run -p viewservice --example tour
//! ```

use std::time::Duration;

use protocol::NodeId;
use sim::Stage;
use viewservice::{
    Incarnation, Join, Member, PING_INTERVAL, Ping, Request, SERVICE_NODE, Server, ViewNum,
    ViewService,
};

/// The service, with what its disk kept.
fn enter(stage: &mut Stage<ViewService>) {
    stage.enter(SERVICE_NODE, |past| ViewService::recover(past).expect("a sound past"));
}

/// A server asks for a name for its new life.
fn join(stage: &mut Stage<ViewService>, node: u16) {
    stage.say(NodeId(node), SERVICE_NODE, Request::Join(Join { node: NodeId(node) }));
}

/// A server that has adopted `view` gives a sign of life.
fn ping(stage: &mut Stage<ViewService>, node: u16, life: u64, view: u64, installed: bool) {
    let member = Member { node: NodeId(node), incarnation: Incarnation(life) };
    let server = Server { member, addr: format!("host{node}:4000") };
    let view = ViewNum(view);
    let ping = Ping { server, view, installed, heir: Vec::new(), lost_backup: false };
    stage.say(NodeId(node), SERVICE_NODE, Request::Ping(ping));
}

fn act(stage: &mut Stage<ViewService>, what: &str) {
    println!("-- {what} --\n{}", stage.printed());
}

fn main() {
    let mut stage = Stage::new(|_| false);
    enter(&mut stage);

    join(&mut stage, 1);
    ping(&mut stage, 1, 1, 0, false);
    act(&mut stage, "the first server that comes is primary");

    join(&mut stage, 2);
    ping(&mut stage, 2, 2, 0, false);
    act(&mut stage, "the second waits: the primary has not said yet that it knows view 1");

    ping(&mut stage, 1, 1, 1, false);
    ping(&mut stage, 1, 1, 2, true);
    act(&mut stage, "now it has a backup, and soon the backup has everything");

    stage.crash(SERVICE_NODE, 0);
    enter(&mut stage);
    ping(&mut stage, 2, 2, 2, false);
    act(&mut stage, "the service lost power: nothing it said is forgotten");

    join(&mut stage, 3);
    // For a second after its own start nobody is taken for dead; then five pings are enough.
    for _ in 0..15 {
        ping(&mut stage, 2, 2, 2, false);
        stage.wake(SERVICE_NODE, PING_INTERVAL);
    }
    ping(&mut stage, 3, 3, 0, false);
    stage.wake(SERVICE_NODE, Duration::from_millis(10));
    stage.printed();
    ping(&mut stage, 2, 2, 2, false);
    act(&mut stage, "the primary was silent for long enough: the backup takes over");

    ping(&mut stage, 1, 1, 2, true);
    act(&mut stage, "the old primary comes back and is told");
    let view = stage.core(SERVICE_NODE).expect("it is up").view();
    assert_eq!(view.to_string(), "view 3 {n2#2 at host2:4000, n3#3 at host3:4000}");
}
