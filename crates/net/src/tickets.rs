//! Numbers for those who wait: given with a request, redeemed by its answer, once.

use tokio::sync::oneshot;

/// The ticket of somebody who does not want to know.
pub(crate) const NOBODY: u64 = u64::MAX;

/// Fewer waiting callers than this are never searched for ones that have left.
const SWEEP: usize = 1024;

/// Everybody who waits. A ticket is a place and how often the place has been used before, so that
/// a late answer finds nobody rather than somebody else.
pub(crate) struct Tickets<R> {
    places: Vec<Place<R>>,
    free: Vec<u32>,
    /// How many may wait before those who have left are looked for again. Twice as many as were
    /// left the last time, so that looking costs each of them a constant.
    sweep_at: usize,
}

struct Place<R> {
    uses: u32,
    waiting: Option<oneshot::Sender<R>>,
}

impl<R> Tickets<R> {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), sweep_at: SWEEP }
    }

    /// A ticket for whoever listens at the other end of `waiting`.
    pub(crate) fn issue(&mut self, waiting: Option<oneshot::Sender<R>>) -> u64 {
        let Some(waiting) = waiting else { return NOBODY };
        if self.free.is_empty() && self.places.len() >= self.sweep_at {
            self.sweep();
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { uses: 0, waiting: None });
            u32::try_from(self.places.len() - 1).expect("fewer than four billion callers wait")
        });
        let place = &mut self.places[index as usize];
        place.waiting = Some(waiting);
        u64::from(place.uses) << 32 | u64::from(index)
    }

    /// Gives `reply` to the holder of `ticket`, if he still waits.
    pub(crate) fn redeem(&mut self, ticket: u64, reply: R) {
        let (uses, index) = ((ticket >> 32) as u32, ticket as u32);
        let Some(place) = self.places.get_mut(index as usize) else { return };
        if place.uses != uses {
            return;
        }
        if let Some(waiting) = place.waiting.take() {
            // He may have left just now; that is his affair.
            let _ = waiting.send(reply);
            Self::release(place, &mut self.free, index);
        }
    }

    /// How many wait, those included who left and were not noticed yet.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn sweep(&mut self) {
        for (index, place) in (0u32..).zip(&mut self.places) {
            if place.waiting.as_ref().is_some_and(oneshot::Sender::is_closed) {
                place.waiting = None;
                Self::release(place, &mut self.free, index);
            }
        }
        let left = self.places.len() - self.free.len();
        self.sweep_at = (left * 2).max(SWEEP);
    }

    fn release(place: &mut Place<R>, free: &mut Vec<u32>, index: u32) {
        // A place whose count is used up is never given out again; the last count of all belongs
        // to nobody.
        place.uses = place.uses.saturating_add(1);
        if place.uses < u32::MAX {
            free.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_finds_nobody_rather_than_somebody_else() {
        let mut tickets = Tickets::new();
        let (first, mut heard_first) = oneshot::channel();
        let ticket = tickets.issue(Some(first));
        tickets.redeem(ticket, 1);
        assert_eq!(heard_first.try_recv(), Ok(1));

        let (second, mut heard_second) = oneshot::channel();
        let other = tickets.issue(Some(second));
        assert_eq!(other as u32, ticket as u32, "the place is used again");
        tickets.redeem(ticket, 2);
        assert!(heard_second.try_recv().is_err(), "the old ticket is void");
        tickets.redeem(other, 3);
        assert_eq!(heard_second.try_recv(), Ok(3));
    }

    #[test]
    fn those_who_left_are_swept() {
        let mut tickets = Tickets::<u8>::new();
        for _ in 0..10 * SWEEP {
            tickets.issue(Some(oneshot::channel().0));
        }
        assert!(tickets.waiting() <= SWEEP, "{} wait", tickets.waiting());
    }

    #[test]
    fn those_who_stay_are_kept_and_looking_for_them_stays_cheap() {
        let mut tickets = Tickets::<usize>::new();
        let mut ears = Vec::new();
        let mut issued = Vec::new();
        for _ in 0..5 * SWEEP {
            let (waiting, ear) = oneshot::channel();
            ears.push(ear);
            issued.push(tickets.issue(Some(waiting)));
        }
        for (n, (ticket, ear)) in issued.iter().zip(&mut ears).enumerate() {
            tickets.redeem(*ticket, n);
            assert_eq!(ear.try_recv(), Ok(n));
        }
        tickets.redeem(NOBODY, 0);
        assert_eq!(tickets.waiting(), 0);
    }
}
