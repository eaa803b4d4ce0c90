//! What answers prove about neighbours: which append came directly after which write.
//!
//! Where no written value is the beginning of another (unique values of one shape never are), a
//! value that somebody saw can be cut into the writes that made it in one way only. Then each of
//! its writes came directly after the one before it, with no other change between, and most of the
//! order is no longer a search but a fact.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    problem::State,
    tree::{EMPTY, Place, Tree},
};

/// A write as the tree's values may contain it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) piece: u32,
    /// Whether it adds to the end; otherwise it replaces all.
    pub(crate) appends: bool,
}

/// What the answers prove.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// The piece that came directly after the value at a place.
    pub(crate) follow: BTreeMap<Place, u32>,
    /// The value to which an append was added, for those that were seen.
    pub(crate) home: BTreeMap<u32, State>,
    /// Appends that a doubtful answer might name; others without a home were never seen at all.
    pub(crate) doubtful: BTreeSet<u32>,
}

/// What cutting all answers into writes gave.
#[derive(Debug)]
pub(crate) enum Cut {
    /// Facts.
    Runs(Runs),
    /// Some value can be cut in several ways, so nothing is certain.
    Ambiguous,
    /// An answer cannot be made of these writes, or two contradict each other.
    Impossible,
}

/// Cuts the values that must have been there, and those that only may have, into writes.
pub(crate) fn cut<'a>(
    tree: &Tree<'a>,
    mut written: Vec<Written<'a>>,
    certain: Vec<&'a [u8]>,
    doubtful: Vec<&'a [u8]>,
) -> Cut {
    written.sort_unstable_by_key(|write| write.text);
    let ambiguous = written.windows(2).any(|pair| pair[1].text.starts_with(pair[0].text));
    if ambiguous || written.first().is_some_and(|write| write.text.is_empty()) {
        return Cut::Ambiguous;
    }
    let mut runs = Runs::default();
    let mut ends = BTreeSet::new();
    for text in longest(certain.clone()) {
        let Some(writes) = writes_of(text, &written) else { return Cut::Impossible };
        if !runs.learn(tree, &writes, &mut ends) {
            return Cut::Impossible;
        }
    }
    let ends_well =
        |text| text == b"" || tree.extend(EMPTY, text).is_some_and(|p| ends.contains(&p));
    if !certain.into_iter().all(ends_well) {
        return Cut::Impossible;
    }
    for text in longest(doubtful) {
        let writes = writes_of(text, &written).unwrap_or_default();
        runs.doubtful.extend(writes.iter().map(|write| write.piece));
    }
    Cut::Runs(runs)
}

impl Runs {
    /// Notes who follows whom in one value. False if that contradicts what is known.
    fn learn(
        &mut self,
        tree: &Tree<'_>,
        writes: &[Written<'_>],
        ends: &mut BTreeSet<Place>,
    ) -> bool {
        let mut at = EMPTY;
        for write in writes {
            if at != EMPTY && *self.follow.entry(at).or_insert(write.piece) != write.piece {
                return false;
            }
            let home = if at == EMPTY { State::Missing } else { State::At(at) };
            let fits = if write.appends {
                *self.home.entry(write.piece).or_insert(home) == home
            } else {
                at == EMPTY
            };
            let Some(next) = tree.extend(at, write.text).filter(|_| fits) else { return false };
            at = next;
            ends.insert(at);
        }
        true
    }
}

/// Those texts that are not the beginning of another.
fn longest(mut texts: Vec<&[u8]>) -> Vec<&[u8]> {
    texts.sort_unstable();
    let next = |at: usize| texts.get(at + 1).copied();
    (0..texts.len())
        .filter(|at| !next(*at).is_some_and(|next| next.starts_with(texts[*at])))
        .map(|at| texts[at])
        .collect()
}

/// The writes whose texts, one after the other, are `text`. There is at most one way, and each
/// write can be used at most once.
fn writes_of<'a>(mut text: &[u8], written: &[Written<'a>]) -> Option<Vec<Written<'a>>> {
    let mut writes = Vec::new();
    let mut used = BTreeSet::new();
    while !text.is_empty() {
        // Of texts none of which begins another, only the last one not above can begin this one.
        let above = written.partition_point(|write| write.text <= text);
        let write = written[..above].last().filter(|write| text.starts_with(write.text))?;
        if !used.insert(write.piece) {
            return None;
        }
        text = &text[write.text.len()..];
        writes.push(*write);
    }
    Some(writes)
}
