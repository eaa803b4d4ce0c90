//! A new view: what this server becomes, and what becomes of those who wait at it.

use protocol::{Effects, Time};
use viewservice::{Role, View, ViewNum};

use super::{
    Part, Pb, ignore,
    primary::{Pair, Primary},
};
use crate::{
    item::Seq,
    message::{Ignored, Output},
    state::{Covered, State},
};

/// The view before which nobody had any state.
const FIRST: ViewNum = ViewNum(1);

impl Pb {
    /// The view service says this. Views only go forward.
    pub(super) fn adopt(&mut self, now: Time, view: View, fx: &mut Effects<Self>) {
        if view.number <= self.view.number {
            if view.number < self.view.number {
                ignore(Ignored::OldView, fx);
            }
            return;
        }
        let role = self.member().map_or(Role::Idle, |member| view.role(member));
        fx.output_free(Output::Adopted(view.clone()));
        self.view = view;
        let before = std::mem::replace(&mut self.part, Part::Idle);
        match role {
            Role::Primary => self.lead(now, before, fx),
            Role::Backup => {
                interrupt(before, fx);
                // What is here is of an older view. The primary will send its own.
                self.state = State::nothing();
                self.keeper.wipe(fx);
                self.part = Part::Backup(Seq(0));
            }
            Role::Idle => {
                if before != Part::Idle {
                    // Others go on without this server: what it has grows old, and must never be
                    // taken for the state again.
                    self.state = State::nothing();
                }
                interrupt(before, fx);
            }
        }
        self.pinger.hurry();
    }

    fn lead(&mut self, now: Time, before: Part, fx: &mut Effects<Self>) {
        if self.view.number == FIRST && !self.state.is_whole() {
            self.state = State::fresh();
            self.keeper.fresh(fx);
        }
        // Whoever has data where nobody can have any is told by another view service than the one
        // that it served under, and others may have newer data: that is for people to sort out.
        let others = self.view.number == FIRST && !self.state.is_untouched();
        if !self.state.is_whole() || others {
            interrupt(before, fx);
            fx.output_free(Output::Hollow(self.view.number));
            return;
        }
        let alone = self.view.backup.is_none();
        let pair = if alone { Pair::Alone } else { Pair::Installing(Covered::nothing()) };
        let mut primary = Primary::new(now, pair);
        if !alone {
            primary.stream.push(now, self.state.begin());
        }
        match before {
            // Still primary: nobody else has been meanwhile, and nobody can be until this view is
            // acknowledged from here.
            Part::Primary(old) => old.release_all(fx),
            Part::Idle | Part::Backup(_) => {}
        }
        self.part = Part::Primary(primary);
    }
}

/// Whoever waits at a server that is primary no more is told that it may have happened.
fn interrupt(before: Part, fx: &mut Effects<Pb>) {
    if let Part::Primary(mut primary) = before {
        primary.interrupt(fx);
    }
}
