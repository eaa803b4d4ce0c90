//! The queue for the backup: how much leaves at once, and which answers make sense.

use super::{
    super::stream::{Stream, Told},
    *,
};
use crate::config::{BACKUP_PATIENCE, BATCH_BYTES, BATCH_ITEMS, QUEUE_ITEMS, QUEUE_PIECES};

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

#[test]
fn a_forward_has_so_many_items() {
    for (queued, sent) in [
        (BATCH_ITEMS - 1, BATCH_ITEMS - 1),
        (BATCH_ITEMS, BATCH_ITEMS),
        (BATCH_ITEMS + 1, BATCH_ITEMS),
    ] {
        let mut stream = queue((0..queued).map(|_| Item::Probe));
        let (first, items) = stream.batch().expect("there is something");
        assert_eq!((first, items.len()), (Seq(1), sent));
        assert_eq!(stream.has_unsent(), queued > sent);
    }
}

#[test]
fn the_next_forward_goes_on_where_the_last_one_ended() {
    let mut stream = queue((0..BATCH_ITEMS + 5).map(|_| Item::Probe));
    stream.batch();
    stream.called(CallId(1));
    assert!(!stream.is_free(Time::ZERO) && stream.ended(CallId(1)) && stream.is_free(Time::ZERO));
    assert_eq!(stream.acknowledge(Time::ZERO, Seq(BATCH_ITEMS as u64)), Told::Fine);
    let (first, items) = stream.batch().expect("there is more");
    assert_eq!((first, items.len()), (Seq(BATCH_ITEMS as u64 + 1), 5));
    assert!(!stream.has_unsent());
}

#[test]
fn a_forward_has_so_many_bytes_and_one_item() {
    let half = BATCH_BYTES / 2;
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
    stream.called(CallId(7));
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
    assert!(!stream.is_lost(at(10 * patience)), "there is nothing to wait for");
    stream.push(at(5_000), Item::Probe);
    stream.push(at(5_500), Item::Probe);
    assert!(!stream.is_lost(at(5_000 + patience)));
    assert!(stream.is_lost(at(5_001 + patience)));
    // One step forward, and time counts anew.
    stream.acknowledge(at(5_900), Seq(1));
    assert!(!stream.is_lost(at(5_900 + patience)));
    assert!(stream.is_lost(at(5_901 + patience)));
    // An answer that brings nothing is no step.
    stream.acknowledge(at(6_500), Seq(1));
    assert!(stream.is_lost(at(5_901 + patience)));
    stream.acknowledge(at(7_000), Seq(2));
    assert!(!stream.is_lost(at(100_000)));
}
