//! The lock service: what it answers, what it writes down, what it remembers.

use std::time::Duration;

use lockmgr::{
    Answer, Discipline, Mode, Name, News, Patience, Record, Refusal, Refused, Rule, Terms, Unsound,
    Want,
    core::{Config, LINGER},
    message::{MAX_TOLD, Request},
};

use crate::desk::{Service, granted, refused};

const LEASE: Duration = Duration::from_secs(30);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn service() -> Service {
    Service::new(Config::default())
}

#[test]
fn nothing_is_answered_before_it_is_on_disk() {
    let mut service = service();
    service.quick = false;
    let open = service.send(Request::Open(Terms::session(LEASE)));
    assert_eq!(service.heard(open), None);
    service.sync();
    let Some(Ok(Answer::Opened(owner))) = service.heard(open) else { panic!("opened") };
    let acquire = service.wants(owner, "k", Mode::X, Patience::Try);
    let first = service.send(Request::Acquire(acquire.clone()));
    // Asked again it saves nothing that it rests on, and must not overtake the first.
    let second = service.send(Request::Acquire(acquire));
    let renewal = service.send(Request::Renew(owner));
    let look = service.send(Request::Look("k".into()));
    for asked in [first, second, renewal, look] {
        assert_eq!(service.heard(asked), None, "nobody hears of what may be forgotten");
    }
    service.sync();
    let token = granted(service.heard(first));
    assert_eq!(granted(service.heard(second)), token, "the same request, the same grant");
    let Some(Ok(Answer::Renewed(renewed))) = service.heard(renewal) else { panic!("renewed") };
    assert_eq!(renewed.holds[0].token, Some(token));
    assert!(matches!(service.heard(look), Some(Ok(Answer::Lock(Some(_))))));
}

#[test]
fn a_request_that_waits_is_answered_when_it_is_granted() {
    let mut service = service();
    let [a, b] = [LEASE; 2].map(|lease| service.open(lease));
    let held = service.take(a, "k", Mode::X);
    let acquire = service.wants(b, "k", Mode::X, Patience::For(secs(20)));
    let waits = service.send(Request::Acquire(acquire));
    assert_eq!(service.heard(waits), None);
    assert_eq!(service.core().parked(), 1);
    assert_eq!(service.release(a, "k", Some(held)), Ok(Answer::Done));
    assert!(granted(service.heard(waits)) > held, "tokens grow");
    assert_eq!(service.core().parked(), 0);
}

#[test]
fn who_has_waited_for_long_asks_again_and_the_log_hears_nothing_of_it() {
    let mut service = service();
    let [a, b] = [secs(60); 2].map(|lease| service.open(lease));
    let held = service.take(a, "k", Mode::X);
    let acquire = service.wants(b, "k", Mode::X, Patience::For(secs(50)));
    let first = service.send(Request::Acquire(acquire.clone()));
    let records = service.disk.len();
    service.pass(LINGER - Duration::from_millis(1));
    assert_eq!(service.heard(first), None);
    service.pass(Duration::from_millis(1));
    assert_eq!(service.heard(first), Some(Ok(Answer::Waiting)));
    let second = service.send(Request::Acquire(acquire.clone()));
    // The client has given that call up and asks once more: only the newest is answered well.
    let third = service.send(Request::Acquire(acquire.clone()));
    assert_eq!(service.heard(second), Some(Ok(Answer::Waiting)));
    assert_eq!(service.heard(third), None);
    assert_eq!(service.disk.len(), records, "it waits as before");
    // What it has waited already still counts: fifty seconds in all.
    service.pass(secs(45) - Duration::from_millis(1));
    assert_eq!(service.heard(third), Some(Ok(Answer::Waiting)));
    let last = service.send(Request::Acquire(acquire));
    service.pass(Duration::from_millis(1));
    assert_eq!(refused(service.heard(last)), Refusal::TimedOut);
    assert_eq!(service.release(a, "k", Some(held)), Ok(Answer::Done));
}

#[test]
fn a_request_that_is_taken_back_is_refused_and_a_late_cancel_hears_of_the_grant() {
    let mut service = service();
    let [a, b] = [LEASE; 2].map(|lease| service.open(lease));
    let held = service.take(a, "k", Mode::X);
    let acquire = service.wants(b, "k", Mode::X, Patience::For(secs(20)));
    let waits = service.send(Request::Acquire(acquire.clone()));
    assert_eq!(service.ask(Request::Cancel(acquire.ticket)), Ok(Answer::Done));
    assert_eq!(refused(service.heard(waits)), Refusal::Cancelled);
    let acquire = service.wants(b, "k", Mode::X, Patience::For(secs(20)));
    let waits = service.send(Request::Acquire(acquire.clone()));
    assert_eq!(service.release(a, "k", Some(held)), Ok(Answer::Done));
    let token = granted(service.heard(waits));
    let late = service.ask(Request::Cancel(acquire.ticket));
    assert_eq!(granted(Some(late)), token, "it is held, and its owner knows");
}

