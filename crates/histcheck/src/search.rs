//! The search for an order that explains every answer.
//!
//! The method is Wing and Gong's with Lowe's memory: take any piece that nothing unfinished
//! precedes, if the value allows it; on a dead end take back the last free choice; never enter the
//! same situation (set of pieces taken, value) twice. Three observations keep it near one step per
//! piece. A piece that fits and changes nothing may be taken at once. A value that nobody saw may
//! be set just before the next one is. And the answer that must be explained next tells which
//! values are worth having: one that can neither grow into it nor be replaced is a dead end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use crate::{
    problem::{Effect, Problem, State, is_write},
    situation::Situation,
};

/// Situations one search remembers before it gives up: about 100 MB.
const MEMORY_SITUATIONS: usize = 2_000_000;

/// Choices between two looks at the clock.
const CHOICES_PER_CLOCK: u64 = 256;

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An order.
    Order,
    /// That there is none.
    NoOrder,
    /// Nothing yet, when its time or its steps were used up.
    OutOfTime,
    /// Nothing yet, when its memory was full.
    OutOfMemory,
}

/// How long to search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Not longer than this.
    pub(crate) until: Instant,
    /// Not more choices than this.
    pub(crate) choices: u64,
}

/// A free choice that can be taken back.
struct Frame {
    /// How much of the path was settled before it.
    path: usize,
    /// Its alternatives still untried: `choices[from..]` up to the next frame, last one first.
    from: usize,
    /// Whether the pieces that need not happen are among them already.
    all: bool,
}

/// Which pieces may change the value now.
#[derive(Clone, Copy)]
enum Next {
    /// Any.
    Any,
    /// This one: some answer saw its text directly after the present value.
    Only(u32),
    /// The one that demands the present value and replaces it.
    Swap,
    /// None: somebody has yet to see the present value, and cannot.
    Nobody,
}

/// What a search takes for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing: its answer is exact.
    Exact,
    /// That a value nobody sees can be set early. Exact where no piece demands that the value
    /// differs from something; elsewhere only an order that it finds counts.
    Hopeful,
    /// The same, and no piece demands that: then *no order* counts.
    Lenient,
}

/// Searches for an order of `problem`.
pub(crate) fn search(problem: &Problem<'_>, limit: Limit) -> Found {
    if problem.impossible || two_writes_share_a_version(problem) {
        return Found::NoOrder;
    }
    let hopeful = Search::new(problem, Mode::Hopeful).run(limit);
    if hopeful != Found::NoOrder || !problem.has_differ {
        return hopeful;
    }
    match Search::new(problem, Mode::Lenient).run(limit) {
        Found::NoOrder => Found::NoOrder,
        _ => Search::new(problem, Mode::Exact).run(limit),
    }
}

/// Versions rise with every write: no order explains two writes of the same one.
fn two_writes_share_a_version(problem: &Problem<'_>) -> bool {
    let mut versions = BTreeSet::new();
    let writes = problem.pieces.iter().filter(|piece| is_write(piece.effect));
    writes.filter_map(|piece| piece.version).any(|version| !versions.insert(version))
}

struct Search<'p, 'a> {
    problem: &'p Problem<'a>,
    mode: Mode,
    now: Situation<'p, 'a>,
    /// Situations in which no order was found.
    met: BTreeSet<(u128, State)>,
    frames: Vec<Frame>,
    /// The alternatives of all frames.
    choices: Vec<u32>,
}

impl<'p, 'a> Search<'p, 'a> {
    fn new(problem: &'p Problem<'a>, mode: Mode) -> Self {
        Self {
            problem,
            mode,
            now: Situation::new(problem),
            met: BTreeSet::new(),
            frames: Vec::new(),
            choices: Vec::new(),
        }
    }

    fn run(mut self, limit: Limit) -> Found {
        let mut tried = 0;
        loop {
            while let Some(at) = self.harmless() {
                self.now.take(at, self.now.state);
            }
            if self.now.unexplained == 0 {
                return Found::Order;
            }
            if self.met.len() >= MEMORY_SITUATIONS {
                return Found::OutOfMemory;
            }
            if self.is_promising() && self.met.insert((self.now.set, self.now.state)) {
                self.open_frame();
            }
            let Some(choice) = self.next_choice() else { return Found::NoOrder };
            self.choose(choice);
            tried += 1;
            let look = tried % CHOICES_PER_CLOCK == 0 && Instant::now() >= limit.until;
            if tried >= limit.choices || look {
                return Found::OutOfTime;
            }
        }
    }

    /// A piece that may be taken at once without losing an order: it can come next, fits, and
    /// changes nothing.
    fn harmless(&self) -> Option<u32> {
        let unseen_is_free = self.now.state == State::Unseen && self.mode != Mode::Exact;
        self.now.ready().find(|at| match self.problem.pieces[*at as usize].effect {
            Effect::See(want) => want == self.now.state,
            Effect::Differ(from) => from != self.now.state || self.mode == Mode::Lenient,
            _ => unseen_is_free && self.problem.is_silent(*at),
        })
    }

    /// Which pieces may change the value now.
    fn next(&self) -> Next {
        let (Some(runs), State::At(place)) = (&self.problem.runs, self.now.state) else {
            return Next::Any;
        };
        // Where values can be told apart, a value that has gone never comes back.
        let wanted = self.now.wanted.get(&self.now.state).copied().unwrap_or_default();
        let follow = runs.follow.get(&place).filter(|at| !self.now.taken[**at as usize]);
        match (follow, wanted.to_see, wanted.to_swap) {
            (None, 0, 0) => Next::Any,
            (Some(at), 0, 0) => Next::Only(*at),
            (None, 0, 1) => Next::Swap,
            _ => Next::Nobody,
        }
    }

