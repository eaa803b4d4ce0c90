//! Is there an order, key by key, that explains what every client heard?

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use crate::{
    explain::explain,
    history::{Action, Operation, Outcome, shown},
    problem::{Effect, Item, Problem, is_write},
    search::{Found, Limit, search},
};

/// Choices spent on each key before any key gets more: a hard key must not hide an illegal one.
const FIRST_ROUND_CHOICES: u64 = 200_000;

/// Operations of a violation that are printed: those nearest to its culprit.
const SHOWN_OPERATIONS: usize = 24;

/// What came out, and how much was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What came out.
    pub verdict: Verdict,
    /// How much was looked at. A verdict over nothing is worth nothing.
    pub counts: Counts,
}

/// What came out of a check.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// An order explains every answer of every key.
    Ok,
    /// No order does, for at least this key.
    Illegal(Box<Violation>),
    /// Nobody knows. Never to be reported as a violation, nor as a pass.
    Unknown(GaveUp),
}

/// Why a check came to no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// The deadline passed with these keys open.
    Deadline {
        /// How many keys.
        keys: usize,
    },
    /// The search for one key met more situations than it may remember.
    Memory {
        /// How many keys.
        keys: usize,
    },
}

/// Answers of one key that no order explains.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The key.
    pub key: Vec<u8>,
    /// The operation whose answer made it so: up to the moment before, some order explained all.
    pub culprit: Operation,
    /// A few operations, in the order of their calls, that cannot be ordered even if every other
    /// one may or may not have happened. The culprit is one of them.
    pub window: Vec<Operation>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations given, transactions included.
    pub operations: usize,
    /// Keys with at least one operation.
    pub keys: usize,
    /// Operations that happened.
    pub ok: usize,
    /// Operations that certainly had no effect.
    pub failed: usize,
    /// Operations that may have happened.
    pub unknown: usize,
    /// Answers that the order of writes could have contradicted: reads and compare-and-swaps of
    /// keys that somebody wrote.
    pub constrained: usize,
    /// Those of the constrained ones that overlapped another client's operation on their key.
    pub contended: usize,
    /// Transactions: not checked here.
    pub transactions: usize,
    /// Keys that transactions change as well, so that their histories are not complete here and
    /// they are not checked.
    pub skipped_keys: usize,
}

impl Report {
    /// Whether nothing was checked: no answer could have been wrong.
    #[must_use]
    pub fn is_vacuous(&self) -> bool {
        self.counts.constrained == 0
    }

    /// Whether an order was found *and* there was something to contradict it.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Ok && !self.is_vacuous()
    }
}

/// Checks the history of each key for linearizability, in at most about `limit`.
///
/// Operations of unknown outcome may take effect at any time after their call, or never. Refused
/// ones have no effect. Where answers name versions, writes must have rising ones.
#[must_use]
pub fn check(history: &[Operation], limit: Duration) -> Report {
    let now = Instant::now();
    let until = now.checked_add(limit).unwrap_or(now);
    let mut counts = outcomes(history);
    let keys = partition(history, &mut counts);
    let mut out_of_time = Vec::new();
    let mut out_of_memory = 0;
    for choices in [FIRST_ROUND_CHOICES, u64::MAX] {
        let round = if choices == FIRST_ROUND_CHOICES {
            keys.iter().collect()
        } else {
            std::mem::take(&mut out_of_time)
        };
        for (key, items) in round {
            if Instant::now() >= until {
                out_of_time.push((key, items));
                continue;
            }
            match search(&Problem::new(items), Limit { until, choices }) {
                Found::Order => {}
                Found::NoOrder => {
                    let verdict = Verdict::Illegal(Box::new(explain(key, items, until)));
                    return Report { verdict, counts };
                }
                Found::OutOfTime => out_of_time.push((key, items)),
                Found::OutOfMemory => out_of_memory += 1,
            }
        }
    }
    let verdict = match (out_of_time.len(), out_of_memory) {
        (0, 0) => Verdict::Ok,
        (0, keys) => Verdict::Unknown(GaveUp::Memory { keys }),
        (keys, more) => Verdict::Unknown(GaveUp::Deadline { keys: keys + more }),
    };
    Report { verdict, counts }
}

/// The counts that need no look at keys.
fn outcomes(history: &[Operation]) -> Counts {
    let count = |test: &dyn Fn(&Operation) -> bool| history.iter().filter(|op| test(op)).count();
    Counts {
        operations: history.len(),
        ok: count(&|op| matches!(op.outcome, Outcome::Ok(_))),
        failed: count(&|op| op.outcome == Outcome::Fail),
        unknown: count(&|op| op.outcome == Outcome::Unknown),
        transactions: count(&|op| matches!(op.action, Action::Txn { .. })),
        ..Counts::default()
    }
}