#[test]
fn a_disk_that_is_ill_lets_nobody_in_and_costs_nobody_his_lease() {
    let mut service = service();
    let owner = service.open(LEASE);
    let token = service.take(owner, "k", Mode::X);
    service.ill(true);
    service.quick = false;
    let records = service.disk.len();
    assert_eq!(service.ask(Request::Open(Terms::session(LEASE))), Err(Refused::Busy));
    let acquire = service.wants(owner, "l", Mode::X, Patience::Try);
    assert_eq!(service.ask(Request::Acquire(acquire)), Err(Refused::Busy));
    assert_eq!(service.release(owner, "k", Some(token)), Err(Refused::Busy));
    assert_eq!(service.ask(Request::Close(owner)), Err(Refused::Busy));
    for _ in 0..5 {
        service.pass(LEASE / 2);
        // No answer is promised to who asks again and again, but the sign of life counts.
        assert_eq!(service.ask(Request::Renew(owner)), Err(Refused::Busy));
    }
    service.ill(false);
    service.sync();
    assert_eq!(service.disk.len(), records, "nothing was done");
    service.quick = true;
    assert_eq!(service.release(owner, "k", Some(token)), Ok(Answer::Done));
}

#[test]
fn a_silent_session_loses_everything_and_hears_so_when_it_speaks() {
    let mut service = service();
    let [a, b] = [LEASE, LEASE * 4].map(|lease| service.open(lease));
    let old = service.take(a, "k", Mode::X);
    let acquire = service.wants(b, "k", Mode::X, Patience::For(secs(60)));
    let waits = service.send(Request::Acquire(acquire));
    service.pass(LEASE / 2);
    assert!(matches!(service.ask(Request::Renew(a)), Ok(Answer::Renewed(_))));
    service.pass(LEASE - Duration::from_millis(1));
    let again = service.heard(waits);
    assert_eq!(again, Some(Ok(Answer::Waiting)), "told after a while");
    service.pass(Duration::from_millis(1));
    assert_eq!(service.outputs[0], News::Lost(a, Refusal::Unknown(a)));
    assert_eq!(service.ask(Request::Renew(a)), Err(Refusal::Unknown(a).into()));
    assert_eq!(service.release(a, "k", Some(old)), Err(Refusal::Unknown(a).into()));
    let Ok(Answer::Renewed(renewed)) = service.ask(Request::Renew(b)) else { panic!("it lives") };
    assert!(renewed.holds[0].token > Some(old), "the successor's token is the larger one");
}

#[test]
fn a_renewal_tells_what_is_held_up_to_a_bound() {
    let mut service = service();
    let owner = service.open(LEASE);
    for number in 0..=MAX_TOLD {
        service.take(owner, &format!("k{number:03}"), Mode::X);
    }
    let Ok(Answer::Renewed(renewed)) = service.ask(Request::Renew(owner)) else { panic!() };
    assert_eq!((renewed.holds.len(), renewed.more, renewed.waits), (MAX_TOLD, true, 0));
    assert_eq!(renewed.lease, Some(LEASE));
    assert!(renewed.holds.is_sorted_by(|a, b| a.name < b.name), "in order");
}

#[test]
fn what_is_too_large_never_reaches_the_log() {
    let mut service = service();
    let owner = service.open(LEASE);
    let records = service.disk.len();
    let acquire = service.wants(owner, "k", Mode::X, Patience::Try);
    let asked = |names: Vec<Name>| {
        let wants = names.into_iter().map(|name| Want { name, mode: Mode::X }).collect();
        Request::Acquire(lockmgr::Acquire { wants, ..acquire.clone() })
    };
    let many = (0..=lockmgr::MAX_WANTS).map(|number| Name::from(&number.to_string()[..]));
    let long = Name::new(vec![b'x'; lockmgr::MAX_NAME + 1]);
    let no_lease = Terms { discipline: Discipline::Free, ..Terms::TRANSACTION };
    for (request, why) in [
        (asked(Vec::new()), Unsound::Wants),
        (asked(many.collect()), Unsound::Wants),
        (asked(vec![long]), Unsound::Name),
        (asked(vec![Name::from("")]), Unsound::Name),
        (Request::Open(no_lease), Unsound::Term),
    ] {
        assert_eq!(service.ask(request), Err(Refusal::Unsound(why).into()));
    }
    assert_eq!(service.disk.len(), records);
    // The largest request there may be is a record like any other.
    let names = (0..lockmgr::MAX_WANTS).map(|number| Name::new(format!("{number:0>1024}")));
    assert!(matches!(service.ask(asked(names.collect())), Ok(Answer::Granted(_))));
    let mut bytes = Vec::new();
    for (_, record) in &service.disk {
        lockmgr::record::encode(record, &mut bytes);
    }
}

