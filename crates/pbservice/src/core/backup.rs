//! The backup: it takes the stream of its view's primary, in order, and of nobody else.

use protocol::{Caller, Effects, planted};
use viewservice::Server;

use super::{Part, Pb, ignore};
use crate::{
    config::{BATCH_BYTES, BATCH_ITEMS},
    item::{Item, Seq},
    message::{Forward, Forwarded, Ignored, Rebuff, Reply},
    state::Covered,
};

impl Pb {
    /// A primary hands over the next part of its stream.
    pub(super) fn forward(&mut self, caller: Caller, forward: Forward, fx: &mut Effects<Self>) {
        let view = forward.view;
        let answer = match self.may_take(&caller, &forward) {
            Err(Rebuff::Stale { .. }) if planted::is("takes-a-forward-of-an-old-view") => {
                for item in &forward.items {
                    self.state.apply(item);
                }
                let upto = Seq(forward.first.0 + forward.items.len() as u64 - 1);
                Ok(Forwarded { view, upto })
            }
            Err(rebuff) => Err(rebuff),
            Ok(upto) => self.take(upto, forward, fx).map(|upto| Forwarded { view, upto }),
        };
        fx.answer(caller, Reply::Forwarded(answer));
    }

    /// The last place that is here, if this forward comes from the primary of the view in which
    /// this server is the backup.
    fn may_take(&mut self, caller: &Caller, forward: &Forward) -> Result<Seq, Rebuff> {
        if caller.peer() != Some(forward.from.node) {
            return Err(Rebuff::Stranger);
        }
        let known = self.view.number;
        if forward.view < known {
            return Err(Rebuff::Stale { stale: forward.view, known });
        }
        if forward.view > known {
            // It will be heard of at the next ping.
            self.pinger.hurry();
            return Err(Rebuff::NotBackup);
        }
        let primary = self.view.primary.as_ref().map(|Server { member, .. }| *member);
        match self.part {
            Part::Backup(_) if primary != Some(forward.from) => Err(Rebuff::Stranger),
            Part::Backup(upto) => Ok(upto),
            Part::Idle | Part::Primary(_) => Err(Rebuff::NotBackup),
        }
    }

    fn take(&mut self, upto: Seq, forward: Forward, fx: &mut Effects<Self>) -> Result<Seq, Rebuff> {
        let Forward { first, mut items, .. } = forward;
        if !fits(first, &items) {
            return Err(Rebuff::Malformed);
        }
        let next = upto.0 + 1;
        if first.0 > next {
            ignore(Ignored::Gap, fx);
            return Ok(upto);
        }
        let last = Seq(next.max(first.0 + items.len() as u64) - 1);
        let known = usize::try_from(next - first.0).unwrap_or(usize::MAX).min(items.len());
        if !self.goes_on(upto, &items[known..]) {
            return Err(Rebuff::Malformed);
        }
        if known > 0 {
            ignore(Ignored::Repeated, fx);
        }
        if !planted::is("applies-a-forward-twice") {
            items.drain(..known);
        }
        if items.is_empty() {
            return Ok(upto);
        }
        for item in &items {
            self.state.apply(item);
        }
        self.keeper.items(&items, &self.state, fx);
        self.part = Part::Backup(last);
        Ok(last)
    }

    /// Whether the pieces among these are the next ones of the state. In another order they would
    /// leave a hole that nobody sees: whoever has the last piece takes itself for whole.
    fn goes_on(&self, upto: Seq, items: &[Item]) -> bool {
        // With the first item, which [`fits`] has seen, nothing is covered yet: as before it.
        let begin = usize::from(upto == Seq(0));
        let covered = self.state.covered().clone();
        items.iter().skip(begin).try_fold(covered, Covered::behind).is_some()
    }
}

/// Whether one call may carry this: a stream begins with the beginning of a state.
fn fits(first: Seq, items: &[Item]) -> bool {
    let bytes: usize = items.iter().map(Item::bytes).sum();
    let largest = items.last().map_or(0, Item::bytes);
    let begins = items.first().is_some_and(|item| matches!(item, Item::Begin { .. }));
    first > Seq(0)
        && items.len() <= BATCH_ITEMS
        && bytes - largest < BATCH_BYTES
        && items.iter().all(Item::fits)
        && (first > Seq(1) || begins)
        && u64::MAX - first.0 > items.len() as u64
}
