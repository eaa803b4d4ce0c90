//! Who yields when two want the same: the one thing in which lock managers differ.

use std::{fmt, hash::Hash, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Birth, Owner};

/// How long a request waits before it looks for a circle: most waits end sooner by themselves.
pub const SEARCH_AFTER: Duration = Duration::from_millis(20);

/// Who comes first among those that wait for a name. Either way nobody overtakes a request that it
/// does not go with, and who only wants more of what it holds comes before all who hold nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The oldest owner. Nobody who is younger stands before it, and nobody starves who keeps its
    /// age when it begins again: its turn comes when the older ones and the pinned are done.
    Age,
    /// The first to come. A request waits only for those that held the name or stood before it when
    /// it came. Nobody who comes later and does not go with it gets the name first, so a writer has
    /// it as soon as the readers that were there before it are gone.
    ///
    /// NB: who wants more of what it holds comes first, in either order, or it would wait for those
    /// that wait for it. So who takes a weak mode that goes with a waiter, and then makes it
    /// stronger, overtakes that waiter, unless the policy wounds it for that; a stream of such
    /// owners can hold a waiter up. Who will write what it reads should take `U`.
    Arrival,
}

/// One of two owners that meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    /// How old it is.
    pub birth: Birth,
    /// Who it is, which also tells equals apart.
    pub owner: Owner,
}

impl Party {
    /// Whether it came into the world before the other.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self < other
    }
}

/// What is done when one owner is in another's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The one waits.
    Wait,
    /// The one is refused.
    Die,
    /// The other loses everything, unless it is pinned: then the one waits.
    Wound,
}

/// A policy: what [`Table`](crate::Table) asks when owners meet. It must be a pure function of what
/// it is given.
pub trait Policy: Clone + fmt::Debug + PartialEq + Eq + Hash {
    /// The order of the queues.
    fn order(&self) -> Order;

    /// `waiter` cannot have a name because of `blocker`, which holds it or is before it in the
    /// queue. Asked once for each such pair, when it comes about.
    fn meets(&self, waiter: Party, blocker: Party) -> Verdict;

    /// Whether [`meets`](Self::meets) ever says anything but *wait*. If not, pairs are not looked for.
    fn judges(&self) -> bool {
        true
    }

    /// After how long a waiter looks for a circle that it is part of. `None` where there can be
    /// none, or where only deadlines end them.
    fn search_after(&self) -> Option<Duration>;
}

/// The policies in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// Prevention: an older owner takes what it needs from a younger one, a younger one waits
    /// (Rosenkrantz and others, *System Level Concurrency Control*, 1978). All waiting goes from
    /// the younger to the older or to the pinned, so it cannot go round.
    WoundWait,
    /// Prevention: an older owner waits for a younger one, a younger one is refused. All waiting
    /// goes from the older to the younger.
    WaitDie,
    /// Nobody waits, so nobody waits in a circle.
    NoWait,
    /// Detection: all wait, and who has waited for a while looks for a circle through itself.
    Detect,
    /// All wait until their deadlines. For comparison.
    TimeoutOnly,
}

/// All of them.
pub const RULES: [Rule; 5] =
    [Rule::WoundWait, Rule::WaitDie, Rule::NoWait, Rule::Detect, Rule::TimeoutOnly];

impl Policy for Rule {
    fn order(&self) -> Order {
        match self {
            Self::WoundWait | Self::WaitDie => Order::Age,
            Self::NoWait | Self::Detect | Self::TimeoutOnly => Order::Arrival,
        }
    }

    fn meets(&self, waiter: Party, blocker: Party) -> Verdict {
        match self {
            Self::WoundWait if waiter.is_older_than(&blocker) => Verdict::Wound,
            Self::WaitDie if blocker.is_older_than(&waiter) => Verdict::Die,
            Self::NoWait => Verdict::Die,
            _ => Verdict::Wait,
        }
    }

    fn judges(&self) -> bool {
        matches!(self, Self::WoundWait | Self::WaitDie | Self::NoWait)
    }

    fn search_after(&self) -> Option<Duration> {
        (*self == Self::Detect).then_some(SEARCH_AFTER)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WoundWait => "wound-wait",
            Self::WaitDie => "wait-die",
            Self::NoWait => "no-wait",
            Self::Detect => "detect",
            Self::TimeoutOnly => "timeout-only",
        })
    }
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        RULES.into_iter().find(|rule| rule.to_string() == word).ok_or_else(|| {
            let all = RULES.map(|rule| rule.to_string()).join(", ");
            format!("`{word}` is no policy: give one of {all}")
        })
    }
}
