//! The primary's side: who is answered by whom, and how a primary finds out that it is none.

use super::*;
use crate::{
    Duty,
    change::Done,
    config::{BACKUP_PATIENCE, FORWARD_PAUSE},
    state::{Covered, State},
};

#[test]
fn the_first_primary_begins_with_nothing_and_any_other_with_what_it_has() {
    let mut first = Trial::new(life(1));
    first.told(view(1, &[life(1)]));
    assert_eq!((first.core().duty(), first.core().state()), (Duty::Alone, &State::fresh()));
    assert!(first.ping().installed);
    // A view later, somebody has data, and it is not this one.
    let mut empty = Trial::new(life(3));
    empty.outputs.clear();
    empty.told(view(2, &[life(3)]));
    assert!(empty.outputs.contains(&Output::Hollow(ViewNum(2))));
    assert_eq!(empty.hears(get("k")), Err(Refused::NotPrimary(ViewNum(2))));
    assert!(!empty.ping().installed);
}

#[test]
fn a_primary_answers_alone_until_the_last_piece_and_acknowledges_when_that_has_arrived() {
    let mut primary = alone();
    let done = Some(Ok(Answer::Done(Done::Written)));
    primary.told(view(2, &[life(1), life(2)]));
    assert!(!primary.ping().installed);
    // The beginning and all keys are on their way. Nobody waits for them.
    let (call, forward) = primary.forward();
    assert!(matches!(forward.items[..], [Item::Begin { .. }, Item::Keys { upto: None, .. }]));
    assert_eq!(primary.hears(wants(1, put("k", "a"))), Ok(Answer::Done(Done::Written)));
    assert_eq!(primary.core().duty(), Duty::Installing);
    primary.backup_says(call, Ok(Forwarded { view: ViewNum(2), upto: Seq(2) }));
    // Behind that put goes the last piece. From now on everybody waits.
    let (call, forward) = primary.forward();
    assert!(matches!(forward.items[..], [Item::Do { .. }, Item::Sessions { upto: None, .. }]));
    let write = primary.ask(wants(2, append("k", "b")));
    let read = primary.ask(get("k"));
    assert_eq!((primary.answer(write), primary.answer(read)), (None, None));
    assert!(!primary.core().installed());
    // What was done alone has arrived, the last piece has not.
    primary.backup_says(call, Ok(Forwarded { view: ViewNum(2), upto: Seq(3) }));
    assert!(!primary.core().installed());
    let (call, forward) = primary.forward();
    assert_eq!(forward.first, Seq(4));
    let pings = primary.pings.len();
    primary.told(view(2, &[life(1), life(2)]));
    primary.backup_says(call, Ok(Forwarded { view: ViewNum(2), upto: Seq(4) }));
    assert_eq!(primary.core().duty(), Duty::Paired);
    assert!(primary.pings.len() > pings && primary.ping().installed, "it says so at once");
    assert_eq!((primary.answer(write), primary.answer(read)), (None, None));
    primary.backup_takes_all();
    assert_eq!(primary.answer(write), done);
    assert_eq!(primary.answer(read), Some(Ok(Answer::Value(Some(b("ab"))))));
}

#[test]
fn a_stale_primary_finds_out_and_says_so_to_everybody_who_waits() {
    let mut primary = paired();
    let write = primary.ask(wants(1, put("k", "v")));
    let read = primary.ask(get("k"));
    primary.told(view(2, &[life(1), life(2)]));
    let pings = primary.pings.len();
    let (call, _) = primary.forward();
    let stale = Rebuff::Stale { stale: ViewNum(2), known: ViewNum(3) };
    primary.backup_says(call, Err(stale));
    for ticket in [write, read] {
        assert_eq!(primary.answer(ticket), Some(Err(Refused::Interrupted)));
    }
    assert_eq!(primary.core().duty(), Duty::Fenced);
    // It asks who is primary, acknowledges nothing, forwards nothing and serves nobody.
    assert!(primary.pings.len() > pings && !primary.ping().installed);
    assert_eq!(primary.hears(get("k")), Err(Refused::NotPrimary(ViewNum(3))));
    primary.pass(Duration::from_secs(2));
    assert!(primary.forwards.is_empty() && !primary.ping().lost_backup);
    // What it had goes with its place.
    primary.told(view(3, &[life(2)]));
    assert_eq!(primary.core().duty(), Duty::Idle);
    assert_eq!(primary.core().state(), &State::nothing());
}

