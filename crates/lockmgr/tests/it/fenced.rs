//! Acceptance 8.10-14: what tokens are for.

use std::time::Duration;

use lockmgr::{
    Discipline,
    Mode::X,
    Owner, Reply, Rule, Table, Terms,
    suite::{Memory, Scene},
};
use protocol::Rng;
use sim::Scenario;

/// A resource that takes no token smaller than the largest it has seen.
#[derive(Default)]
struct Resource {
    largest: u64,
    /// Writes that came from a holder that had lost the lock by then: taken, and refused.
    stale_taken: u64,
    stale_refused: u64,
    taken: u64,
}

/// A client with a clock of its own, which believes in its lease by that clock.
struct Client {
    owner: Owner,
    /// Its clock shows so many thousandths of the time that passes.
    pace: u64,
    token: Option<u64>,
    /// On its own clock: how much of the lease it thinks is left.
    left: Duration,
}

const LEASE: Duration = Duration::from_millis(1_000);

/// The table counts by the server's clock alone. A client whose clock runs ten times too slowly
/// believes in a lease that ended long ago, and the resource does not.
#[test]
fn s8_10_14_a_clock_ten_times_off_never_gets_two_tokens_accepted_out_of_order() {
    let mut resource = Resource::default();
    for seed in 0..50 {
        one_day(seed, &mut resource);
        resource.largest = 0;
    }
    let Resource { stale_taken, stale_refused, taken, .. } = resource;
    assert!(taken > 500 && stale_refused > 50, "{taken} taken, {stale_refused} refused");
    let figure = format!(
        "{taken} writes taken, {stale_refused} of clients that had lost the lock refused; \
         {stale_taken} of these came before the next holder's first, in order"
    );
    Scenario { seeds: 50, events: taken + stale_refused, acknowledged: taken, figure }
        .write("s8_10_14_a_clock_ten_times_off_never_gets_two_tokens_accepted_out_of_order");
}

fn one_day(seed: u64, resource: &mut Resource) {
    let mut rng = Rng::new(seed);
    let mut scene = Scene::new(Box::new(Memory::new(Table::fenced(Rule::Detect))));
    let terms = Terms { discipline: Discipline::Free, lease: Some(LEASE), delay: Duration::ZERO };
    let mut clients: Vec<_> = [1_000, 100, 10_000]
        .map(|pace| Client { owner: scene.open(terms), pace, token: None, left: LEASE })
        .into();
    for _ in 0..400 {
        let time = Duration::from_millis(rng.below(120));
        scene.home.pass(time);
        scene.home.news();
        for client in &mut clients {
            let shown = time * client.pace as u32 / 1_000;
            client.left = client.left.saturating_sub(shown);
        }
        let at = rng.below(3) as usize;
        let client = &mut clients[at];
        match client.token {
            Some(token) if !client.left.is_zero() => {
                write(&mut scene, client.owner, token, resource, seed);
                if rng.chance(200) {
                    scene.release(client.owner, "k");
                    client.token = None;
                }
            }
            _ => {
                if scene.home.renew(client.owner).is_err() {
                    client.owner = scene.open(terms);
                }
                let reply = scene.attempt(client.owner, "k", X);
                client.left = LEASE;
                client.token = match reply {
                    Reply::Granted(grants) => grants[0].token.map(|token| token.0),
                    _ => None,
                };
            }
        }
    }
}

fn write(scene: &mut Scene, owner: Owner, token: u64, resource: &mut Resource, seed: u64) {
    let holds = scene.holders("k") == [(owner, X)];
    if token < resource.largest {
        assert!(!holds, "seed {seed}: the one that holds it has the largest token there is");
        resource.stale_refused += 1;
        return;
    }
    resource.taken += 1;
    resource.stale_taken += u64::from(!holds);
    resource.largest = token;
}
