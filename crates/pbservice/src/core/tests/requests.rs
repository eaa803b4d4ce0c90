//! What clients ask, at whomever.

use super::*;
use crate::{
    Duty, MAX_KEY, MAX_VALUE,
    change::Done,
    config::{QUEUE_BYTES, QUEUE_ITEMS, WAITING, WAITING_BYTES},
};

fn sized(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

#[test]
fn only_the_primary_serves() {
    let mut idle = Trial::new(life(3));
    let refused = |number| Err(Refused::NotPrimary(ViewNum(number)));
    for request in [Request::Open(Open), wants(1, put("k", "v")), get("k")] {
        assert_eq!(idle.hears(request), refused(0));
    }
    idle.told(view(2, &[life(1), life(2)]));
    assert_eq!(idle.hears(get("k")), refused(2));
    assert_eq!(backup().hears(wants(1, put("k", "v"))), refused(2));
}

#[test]
fn keys_and_values_have_a_limit_that_is_kept_to_the_byte() {
    let mut alone = alone();
    for (number, change, fits) in [
        (1, Change::Put(sized(MAX_KEY - 1), b("v")), true),
        (2, Change::Put(sized(MAX_KEY), b("v")), true),
        (3, Change::Put(sized(MAX_KEY + 1), b("v")), false),
        (3, Change::Delete(sized(MAX_KEY + 1)), false),
        (3, Change::Append(sized(MAX_KEY + 1), b("v")), false),
        (4, Change::Put(b("k"), sized(MAX_VALUE - 1)), true),
        (5, Change::Put(b("k"), sized(MAX_VALUE)), true),
        (6, Change::Put(b("k"), sized(MAX_VALUE + 1)), false),
        (6, Change::Append(b("new"), sized(MAX_VALUE + 1)), false),
    ] {
        let before = alone.core().state().clone();
        let heard = alone.hears(wants(number, change));
        if fits {
            assert_eq!(heard, Ok(Answer::Done(Done::Written)));
        } else {
            assert_eq!(heard, Err(Refused::TooLarge));
            assert_eq!(alone.core().state(), &before, "nothing has changed");
        }
    }
    // A number that was refused was not used.
    assert_eq!(alone.hears(wants(6, put("k", "v"))), Ok(Answer::Done(Done::Written)));
    // An append that would make too much of what is there is done, and came to nothing.
    assert_eq!(alone.hears(wants(7, Change::Append(b("k"), sized(MAX_VALUE)))), {
        Ok(Answer::Done(Done::TooLarge))
    });
    assert_eq!(alone.hears(get("k")), Ok(Answer::Value(Some(b("v")))));
}

#[test]
fn a_repetition_is_answered_and_not_done_again() {
    let mut alone = alone();
    let done = Ok(Answer::Done(Done::Written));
    for _ in 0..3 {
        assert_eq!(alone.hears(wants(1, append("k", "a"))), done);
    }
    assert_eq!(alone.hears(wants(2, append("k", "b"))), done);
    assert_eq!(alone.hears(wants(1, append("k", "a"))), Err(Refused::Late));
    let (session, number) = (SessionId(9), RequestNo(1));
    let change = append("k", "x");
    let stranger = Request::Submit(Submit { session, number, change });
    assert_eq!(alone.hears(stranger), Err(Refused::Expired));
    assert_eq!(alone.hears(get("k")), Ok(Answer::Value(Some(b("ab")))));
    assert_eq!(alone.hears(get("missing")), Ok(Answer::Value(None)));
}

#[test]
fn nobody_is_answered_before_the_backup_has_it() {
    let mut paired = paired();
    let write = paired.ask(wants(1, put("k", "v")));
    let again = paired.ask(wants(1, put("k", "v")));
    let late = paired.ask(wants(0, put("k", "v")));
    let read = paired.ask(get("k"));
    let open = paired.ask(Request::Open(Open));
    let all = [write, again, late, read, open];
    assert!(all.iter().all(|it| paired.answer(*it).is_none()));
    // The first forward took the write alone; the answer to that releases nobody else.
    let (call, forward) = paired.forward();
    assert_eq!(forward.items.len(), 1);
    paired.backup_says(call, Ok(Forwarded { view: forward.view, upto: forward.first }));
    assert_eq!(paired.answer(write), Some(Ok(Answer::Done(Done::Written))));
    assert!(all[1..].iter().all(|it| paired.answer(*it).is_none()));
    paired.backup_takes_all();
    assert_eq!(paired.answer(again), Some(Ok(Answer::Done(Done::Written))));
    assert_eq!(paired.answer(late), Some(Err(Refused::Late)));
    assert_eq!(paired.answer(read), Some(Ok(Answer::Value(Some(b("v"))))));
    assert_eq!(paired.answer(open), Some(Ok(Answer::Opened(SessionId(2)))));
}

/// A get waits for a forward that left after the get came: an answer to an earlier one says nothing
/// of what the backup has become since.
#[test]
fn a_get_waits_for_a_forward_that_left_behind_it() {
    let mut paired = paired();
    paired.ask(wants(1, put("k", "v")));
    let (call, forward) = paired.forward();
    let read = paired.ask(get("k"));
    paired.backup_says(call, Ok(Forwarded { view: forward.view, upto: forward.first }));
    assert_eq!(paired.answer(read), None);
    let (_, probe) = paired.forward();
    assert_eq!(probe.items, [Item::Probe]);
    paired.forwards.push((NodeId(2), call, probe));
    let (_, probe) = paired.forward();
    // The old call is over, whatever still comes of it.
    paired.ignored();
    paired.backup_says(call, Ok(Forwarded { view: probe.view, upto: probe.first }));
    assert_eq!(paired.ignored(), [Ignored::LateAnswer]);
    assert_eq!(paired.answer(read), None);
}

/// A forward that failed may have arrived. What goes out again goes behind the get.
#[test]
fn a_get_behind_a_forward_that_failed_waits_for_the_next() {
    let mut paired = paired();
    paired.ask(wants(1, put("k", "v")));
    let (call, first) = paired.forward();
    paired.desk.failed(paired.now, NodeId(2), call);
    let read = paired.ask(get("k"));
    assert!(paired.forwards.is_empty(), "a moment's pause");
    paired.pass(crate::config::FORWARD_PAUSE);
    let (again, second) = paired.forward();
    assert_ne!(call, again);
    assert_eq!((second.first, &second.items), (first.first, &first.items), "no probe is needed");
    paired.backup_says(again, Ok(Forwarded { view: second.view, upto: second.first }));
    assert_eq!(paired.answer(read), Some(Ok(Answer::Value(Some(b("v"))))));
}

#[test]
fn too_many_that_wait_are_refused_and_those_who_wait_are_answered() {
    let mut paired = paired();
    let reads: Vec<u64> = (0..WAITING).map(|_| paired.ask(get("k"))).collect();
    assert_eq!(paired.hears(get("k")), Err(Refused::Busy));
    assert_eq!(paired.hears(wants(1, put("k", "v"))), Err(Refused::Busy));
    paired.backup_takes_all();
    assert!(reads.iter().all(|it| paired.answer(*it) == Some(Ok(Answer::Value(None)))));
    let write = paired.ask(wants(1, put("k", "v")));
    paired.backup_takes_all();
    assert_eq!(paired.answer(write), Some(Ok(Answer::Done(Done::Written))));
    assert_eq!(paired.core().held_bytes(), 2);
}

/// Few answers may be large: their bytes are bounded, too, with one more among them.
#[test]
fn too_much_that_waits_is_refused_and_whoever_waits_is_answered() {
    for missing in [0, 1] {
        let value = sized(MAX_VALUE - missing);
        let mut alone = alone();
        alone.hears(wants(1, Change::Put(b("k"), value.clone()))).expect("there is room");
        let mut paired = pair(alone);
        let most = WAITING_BYTES / MAX_VALUE + missing;
        let reads: Vec<u64> = (0..most).map(|_| paired.ask(get("k"))).collect();
        assert!(reads.iter().all(|it| paired.answer(*it).is_none()), "{missing}: they wait");
        assert_eq!(paired.hears(get("k")), Err(Refused::Busy), "{missing}");
        assert_eq!(paired.hears(wants(2, put("k", "v"))), Err(Refused::Busy), "{missing}");
        paired.backup_takes_all();
        let value = Some(Ok(Answer::Value(Some(value))));
        assert!(reads.iter().all(|it| paired.answer(*it) == value));
        assert_eq!(paired.core().held_bytes(), 1 + MAX_VALUE - missing);
    }
}

#[test]
fn a_transfer_that_stands_still_takes_no_more_than_its_queue() {
    let mut primary = alone();
    primary.told(view(2, &[life(1), life(2)]));
    // The beginning and the first piece are in it.
    let room = QUEUE_ITEMS as u64 - 2;
    for number in 1..=room {
        assert!(primary.hears(wants(number, put("k", "v"))).is_ok(), "{number}");
    }
    let before = primary.core().state().clone();
    for request in [wants(room + 1, put("k", "w")), Request::Open(Open), wants(room, put("k", "v"))]
    {
        assert_eq!(primary.hears(request), Err(Refused::Busy));
    }
    assert_eq!(primary.core().state(), &before, "nothing has changed");
    assert_eq!(primary.core().duty(), Duty::Installing);
    assert_eq!(primary.hears(get("k")), Ok(Answer::Value(Some(b("v")))), "gets cost nothing");
    primary.backup_takes_all();
    assert_eq!(primary.core().duty(), Duty::Paired);
}

#[test]
fn a_pair_that_stands_still_takes_no_more_bytes_than_its_queue() {
    let mut paired = paired();
    let large = |number| wants(number, Change::Put(b("k"), sized(MAX_VALUE)));
    // What an item costs beside its value makes it so many and no more.
    let most = (QUEUE_BYTES / MAX_VALUE) as u64;
    let writes: Vec<u64> = (1..=most).map(|number| paired.ask(large(number))).collect();
    assert!(writes.iter().all(|it| paired.answer(*it).is_none()), "they wait");
    assert_eq!(paired.hears(wants(most + 1, put("k", "v"))), Err(Refused::Busy));
    let read = paired.ask(get("k"));
    assert_eq!(paired.answer(read), None, "a get waits and is not refused");
    paired.backup_takes_all();
    for ticket in writes {
        assert_eq!(paired.answer(ticket), Some(Ok(Answer::Done(Done::Written))));
    }
    assert_eq!(paired.answer(read), Some(Ok(Answer::Value(Some(sized(MAX_VALUE))))));
}

#[test]
fn whose_disk_is_ill_lets_nobody_in() {
    let mut alone = alone();
    alone.desk.disk_healthy(alone.now, false);
    assert_eq!(alone.hears(get("k")), Err(Refused::Busy));
    alone.desk.disk_healthy(alone.now, true);
    assert_eq!(alone.hears(get("k")), Ok(Answer::Value(None)));
}

#[test]
fn a_question_for_the_view_service_is_misplaced() {
    let mut alone = alone();
    alone.ignored();
    let ticket = alone.ask(Request::View(viewservice::Request::Get));
    assert!(alone.answers.iter().all(|(it, _)| *it != ticket));
    assert_eq!(alone.ignored(), [Ignored::Misplaced]);
}
