//! What goes wrong in a run, and when: all of it from the seed.

use std::time::Duration;

use protocol::{NodeId, Rng};

use crate::{client, node};

/// The storm ends so long after the start, and everything is mended.
pub(crate) const CLEAR: Duration = Duration::from_secs(20);

/// Nothing goes wrong before.
const BEGINS: Duration = Duration::from_secs(2);

/// Something that happens to hosts, links or disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing passes between the two sides, and what is on its way is lost.
    Part(Vec<String>, Vec<String>),
    /// Nothing passes from the first to the second.
    PartOneWay(Vec<String>, Vec<String>),
    /// What is sent between the two sides waits.
    Hold(Vec<String>, Vec<String>),
    /// Every link between these is whole again, and what was held arrives.
    Mend(Vec<String>, Vec<String>),
    /// The power of these nodes goes.
    Crash(Vec<NodeId>),
    /// It comes back.
    Bounce(Vec<NodeId>),
    /// A node's disk does nothing for so long.
    Stall(NodeId, Duration),
}

/// The events of a run in their order. Those of links never overlap each other; nodes crash
/// whatever the links do.
pub(crate) fn plan(rng: &mut Rng) -> Vec<(Duration, Event)> {
    let mut events = Vec::new();
    links(&mut rng.fork(1), &mut events);
    power(&mut rng.fork(2), &mut events);
    events.sort_by_key(|(at, _)| *at);
    events
}

fn whole_ms(rng: &mut Rng, low: u64, high: u64) -> Duration {
    Duration::from_millis(rng.range(low, high))
}

fn any_node(rng: &mut Rng) -> NodeId {
    NodeId(1 + rng.below(u64::from(node::NODES)) as u16)
}

/// One thing after the other goes wrong with links and disks.
fn links(rng: &mut Rng, events: &mut Vec<(Duration, Event)>) {
    let mut at = BEGINS + whole_ms(rng, 0, 2000);
    while at < CLEAR {
        let lasts = whole_ms(rng, 200, 3000);
        let victim = any_node(rng);
        let mut one = vec![node::host(victim)];
        let mut rest: Vec<String> =
            node::nodes().filter(|node| *node != victim).map(node::host).collect();
        // Clients see one side, the other, or both.
        for client in 0..client::HOSTS {
            match rng.below(3) {
                0 => one.push(client::host(client)),
                1 => rest.push(client::host(client)),
                _ => {}
            }
        }
        let (a, b) = (one.clone(), rest.clone());
        let begins = match rng.below(6) {
            0 | 1 => Event::Part(a, b),
            2 => Event::PartOneWay(a, b),
            3 => Event::PartOneWay(b, a),
            4 => Event::Hold(a, b),
            _ => Event::Stall(victim, lasts.min(Duration::from_millis(1500))),
        };
        events.push((at, begins));
        let over = (at + lasts).min(CLEAR);
        events.push((over, Event::Mend(one, rest)));
        at = over + whole_ms(rng, 100, 1500);
    }
}

/// Nodes lose their power: one, two, or all at once, now and then again while they recover.
fn power(rng: &mut Rng, events: &mut Vec<(Duration, Event)>) {
    let mut at = BEGINS + whole_ms(rng, 0, 3000);
    while at < CLEAR {
        let victims: Vec<NodeId> = match rng.below(10) {
            0..3 => node::nodes().collect(),
            3..5 => {
                let spared = any_node(rng);
                node::nodes().filter(|node| *node != spared).collect()
            }
            _ => vec![any_node(rng)],
        };
        events.push((at, Event::Crash(victims.clone())));
        let mut up = (at + whole_ms(rng, 10, 2500)).min(CLEAR);
        events.push((up, Event::Bounce(victims.clone())));
        if rng.chance(300) {
            let again = up + whole_ms(rng, 1, 30);
            if again < CLEAR {
                events.push((again, Event::Crash(victims.clone())));
                up = (again + whole_ms(rng, 10, 500)).min(CLEAR);
                events.push((up, Event::Bounce(victims)));
            }
        }
        at = up + whole_ms(rng, 200, 3000);
    }
}
