//! The demo's two blows against replicas that agree by Paxos: the leader dies, the next is cut off.

use histcheck::MarkKind;

use super::{CALM, GONE, NODES, Play};
use crate::{
    failure::Failure,
    store::Connections,
    trial::{Cluster, Recorder, say, verdict::Kill, watch},
};

/// Waits for a leader.
pub(super) async fn ready(recorder: &Recorder, connections: &Connections) -> Result<(), Failure> {
    let leader = watch::wait_for_leader(connections, None).await?.0;
    say(recorder, format_args!("replica {leader} leads: any one of the {NODES} may fail now"));
    Ok(())
}

impl Play<'_> {
    /// Two blows, and calm between them.
    pub(super) async fn break_replicas(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        self.kill_leader(nodes).await?;
        self.second_blow(nodes).await
    }

    /// The leader goes without a word, another takes over, the old one comes back.
    async fn kill_leader(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        tokio::time::sleep(CALM).await;
        let leader = watch::wait_for_leader(self.connections, None).await?;
        let at = self.recorder.now();
        nodes.kill(leader).await?;
        self.kills.push(Kill { at, led: true });
        let mark = |kind, what| self.recorder.mark(kind, what);
        self.recorder.mark_at(at, MarkKind::Kill, format!("killed replica {}", leader.0));
        say(
            self.recorder,
            format_args!("killed replica {}, the leader, in mid-sentence", leader.0),
        );
        let next = watch::wait_for_leader(self.connections, Some(leader)).await?;
        mark(MarkKind::Leader, format!("replica {} leads", next.0));
        say(self.recorder, format_args!("replica {} leads now", next.0));
        tokio::time::sleep(GONE).await;
        nodes.start(leader).await?;
        watch::wait_until_up(self.connections, leader).await?;
        self.recorder.over(MarkKind::Kill);
        mark(MarkKind::Back, format!("replica {} is back", leader.0));
        say(self.recorder, format_args!("replica {} is back, out of its own files", leader.0));
        tokio::time::sleep(CALM).await;
        Ok(())
    }

    /// The new leader is cut off for a while. Processes have the system's network, which is not
    /// ours to cut: there a follower is killed instead.
    async fn second_blow(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        let leader = watch::wait_for_leader(self.connections, None).await?;
        if nodes.can_cut() {
            nodes.cut(leader);
            self.recorder.mark(MarkKind::Cut, format!("cut replica {} off", leader.0));
            say(
                self.recorder,
                format_args!("cut replica {}, the leader, off from everybody", leader.0),
            );
            let next = watch::wait_for_leader(self.connections, Some(leader)).await?;
            self.recorder.mark(MarkKind::Leader, format!("replica {} leads", next.0));
            say(self.recorder, format_args!("replica {} leads now", next.0));
            tokio::time::sleep(GONE).await;
            nodes.heal();
            self.recorder.over(MarkKind::Cut);
            say(self.recorder, format_args!("healed: replica {} hears the others again", leader.0));
            return Ok(());
        }
        let follower = nodes.nodes().into_iter().find(|node| *node != leader);
        let Some(follower) = follower else { return Ok(()) };
        let at = self.recorder.now();
        nodes.kill(follower).await?;
        self.kills.push(Kill { at, led: false });
        self.recorder.mark_at(at, MarkKind::Kill, format!("killed replica {}", follower.0));
        let instead = "a follower (processes cannot be cut off, so one is killed)";
        say(self.recorder, format_args!("killed replica {}, {instead}", follower.0));
        tokio::time::sleep(GONE).await;
        nodes.start(follower).await?;
        watch::wait_until_up(self.connections, follower).await?;
        self.recorder.over(MarkKind::Kill);
        self.recorder.mark(MarkKind::Back, format!("replica {} is back", follower.0));
        say(self.recorder, format_args!("replica {} is back, out of its own files", follower.0));
        Ok(())
    }
}
