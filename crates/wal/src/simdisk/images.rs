//! Every crash image, up to a bound: the forks of [`State::image`](super::state::State) walked
//! like a tree when it is small, sampled with its corners first when it is large.

use protocol::Rng;

use super::SimDisk;
use super::state::{Op, State};

/// A recording of everything that was done to a [`SimDisk`], to be crashed at any point.
#[derive(Clone, Debug)]
pub struct Trace {
    pub(super) base: State,
    pub(super) ops: Vec<Op>,
}

impl Trace {
    /// How many changes were recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// For every point after `from` changes or more, visits the disks that a power cut at that
    /// point may leave, at most `bound` of them each. Returns how many were visited; stops early
    /// when `visit` returns false.
    pub fn walk(
        &self,
        from: usize,
        bound: usize,
        rng: &mut Rng,
        mut visit: impl FnMut(usize, &SimDisk) -> bool,
    ) -> u64 {
        let mut state = self.base.clone();
        let mut count = 0;
        for point in 0..=self.ops.len() {
            if point > 0 {
                state.apply(&self.ops[point - 1]);
            }
            if point < from {
                continue;
            }
            let mut go_on = true;
            images(&state, bound, rng, &mut |image| {
                count += 1;
                go_on = visit(point, &SimDisk::of(image));
                go_on
            });
            if !go_on {
                break;
            }
        }
        count
    }
}

/// Visits at most `bound` images of `state`: all of them where they are few enough.
pub(super) fn images(
    state: &State,
    bound: usize,
    rng: &mut Rng,
    visit: &mut dyn FnMut(State) -> bool,
) {
    // Everything survives: the path with the most forks, so it bounds the size of the tree.
    let mut forks = Vec::new();
    let all = state.image(&mut |n| {
        forks.push(n);
        n.min(2) - 1
    });
    let total = forks.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
    if total.is_some_and(|total| total <= bound) {
        walk_tree(state, visit);
        return;
    }
    if !visit(all) || !visit(state.image(&mut |_| 0)) {
        return;
    }
    // Each sector and name alone against all others, both ways, in a random order.
    let start = rng.below(forks.len() as u64) as usize;
    for step in 0..bound.saturating_sub(2) {
        let mut at = 0;
        let lonely = (start + step / 2) % forks.len();
        let corner = step < forks.len().min(bound / 4) * 2;
        let survivors_per_mille = 100 + 100 * rng.below(9);
        let image = state.image(&mut |n| {
            let newest = if n > 2 { n - 3 } else { n - 1 };
            let fate = match (corner, at == lonely) {
                (true, alone) => usize::from(alone == (step % 2 == 0)) * newest,
                (false, _) if !rng.chance(survivors_per_mille) => 0,
                (false, _) if rng.chance(800) => newest,
                (false, _) => rng.below(n as u64) as usize,
            };
            at += 1;
            fate
        });
        if !visit(image) {
            return;
        }
    }
}

/// All images, depth first: the path is an odometer whose wheels are the forks met on the way.
fn walk_tree(state: &State, visit: &mut dyn FnMut(State) -> bool) {
    let mut path: Vec<(usize, usize)> = Vec::new();
    loop {
        let mut depth = 0;
        let image = state.image(&mut |n| {
            if depth == path.len() {
                path.push((0, n));
            }
            depth += 1;
            path[depth - 1].0
        });
        if !visit(image) {
            return;
        }
        while path.last().is_some_and(|(fate, n)| fate + 1 == *n) {
            path.pop();
        }
        match path.last_mut() {
            Some((fate, _)) => *fate += 1,
            None => return,
        }
    }
}
