//! Chance, for long walks.

use protocol::Rng;
use stateright::Chooser;

use crate::{
    model::{Action, Search},
    world::World,
};

/// Chooses what happens next.
#[derive(Clone)]
pub(crate) struct Dice;

/// How one walk goes: what happens often in it, what hardly ever, and which words are slow.
pub(crate) struct Mood {
    rng: Rng,
    salt: u64,
    weights: [u64; KINDS],
}

/// Kinds of actions, as far as a mood tells them apart.
const KINDS: usize = 8;
/// One in so many words is slow.
const SLOW: u64 = 4;

impl Chooser<Search> for Dice {
    type State = Mood;

    fn new_state(&self, seed: u64) -> Mood {
        Mood::new(seed)
    }

    fn choose_initial_state(&self, _: &mut Mood, _: &[World]) -> usize {
        0
    }

    fn choose_action(&self, mood: &mut Mood, world: &World, actions: &[Action]) -> usize {
        mood.choose(world, actions)
    }
}

impl Mood {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let salt = rng.next_u64();
        let weights = std::array::from_fn(|_| [1, 4, 16][rng.below(3) as usize]);
        Self { rng, salt, weights }
    }

    /// One of the actions.
    pub(crate) fn choose(&mut self, world: &World, actions: &[Action]) -> usize {
        let weights: Vec<u64> = actions.iter().map(|it| self.weight(world, it)).collect();
        let mut at = self.rng.below(weights.iter().sum::<u64>().max(1));
        weights
            .iter()
            .take_while(|weight| {
                let behind = at >= **weight;
                at = at.saturating_sub(**weight);
                behind
            })
            .count()
    }

    /// How often this happens, compared with others.
    fn weight(&self, world: &World, action: &Action) -> u64 {
        let (usual, kind) = match action {
            Action::Deliver(flight, _) => {
                let flight = &world.flights[*flight];
                let slow = (flight.digest ^ self.salt).is_multiple_of(SLOW);
                (if slow { 2 } else { 100 }, 0)
            }
            Action::Ask(..) => (40, 1),
            Action::Pass(_) | Action::Pause(_) => (20, 2),
            Action::Repeat(..) | Action::AskLate(..) => (4, 3),
            Action::HearOnly(_) => (1, 4),
            Action::Fail(_) => (6, 5),
            Action::Impatience(_) => (6, 6),
            Action::Restart(_) | Action::Twin(_) | Action::RestartService | Action::Cut => (1, 7),
        };
        usual * self.weights[kind]
    }
}
