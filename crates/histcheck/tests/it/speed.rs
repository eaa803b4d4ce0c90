//! Large histories are checked, not given up on.

use std::time::Duration;

use histcheck::{Outcome, Verdict, check};

use crate::store::{Mix, history};

/// Far more than any of these takes; a check that needs it has lost its pruning.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_hundred_thousand_operations_on_a_thousand_keys() {
    let mix = Mix { operations: 100_000, clients: 64, keys: 1000, ..Mix::ALL };
    let all = history(mix, 1);
    let report = check(&all, PATIENCE);
    assert!(report.passed(), "{report}");
    assert!(report.counts.constrained > 30_000, "{report}");
    assert!(report.counts.unknown > 1_000, "{report}");
}

#[test]
fn one_key_that_everybody_wants() {
    for weights in [[4, 3, 3, 1, 2], [1, 1, 0, 0, 0], [1, 0, 3, 0, 0], [1, 8, 0, 1, 0]] {
        let mix = Mix { operations: 4_000, clients: 64, keys: 1, unknown: 3, weights, ..Mix::ALL };
        let report = check(&history(mix, 7), PATIENCE);
        assert!(report.passed(), "{weights:?}: {report}");
        assert!(report.counts.contended * 10 > report.counts.constrained * 9, "{report}");
    }
}

#[test]
fn one_wrong_answer_among_many_clients() {
    for weights in [[1, 1, 0, 0, 0], [1, 0, 3, 0, 0], [4, 3, 3, 1, 0]] {
        let mix = Mix { operations: 2_000, clients: 32, keys: 1, unknown: 3, weights, ..Mix::ALL };
        let mut all = history(mix, 3);
        let get = |op: &&mut histcheck::Operation| {
            matches!(&op.outcome, Outcome::Ok(histcheck::Answer::Value(Some(_))))
        };
        let wrong = all.iter_mut().filter(get).nth(100).expect("many reads");
        wrong.outcome = Outcome::Ok(histcheck::Answer::Value(None));
        let report = check(&all, PATIENCE);
        if weights[3] == 0 {
            assert!(matches!(report.verdict, Verdict::Illegal(_)), "{weights:?}: {report}");
        }
        assert!(!matches!(report.verdict, Verdict::Unknown(_)), "{weights:?}: {report}");
    }
}
