//! The puzzle of one key, prepared: what must be ordered, and what each piece does to the value.

use std::collections::BTreeMap;

use crate::{
    history::{Action, Answer, Operation, Outcome},
    runs::{Cut, Runs, Written, cut},
    tree::{EMPTY, Place, Tree},
};

/// The value of a key, as far as any answer can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// There is none.
    Missing,
    /// This one, which is a prefix of something somebody saw.
    At(Place),
    /// One that nobody ever saw, nor anything that begins with it.
    Unseen,
}

/// What a piece demands of the value and does to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect<'a> {
    /// It saw this.
    See(State),
    /// The value is now this.
    Set(State),
    /// These bytes are now at its end.
    Append(&'a [u8]),
    /// It was `expect` and is now `to`.
    Swap { expect: State, to: State },
    /// It was something else than this.
    Differ(State),
    /// If it was `expect` it is now `to`. Nobody heard.
    Perhaps { expect: State, to: State },
}

/// One operation as a piece of the puzzle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    /// Which operation it is, among those given.
    pub(crate) index: usize,
    pub(crate) call: u64,
    /// The end of time for those that never ended.
    pub(crate) finish: u64,
    /// Whether it happened; otherwise it may have.
    pub(crate) certain: bool,
    pub(crate) effect: Effect<'a>,
    pub(crate) version: Option<u64>,
    /// A piece of the same client that ended at the very instant this one began.
    pub(crate) after: Option<u32>,
}

impl Piece<'_> {
    /// What the value must be for this piece to come next, if it demands one.
    pub(crate) fn wants(&self) -> Option<State> {
        match self.effect {
            Effect::See(want) | Effect::Swap { expect: want, .. } => Some(want),
            _ => None,
        }
    }

    /// What the value becomes, whatever it was, if this piece settles that.
    fn resets_to(&self) -> Option<State> {
        match self.effect {
            Effect::Set(to) | Effect::Swap { to, .. } | Effect::Perhaps { to, .. } => Some(to),
            _ => None,
        }
    }
}

/// One operation and whether to believe that it happened and what it heard. An operation that is
/// not trusted counts as one of unknown outcome: that only ever makes a history easier to explain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) trusted: bool,
}

impl<'a> Item<'a> {
    pub(crate) fn new(operation: &'a Operation) -> Self {
        Self { operation, trusted: matches!(operation.outcome, Outcome::Ok(_)) }
    }
}

/// Everything about one key, in the order of the calls.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) pieces: Vec<Piece<'a>>,
    pub(crate) tree: Tree<'a>,
    /// Pieces that set the value whatever it was, by what they set it to.
    resets: BTreeMap<State, Vec<u32>>,
    appends: bool,
    /// Some piece demands that the value *differs* from something.
    pub(crate) has_differ: bool,
    /// What the answers prove about neighbours, if written values can be told apart.
    pub(crate) runs: Option<Runs>,
    /// The answers contradict each other before any search.
    pub(crate) impossible: bool,
}

impl<'a> Problem<'a> {
    /// The puzzle of these operations, which all touch the same key.
    pub(crate) fn new(items: &[Item<'a>]) -> Self {
        let tree = Tree::new(items.iter().filter_map(seen).collect());
        let mut pieces: Vec<Piece<'a>> =
            items.iter().enumerate().filter_map(|(i, item)| piece(&tree, i, item)).collect();
        pieces.sort_by_key(|piece| (piece.call, items[piece.index].operation.id));
        link_clients(&mut pieces, items);
        let mut resets: BTreeMap<State, Vec<u32>> = BTreeMap::new();
        for (at, piece) in (0..).zip(&pieces) {
            if let Some(to) = piece.resets_to() {
                resets.entry(to).or_default().push(at);
            }
        }
        let appends = pieces.iter().any(|piece| matches!(piece.effect, Effect::Append(_)));
        let has_differ = pieces.iter().any(|piece| matches!(piece.effect, Effect::Differ(_)));
        let (written, certain, doubtful) = texts(&pieces, items);
        let (runs, impossible) = match cut(&tree, written, certain, doubtful) {
            Cut::Runs(runs) => (Some(runs), false),
            Cut::Ambiguous => (None, false),
            Cut::Impossible => (None, true),
        };
        Self { pieces, tree, resets, appends, has_differ, runs, impossible }
    }

    /// Whether `at` makes the value one that nobody sees, whatever it was before.
    pub(crate) fn is_silent(&self, at: u32) -> bool {
        match self.pieces[at as usize].effect {
            Effect::Set(to) => to == State::Unseen,
            Effect::Append(_) => self
                .runs
                .as_ref()
                .is_some_and(|runs| !runs.home.contains_key(&at) && !runs.doubtful.contains(&at)),
            _ => false,
        }
    }

    /// The value after `piece` takes effect on `state`; `None` if it cannot.
    pub(crate) fn after(&self, piece: &Piece<'_>, state: State) -> Option<State> {
        Some(match piece.effect {
            Effect::See(want) => (state == want).then_some(state)?,
            Effect::Set(to) => to,
            Effect::Append(more) => match state {
                State::Missing => self.place(EMPTY, more),
                State::At(place) => self.place(place, more),
                State::Unseen => State::Unseen,
            },
            Effect::Swap { expect, to } | Effect::Perhaps { expect, to } => {
                (state == expect).then_some(to)?
            }
            Effect::Differ(from) => (state != from).then_some(state)?,
        })
    }

    fn place(&self, from: Place, more: &[u8]) -> State {
        self.tree.extend(from, more).map_or(State::Unseen, State::At)
    }

    /// Whether appending alone might turn `state` into `want`.
    pub(crate) fn leads_to(&self, state: State, want: State) -> bool {
        state == want
            || self.appends
                && match (state, want) {
                    (State::Missing, State::At(_)) => true,
                    (State::At(short), State::At(long)) => self.tree.is_prefix(short, long),
                    _ => false,
                }
    }

    /// Whether a piece that is still `open` and was called by `latest` could set the value to
    /// something from which appending leads to `want`.
    pub(crate) fn can_be_reset_to(
        &self,
        want: State,
        latest: u64,
        open: impl Fn(u32) -> bool,
    ) -> bool {
        // Pieces of one kind end roughly in the order of their calls: the open ones come last.
        let any = |pieces: &Vec<u32>| {
            let called = pieces.partition_point(|at| self.pieces[*at as usize].call <= latest);
            pieces[..called].iter().rev().any(|at| open(*at))
        };
        if self.resets.get(&want).is_some_and(any) {
            return true;
        }
        let State::At(long) = want else { return false };
        self.appends
            && (self.resets.get(&State::Missing).is_some_and(any)
                || self.tree.above(long).any(|(short, long)| {
                    self.resets.range(State::At(short)..=State::At(long)).any(|(_, all)| any(all))
                }))
    }
}

/// The value an operation names as having been there.
fn seen<'a>(item: &Item<'a>) -> Option<&'a [u8]> {
    match (&item.operation.action, &item.operation.outcome) {
        (Action::Cas { expect, .. }, Outcome::Ok(_) | Outcome::Unknown) => expect.as_deref(),
        (Action::Get { .. }, Outcome::Ok(Answer::Value(seen))) if item.trusted => seen.as_deref(),
        _ => None,
    }
}

