//! Liveness: when to ping, when to forward, when to give up. Nothing here decides what is true.

use protocol::{CallId, Effects, NodeId, Time};
use viewservice::ViewNum;

use super::{Part, Pb, primary::Pair};
use crate::{
    config::FORWARD_PAUSE,
    message::{Forward, Request},
};

impl Pb {
    /// When something is to be done.
    pub(super) fn due(&self) -> Time {
        let ping = self.pinger.deadline();
        let Part::Primary(primary) = &self.part else { return ping };
        let idle = match primary.pair {
            Pair::Alone | Pair::Fenced(_) => true,
            Pair::Installing(_) => false,
            Pair::Settling(_) | Pair::Paired => !primary.stream.has_unsent(),
        };
        if idle || primary.stream.is_calling() {
            return ping;
        }
        ping.min(primary.stream.pause)
    }

    /// Does everything that is due.
    pub(super) fn wake(&mut self, now: Time, fx: &mut Effects<Self>) {
        let lost = match &self.part {
            Part::Primary(primary) => primary.has_lost_backup(now),
            Part::Idle | Part::Backup(_) => false,
        };
        let adopted: ViewNum = self.view.number;
        if let Some(request) = self.pinger.due(now, adopted, self.installed(), lost) {
            // Held behind everything on its way to the disk: whose disk hangs does not ping.
            let call = fx.send(self.config.service, Request::View(request));
            self.pinger.called(call);
        }
        self.hand_on(now, fx);
    }

    /// Sends the backup what it lacks, unless a forward is under way.
    fn hand_on(&mut self, now: Time, fx: &mut Effects<Self>) {
        let (Part::Primary(primary), Some(from)) = (&self.part, self.pinger.member()) else {
            return;
        };
        if !primary.stream.is_free(now) {
            return;
        }
        self.cut_piece(now);
        let Part::Primary(primary) = &mut self.part else { return };
        let Some(backup) = &self.view.backup else { return };
        let Some((first, items)) = primary.stream.batch() else { return };
        let forward = Forward { view: self.view.number, from, first, items };
        let call = fx.send_free(backup.member.node, forward);
        primary.stream.called(now, call);
    }

    /// A call came to nothing.
    pub(super) fn failed(&mut self, now: Time, to: NodeId, call: CallId) {
        if to == self.config.service {
            self.pinger.failed(now, call);
        } else if let Part::Primary(primary) = &mut self.part
            && primary.stream.ended(call)
        {
            primary.stream.learn(now, false);
            primary.stream.pause = now.plus(FORWARD_PAUSE);
        }
    }
}
