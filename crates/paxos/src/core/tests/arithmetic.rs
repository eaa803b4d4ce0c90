//! Quorums, ballots and slots, exhaustively where that is small, against a naive version.

use std::collections::BTreeMap;

use protocol::Rng;

use super::*;
use crate::{
    Slots,
    core::{Members, Votes},
};

/// Any two quorums share a node, and a quorum is as small as that allows.
#[test]
fn any_two_quorums_meet() {
    for count in 1..=9_u16 {
        let members = Members::new((1..=count).map(NodeId).collect());
        let quorums: Vec<u16> = (0_u16..1 << count)
            .filter(|set| {
                let mut votes = Votes::default();
                for node in (1..=count).filter(|node| set & (1 << (node - 1)) != 0) {
                    votes.presume(&members, NodeId(node));
                }
                assert_eq!(votes.count() as u32, set.count_ones());
                members.quorum(votes)
            })
            .collect();
        let naive = |set: &u16| 2 * set.count_ones() > u32::from(count);
        assert!((0_u16..1 << count).filter(naive).eq(quorums.iter().copied()));
        let smallest: Vec<u16> = quorums
            .iter()
            .copied()
            .filter(|set| set.count_ones() as usize == members.majority())
            .collect();
        assert!(smallest.iter().all(|a| smallest.iter().all(|b| a & b != 0)));
    }
}

/// Ballots are ordered by round, then node; two nodes never share one.
#[test]
fn ballots_are_ordered_by_round_then_node() {
    let all: Vec<Ballot> =
        (0..5).flat_map(|round| (0..5).map(move |node| ballot(round, NodeId(node)))).collect();
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j));
        }
    }
    assert_eq!(all[0], Ballot::NONE);
}

/// Rows with a tree behind them do what a tree alone would.
#[test]
fn slots_do_what_a_map_does() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let (mut slots, mut naive, mut base) = (Slots::default(), BTreeMap::new(), 0);
        for step in 0..300 {
            let reach = [8, 1500, 5000][rng.below(3) as usize];
            let at = base + rng.below(reach);
            match rng.below(8) {
                0..4 => assert_eq!(slots.insert(Slot(at), step), naive.insert(at, step)),
                4 => assert_eq!(slots.remove(Slot(at)), naive.remove(&at)),
                5 if rng.chance(300) => {
                    base = at;
                    slots.release_below(Slot(at));
                    naive = naive.split_off(&at);
                }
                5 => {
                    if let Some(thing) = slots.get_mut(Slot(at)) {
                        *thing += 1;
                        *naive.get_mut(&at).expect("it is there too") += 1;
                    }
                }
                6 => {
                    let from = base.saturating_sub(5) + rng.below(reach);
                    let all = naive.range(from..).map(|(slot, thing)| (Slot(*slot), thing));
                    assert!(slots.iter_from(Slot(from)).eq(all), "seed {seed} step {step}");
                }
                _ => assert_eq!(slots.get(Slot(at)), naive.get(&at), "seed {seed} step {step}"),
            }
            assert_eq!(slots.base(), Slot(base));
            assert_eq!(slots.last(), naive.last_key_value().map(|(slot, _)| Slot(*slot)));
            assert_eq!(slots.count(), naive.len());
        }
        let mut again = Slots::default();
        again.release_below(Slot(base));
        for (slot, thing) in naive {
            again.insert(Slot(slot), thing);
        }
        assert_eq!(slots, again, "equal whatever they have been through");
    }
}
