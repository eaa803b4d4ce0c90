//! Rounds: both sides measured in turns, so that whatever the machine does meanwhile hits both.

use serde_json::{Value, json};

/// The middle of some figures; of an even number the lower of the two. Zero of none.
#[must_use]
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// What came of one quantity in every round, and its median.
#[must_use]
pub fn summary(figures: &[f64]) -> Value {
    json!({ "rounds": figures, "median": median(figures) })
}

/// Ours over theirs: the ratio of the medians, and the smallest and largest of any round.
#[must_use]
pub fn ratio(ours: &[f64], theirs: &[f64]) -> Value {
    let each: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    json!({
        "median": median(ours) / median(theirs),
        "least": each.iter().copied().fold(f64::INFINITY, f64::min),
        "most": each.iter().copied().fold(0.0, f64::max),
    })
}

/// The figure that `share` of all lie below; sorts them. Zero of none.
pub fn at(share: f64, figures: &mut [u64]) -> u64 {
    figures.sort_unstable();
    let place = (figures.len() as f64 * share) as usize;
    figures.get(place.min(figures.len().saturating_sub(1))).copied().unwrap_or(0)
}
