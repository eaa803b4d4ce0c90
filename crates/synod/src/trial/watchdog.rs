//! The watchdog: a trial in which nothing goes on ends by itself, and says who waits for what.

use std::{fmt::Write, time::Duration};

use tokio::time::Instant;

use super::{Recorder, pair};
use crate::{
    failure::{Exit, Failure},
    store::Connections,
};

/// The longest time in which nothing is acknowledged and nothing is done to the replicas.
pub const WATCHDOG: Duration = Duration::from_secs(120);

/// How often the watchdog looks.
const GLANCE: Duration = Duration::from_millis(250);

/// How long a replica has to say how it is.
const ANSWER: Duration = Duration::from_millis(500);

/// Open questions that are named; the rest are counted.
const SHOWN: usize = 8;

/// Does a part of a trial. If nothing is acknowledged and nothing done for `limit`, it is given
/// up.
///
/// # Errors
///
/// If it fails, or is given up: then with what each replica says of itself, and what was asked and
/// not answered.
pub async fn watched<T>(
    recorder: &Recorder,
    connections: &Connections,
    limit: Duration,
    part: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut part = std::pin::pin!(part);
    let progress = || (recorder.acknowledged().len(), recorder.marks().len());
    let (mut last, mut since) = (progress(), Instant::now());
    loop {
        if let Ok(ended) = tokio::time::timeout(GLANCE, &mut part).await {
            return ended;
        }
        if progress() != last {
            (last, since) = (progress(), Instant::now());
        }
        if since.elapsed() >= limit {
            let state = report(recorder, connections).await;
            let why = format!("nothing went on for {} s: {state}", limit.as_secs());
            return Err(Failure::new(Exit::Failed, why));
        }
    }
}

/// What each node says of itself, and what was asked and not answered yet.
async fn report(recorder: &Recorder, connections: &Connections) -> String {
    let mut text = match connections {
        Connections::Kv(connections) => describe(connections).await,
        Connections::Pb(connections) => pair::describe(connections).await + "\n",
    };
    let open = recorder.open();
    for operation in open.iter().take(SHOWN) {
        let waited = recorder.now().saturating_sub(operation.call) / 1_000_000_000;
        let _ = writeln!(text, "  waits for {waited} s: {operation}");
    }
    if open.len() > SHOWN {
        let _ = writeln!(text, "  and {} questions more", open.len() - SHOWN);
    }
    text.replace("\n\n", "\n").trim_end().to_owned()
}

/// What each replica says of itself.
async fn describe(connections: &kvpaxos::Connections) -> String {
    let mut text = String::new();
    for node in connections.servers() {
        let _ = match tokio::time::timeout(ANSWER, connections.status(*node)).await {
            Ok(Ok(status)) => writeln!(
                text,
                "\n  replica {}: {} in {}, follows {:?}; applied {}",
                node.0,
                status.replica.agreement.role,
                status.replica.agreement.ballot,
                status.replica.agreement.leader.map(|leader| leader.0),
                status.replica.applied.0
            ),
            Ok(Err(error)) => writeln!(text, "\n  replica {}: {error}", node.0),
            Err(_) => writeln!(text, "\n  replica {}: does not answer", node.0),
        };
    }
    text
}