/// The view service knew better: the backup was given up, and its primary goes on with another.
#[test]
fn a_fenced_primary_that_is_primary_of_the_next_view_goes_on() {
    let mut primary = paired();
    primary.ask(wants(1, put("k", "v")));
    let (call, _) = primary.forward();
    let stale = Rebuff::Stale { stale: ViewNum(2), known: ViewNum(3) };
    primary.backup_says(call, Err(stale));
    primary.told(view(3, &[life(1), life(3)]));
    assert_eq!(primary.hears(get("k")), Ok(Answer::Value(Some(b("v")))));
    // The repetition of what was interrupted: it had happened.
    assert_eq!(primary.hears(wants(1, put("k", "v"))), Ok(Answer::Done(Done::Written)));
    let (_, forward) = primary.forward();
    assert_eq!((forward.view, forward.first), (ViewNum(3), Seq(1)));
}

#[test]
fn a_rebuff_that_proves_nothing_only_costs_a_pause() {
    for rebuff in [
        Rebuff::NotBackup,
        Rebuff::Stranger,
        Rebuff::Malformed,
        // It knows no more than this primary does.
        Rebuff::Stale { stale: ViewNum(2), known: ViewNum(2) },
        Rebuff::Stale { stale: ViewNum(1), known: ViewNum(1) },
    ] {
        let mut primary = paired();
        let write = primary.ask(wants(1, put("k", "v")));
        let (call, first) = primary.forward();
        primary.backup_says(call, Err(rebuff));
        assert_eq!((primary.core().duty(), primary.answer(write)), (Duty::Paired, None));
        assert!(primary.forwards.is_empty(), "{rebuff:?}: not at once");
        primary.pass(FORWARD_PAUSE);
        let (_, again) = primary.forward();
        assert_eq!(again, first, "{rebuff:?}");
    }
}

#[test]
fn a_backup_that_boasts_is_not_believed() {
    for upto in [6, 99, u64::MAX, 0, 2] {
        let mut primary = paired();
        let places = primary.core().places();
        let write = primary.ask(wants(1, put("k", "v")));
        let (call, forward) = primary.forward();
        assert_eq!(forward.first, Seq(4), "three pieces are there");
        primary.ignored();
        primary.backup_says(call, Ok(Forwarded { view: ViewNum(2), upto: Seq(upto) }));
        assert_eq!(primary.ignored(), [Ignored::Boast], "{upto}");
        assert_eq!(primary.answer(write), None);
        assert_eq!(primary.core().places().1, places.1);
        // It is asked again, and may come to its senses.
        primary.pass(FORWARD_PAUSE);
        primary.backup_takes_all();
        assert_eq!(primary.answer(write), Some(Ok(Answer::Done(Done::Written))));
    }
}

#[test]
fn an_answer_about_another_view_or_of_another_kind_says_nothing() {
    let mut primary = paired();
    let write = primary.ask(wants(1, put("k", "v")));
    let (call, forward) = primary.forward();
    primary.ignored();
    primary.backup_says(call, Ok(Forwarded { view: ViewNum(1), upto: forward.first }));
    assert_eq!(primary.ignored(), [Ignored::LateAnswer]);
    primary.pass(FORWARD_PAUSE);
    let (call, _) = primary.forward();
    let status = Reply::Status(Box::new(primary.core().status()));
    for wrong in [Reply::Client(Ok(Answer::Done(Done::Written))), status] {
        primary.desk.reply(primary.now, NodeId(2), call, wrong);
        primary.settle();
        assert_eq!(primary.ignored(), [Ignored::LateAnswer]);
    }
    assert_eq!(primary.answer(write), None);
    // Whoever speaks like that is no backup: its primary reports it as it would a silent one.
    primary.pass(BACKUP_PATIENCE + Duration::from_millis(200));
    assert!(primary.ping().lost_backup);
}

