//! `synod status`: a sentence first, then a line a node.

use std::time::Duration;

use kvpaxos::service::NodeStatus;
use protocol::NodeId;
use serde_json::json;

use crate::{
    cli::{Format, Servers, StoreKind},
    failure::{Exit, Failure},
    pb,
    print::{self, Mood},
    store::{Connections, Site},
};

/// Asks every node how it is, and says what that means for the store.
///
/// # Errors
///
/// If no node can be reached.
pub async fn run(servers: &Servers, (store, format): (StoreKind, Format)) -> Result<(), Failure> {
    of(&Site::of(store, servers)?, servers.budget(), format).await
}

/// The same of a store that is known already; each node may take `limit` to answer.
///
/// # Errors
///
/// If nobody can be reached.
pub async fn of(site: &Site, limit: Duration, format: Format) -> Result<(), Failure> {
    match (site, site.connections(1)) {
        (_, Connections::Kv(connections)) => report(&connections, limit, format).await,
        (site, Connections::Pb(connections)) => pb::report(&connections, site, limit, format).await,
    }
}

async fn report(
    connections: &kvpaxos::Connections,
    limit: Duration,
    format: Format,
) -> Result<(), Failure> {
    let mut nodes = Vec::new();
    for node in connections.servers() {
        let asked = tokio::time::timeout(limit, connections.status(*node)).await;
        let status = match asked {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        nodes.push((*node, status));
    }
    let (sentence, healthy) = sentence(&nodes);
    match format {
        Format::Json => {
            for (node, status) in &nodes {
                print::json(&line(*node, status))?;
            }
            print::json(&json!({"healthy": healthy, "summary": sentence}))?;
        }
        Format::Table | Format::Plain => {
            let mood = if healthy { Mood::Good } else { Mood::Bad };
            print::line(print::coloured(&std::io::stdout(), mood, &sentence))?;
            let rows: Vec<Vec<String>> = nodes.iter().map(|(n, s)| row(*n, s)).collect();
            let heading = [
                "NODE", "ROLE", "BALLOT", "CHOSEN", "APPLIED", "FLOOR", "LAG", "SNAPSHOT", "SYNCS",
                "BATCH", "SYNC-US", "STATE",
            ];
            print::table(&heading, &rows)?;
        }
    }
    if nodes.iter().all(|(_, status)| status.is_err()) {
        let (node, why) = &nodes[0];
        let why = why.as_ref().err().cloned().unwrap_or_default();
        let why = format!(
            "no node can be reached (node {}: {why}): is the store running, and is --cluster right?",
            node.0
        );
        return Err(Failure::new(Exit::Environment, why));
    }
    Ok(())
}

type Asked = Result<NodeStatus, String>;

/// Health in one sentence: who leads, and how many nodes may still fail.
fn sentence(nodes: &[(NodeId, Asked)]) -> (String, bool) {
    let up: Vec<&NodeStatus> = nodes.iter().filter_map(|(_, s)| s.as_ref().ok()).collect();
    let leader = up.iter().find(|status| {
        status.replica.agreement.role == "leader" || status.replica.agreement.role == "alone"
    });
    let majority = nodes.len() / 2 + 1;
    match leader {
        Some(leader) if up.len() >= majority => {
            let spare = up.len() - majority;
            let node = leader.replica.me.0;
            let text = format!(
                "healthy: node {node} leads, {} of {} nodes up, {spare} more can fail",
                up.len(),
                nodes.len()
            );
            (text, true)
        }
        _ => {
            let text = format!(
                "not serving: no leader, {} of {} nodes up, {majority} needed",
                up.len(),
                nodes.len()
            );
            (text, false)
        }
    }
}

/// How far a node is behind the furthest it has heard of.
fn lag(status: &NodeStatus) -> u64 {
    status.replica.agreement.chosen.0.saturating_sub(status.replica.applied.0)
}

fn batch(status: &NodeStatus) -> f64 {
    let (batches, commands) = status.replica.agreement.batches;
    if batches == 0 { 0.0 } else { commands as f64 / batches as f64 }
}

fn row(node: NodeId, status: &Asked) -> Vec<String> {
    let status = match status {
        Ok(status) => status,
        Err(why) => {
            let mut row = vec![node.0.to_string(), format!("unreachable: {why}")];
            row.resize(12, String::new());
            return row;
        }
    };
    let agreement = &status.replica.agreement;
    let log = status.log.clone().unwrap_or_default();
    vec![
        node.0.to_string(),
        agreement.role.clone(),
        agreement.ballot.clone(),
        agreement.chosen.0.to_string(),
        status.replica.applied.0.to_string(),
        agreement.floor.0.to_string(),
        lag(status).to_string(),
        status.replica.snapshot.0.to_string(),
        log.syncs.to_string(),
        format!("{:.1}", batch(status)),
        log.last_sync_us.to_string(),
        format!("{:016x}", status.replica.chain),
    ]
}

fn line(node: NodeId, status: &Asked) -> serde_json::Value {
    match status {
        Ok(status) => {
            let agreement = &status.replica.agreement;
            let peers: Vec<_> = agreement
                .peers
                .iter()
                .map(|(node, index)| json!({"node": node.0, "chosen": index.0.to_string()}))
                .collect();
            json!({
                "node": node.0, "up": true, "role": agreement.role, "ballot": agreement.ballot,
                "leader": agreement.leader.map(|leader| leader.0),
                "chosen": agreement.chosen.0.to_string(),
                "applied": status.replica.applied.0.to_string(),
                "floor": agreement.floor.0.to_string(), "lag": lag(status),
                "snapshot": status.replica.snapshot.0.to_string(),
                "campaigns": agreement.campaigns, "batch": batch(status), "peers": peers,
                "chain": format!("{:016x}", status.replica.chain),
                "log": status.log.as_ref().map(|log| json!({
                    "syncs": log.syncs, "records": log.records, "segments": log.segments,
                    "live_bytes": log.live_bytes, "last_sync_us": log.last_sync_us,
                    "max_sync_us": log.max_sync_us,
                })),
                "connections": status.connections.0, "refused": status.connections.1,
            })
        }
        Err(why) => json!({"node": node.0, "up": false, "why": why}),
    }
}
