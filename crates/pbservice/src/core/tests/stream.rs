//! The queue for the backup: how much leaves at once, and which answers make sense.

use super::{
    super::stream::{Stream, Told},
    *,
};
use crate::config::{
    BACKUP_PATIENCE, BATCH_BYTES, BATCH_ITEMS, LEAST_BYTES, QUEUE_ITEMS, QUEUE_PIECES, QUICK, SLOW,
    SLOWEST, patience,
};

fn item(bytes: usize) -> Item {
    let change = Change::Put(Bytes::new(), Bytes::from(vec![0; bytes]));
    Item::Do { session: SessionId(1), number: RequestNo(1), change }
}

fn queue(items: impl IntoIterator<Item = Item>) -> Stream {
    let mut stream = Stream::new(Time::ZERO);
    for item in items {
        stream.push(Time::ZERO, item);
    }
    stream
}

/// One forward leaves and is answered, or not, after so long.
fn took(stream: &mut Stream, took: Duration, answered: bool) {
    stream.batch();
    stream.called(Time::ZERO, CallId(0));
    assert!(stream.ended(CallId(0)));
    stream.learn(Time::ZERO.plus(took), answered);
}

/// Its link has shown that it is quick.
fn roomy(mut stream: Stream) -> Stream {
    for _ in 0..10 {
        took(&mut stream, QUICK, true);
    }
    stream
}

#[test]
fn a_forward_carries_what_its_link_can_carry_soon() {
    let mut stream = queue((0..8).map(|_| item(BATCH_BYTES)));
    assert_eq!(stream.room(), LEAST_BYTES);
    took(&mut stream, QUICK, true);
    assert_eq!(stream.room(), 2 * LEAST_BYTES, "full, and quick");
    for (after, answered) in [(QUICK, false), (QUICK * 2, true), (SLOW, true), (SLOW, false)] {
        took(&mut stream, after, answered);
        assert_eq!(stream.room(), 2 * LEAST_BYTES, "{after:?}, {answered}");
    }
    let slow = SLOW + Duration::from_millis(1);
    for answered in [true, false] {
        took(&mut stream, slow, answered);
        assert_eq!(stream.room(), LEAST_BYTES, "and never less");
    }
    let mut stream = roomy(stream);
    assert_eq!(stream.room(), BATCH_BYTES, "and never more");
    took(&mut stream, slow, false);
    assert_eq!(stream.room(), BATCH_BYTES / 2);
    let idle = roomy(queue([item(100)]));
    assert_eq!(idle.room(), LEAST_BYTES, "what was not full says nothing of larger ones");
}

/// A link of 64 KiB a second, and quicker ones: the state arrives, whatever its values are like,
/// and no ping ever says that the backup is lost.
#[test]
fn a_state_reaches_its_backup_over_a_slow_link() {
    let most = 1 << 20;
    for rate in [SLOWEST, 4 * SLOWEST, 1 << 30] {
        for size in [100, 30_000, 300_000, most] {
            let mut trial = alone();
            for number in 1..=(2 * most / size).min(5_000) as u64 {
                let put = Change::Put(b(&format!("{number:06}")), Bytes::from(vec![0; size]));
                assert!(trial.hears(wants(number, put)).is_ok());
            }
            trial.told(view(2, &[life(1), life(2)]));
            let (mut largest, began) = (0, trial.now);
            while !trial.core().installed() {
                let (call, forward) = trial.forward();
                let bytes: usize = forward.items.iter().map(Item::bytes).sum();
                let travel = Duration::from_millis(10 + (bytes * 1_000 / rate) as u64);
                assert!(travel < patience(bytes), "{bytes} bytes are given up at {rate} a second");
                let arrival = trial.now.plus(travel);
                while trial.now < arrival {
                    trial.pass(arrival.since(trial.now).min(Duration::from_millis(100)));
                    assert!(!trial.ping().lost_backup, "{rate} bytes a second, values of {size}");
                }
                largest = largest.max(bytes);
                let upto = Seq(forward.first.0 + forward.items.len() as u64 - 1);
                trial.backup_says(call, Ok(Forwarded { view: forward.view, upto }));
            }
            let took = trial.now.since(began);
            println!("{rate} bytes a second, values of {size}: {took:?}, up to {largest} at once");
        }
    }
}

#[test]
fn a_forward_has_so_many_items() {
    for (queued, sent) in [
        (BATCH_ITEMS - 1, BATCH_ITEMS - 1),
        (BATCH_ITEMS, BATCH_ITEMS),
        (BATCH_ITEMS + 1, BATCH_ITEMS),
    ] {
        let mut stream = roomy(queue((0..queued).map(|_| Item::Probe)));
        let (first, items) = stream.batch().expect("there is something");
        assert_eq!((first, items.len()), (Seq(1), sent));
        assert_eq!(stream.has_unsent(), queued > sent);
    }
}

