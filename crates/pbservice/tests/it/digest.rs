//! What is equal has equal digests, and what is not has not.

use bytes::Bytes;
use pbservice::{Change, Item, RequestNo, SessionId, State, state::Covered};
use protocol::Rng;

use crate::shell::b;

fn wants(session: u64, number: u64, change: Change) -> Item {
    Item::Do { session: SessionId(session), number: RequestNo(number), change }
}

/// A state to which all this has happened.
fn after(items: &[Item]) -> State {
    let mut state = State::fresh();
    for item in items {
        state.apply(item);
    }
    state
}

/// A copy that came in pieces.
fn travelled(state: &State) -> State {
    let mut copy = State::nothing();
    copy.apply(&state.begin());
    let mut covered = Covered::nothing();
    while covered != Covered::Whole {
        let (piece, next) = state.piece(&covered);
        copy.apply(&piece);
        covered = next;
    }
    copy
}

#[test]
fn a_state_that_travelled_has_the_digest_of_its_source_and_any_other_has_not() {
    let open = || Item::Open { evict: None };
    let put = |value: &str| Change::Put(b("k"), b(value));
    let base = vec![open(), open(), wants(1, 1, put("v")), wants(2, 1, Change::Delete(b("none")))];
    let state = after(&base);
    assert_eq!(travelled(&state), state);
    assert_eq!(travelled(&state).digest(), state.digest());
    let others: [&[Item]; 5] = [
        // Another value, another number of a session, one session more, and nothing but a probe.
        &[open(), open(), wants(1, 1, put("w")), wants(2, 1, Change::Delete(b("none")))],
        &[open(), open(), wants(1, 2, put("v")), wants(2, 1, Change::Delete(b("none")))],
        &[&base[..], &[open()]].concat(),
        &base[..3],
        &[Item::Probe],
    ];
    for other in others {
        assert_ne!(after(other).digest(), state.digest(), "{other:?}");
    }
    assert_eq!(after(&[&base[..], &[Item::Probe]].concat()).digest(), state.digest());
    // Part of a state is not the state.
    let mut part = State::nothing();
    part.apply(&state.begin());
    part.apply(&state.piece(&Covered::nothing()).0);
    assert_ne!(part.digest(), state.digest());
}

/// A store to which something random happens: few keys, values of all lengths around a word, and
/// sessions that come and go.
struct Life {
    rng: Rng,
    state: State,
    opened: u64,
    numbers: u64,
}

impl Life {
    fn value(&mut self) -> Bytes {
        let length = self.rng.below(20) as usize;
        (0..length).map(|_| self.rng.below(3) as u8).collect()
    }

    fn step(&mut self) -> Item {
        if self.rng.chance(100) {
            self.opened += 1;
            let evict = (self.opened > 4).then(|| SessionId(self.opened - 4));
            return Item::Open { evict };
        }
        let key = b(&format!("key{}", self.rng.below(6)));
        let change = match self.rng.below(4) {
            0 => Change::Put(key, self.value()),
            1 => Change::Delete(key),
            _ => Change::Append(key, self.value()),
        };
        self.numbers += 1;
        wants(self.rng.below(6), self.numbers, change)
    }
}

/// Whatever happened to a state: one that was built from what it is now has the same digest, and
/// each step brought another one.
#[test]
fn a_digest_depends_on_what_is_there_and_not_on_how_it_came() {
    let seeds = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..32,
    };
    for seed in seeds {
        println!("seed {seed}; replay: SEED={seed} cargo test -p pbservice --test it a_digest");
        let rng = Rng::new(seed);
        let mut life = Life { rng, state: State::fresh(), opened: 0, numbers: 0 };
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..200 {
            // Another one is being looked at now and then, so that values grow in copies too.
            let looked_at = life.rng.chance(300).then(|| life.state.clone());
            let item = life.step();
            life.state.apply(&item);
            let digest = life.state.digest();
            assert_eq!(travelled(&life.state).digest(), digest, "step {step}: {item:?}");
            assert!(seen.insert(digest), "step {step}: {item:?} changed nothing");
            assert!(looked_at.is_none_or(|before| before.digest() != digest));
        }
    }
}

/// Values that differ in their last bytes, their length, or their key alone.
#[test]
fn what_looks_alike_has_other_digests() {
    let mut seen = std::collections::BTreeSet::new();
    for length in 0..=24_usize {
        for filler in [0_u8, 1, 0x80, 0xFF] {
            for key in [&b"k"[..], b"k\0", b"0123456", b"01234567"] {
                if length == 0 && filler > 0 {
                    continue;
                }
                let value = Bytes::from(vec![filler; length]);
                let put = wants(1, 1, Change::Put(Bytes::copy_from_slice(key), value));
                assert!(seen.insert(after(&[put]).digest()), "{length} bytes of {filler:x}");
            }
        }
    }
    // The values of two keys, exchanged.
    let pair = |one, two| {
        let put = |key, value| wants(1, 1, Change::Put(b(key), b(value)));
        after(&[put("k", one), put("l", two)]).digest()
    };
    assert_ne!(pair("v", "w"), pair("w", "v"));
}
