//! A lock service on a stage, with neither network nor clock: a lock, a waiter, a circle that is
//! found and told, a session that falls silent, and the service itself losing power.
//!
//! ```text
//! cargo run -p lockmgr --example tour
//! ```

use std::time::Duration;

use lockmgr::{
    Acquire, LockService, Mode, Name, Owner, Patience, RequestNo, Terms, Ticket, Token, Want,
    core::Config, message::Request,
};
use protocol::NodeId;
use sim::Stage;

const SERVICE: NodeId = NodeId(0);
const LEASE: Duration = Duration::from_secs(30);

/// The service, with what its disk kept.
fn enter(stage: &mut Stage<LockService>) {
    let recover = |past| LockService::recover(Config::default(), past).expect("a sound past");
    stage.enter(SERVICE, recover);
}

/// A session wants a name for itself, and waits for it if need be.
fn acquire(stage: &mut Stage<LockService>, session: u64, request: u64, name: &str) {
    let ticket = Ticket { owner: Owner::session(session), request: RequestNo(request) };
    let (wants, patience) = (vec![Want::new(name, Mode::X)], Patience::For(2 * LEASE));
    let acquire = Acquire { ticket, floor: RequestNo(0), wants, patience };
    stage.ask(SERVICE, Request::Acquire(acquire));
}

fn act(stage: &mut Stage<LockService>, what: &str) {
    println!("-- {what} --\n{}", stage.printed());
}

fn main() {
    let mut stage = Stage::new(|_| false);
    enter(&mut stage);
    for _ in 0..2 {
        stage.ask(SERVICE, Request::Open(Terms::session(LEASE)));
    }
    act(&mut stage, "two sessions come");

    acquire(&mut stage, 1, 1, "left");
    acquire(&mut stage, 2, 1, "right");
    acquire(&mut stage, 1, 2, "right");
    act(&mut stage, "each has a lock, and the first waits for the second's");

    acquire(&mut stage, 2, 2, "left");
    stage.wake(SERVICE, Duration::from_millis(20));
    act(&mut stage, "the second waits for the first's: a circle, which the younger hears all of");

    stage.crash(SERVICE, 0);
    enter(&mut stage);
    stage.ask(SERVICE, Request::Look("right".into()));
    act(&mut stage, "the service lost power: who held and who waited is there, leases begin anew");

    stage.wake(SERVICE, LEASE / 2);
    stage.ask(SERVICE, Request::Renew(Owner::session(1)));
    stage.wake(SERVICE, LEASE / 2);
    act(&mut stage, "the second is silent for longer than its lease: the first has both");

    let core = stage.core(SERVICE).expect("it is up");
    let held: Vec<_> = core.table().held_by(Owner::session(1)).collect();
    let names: Vec<&Name> = held.iter().map(|grant| &grant.name).collect();
    assert_eq!(names, [&Name::from("left"), &Name::from("right")]);
    assert_eq!(held[1].token, Some(Token(3)), "larger than the token of who had it before");
}