#[test]
fn the_next_forward_goes_on_where_the_last_one_ended() {
    let mut stream = roomy(queue((0..BATCH_ITEMS + 5).map(|_| Item::Probe)));
    stream.batch();
    stream.called(Time::ZERO, CallId(1));
    assert!(!stream.is_free(Time::ZERO) && stream.ended(CallId(1)) && stream.is_free(Time::ZERO));
    assert_eq!(stream.acknowledge(Time::ZERO, Seq(BATCH_ITEMS as u64)), Told::Fine);
    let (first, items) = stream.batch().expect("there is more");
    assert_eq!((first, items.len()), (Seq(BATCH_ITEMS as u64 + 1), 5));
    assert!(!stream.has_unsent());
}

#[test]
fn a_forward_has_so_many_bytes_and_one_item() {
    let half = LEAST_BYTES / 2;
    let mut stream = queue([item(half), item(half), item(1 << 20), item(1)]);
    let (_, items) = stream.batch().expect("there is something");
    // Two halves with what they cost beside their bytes are more than a forward may have before
    // its last item.
    assert_eq!(items.len(), 2);
    let mut stream = queue([item(half - 200), item(half - 200), item(1 << 20), item(1)]);
    let (_, items) = stream.batch().expect("there is something");
    assert_eq!(items.len(), 3);
    assert!(queue([]).batch().is_none());
}

#[test]
fn an_answer_makes_sense_or_none() {
    let mut stream = queue([Item::Probe, item(10), item(20)]);
    let all = stream.bytes();
    assert_eq!(stream.acknowledge(Time::ZERO, Seq(2)), Told::Fine);
    assert_eq!((stream.acknowledged(), stream.last()), (Seq(2), Seq(3)));
    for nonsense in [0, 1, 4, u64::MAX] {
        assert_eq!(stream.acknowledge(Time::ZERO, Seq(nonsense)), Told::Nonsense);
        assert_eq!((stream.acknowledged(), stream.last()), (Seq(2), Seq(3)));
    }
    assert_eq!(stream.acknowledge(Time::ZERO, Seq(2)), Told::Fine, "nothing new");
    assert!(stream.bytes() < all);
    assert_eq!(stream.acknowledge(Time::ZERO, Seq(3)), Told::Fine);
    assert_eq!(stream.bytes(), 0);
}

#[test]
fn only_the_call_under_way_ends() {
    let mut stream = queue([Item::Probe]);
    stream.batch();
    stream.called(Time::ZERO, CallId(7));
    stream.push(Time::ZERO, Item::Probe);
    for other in [0, 6, 8] {
        assert!(!stream.ended(CallId(other)) && stream.is_calling());
    }
    assert!(stream.ended(CallId(7)) && !stream.is_calling());
    assert!(!stream.ended(CallId(7)), "once");
    assert!(stream.has_unsent(), "what failed may have to leave again");
}

#[test]
fn the_queue_is_bounded_in_items_and_pieces() {
    let mut stream = queue((0..QUEUE_ITEMS - 1).map(|_| Item::Probe));
    assert!(!stream.is_full());
    stream.push(Time::ZERO, Item::Probe);
    assert!(stream.is_full());
    let piece = || Item::Keys { pairs: Vec::new(), upto: None };
    let mut stream = queue((1..QUEUE_PIECES).map(|_| piece()));
    assert!(stream.has_piece() && stream.takes_piece());
    stream.push(Time::ZERO, piece());
    assert!(!stream.takes_piece());
    stream.acknowledge(Time::ZERO, Seq(QUEUE_PIECES as u64));
    assert!(!stream.has_piece() && stream.takes_piece());
}

#[test]
fn patience_ends_when_nothing_moves_for_long() {
    let at = |millis: u64| Time::ZERO.plus(Duration::from_millis(millis));
    let patience = u64::try_from(BACKUP_PATIENCE.as_millis()).expect("a second or so");
    let mut stream = queue([]);
    assert!(!stream.is_lost(at(10 * patience), false), "there is nothing to wait for");
    stream.push(at(5_000), Item::Probe);
    stream.push(at(5_500), Item::Probe);
    assert!(!stream.is_lost(at(5_000 + patience), false));
    assert!(stream.is_lost(at(5_001 + patience), false));
    // One step forward, and time counts anew.
    stream.acknowledge(at(5_900), Seq(1));
    assert!(!stream.is_lost(at(5_900 + patience), false));
    assert!(stream.is_lost(at(5_901 + patience), false));
    // An answer that brings nothing is no step.
    stream.acknowledge(at(6_500), Seq(1));
    assert!(stream.is_lost(at(5_901 + patience), false));
    stream.acknowledge(at(7_000), Seq(2));
    assert!(!stream.is_lost(at(100_000), false));
}