#[test]
fn a_restart_keeps_locks_begins_leases_anew_and_never_gives_a_token_twice() {
    let mut service = Service::new(Config { checkpoint_every: 8, ..Config::default() });
    let [a, b] = [LEASE; 2].map(|lease| service.open(lease));
    let kept = service.take(a, "kept", Mode::X);
    let mut last = kept;
    for round in 0..6 {
        let token = service.take(b, "k", Mode::X);
        assert!(token > last, "round {round}: {token:?} after {last:?}");
        last = token;
        service.pass(LEASE - secs(1));
        service.restart();
        // All but a second of the lease is gone, and nobody knows how much more: it begins anew.
        service.pass(LEASE - secs(1));
        assert!(matches!(service.ask(Request::Renew(a)), Ok(Answer::Renewed(_))));
        assert_eq!(service.release(b, "k", Some(token)), Ok(Answer::Done));
    }
    assert!(!service.forgotten.is_empty(), "the log was shortened meanwhile");
    assert_eq!(service.release(a, "kept", Some(kept)), Ok(Answer::Done));
}

#[test]
fn a_request_that_waited_goes_on_waiting_after_a_restart() {
    let mut service = service();
    let [a, b] = [LEASE; 2].map(|lease| service.open(lease));
    let held = service.take(a, "k", Mode::X);
    let acquire = service.wants(b, "k", Mode::X, Patience::For(secs(20)));
    let lost = service.send(Request::Acquire(acquire.clone()));
    service.restart();
    assert_eq!(service.heard(lost), None, "its caller went with that life");
    assert_eq!(service.release(a, "k", Some(held)), Ok(Answer::Done));
    let again = service.ask(Request::Acquire(acquire));
    assert!(granted(Some(again)) > held, "granted while nobody listened");
}

#[test]
fn another_rule_than_the_logs_is_refused_in_one_sentence() {
    let recover = |rule, disk: &[_]| {
        let config = Config { rule, ..Config::default() };
        lockmgr::LockService::recover(config, disk.to_vec())
    };
    let service = Service::new(Config { rule: Some(Rule::WoundWait), ..Config::default() });
    let why = recover(Some(Rule::Detect), &service.disk).expect_err("another rule").to_string();
    assert_eq!(
        why,
        "the table in this log is under wound-wait, not detect: ask for wound-wait, or begin a \
         new one"
    );
    assert_eq!(recover(None, &service.disk).map(|core| core.rule()), Ok(Rule::WoundWait));
    assert_eq!(recover(None, &[]).map(|core| core.rule()), Ok(Rule::Detect));
    let (at, _) = service.disk[0];
    let two = [service.disk[0].clone(), (at, Record::Born { rule: Rule::NoWait })];
    assert!(recover(None, &two).is_err(), "a table has one rule");
}

#[test]
fn a_large_view_comes_in_parts_and_each_fits_into_a_frame() {
    let mut service = service();
    let owners: Vec<_> = (0..300).map(|_| service.open(secs(600))).collect();
    for name in 0..40 {
        let name = format!("{name:0>900}");
        for &owner in &owners {
            let acquire = service.wants(owner, &name, Mode::X, Patience::For(secs(500)));
            service.send(Request::Acquire(acquire));
        }
    }
    let (mut after, mut names) = (None, 0);
    loop {
        let Ok(Answer::View(view)) = service.ask(Request::View(after)) else { panic!("a view") };
        let bytes = protocol::codec::encode(&*view, net::limits::CLIENT_FRAME as u64 / 2);
        assert!(bytes.is_ok(), "half a frame is enough");
        assert!(!view.locks.is_empty() && view.names == 40);
        names += view.locks.len();
        after = view.locks.last().map(|lock| lock.name.clone());
        if !view.more {
            break;
        }
    }
    assert_eq!(names, 40, "each once");
}

#[test]
fn a_service_that_stood_still_takes_nobody_for_silent() {
    let mut service = service();
    let owner = service.open(LEASE);
    let token = service.take(owner, "k", Mode::X);
    // Its process was stopped for ten leases; the signs of life of all that time lie before it.
    service.leap(LEASE * 10);
    assert!(matches!(service.ask(Request::Renew(owner)), Ok(Answer::Renewed(_))));
    assert_eq!(service.release(owner, "k", Some(token)), Ok(Answer::Done));
    // Who says nothing for a lease after that is silent.
    service.pass(LEASE);
    assert_eq!(service.ask(Request::Renew(owner)), Err(Refusal::Unknown(owner).into()));
}
