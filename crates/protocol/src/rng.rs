//! A seeded generator: the only randomness a core may use.

use std::time::Duration;

/// A small seeded generator (splitmix64). Same seed, same numbers, on every machine and for ever;
/// not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator for `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator for one `purpose` within the same seed, so that removing one use of chance does
    /// not shift all others.
    #[must_use]
    pub fn fork(&self, purpose: u64) -> Self {
        let mut mixed = Self(self.0 ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        mixed.next_u64();
        mixed
    }

    /// The next number, uniform over all of them.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift: the bias is under 2^-32 for the bounds used here.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..high`; `low` if the range is empty.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// True in `per_mille` of a thousand cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A duration in `low..high`.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        Duration::from_nanos(self.range(low.as_nanos() as u64, high.as_nanos() as u64))
    }
}
