//! Every bound at one less, exactly, and one more.

use super::*;
use crate::{
    ConfigError, Refusal,
    config::{MAX_MEMBERS, MAX_VALUE},
};

#[test]
fn the_largest_value_fits_and_one_byte_more_does_not() {
    for (size, fits) in [(MAX_VALUE - 1, true), (MAX_VALUE, true), (MAX_VALUE + 1, false)] {
        let big = Bytes::from(vec![7; size]);
        let mut node = Node::new(Mode::Append);
        node.lead(Vec::new());
        let told = node.told(Request::Append(big.clone()));
        assert_eq!(told == Some(Told::Refused(Refusal::TooLarge)), !fits, "{size} bytes");
        let mut node = Node::new(Mode::Explicit);
        let told = node.told(Request::Start(Slot(0), big));
        assert_eq!(told == Some(Told::Started), fits, "{size} bytes");
    }
}

#[test]
fn a_full_queue_says_busy() {
    let mut tight = config(Mode::Append);
    (tight.queue_commands, tight.queue_bytes) = (3, 10);
    for (sizes, busy) in [(vec![1, 1, 1, 1], 1), (vec![9, 1], 0), (vec![10, 1], 1), (vec![11], 1)] {
        let mut node = Node::recovered(tight.clone(), Vec::new());
        node.lead(Vec::new());
        let refused = sizes.iter().filter(|size| {
            let command = Bytes::from(vec![0; **size]);
            node.told(Request::Append(command)) == Some(Told::Refused(Refusal::Busy))
        });
        assert_eq!(refused.count(), busy, "{sizes:?}");
    }
}

/// Questions wait for a check, and have bytes too.
#[test]
fn too_many_bytes_of_questions_say_busy() {
    let mut tight = config(Mode::Append);
    tight.queue_bytes = 10;
    let mut node = Node::recovered(tight, Vec::new());
    node.lead(Vec::new());
    let busy = Some(Reply::Told(Told::Refused(Refusal::Busy)));
    for (size, refused) in [(9, false), (2, true), (1, false), (1, true)] {
        let answer = node.ask(None, Request::Ask(Bytes::from(vec![0; size])));
        assert_eq!(answer == busy, refused, "{size} bytes");
    }
}

/// What is kept behind a snapshot is bounded in slots and in bytes, whichever is less.
#[test]
fn what_trails_a_snapshot_is_bounded_in_bytes_too() {
    for (slots, bytes, floor) in [(3, 1000, 3), (100, 20, 4), (100, 19, 5), (100, 0, 6), (9, 60, 0)]
    {
        let mut tight = config(Mode::Append);
        (tight.trailing, tight.trailing_bytes) = (slots, bytes);
        let mut node = Node::recovered(tight, Vec::new());
        let leader = ballot(1, N2);
        for slot in 0..7 {
            let chosen = Watermark { upto: Slot(slot), ..Watermark::default() };
            let value = value("ten bytes.");
            let accept = Accept { ballot: leader, slot: Slot(slot), value, chosen };
            node.ask(Some(N2), Request::Accept(accept));
        }
        assert_eq!(node.told(Request::Compact(Slot(6))), Some(Told::Noted));
        assert_eq!(node.core().ledger().floor(), Slot(floor), "{slots} slots, {bytes} bytes");
    }
}

#[test]
fn too_many_starts_say_busy() {
    let mut tight = config(Mode::Explicit);
    tight.undecided = 2;
    let mut node = Node::recovered(tight, Vec::new());
    let told: Vec<_> =
        (0..3).map(|slot| node.told(Request::Start(Slot(slot), Bytes::new()))).collect();
    let busy = Told::Refused(Refusal::Busy);
    assert_eq!(told, [Some(Told::Started), Some(Told::Started), Some(busy)]);
}

#[test]
fn knobs_that_cannot_work_are_refused() {
    let check = |change: fn(&mut Config)| {
        let mut config = config(Mode::Append);
        change(&mut config);
        config.validate()
    };
    assert_eq!(check(|_| {}), Ok(()));
    assert_eq!(check(|c| c.me = NodeId(9)), Err(ConfigError::NotAMember(NodeId(9))));
    assert_eq!(check(|c| c.members.push(N2)), Err(ConfigError::Twice));
    let members = |count: usize| (1..=count as u16).map(NodeId).collect::<Vec<_>>();
    let mut config = config(Mode::Append);
    for count in [MAX_MEMBERS - 1, MAX_MEMBERS] {
        config.members = members(count);
        assert_eq!(config.validate(), Ok(()));
    }
    config.members = members(MAX_MEMBERS + 1);
    assert_eq!(config.validate(), Err(ConfigError::TooMany(MAX_MEMBERS + 1)));
    let zeros: [fn(&mut Config); 6] = [
        |c| c.window = 0,
        |c| c.undecided = 0,
        |c| c.peer_window = 0,
        |c| c.batch_commands = 0,
        |c| c.heartbeat = Duration::ZERO,
        |c| c.probe_timeout = Duration::ZERO,
    ];
    for zero in zeros {
        assert_eq!(check(zero), Err(ConfigError::Zero));
    }
    assert_eq!(check(|c| c.heartbeat = c.election_timeout / 4), Ok(()));
    let hasty = check(|c| c.heartbeat = c.election_timeout / 4 + Duration::from_nanos(1));
    assert_eq!(hasty, Err(ConfigError::Hasty));
    // Without any linger a node that lacks something still goes to sleep after it woke.
    let mut config = self::config(Mode::Append);
    config.linger = Duration::ZERO;
    let mut node = Node::recovered(config, Vec::new());
    let chosen = Watermark { low: Slot(0), upto: Slot(1), runs: Vec::new() };
    let beat = crate::Heartbeat { ballot: ballot(1, N2), chosen, check: 0, done: Vec::new() };
    node.ask(Some(N2), Request::Heartbeat(beat));
    node.wake(Duration::ZERO);
    assert!(node.sent.iter().any(|(_, _, asked)| matches!(asked, Request::Fetch(_))));
}