/// The operations of each key that can be checked.
fn partition<'a>(
    history: &'a [Operation],
    counts: &mut Counts,
) -> BTreeMap<&'a [u8], Vec<Item<'a>>> {
    let mut keys: BTreeMap<&[u8], Vec<Item<'_>>> = BTreeMap::new();
    let mut changed_elsewhere = BTreeSet::new();
    for operation in history {
        if let Some(key) = operation.key() {
            keys.entry(key).or_default().push(Item::new(operation));
        } else if let (Action::Txn { steps }, Outcome::Ok(_) | Outcome::Unknown) =
            (&operation.action, &operation.outcome)
        {
            let changes = steps.iter().filter(|step| step.verb.changes());
            changed_elsewhere.extend(changes.map(|step| step.key.as_slice()));
        }
    }
    counts.keys = keys.len();
    keys.retain(|key, _| !changed_elsewhere.contains(key));
    counts.skipped_keys = counts.keys - keys.len();
    for items in keys.values_mut() {
        items.sort_by_key(|item| (item.operation.call, item.operation.id));
        count_constrained(items, counts);
    }
    keys
}

/// Counts the answers of one key that could have been wrong.
fn count_constrained(items: &[Item<'_>], counts: &mut Counts) {
    let problem = Problem::new(items);
    if !problem.pieces.iter().any(|piece| is_write(piece.effect)) {
        return;
    }
    // The latest end so far, and the latest of any other client than that one's.
    let mut latest: Option<(u64, u64)> = None;
    let mut latest_other = 0u64;
    let mut overlaps = vec![false; problem.pieces.len()];
    for (at, piece) in problem.pieces.iter().enumerate() {
        let client = items[piece.index].operation.client;
        let end_of_others = match latest {
            Some((end, owner)) if owner != client => end,
            _ => latest_other,
        };
        overlaps[at] = piece.call < end_of_others;
        match latest {
            Some((end, owner)) if end >= piece.finish => {
                if owner != client {
                    latest_other = latest_other.max(piece.finish);
                }
            }
            Some((end, owner)) => {
                if owner != client {
                    latest_other = latest_other.max(end);
                }
                latest = Some((piece.finish, client));
            }
            None => latest = Some((piece.finish, client)),
        }
    }
    for (at, piece) in problem.pieces.iter().enumerate() {
        let demands = piece.wants().is_some() || matches!(piece.effect, Effect::Differ(_));
        if !(piece.certain && demands) {
            continue;
        }
        counts.constrained += 1;
        let client = items[piece.index].operation.client;
        let others = problem.pieces[at + 1..].iter().take_while(|next| next.call < piece.finish);
        let mut others = others.map(|next| items[next.index].operation.client);
        counts.contended += usize::from(overlaps[at] || others.any(|other| other != client));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict)?;
        write!(f, "{}", self.counts)?;
        if self.is_vacuous() {
            write!(f, "\nvacuous: no answer could have been wrong, so nothing was checked")?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => write!(f, "linearizable"),
            Self::Illegal(violation) => write!(f, "NOT linearizable: {violation}"),
            Self::Unknown(GaveUp::Deadline { keys }) => {
                write!(f, "no verdict: the deadline passed with {keys} keys open")
            }
            Self::Unknown(GaveUp::Memory { keys }) => {
                write!(f, "no verdict: {keys} keys need more memory than a check may use")
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no order explains these answers for key {}", shown(&self.key))?;
        let hidden = self.window.len().saturating_sub(SHOWN_OPERATIONS);
        if hidden > 0 {
            writeln!(f, "  ({hidden} earlier ones, which could not be ruled out in time)")?;
        }
        for operation in &self.window[hidden..] {
            writeln!(f, "  {operation}")?;
        }
        write!(f, "until #{} was answered there was one", self.culprit.id)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations on {} keys: {} ok, {} failed, {} unknown; {} answers could have been \
             wrong, {} of them under contention",
            self.operations,
            self.keys,
            self.ok,
            self.failed,
            self.unknown,
            self.constrained,
            self.contended,
        )?;
        if self.transactions > 0 {
            write!(
                f,
                "; {} transactions and {} keys they change not checked here",
                self.transactions, self.skipped_keys
            )?;
        }
        Ok(())
    }
}