#[test]
fn a_backup_without_progress_is_reported_and_a_slow_one_is_not() {
    let mut primary = paired();
    primary.ask(wants(1, put("k", "a")));
    for number in 2..10 {
        primary.ask(wants(number, put("k", "a")));
        primary.pass(BACKUP_PATIENCE - Duration::from_millis(200));
        assert!(!primary.ping().lost_backup);
        let (call, forward) = primary.forward();
        primary.backup_says(call, Ok(Forwarded { view: ViewNum(2), upto: forward.first }));
    }
    primary.pass(BACKUP_PATIENCE + Duration::from_millis(100));
    assert!(primary.ping().lost_backup);
    let waits = primary.ask(get("k"));
    // The view service gives it up, and whoever waited for it is answered.
    primary.told(view(3, &[life(1)]));
    assert_eq!(primary.answer(waits), Some(Ok(Answer::Value(Some(b("a"))))));
    assert!(!primary.ping().lost_backup && primary.ping().installed);
    // Nothing of that stream is heard of again.
    let forwards = std::mem::take(&mut primary.forwards);
    primary.ignored();
    for (_, call, forward) in forwards {
        primary.backup_says(call, Ok(Forwarded { view: forward.view, upto: forward.first }));
    }
    assert_eq!(primary.ignored().first(), Some(&Ignored::LateAnswer));
}

#[test]
fn views_only_go_forward() {
    let mut primary = paired();
    primary.ignored();
    primary.told(view(1, &[life(2)]));
    assert_eq!(primary.ignored(), [Ignored::OldView]);
    primary.told(view(2, &[life(2)]));
    assert_eq!(primary.ignored(), [], "a number stands for one view");
    assert_eq!(primary.core().duty(), Duty::Paired);
}

#[test]
fn whoever_is_succeeded_says_that_it_must_end() {
    let mut idle = Trial::new(life(3));
    let (call, _) = *idle.pings.last().expect("it pings");
    let refused = viewservice::Refused::Superseded { by: Incarnation(9) };
    idle.outputs.clear();
    idle.service_says(call, viewservice::Reply::Pong(Err(refused)));
    let winner = Member { incarnation: Incarnation(9), ..life(3) };
    assert!(idle.outputs.contains(&Output::Superseded(winner)));
    let other = viewservice::Refused::TooMany;
    idle.service_says(call, viewservice::Reply::Pong(Err(other)));
    assert!(idle.outputs.contains(&Output::Unwelcome(other)));
}

/// What was cut off half-way goes on where it was, with what has happened since.
#[test]
fn a_transfer_goes_on_where_it_was_cut() {
    let mut primary = alone();
    for number in 1..=80 {
        let (key, value) = (format!("{number:02}"), "v".repeat(10_000));
        primary.hears(wants(number, put(&key, &value))).expect("there is room");
    }
    primary.told(view(2, &[life(1), life(2)]));
    let mut backup = Trial::new(life(2));
    backup.told(view(2, &[life(1), life(2)]));
    let (mut number, mut cuts) = (80, 0);
    while primary.core().duty() == Duty::Installing {
        let (call, forward) = primary.forward();
        // The answer to every other forward is lost; and the store goes on changing.
        number += 1;
        let key = format!("{:02}", 1 + number * 7 % 80);
        primary.ask(wants(number, append(&key, "+")));
        let taken = backup.forwarded_by(Some(NodeId(1)), forward);
        cuts += 1;
        if cuts % 2 == 0 {
            let upto = taken.expect("it is the backup");
            primary.backup_says(call, Ok(Forwarded { view: ViewNum(2), upto }));
        } else {
            primary.desk.failed(primary.now, NodeId(2), call);
            primary.pass(FORWARD_PAUSE);
        }
    }
    assert!(cuts > 6, "{cuts} forwards");
    assert_eq!(backup.core().state().covered(), &Covered::Whole);
    while let Some((_, call, forward)) = primary.forwards.pop() {
        let upto = backup.forwarded_by(Some(NodeId(1)), forward).expect("it is the backup");
        primary.backup_says(call, Ok(Forwarded { view: ViewNum(2), upto }));
    }
    assert_eq!(backup.core().state(), primary.core().state());
}