    /// The value after `at`, if the piece may change it now and that serves a purpose.
    fn try_out(&self, next: Next, at: u32) -> Option<State> {
        let piece = &self.problem.pieces[at as usize];
        let allowed = match next {
            Next::Any => {
                let home = self.problem.runs.as_ref().and_then(|runs| runs.home.get(&at));
                home.is_none_or(|home| *home == self.now.state)
            }
            Next::Only(only) => only == at,
            Next::Swap => matches!(piece.effect, Effect::Swap { .. }),
            Next::Nobody => false,
        };
        let after = self.problem.after(piece, self.now.state).filter(|_| allowed)?;
        let hidden = after == State::Unseen && self.mode != Mode::Exact;
        (piece.certain || !(hidden || after == self.now.state)).then_some(after)
    }

    /// Whether the answer that is due next can still come about.
    fn is_promising(&self) -> bool {
        if matches!(self.next(), Next::Nobody) {
            return false;
        }
        let Some(due) = self.now.due.first() else { return true };
        let due = &self.problem.pieces[due as usize];
        let Some(want) = due.wants() else { return true };
        self.problem.leads_to(self.now.state, want)
            || self.problem.can_be_reset_to(want, due.finish, |at| !self.now.taken[at as usize])
    }

    /// Opens a choice between the certain pieces that can come next, the most promising last.
    fn open_frame(&mut self) {
        let (from, allowed) = (self.choices.len(), self.next());
        let pieces = &self.problem.pieces;
        let due = self.now.due.first().map(|at| &pieces[at as usize]);
        let want = due.and_then(|due| due.wants().map(|want| (want, due.call)));
        let near = want.is_none_or(|(want, _)| self.problem.leads_to(self.now.state, want));
        let mut ranked: Vec<(u8, u64, u32)> = self
            .now
            .ready()
            .filter_map(|at| {
                let piece = &pieces[at as usize];
                let next = self.try_out(allowed, at)?;
                let fits = want.is_none_or(|(want, _)| self.problem.leads_to(next, want));
                let must_precede = want.is_some_and(|(_, call)| piece.finish < call);
                // What is overwritten anyway goes first, while there is nothing to lose.
                let rank = match (near, fits, must_precede) {
                    (false, false, true) => 0,
                    (_, true, _) => 1,
                    _ => 2,
                };
                Some((rank, piece.finish, at))
            })
            .collect();
        self.drop_twins(&mut ranked);
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        self.choices.extend(ranked.into_iter().map(|(_, _, at)| at));
        self.frames.push(Frame { path: self.now.path.len(), from, all: false });
    }

    /// Of several pieces that do the same, keeps the one that must end first: in any order that
    /// takes another one now, the two can change places.
    fn drop_twins(&self, ranked: &mut Vec<(u8, u64, u32)>) {
        let mut first: BTreeMap<State, u64> = BTreeMap::new();
        for (_, finish, at) in ranked.iter() {
            if let Some(to) = self.sets_only(*at) {
                let earliest = first.entry(to).or_insert(*finish);
                *earliest = (*earliest).min(*finish);
            }
        }
        // Of those that end at one instant all stay: some client may go on right then.
        ranked.retain(|(_, finish, at)| {
            self.sets_only(*at).is_none_or(|to| first.get(&to) == Some(finish))
        });
    }

    /// What a piece makes of the value, if that is all one can tell of it.
    fn sets_only(&self, at: u32) -> Option<State> {
        let piece = &self.problem.pieces[at as usize];
        match piece.effect {
            Effect::Set(to) if piece.version.is_none() => Some(to),
            _ => None,
        }
    }

    /// Goes back to the last choice that has an alternative, and names it.
    fn next_choice(&mut self) -> Option<u32> {
        loop {
            let frame = self.frames.last()?;
            let (path, from, all) = (frame.path, frame.from, frame.all);
            while self.now.path.len() > path {
                self.now.take_back();
            }
            if self.choices.len() > from {
                return self.choices.pop();
            }
            if all {
                self.frames.pop();
                continue;
            }
            self.add_optional();
        }
    }

    /// Adds the pieces that need not happen to the choice: last resort, since most never matter.
    fn add_optional(&mut self) {
        let pieces = &self.problem.pieces;
        let allowed = self.next();
        let mut bound = u64::MAX;
        let mut next = self.now.open.first();
        while let Some(at) = next.filter(|at| pieces[*at as usize].call <= bound) {
            bound = bound.min(pieces[at as usize].finish);
            next = self.now.open.after(at);
        }
        // Of several that do the same, the first called can stand in for all.
        let mut offered = BTreeSet::new();
        let mut next = self.now.optional.first();
        while let Some(at) = next.filter(|at| pieces[*at as usize].call <= bound) {
            let free =
                pieces[at as usize].after.is_none_or(|before| self.now.taken[before as usize]);
            if free
                && self.try_out(allowed, at).is_some()
                && self.sets_only(at).is_none_or(|to| offered.insert(to))
            {
                self.choices.push(at);
            }
            next = self.now.optional.after(at);
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.all = true;
        }
    }

    /// Takes a piece of the current choice.
    fn choose(&mut self, at: u32) {
        let piece = &self.problem.pieces[at as usize];
        if matches!(piece.effect, Effect::Set(_)) && self.mode != Mode::Exact {
            // Values that nobody sees are set just before this one hides them.
            let silent = |search: &Self| {
                search.now.ready().find(|other| *other != at && search.problem.is_silent(*other))
            };
            while let Some(other) = silent(self) {
                self.now.take(other, State::Unseen);
            }
        }
        let next = self.problem.after(piece, self.now.state);
        self.now.take(at, next.expect("a choice is offered only where it can be taken"));
    }
}
