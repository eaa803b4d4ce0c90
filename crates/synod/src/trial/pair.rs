//! What a view service and its servers say while they are on trial.

use std::{fmt::Write, time::Duration};

use pbservice::{Connections, Digest, Duty, Status};
use protocol::NodeId;
use viewservice::{SERVICE_NODE, Server, View, ViewNum};

use super::watch::{Together, wait};
use crate::{failure::Failure, pb};

/// How long a server may take to say how it is.
const GLANCE: Duration = Duration::from_millis(300);

/// A primary, and a backup that has everything it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In this view.
    pub view: ViewNum,
    /// Who answers clients.
    pub primary: NodeId,
    /// Who can take its place.
    pub backup: NodeId,
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { view, primary, backup } = self;
        write!(
            f,
            "view {view}: server {} is primary, server {} its backup has everything",
            primary.0, backup.0
        )
    }
}

/// The primary and the backup of a view, as far as there are any.
fn members(view: &View) -> (Option<NodeId>, Option<NodeId>) {
    let node = |server: &Option<Server>| server.as_ref().map(|server| server.member.node);
    (node(&view.primary), node(&view.backup))
}

/// How a server is, if it says so soon.
async fn status(connections: &Connections, node: NodeId) -> Option<Status> {
    let asked = tokio::time::timeout(GLANCE, connections.status(node)).await;
    asked.ok()?.ok().map(|status| status.server)
}

/// The primary of the view in force, if it knows that and serves.
pub(super) async fn primary(connections: &Connections) -> Option<NodeId> {
    let view = connections.view().await.ok()?;
    let node = members(&view).0?;
    let it = status(connections, node).await?;
    let serves = matches!(it.duty, Duty::Alone | Duty::Installing | Duty::Paired);
    (serves && it.view.number == view.number).then_some(node)
}

/// Whether a node answers. The view service tells where the others are.
pub(super) async fn answers(connections: &Connections, node: NodeId) -> bool {
    let Ok(views) = connections.views().await else { return false };
    if node == SERVICE_NODE {
        return true;
    }
    let known = views.servers.iter().find(|known| known.server.member.node == node);
    let Some(known) = known else { return false };
    connections.meet(&known.server);
    // A dead life's place may be known still: the one that lives has its number.
    let it = status(connections, node).await;
    it.is_some_and(|it| it.member == Some(known.server.member))
}

/// Waits until the view in force has a backup that has everything; one other than `but`, if that
/// matters.
///
/// # Errors
///
/// If it does not come to that for a long time.
pub async fn wait_for_pair(
    connections: &Connections,
    but: Option<NodeId>,
) -> Result<Pair, Failure> {
    let why = "no primary has a backup that has everything: synod pb status says more";
    wait(why, async || {
        let views = connections.views().await.ok().filter(|views| views.acknowledged)?;
        let (primary, backup) = members(&views.view);
        let pair = Pair { view: views.view.number, primary: primary?, backup: backup? };
        // Both may be dead, and the view service not know it yet.
        let it = status(connections, pair.primary).await?;
        let stands = it.view.number == pair.view && it.duty == Duty::Paired;
        (stands && Some(pair.backup) != but).then_some(pair)
    })
    .await
}

/// Primary and backup, once the backup has everything that the primary has.
pub(super) async fn together(connections: &Connections) -> Option<Together> {
    let views = connections.views().await.ok().filter(|views| views.acknowledged)?;
    let (primary, backup) = members(&views.view);
    let pair = Pair { view: views.view.number, primary: primary?, backup: backup? };
    let digest = async |node| {
        let asked = tokio::time::timeout(Duration::from_secs(2), connections.digest(node)).await;
        asked.ok()?.ok()
    };
    let (one, other): (Digest, Digest) = (digest(pair.primary).await?, digest(pair.backup).await?);
    let point = |digest: &Digest| (digest.view, digest.last, digest.whole);
    let come = point(&one) == point(&other) && one.view == pair.view && one.whole;
    come.then(|| Together { same: one.state == other.state, point: pair.to_string() })
}

/// What everybody says of the present situation, a line each.
pub async fn describe(connections: &Connections) -> String {
    let mut text = String::new();
    let views = match connections.views().await {
        Ok(views) => views,
        Err(error) => return format!("\n  the view service: {error}"),
    };
    let acknowledged = if views.acknowledged { "acknowledged" } else { "not acknowledged" };
    let _ = write!(text, "\n  the view service: {}, {acknowledged}", views.view);
    if let Some(stuck) = &views.stuck {
        let _ = write!(text, "; {stuck}");
    }
    for known in &views.servers {
        connections.meet(&known.server);
        let node = known.server.member.node;
        let _ = match status(connections, node).await {
            Some(it) => write!(
                text,
                "\n  server {}: {} in view {}; {} keys",
                node.0,
                pb::word(it.duty),
                it.view.number,
                it.keys
            ),
            None => write!(
                text,
                "\n  server {}: does not answer, and was heard {:.1} s ago",
                node.0,
                known.silent.as_secs_f64()
            ),
        };
    }
    text
}
