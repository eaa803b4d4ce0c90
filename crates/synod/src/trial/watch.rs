//! What is waited for while a store is on trial: somebody who leads, a node that answers, nodes
//! that hold the same.

use std::time::{Duration, Instant};

use protocol::NodeId;

use super::pair;
use crate::{
    failure::{Exit, Failure},
    store::Connections,
};

/// How long a group may take to find a leader, or a node to catch up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often somebody looks whether it is so far.
const GLANCE: Duration = Duration::from_millis(10);

/// Looks until there is something to see.
///
/// # Errors
///
/// If there is not for a long time: `why`.
pub(super) async fn wait<T>(
    why: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(seen) = look().await {
            return Ok(seen);
        }
        tokio::time::sleep(GLANCE).await;
    }
    Err(Failure::new(Exit::Failed, why))
}

/// Who leads: in its own belief, or as the view service says. `None` if nobody does, or more than
/// one thinks so: one that was cut off may not know better.
pub async fn leader(connections: &Connections) -> Option<NodeId> {
    match connections {
        Connections::Kv(connections) => leading_replica(connections).await,
        Connections::Pb(connections) => pair::primary(connections).await,
    }
}

/// Asks all at once, so that one that is silent holds up nobody.
async fn leading_replica(connections: &kvpaxos::Connections) -> Option<NodeId> {
    let asked = connections.servers().iter().map(|node| {
        let (connections, node) = (connections.clone(), *node);
        tokio::task::spawn_local(async move {
            let limit = Duration::from_millis(300);
            let status = tokio::time::timeout(limit, connections.status(node)).await.ok()?.ok()?;
            (status.replica.agreement.role == "leader").then_some(node)
        })
    });
    let mut leaders = Vec::new();
    for answer in asked.collect::<Vec<_>>() {
        leaders.extend(answer.await.ok().flatten());
    }
    match &leaders[..] {
        [node] => Some(*node),
        _ => None,
    }
}

/// Waits until somebody leads other than `but`.
///
/// # Errors
///
/// If nobody does for a long time.
pub async fn wait_for_leader(
    connections: &Connections,
    but: Option<NodeId>,
) -> Result<NodeId, Failure> {
    let why = "nobody leads: the nodes' own words are in the directory";
    wait(why, async || leader(connections).await.filter(|node| Some(*node) != but)).await
}

/// Waits until a node answers.
///
/// # Errors
///
/// If it does not for a long time.
pub async fn wait_until_up(connections: &Connections, node: NodeId) -> Result<(), Failure> {
    let why = format!("node {} does not answer", node.0);
    wait(&why, async || {
        let answer = async {
            match connections {
                Connections::Kv(connections) => connections.status(node).await.is_ok(),
                Connections::Pb(connections) => pair::answers(connections, node).await,
            }
        };
        let limit = Duration::from_millis(500);
        tokio::time::timeout(limit, answer).await.unwrap_or(false).then_some(())
    })
    .await
}

/// Nodes that have come to the same point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// Whether they hold the same.
    pub same: bool,
    /// What that point is, for people.
    pub point: String,
}

/// Waits until every replica has applied as much as every other, or until a backup has everything
/// that its primary has. `None` if it does not come to that.
pub async fn wait_until_equal(connections: &Connections) -> Option<Together> {
    let look = async || match connections {
        Connections::Kv(connections) => replicas_together(connections).await,
        Connections::Pb(connections) => pair::together(connections).await,
    };
    wait("", look).await.ok()
}

async fn replicas_together(connections: &kvpaxos::Connections) -> Option<Together> {
    let mut digests = Vec::new();
    for node in connections.servers() {
        let limit = Duration::from_secs(2);
        let asked = tokio::time::timeout(limit, connections.digest(*node)).await;
        digests.push(asked.ok().and_then(Result::ok)?);
    }
    let first = digests.first()?;
    digests.iter().all(|digest| digest.applied == first.applied).then(|| Together {
        same: digests.iter().all(|digest| digest.state == first.state),
        point: format!("every replica has applied {} slots", first.applied.0),
    })
}
