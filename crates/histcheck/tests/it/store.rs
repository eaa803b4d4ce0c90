//! An atomic store asked by clients at the same time, and the chance that drives it.

use std::collections::BTreeMap;

use histcheck::{Action, Answer, Operation, Text};

/// A small seeded generator (splitmix64); this crate depends on nothing of ours.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len())])
    }
}

/// What clients do, and how often: one part per `weights` entry.
#[derive(Clone, Copy)]
pub(crate) struct Mix {
    pub(crate) operations: usize,
    pub(crate) clients: usize,
    pub(crate) keys: usize,
    /// Of a thousand operations, how many are abandoned.
    pub(crate) unknown: usize,
    /// Whether answers name versions.
    pub(crate) versions: bool,
    /// How often: get, put, append, delete, compare-and-swap.
    pub(crate) weights: [usize; 5],
}

impl Mix {
    /// Everything a client can do.
    pub(crate) const ALL: Self = Self {
        operations: 300,
        clients: 8,
        keys: 4,
        unknown: 30,
        versions: false,
        weights: [4, 3, 3, 1, 2],
    };
    /// Values that only grow.
    pub(crate) const APPENDS: Self = Self { weights: [1, 0, 1, 0, 0], ..Self::ALL };
    /// A register.
    pub(crate) const PUTS: Self = Self { weights: [1, 1, 0, 0, 0], ..Self::ALL };
}

/// A client's open request.
struct Open {
    operation: Operation,
    answer: Option<(Answer, Option<u64>)>,
}

/// One value of the store.
#[derive(Default)]
struct Cell {
    value: Option<Text>,
    version: u64,
}

impl Cell {
    fn apply(&mut self, action: &Action) -> (Answer, Option<u64>) {
        match action {
            Action::Get { .. } => {
                let version = self.value.as_ref().map(|_| self.version);
                return (Answer::Value(self.value.clone()), version);
            }
            Action::Put { value, .. } => self.value = Some(value.clone()),
            Action::Append { value, .. } => {
                self.value.get_or_insert_default().extend_from_slice(value);
            }
            Action::Delete { .. } => self.value = None,
            Action::Cas { expect, value, .. } => {
                if self.value != *expect {
                    return (Answer::Swapped(false), None);
                }
                self.value = Some(value.clone());
            }
            Action::Txn { .. } => unreachable!("this store knows no transactions"),
        }
        self.version += 1;
        let swapped = matches!(action, Action::Cas { .. });
        let answer = if swapped { Answer::Swapped(true) } else { Answer::Done };
        (answer, Some(self.version))
    }
}

/// A history of an honest store: each operation takes effect at one instant between its call and
/// its answer; an abandoned one then, later or never.
pub(crate) fn history(mix: Mix, seed: u64) -> Vec<Operation> {
    let mut rng = Rng::new(seed);
    let mut cells: BTreeMap<usize, Cell> = BTreeMap::new();
    let mut last_seen: BTreeMap<usize, Option<Text>> = BTreeMap::new();
    let mut clients: Vec<Option<Open>> = (0..mix.clients).map(|_| None).collect();
    let mut late: Vec<Action> = Vec::new();
    let mut done = Vec::new();
    let (mut asked, mut names, mut clock) = (0usize, mix.clients as u64, 0u64);
    let mut identity: Vec<u64> = (0..mix.clients as u64).collect();
    while asked < mix.operations || clients.iter().any(Option::is_some) {
        clock += rng.below(3) as u64;
        if rng.below(20) == 0 && !late.is_empty() {
            let action = late.swap_remove(rng.below(late.len()));
            cells.entry(key_of(&action)).or_default().apply(&action);
        }
        let at = rng.below(mix.clients);
        match clients[at].take() {
            None if asked < mix.operations => {
                let action = action(&mix, &mut rng, asked, &last_seen);
                let operation = Operation::asked(asked as u64, identity[at], clock, action);
                clients[at] = Some(Open { operation, answer: None });
                asked += 1;
            }
            None => {}
            Some(open) if rng.below(1000) < mix.unknown => {
                if open.answer.is_none() {
                    late.push(open.operation.action.clone());
                }
                done.push(open.operation);
                identity[at] = names;
                names += 1;
            }
            Some(Open { operation, answer: None }) => {
                let key = key_of(&operation.action);
                let answer = cells.entry(key).or_default().apply(&operation.action);
                if let Answer::Value(seen) = &answer.0 {
                    last_seen.insert(key, seen.clone());
                }
                clients[at] = Some(Open { operation, answer: Some(answer) });
            }
            Some(Open { operation, answer: Some((answer, version)) }) => {
                let finished = operation.answered(clock, answer);
                done.push(match version.filter(|_| mix.versions) {
                    Some(version) => finished.at_version(version),
                    None => finished,
                });
            }
        }
    }
    done
}

fn key_of(action: &Action) -> usize {
    let operation = Operation::asked(0, 0, 0, action.clone());
    usize::from(operation.key().expect("one key")[0]) << 8
        | usize::from(operation.key().expect("one key")[1])
}

fn action(mix: &Mix, rng: &mut Rng, id: usize, seen: &BTreeMap<usize, Option<Text>>) -> Action {
    let number = rng.below(mix.keys);
    let key = vec![(number >> 8) as u8, number as u8];
    let value = format!("{id};").into_bytes();
    let mut left = rng.below(mix.weights.iter().sum());
    let kind = mix.weights.iter().position(|weight| {
        let here = left < *weight;
        left = left.saturating_sub(*weight);
        here
    });
    match kind {
        Some(0) => Action::Get { key },
        Some(1) => Action::Put { key, value },
        Some(2) => Action::Append { key, value },
        Some(3) => Action::Delete { key },
        _ => Action::Cas { expect: seen.get(&number).cloned().flatten(), key, value },
    }
}
