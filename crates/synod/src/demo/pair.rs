//! The demo's blows against a primary and its backup: one dies, lines between them, to the view
//! service and to the clients are cut, the view service is away, and power is lost.

use histcheck::MarkKind;
use protocol::NodeId;
use viewservice::SERVICE_NODE;

use super::{CALM, GONE, Play};
use crate::{
    failure::Failure,
    store::Connections,
    trial::{
        Cluster, Party, Recorder,
        pair::{Pair, wait_for_pair},
        say,
        verdict::Kill,
        watch::{self, wait_for_leader},
    },
};

/// The connections of clients of a pair.
fn pairs(connections: &Connections) -> Result<&pbservice::Connections, Failure> {
    match connections {
        Connections::Pb(connections) => Ok(connections),
        Connections::Kv(_) => Err(crate::store::lacks("replicas")),
    }
}

/// Waits for a primary and a backup that has everything.
pub(super) async fn ready(recorder: &Recorder, connections: &Connections) -> Result<(), Failure> {
    let pair = wait_for_pair(pairs(connections)?, None).await?;
    say(recorder, format_args!("{pair}, another waits to be needed"));
    Ok(())
}

impl Play<'_> {
    /// One blow after the other, and calm between them.
    pub(super) async fn break_pairs(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        tokio::time::sleep(CALM).await;
        self.kill_primary(nodes).await?;
        tokio::time::sleep(CALM).await;
        if nodes.can_cut() {
            self.cut_from_the_view_service(nodes).await?;
            self.cut_from_each_other(nodes).await?;
            tokio::time::sleep(CALM).await;
            self.cut_from_the_clients(nodes).await?;
        } else {
            self.kill_backup(nodes).await?;
        }
        tokio::time::sleep(CALM).await;
        self.kill_view_service(nodes).await?;
        self.lose_power(nodes).await
    }

    async fn pair(&self) -> Result<Pair, Failure> {
        wait_for_pair(pairs(self.connections)?, None).await
    }

    fn say(&self, what: impl std::fmt::Display) {
        say(self.recorder, what);
    }

    /// Stops these at one moment.
    async fn kill(
        &mut self,
        nodes: &mut Cluster,
        who: &[NodeId],
        led: bool,
    ) -> Result<(), Failure> {
        let at = self.recorder.now();
        for node in who {
            nodes.kill(*node).await?;
            self.kills.push(Kill { at, led });
        }
        let names: Vec<String> = who.iter().map(|node| nodes.name(*node)).collect();
        self.recorder.mark_at(at, MarkKind::Kill, format!("killed {}", names.join(" and ")));
        Ok(())
    }

    /// Starts these again.
    async fn revive(&mut self, nodes: &mut Cluster, who: &[NodeId]) -> Result<(), Failure> {
        for node in who {
            nodes.start(*node).await?;
        }
        for node in who {
            watch::wait_until_up(self.connections, *node).await?;
            self.recorder.mark(MarkKind::Back, format!("{} is back", nodes.name(*node)));
        }
        self.recorder.over(MarkKind::Kill);
        Ok(())
    }

    /// Cuts two off from each other, and says so.
    fn cut(&self, nodes: &Cluster, (one, other): (Party, Party), what: &str) {
        nodes.part(one, other);
        self.recorder.mark(MarkKind::Cut, format!("cut {what}"));
        self.say(format_args!("cut {what}"));
    }

    fn heal(&self, nodes: &Cluster) {
        nodes.heal();
        self.recorder.over(MarkKind::Cut);
    }

    /// Somebody other than `old` is primary now.
    async fn successor(&self, old: NodeId) -> Result<NodeId, Failure> {
        let next = wait_for_leader(self.connections, Some(old)).await?;
        self.recorder.mark(MarkKind::Leader, format!("server {} is primary", next.0));
        Ok(next)
    }

    /// The primary goes without a word, its backup takes over, and the old one comes back as one
    /// that waits.
    async fn kill_primary(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        let old = self.pair().await?.primary;
        self.kill(nodes, &[old], true).await?;
        self.say(format_args!("killed server {}, the primary, in mid-sentence", old.0));
        let next = self.successor(old).await?;
        self.say(format_args!("server {}, its backup, is primary now", next.0));
        tokio::time::sleep(GONE).await;
        self.revive(nodes, &[old]).await?;
        self.say(format_args!("server {} is back as a new one, and waits to be needed", old.0));
        let pair = self.pair().await?;
        self.say(pair);
        Ok(())
    }

    /// Processes have the system's network, which is not ours to cut.
    async fn kill_backup(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        let old = self.pair().await?.backup;
        self.kill(nodes, &[old], false).await?;
        let instead = "the backup (processes cannot be cut off, so one is killed)";
        self.say(format_args!("killed server {}, {instead}", old.0));
        let pair = wait_for_pair(pairs(self.connections)?, Some(old)).await?;
        self.say(pair);
        tokio::time::sleep(GONE).await;
        self.revive(nodes, &[old]).await
    }

    /// The primary cannot ping any more, yet it has its backup and its clients. It must answer
    /// nobody once another has its place.
    async fn cut_from_the_view_service(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        let old = self.pair().await?.primary;
        let what = format!("server {}, the primary, off from the view service", old.0);
        self.cut(nodes, (Party::Node(old), Party::Node(SERVICE_NODE)), &what);
        let next = self.successor(old).await?;
        self.say(format_args!(
            "server {} is primary now, and refuses what the old one forwards",
            next.0
        ));
        tokio::time::sleep(GONE).await;
        self.heal(nodes);
        self.say(format_args!("healed: server {} hears that its time is over", old.0));
        Ok(())
    }

    /// Both reach the view service and the clients, but not each other.
    async fn cut_from_each_other(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        let Pair { primary, backup, .. } = self.pair().await?;
        let what = format!(
            "server {}, the primary, and server {}, its backup, off from each other",
            primary.0, backup.0
        );
        self.cut(nodes, (Party::Node(primary), Party::Node(backup)), &what);
        let pair = wait_for_pair(pairs(self.connections)?, Some(backup)).await?;
        self.say(pair);
        tokio::time::sleep(GONE).await;
        self.heal(nodes);
        self.say(format_args!("healed: server {} waits to be needed", backup.0));
        Ok(())
    }

    /// The view service hears the primary, so nobody takes its place, and the clients wait.
    async fn cut_from_the_clients(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        let before = self.pair().await?;
        let primary = before.primary;
        let what = format!(
            "the clients off from server {}, the primary, which all others hear",
            primary.0
        );
        self.cut(nodes, (Party::Clients, Party::Node(primary)), &what);
        tokio::time::sleep(GONE).await;
        self.heal(nodes);
        self.say("healed: the clients go on where they waited");
        self.expect_the_same(before, "nobody has taken its place").await
    }

    /// While it is away no server takes another's place, and none has to.
    async fn kill_view_service(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        let before = self.pair().await?;
        self.kill(nodes, &[SERVICE_NODE], false).await?;
        self.say("killed the view service: servers and clients go on in the view they know");
        tokio::time::sleep(GONE).await;
        self.revive(nodes, &[SERVICE_NODE]).await?;
        self.say("the view service is back, out of its own files");
        tokio::time::sleep(CALM).await;
        self.expect_the_same(before, "it has changed nothing").await
    }

    /// Says so if the view is still the same; if not, a machine that stood still is to blame, and
    /// that is said, too.
    async fn expect_the_same(&self, before: Pair, so: &str) -> Result<(), Failure> {
        let after = self.pair().await?;
        match after == before {
            true => self.say(format_args!("{so}: {after}")),
            false => self.say(format_args!("somebody was silent for too long: {after}")),
        }
        Ok(())
    }

    /// Primary and backup lose power together, and only their disks know what was acknowledged.
    async fn lose_power(&mut self, nodes: &mut Cluster) -> Result<(), Failure> {
        let Pair { primary, backup, .. } = self.pair().await?;
        self.kill(nodes, &[primary, backup], false).await?;
        let who = format!("server {} and server {}", primary.0, backup.0);
        self.say(format_args!("killed {who}, primary and backup, at once: nobody can take over"));
        tokio::time::sleep(GONE).await;
        self.revive(nodes, &[primary, backup]).await?;
        self.say(format_args!("{who} are back, out of their own files"));
        wait_for_leader(self.connections, None).await?;
        let pair = self.pair().await?;
        self.say(pair);
        Ok(())
    }
}
