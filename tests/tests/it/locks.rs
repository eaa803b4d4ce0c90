//! Lives of a lock service that is killed.

use sim::Scenario;
use synod_tests::locks;

const LIVES: u64 = 200;

/// The durable half of 8.10-14: whatever was granted before the service died is held when it comes
/// back, and every later token is larger.
#[test]
fn s8_10_14_tokens_never_repeat_over_two_hundred_lives_of_kills() {
    for seed in 0..LIVES {
        if let Err(what) = locks::life(seed) {
            panic!("seed {seed}: {what}");
        }
    }
    let figure = "a kill in ten requests, a checkpoint in twenty records".to_owned();
    Scenario { seeds: LIVES, figure, ..Scenario::default() }
        .write("s8_10_14_tokens_never_repeat_over_two_hundred_lives_of_kills");
}
