//! How one view follows another.

use protocol::Lsn;
use sim::View;
use viewservice::{Incarnation, Safety, Server, ViewNum};

use super::{Node, Watch};
use crate::{
    pb::node::Record,
    rare::{Rare, Sight},
};

impl Watch {
    /// The view service tells somebody of a view: it is on its disk.
    ///
    /// # Errors
    ///
    /// V1 or V4.
    pub(in crate::pb) fn told_view(
        &mut self,
        view: &viewservice::View,
        durable: &[(Lsn, Record)],
    ) -> Result<(), String> {
        let kept = durable.iter().rev().find_map(|(_, record)| match record {
            Record::Service(viewservice::Record::Viewed(view)) => Some(view.number),
            Record::Service(viewservice::Record::Checkpoint(all)) => Some(all.view.number),
            _ => None,
        });
        if view.number > kept.unwrap_or_default() {
            return Err(format!("V4 durable: the service tells of {view}, its disk has {kept:?}"));
        }
        if view.number == ViewNum(0) {
            return Ok(());
        }
        self.views.entry(view.number).or_insert_with(|| view.clone());
        self.same(view)
    }

    /// The view service issues an incarnation.
    ///
    /// # Errors
    ///
    /// V3 or V4.
    pub(in crate::pb) fn told_incarnation(
        &mut self,
        incarnation: Incarnation,
        durable: &[(Lsn, Record)],
    ) -> Result<(), String> {
        let kept = durable.iter().rev().find_map(|(_, record)| match record {
            Record::Service(viewservice::Record::Issued(issued)) => Some(*issued),
            Record::Service(viewservice::Record::Checkpoint(all)) => Some(all.issued),
            _ => None,
        });
        if incarnation > kept.unwrap_or_default() {
            return Err(format!("V4 durable: {incarnation} is issued, the disk has {kept:?}"));
        }
        if incarnation <= self.issued {
            return Err(format!("V3 issue: {incarnation} is issued after {}", self.issued));
        }
        self.issued = incarnation;
        Ok(())
    }

    /// What the view service has become.
    pub(super) fn service(
        &mut self,
        safety: &Safety,
        view: &View<'_, Node>,
        rare: &mut Rare,
    ) -> Result<(), String> {
        let told = self.views.last_key_value().map_or(ViewNum(0), |(number, _)| *number);
        if safety.view.number < told || safety.issued < self.issued {
            return Err(format!(
                "V1 views: the service is at {} and {} issued, after it told of view {told} and {}",
                safety.view, safety.issued, self.issued
            ));
        }
        if self.views.contains_key(&safety.view.number) {
            self.same(&safety.view)?;
        }
        let before = self.safety.replace(safety.clone());
        match before {
            Some(before) if before.view != safety.view => self.follows(&before, safety, view, rare),
            _ => Ok(()),
        }
    }

    /// V2: one view follows another.
    fn follows(
        &self,
        before: &Safety,
        after: &Safety,
        view: &View<'_, Node>,
        rare: &mut Rare,
    ) -> Result<(), String> {
        let wrong =
            |why: &str| Err(format!("V2 succession: {} after {}: {why}", after.view, before.view));
        let members = |view: &viewservice::View| {
            (view.primary.as_ref().map(member), view.backup.as_ref().map(member))
        };
        let ((old, old_backup), (new, new_backup)) = (members(&before.view), members(&after.view));
        if after.view.number != before.view.number.next() {
            return wrong("a number is left out");
        }
        if (old, old_backup) == (new, new_backup) {
            return wrong("nothing is different");
        }
        let (Some(new), Some(old)) = (new, old) else {
            return if new.is_none() { wrong("nobody is primary") } else { Ok(()) };
        };
        if new == old {
            let knows = self.glances.get(&old.node).filter(|glance| glance.member == Some(old));
            return match knows {
                Some(glance) if glance.view < before.view.number => {
                    wrong("its primary knew it not")
                }
                _ => Ok(()),
            };
        }
        if new.outlived(old) {
            rare.saw(Sight::HeirResumed);
            return if self.durable { Ok(()) } else { wrong("there is nothing to inherit") };
        }
        if !before.acknowledged {
            return wrong("it was not acknowledged");
        }
        match old_backup {
            Some(backup) if new == backup => {
                let came_back = match view.core(old.node) {
                    Some(Node::Server(server)) => {
                        server.member().is_some_and(|it| it.outlived(old))
                    }
                    _ => false,
                };
                if came_back && !self.durable {
                    rare.saw(Sight::CameBackEmpty);
                }
                Ok(())
            }
            Some(backup) if new.outlived(backup) && self.durable => {
                rare.saw(Sight::HeirTookOver);
                Ok(())
            }
            _ => wrong("its primary was neither primary nor backup before"),
        }
    }
}

fn member(server: &Server) -> viewservice::Member {
    server.member
}
