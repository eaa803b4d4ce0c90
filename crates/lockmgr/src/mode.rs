//! How a name may be held, and what goes together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a name is held or wanted (Gray and others, *Granularity of Locks and Degrees of
/// Consistency*, 1976; update locks after Gray and Reuter, *Transaction Processing*, 7.8).
///
/// The intention modes are for a name that stands for many: who wants `S` or `X` on one of them
/// first takes `IS` or `IX` on what contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Will read something within.
    IS,
    /// Will write something within.
    IX,
    /// Reads.
    S,
    /// Reads, and alone has the right to write later: two of them would both wait for the other's
    /// `S` to go.
    U,
    /// Reads everything, and will write something within.
    SIX,
    /// Writes.
    X,
}

/// All modes, the weakest first.
pub const MODES: [Mode; 6] = [Mode::IS, Mode::IX, Mode::S, Mode::U, Mode::SIX, Mode::X];

/// A set of modes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Modes(u8);

impl Modes {
    const fn of(modes: &[Mode]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < modes.len() {
            set |= 1 << modes[at] as u8;
            at += 1;
        }
        Self(set)
    }

    const fn has(self, mode: Mode) -> bool {
        self.0 & 1 << mode as u8 != 0
    }

    const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl Mode {
    /// What others may hold beside this mode.
    const fn beside(self) -> Modes {
        use Mode::{IS, IX, S, SIX, U};
        match self {
            IS => Modes::of(&[IS, IX, S, U, SIX]),
            IX => Modes::of(&[IS, IX]),
            S => Modes::of(&[IS, S, U]),
            U => Modes::of(&[IS, S]),
            SIX => Modes::of(&[IS]),
            Self::X => Modes::of(&[]),
        }
    }

    /// Whether one owner may hold `self` while another holds `other`.
    #[must_use]
    pub const fn goes_with(self, other: Self) -> bool {
        self.beside().has(other)
    }

    /// Whether who holds `self` has no need of `other`. A mode is at least as strong as another if
    /// it goes with nothing that the other does not go with.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.beside().within(other.beside())
    }

    /// The weakest mode that covers both: what an owner holds that had the one and got the other.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let both = MODES.into_iter().find(|mode| mode.covers(self) && mode.covers(other));
        both.expect("X covers all")
    }

    /// What must be held on whatever contains a name before the name is held so.
    #[must_use]
    pub const fn intention(self) -> Self {
        match self {
            Self::IS | Self::S => Self::IS,
            Self::IX | Self::U | Self::SIX | Self::X => Self::IX,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        MODES.into_iter().find(|mode| mode.to_string().eq_ignore_ascii_case(word)).ok_or_else(
            || format!("`{word}` is no mode of a lock: give one of IS, IX, S, U, SIX, X"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{MODES, Mode};

    /// The matrix of the design, row by row, in its order: IS, IX, S, SIX, U, X.
    #[test]
    fn s8_10_13_the_whole_matrix() {
        use Mode::{IS, IX, S, SIX, U, X};
        let order = [IS, IX, S, SIX, U, X];
        let rows = ["yyyyyn", "yynnnn", "ynynyn", "ynnnnn", "ynynnn", "nnnnnn"];
        for (held, row) in order.into_iter().zip(rows) {
            for (wanted, cell) in order.into_iter().zip(row.chars()) {
                assert_eq!(held.goes_with(wanted), cell == 'y', "{held} held, {wanted} wanted");
                assert_eq!(held.goes_with(wanted), wanted.goes_with(held), "the same both ways");
            }
        }
        let figure = "36 pairs of modes".to_owned();
        sim::Scenario { figure, ..sim::Scenario::default() }.write("s8_10_13_the_whole_matrix");
    }

    /// What two modes make together goes with nothing that either does not go with, and is the
    /// weakest that does.
    #[test]
    fn two_modes_together() {
        for a in MODES {
            assert_eq!(a.with(a), a);
            for b in MODES {
                let both = a.with(b);
                assert_eq!(both, b.with(a));
                assert!(both.covers(a) && both.covers(b));
                for other in MODES {
                    let weaker = other.covers(a) && other.covers(b) && other != both;
                    assert!(!weaker || other.covers(both), "{a} with {b} is {both}, not {other}");
                }
                for c in MODES {
                    assert_eq!(a.with(b).with(c), a.with(b.with(c)));
                }
            }
        }
        assert_eq!(Mode::S.with(Mode::IX), Mode::SIX);
        assert_eq!(Mode::U.with(Mode::IX), Mode::SIX);
        assert_eq!(Mode::S.with(Mode::U), Mode::U);
    }
}
