//! Where a search stands: what is taken, what is left, and the value so far.

use std::collections::BTreeMap;

use crate::{
    links::Links,
    problem::{Effect, Piece, Problem, State, is_write},
};

/// Everything that taking a piece changes, and taking it back restores.
pub(crate) struct Situation<'p, 'a> {
    pub(crate) problem: &'p Problem<'a>,
    /// Certain pieces not taken, by call.
    pub(crate) open: Links,
    /// Those that need not happen, by call.
    pub(crate) optional: Links,
    /// Certain pieces not taken that demand a value, by finish.
    pub(crate) due: Links,
    /// Certain writes not taken, and certain reads, by the version they named.
    pub(crate) versioned_writes: Links,
    pub(crate) versioned_reads: Links,
    pub(crate) taken: Vec<bool>,
    pub(crate) state: State,
    /// The set of pieces taken, as the sum of their random names.
    pub(crate) set: u128,
    /// Pieces taken, and the value before each.
    pub(crate) path: Vec<(u32, State)>,
    /// Which pieces an order could contradict, and how many of them are not taken.
    pub(crate) contradictable: Vec<bool>,
    pub(crate) unexplained: usize,
    /// How many certain pieces not taken want each value: to see it, and to swap it.
    pub(crate) wanted: BTreeMap<State, Wanted>,
}

/// How many pieces want a value.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) to_see: u32,
    pub(crate) to_swap: u32,
}

/// The random name of a piece: 128 bits, so that two sets never share a sum by accident.
fn name(piece: u32) -> u128 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let seed = u64::from(piece).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u128::from(mix(seed)) << 64 | u128::from(mix(seed ^ 0xD1B5_4A32_D192_ED03))
}

/// The value a certain piece demands, and whether it replaces it.
fn certain_want(piece: &Piece<'_>) -> Option<(State, bool)> {
    let want = piece.wants().filter(|_| piece.certain)?;
    Some((want, matches!(piece.effect, Effect::Swap { .. })))
}

fn count(wanted: &mut Wanted, swaps: bool, change: i32) {
    let counter = if swaps { &mut wanted.to_swap } else { &mut wanted.to_see };
    *counter = counter.wrapping_add_signed(change);
}

impl<'p, 'a> Situation<'p, 'a> {
    /// Nothing taken.
    pub(crate) fn new(problem: &'p Problem<'a>) -> Self {
        let pieces = &problem.pieces;
        let sorted = |key: &dyn Fn(u32) -> Option<u64>| {
            let mut members: Vec<(u64, u32)> =
                (0..pieces.len() as u32).filter_map(|at| Some((key(at)?, at))).collect();
            members.sort_unstable();
            Links::new(pieces.len(), members.into_iter().map(|(_, at)| at))
        };
        let piece = |at: u32| &pieces[at as usize];
        let contradictable: Vec<bool> = pieces
            .iter()
            .map(|piece| {
                let demands = piece.wants().is_some() || matches!(piece.effect, Effect::Differ(_));
                piece.certain && (demands || piece.version.is_some())
            })
            .collect();
        let mut wanted: BTreeMap<State, Wanted> = BTreeMap::new();
        for (want, swaps) in pieces.iter().filter_map(certain_want) {
            count(wanted.entry(want).or_default(), swaps, 1);
        }
        Self {
            problem,
            open: sorted(&|at| piece(at).certain.then_some(u64::from(at))),
            optional: sorted(&|at| (!piece(at).certain).then_some(u64::from(at))),
            due: sorted(&|at| {
                piece(at).wants().filter(|_| piece(at).certain).map(|_| piece(at).finish)
            }),
            versioned_writes: sorted(&|at| {
                piece(at).version.filter(|_| is_write(piece(at).effect))
            }),
            versioned_reads: sorted(&|at| {
                piece(at).version.filter(|_| !is_write(piece(at).effect))
            }),
            taken: vec![false; pieces.len()],
            state: State::Missing,
            set: 0,
            path: Vec::new(),
            unexplained: contradictable.iter().filter(|this| **this).count(),
            contradictable,
            wanted,
        }
    }

    /// Certain pieces that nothing unfinished precedes, by call.
    pub(crate) fn ready(&self) -> impl Iterator<Item = u32> + '_ {
        let mut next = self.open.first();
        let mut bound = u64::MAX;
        std::iter::from_fn(move || {
            loop {
                let at = next?;
                let piece = &self.problem.pieces[at as usize];
                if piece.call > bound {
                    return None;
                }
                bound = bound.min(piece.finish);
                next = self.open.after(at);
                if self.is_free(at) {
                    return Some(at);
                }
            }
        })
    }

    /// Whether neither its own client nor a version holds this piece back.
    fn is_free(&self, at: u32) -> bool {
        let piece = &self.problem.pieces[at as usize];
        if piece.after.is_some_and(|before| !self.taken[before as usize]) {
            return false;
        }
        let Some(version) = piece.version else { return true };
        let lowest = |links: &Links| {
            links.first().and_then(|first| self.problem.pieces[first as usize].version)
        };
        let write = lowest(&self.versioned_writes);
        if is_write(piece.effect) {
            // A read of a lower version has to come first, as has a lower write.
            write == Some(version)
                && lowest(&self.versioned_reads).is_none_or(|read| read >= version)
        } else {
            write.is_none_or(|write| write > version)
        }
    }

    /// Takes the piece `at`, after which the value is `next`.
    pub(crate) fn take(&mut self, at: u32, next: State) {
        self.path.push((at, self.state));
        self.state = next;
        self.taken[at as usize] = true;
        self.set = self.set.wrapping_add(name(at));
        self.unexplained -= usize::from(self.contradictable[at as usize]);
        if let Some((want, swaps)) = certain_want(&self.problem.pieces[at as usize]) {
            count(self.wanted.entry(want).or_default(), swaps, -1);
        }
        for links in self.lists() {
            links.leave(at);
        }
    }

    /// Takes back what was taken last.
    pub(crate) fn take_back(&mut self) {
        let Some((at, before)) = self.path.pop() else { return };
        self.state = before;
        self.taken[at as usize] = false;
        self.set = self.set.wrapping_sub(name(at));
        self.unexplained += usize::from(self.contradictable[at as usize]);
        if let Some((want, swaps)) = certain_want(&self.problem.pieces[at as usize]) {
            count(self.wanted.entry(want).or_default(), swaps, 1);
        }
        for links in self.lists() {
            links.return_last(at);
        }
    }

    fn lists(&mut self) -> [&mut Links; 5] {
        [
            &mut self.open,
            &mut self.optional,
            &mut self.due,
            &mut self.versioned_writes,
            &mut self.versioned_reads,
        ]
    }
}