/// The piece an operation is, or `None` if it can be left out without changing anything.
fn piece<'a>(tree: &Tree<'a>, index: usize, item: &Item<'a>) -> Option<Piece<'a>> {
    let Item { operation, trusted } = *item;
    if operation.outcome == Outcome::Fail {
        return None;
    }
    let value = |text: &[u8]| tree.extend(EMPTY, text).map_or(State::Unseen, State::At);
    let maybe = |text: Option<&[u8]>| text.map_or(State::Missing, value);
    let effect = match (&operation.action, &operation.outcome) {
        (Action::Get { .. }, Outcome::Ok(Answer::Value(seen))) if trusted => {
            Effect::See(maybe(seen.as_deref()))
        }
        (Action::Put { value: to, .. }, _) => Effect::Set(value(to)),
        (Action::Append { value, .. }, _) => Effect::Append(value),
        (Action::Delete { .. }, _) => Effect::Set(State::Missing),
        (Action::Cas { expect, value: to, .. }, outcome) => {
            let (expect, to) = (maybe(expect.as_deref()), value(to));
            match outcome {
                Outcome::Ok(Answer::Swapped(true)) if trusted => Effect::Swap { expect, to },
                Outcome::Ok(Answer::Swapped(false)) if trusted => Effect::Differ(expect),
                _ => Effect::Perhaps { expect, to },
            }
        }
        (Action::Get { .. } | Action::Txn { .. }, _) => return None,
    };
    // A version is checked where it certainly names the newest write: a missing key or a delete
    // may name the one before.
    let names_version = match effect {
        Effect::See(seen) => seen != State::Missing,
        Effect::Set(_) => !matches!(operation.action, Action::Delete { .. }),
        Effect::Append(_) | Effect::Swap { .. } => true,
        Effect::Differ(_) | Effect::Perhaps { .. } => false,
    };
    Some(Piece {
        index,
        call: operation.call,
        finish: operation.finish.filter(|_| trusted).unwrap_or(u64::MAX).max(operation.call),
        certain: trusted,
        effect,
        version: operation.version.filter(|_| trusted && names_version),
        after: None,
    })
}

/// What pieces write, what certain answers name as having been there, and what others name.
type Texts<'a> = (Vec<Written<'a>>, Vec<&'a [u8]>, Vec<&'a [u8]>);

fn texts<'a>(pieces: &[Piece<'a>], items: &[Item<'a>]) -> Texts<'a> {
    let (mut written, mut certain, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
    for (at, piece) in (0..).zip(pieces) {
        let write = match &items[piece.index].operation.action {
            Action::Put { value, .. } | Action::Cas { value, .. } => Some((value, false)),
            Action::Append { value, .. } => Some((value, true)),
            _ => None,
        };
        if let Some((text, appends)) = write.filter(|_| is_write(piece.effect)) {
            written.push(Written { text, piece: at, appends });
        }
        if let Some(text) = seen(&items[piece.index]) {
            let into = if piece.wants().is_some() { &mut certain } else { &mut doubtful };
            into.push(text);
        }
    }
    (written, certain, doubtful)
}

/// Whether a piece can change the value.
pub(crate) fn is_write(effect: Effect<'_>) -> bool {
    !matches!(effect, Effect::See(_) | Effect::Differ(_))
}

/// Two operations of one client never overlap, even where a coarse clock shows one instant for the
/// end of the first and the start of the second.
fn link_clients(pieces: &mut [Piece<'_>], items: &[Item<'_>]) {
    let mut last: BTreeMap<u64, u32> = BTreeMap::new();
    for at in 0..pieces.len() {
        let operation = items[pieces[at].index].operation;
        if let Some(before) = last.insert(operation.client, at as u32) {
            let earlier = &pieces[before as usize];
            if earlier.certain
                && earlier.finish == pieces[at].call
                && items[earlier.index].operation.id < operation.id
            {
                pieces[at].after = Some(before);
            }
        }
    }
}
