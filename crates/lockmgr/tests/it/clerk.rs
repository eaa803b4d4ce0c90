//! What a client does about silence, refusals and losses.

use std::time::Duration;

use lockmgr::{
    Answer, Clerk, Full, Grant, Loss, Mode, Name, Owner, Patience, Refusal, Refused, Renewed,
    RequestNo, Ticket, Token, Want,
    clerk::{Heard, Next, Outcome},
    message::Request,
};
use protocol::Time;

const LEASE: Duration = Duration::from_secs(30);
const ME: Owner = Owner::session(4);

fn at(seconds: u64) -> Time {
    Time::ZERO.plus(Duration::from_secs(seconds))
}

fn clerk() -> Clerk {
    Clerk::new(ME, Some(LEASE), Time::ZERO, 7)
}

fn grant(name: &str, token: u64) -> Grant {
    Grant { name: name.into(), mode: Mode::X, token: Some(Token(token)) }
}

/// The clerk takes `name`, and is granted it by this token.
fn takes(clerk: &mut Clerk, now: Time, name: &str, token: u64) {
    let number = clerk.acquire(vec![Want::new(name, Mode::X)], Patience::Try);
    let heard = Heard::Answer(Answer::Granted(vec![grant(name, token)]));
    let next = clerk.heard(now, now, number, heard);
    assert_eq!(next, Next::Over(Outcome::Granted(vec![grant(name, token)])));
}

fn renewed(holds: Vec<Grant>, more: bool) -> Heard {
    Heard::Answer(Answer::Renewed(Renewed { lease: Some(LEASE), holds, more, waits: 0 }))
}

#[test]
fn whatever_happens_the_same_is_asked_again_until_there_is_an_answer() {
    let mut clerk = clerk();
    let number = clerk.acquire(vec![Want::new("k", Mode::X)], Patience::For(LEASE));
    let asked = clerk.request(number).expect("it is not over");
    for heard in [
        Heard::Unreachable,
        Heard::Refused(Refused::Busy),
        Heard::Silence,
        Heard::Refused(Refused::Interrupted),
        Heard::Answer(Answer::Waiting),
        // An answer to another question says nothing.
        Heard::Answer(Answer::Done),
    ] {
        let next = clerk.heard(at(1), at(1), number, heard.clone());
        assert!(matches!(next, Next::Again(_)), "{heard:?}: {next:?}");
        assert_eq!(clerk.request(number), Some(asked.clone()), "nothing of it changes");
    }
    let heard = Heard::Answer(Answer::Granted(vec![grant("k", 1)]));
    assert!(matches!(clerk.heard(at(2), at(2), number, heard), Next::Over(Outcome::Granted(_))));
    assert_eq!(clerk.token(at(2), &"k".into()), Some(Token(1)));
    assert_eq!(clerk.request(number), None);
}

#[test]
fn pauses_grow_and_stay_short() {
    let mut clerk = clerk();
    let number = clerk.acquire(vec![Want::new("k", Mode::X)], Patience::Try);
    let mut last = Duration::ZERO;
    for _ in 0..50 {
        let Next::Again(pause) = clerk.heard(at(1), at(1), number, Heard::Unreachable) else {
            panic!("it goes on");
        };
        last = pause;
    }
    assert!(last >= Duration::from_millis(100) && last <= Duration::from_millis(200), "{last:?}");
}

#[test]
fn what_is_over_is_said_to_be_and_what_is_not_keeps_its_number() {
    let mut clerk = clerk();
    let first = clerk.acquire(vec![Want::new("a", Mode::X)], Patience::For(LEASE));
    takes(&mut clerk, at(1), "b", 1);
    let floor = |request: Option<Request>| match request {
        Some(Request::Acquire(acquire)) => acquire.floor,
        Some(Request::Release(release)) => release.floor,
        other => panic!("{other:?}"),
    };
    let third = clerk.release("b".into(), None);
    assert_eq!(floor(clerk.request(third)), first, "the first is still asked about");
    let next = clerk.heard(at(1), at(1), first, Heard::Refused(Refusal::TimedOut.into()));
    assert_eq!(next, Next::Over(Outcome::Refused(Refusal::TimedOut)));
    let next = clerk.heard(at(1), at(1), third, Heard::Answer(Answer::Done));
    assert_eq!(next, Next::Over(Outcome::Released));
    let fourth = clerk.release("b".into(), None);
    assert_eq!(floor(clerk.request(fourth)), fourth, "nothing before it is");
    let lane = RequestNo::first_of(7);
    let mut other = self::clerk().beside_others(lane);
    let own = other.release("b".into(), None);
    assert_eq!((own, floor(other.request(own))), (lane, lane), "it speaks of its own lane");
}

#[test]
fn a_request_whose_time_is_up_is_taken_back_if_it_may_have_arrived() {
    let mut clerk = clerk();
    let wants = vec![Want::new("k", Mode::X)];
    let unsent = clerk.acquire(wants.clone(), Patience::For(LEASE));
    clerk.heard(at(1), at(1), unsent, Heard::Unreachable);
    assert!(!clerk.cancel(unsent), "it never arrived");
    assert_eq!(clerk.request(unsent), None);
    let sent = clerk.acquire(wants, Patience::For(LEASE));
    clerk.heard(at(1), at(1), sent, Heard::Silence);
    assert!(clerk.cancel(sent));
    let ticket = Ticket { owner: ME, request: sent };
    assert_eq!(clerk.request(sent), Some(Request::Cancel(ticket)));
    let next = clerk.heard(at(1), at(1), sent, Heard::Silence);
    assert!(matches!(next, Next::Again(_)), "until somebody says what became of it");
    let next = clerk.heard(at(2), at(2), sent, Heard::Answer(Answer::Done));
    assert_eq!(next, Next::Over(Outcome::Refused(Refusal::Cancelled)));
}

/// There was no room to note it, so the request may still come: nobody may be told that it is off.
#[test]
fn a_request_that_could_not_be_taken_back_is_not_said_to_be() {
    let full = || Heard::Refused(Refusal::Full(Full::Requests).into());
    let mut clerk = clerk();
    let number = clerk.acquire(vec![Want::new("k", Mode::X)], Patience::For(LEASE));
    clerk.heard(at(1), at(1), number, Heard::Silence);
    assert!(clerk.cancel(number));
    assert_eq!(clerk.heard(at(1), at(1), number, full()), Next::Over(Outcome::Unknown));
    let next = clerk.release("j".into(), None);
    let Some(Request::Release(release)) = clerk.request(next) else { panic!("a release") };
    assert!(release.floor > number, "whatever comes late is over");
    // What was never sent before was refused for good.
    let number = clerk.acquire(vec![Want::new("k", Mode::X)], Patience::For(LEASE));
    let refused = Outcome::Refused(Refusal::Full(Full::Requests));
    assert_eq!(clerk.heard(at(1), at(1), number, full()), Next::Over(refused));
}

/// Nobody waits for it: what it brought is given back, and nobody may ask for the same name before
/// that is done, or the one would take away what the other got.
#[test]
fn what_nobody_waits_for_is_given_back_before_it_is_asked_for_again() {
    let mut clerk = clerk();
    takes(&mut clerk, at(1), "held", 1);
    let wants = vec![Want::new("held", Mode::X), Want::new("new", Mode::X)];
    let names = [Name::from("held"), Name::from("new")];
    let dropped = clerk.acquire(wants, Patience::For(LEASE));
    assert!(clerk.request(dropped).is_some());
    assert!(!clerk.is_settling(names.iter()));
    assert!(clerk.abandon(dropped));
    assert!(clerk.is_settling(names.iter()));
    assert!(matches!(clerk.request(dropped), Some(Request::Cancel(_))));
    let late = Heard::Answer(Answer::Granted(vec![grant("held", 2), grant("new", 3)]));
    let Next::Back(back) = clerk.heard(at(2), at(2), dropped, late) else { panic!("it is held") };
    // What was held before stays, by its new token.
    assert_eq!(clerk.token(at(2), &names[0]), Some(Token(2)));
    let [release] = back[..] else { panic!("{back:?}") };
    let Some(Request::Release(asked)) = clerk.request(release) else { panic!("a release") };
    assert_eq!((asked.name, asked.token), (names[1].clone(), Some(Token(3))));
    assert!(clerk.is_settling(names[1..].iter()) && !clerk.is_settling(names[..1].iter()));
    let next = clerk.heard(at(3), at(3), release, Heard::Answer(Answer::Done));
    assert_eq!(next, Next::Over(Outcome::Released));
    assert!(!clerk.is_settling(names.iter()));
    assert_eq!(clerk.token(at(3), &names[1]), None);
    assert_eq!(clerk.loss(at(3)), None, "nobody lost anything");
}

/// A release that nobody waits for any more goes on: its owner has said that it is done with it.
#[test]
fn a_release_that_was_begun_goes_on() {
    let mut clerk = clerk();
    takes(&mut clerk, at(1), "k", 1);
    let number = clerk.release("k".into(), Some(Token(1)));
    assert!(clerk.request(number).is_some());
    assert!(clerk.abandon(number));
    clerk.heard(at(2), at(2), number, Heard::Silence);
    // A renewal that no longer tells of it is no loss meanwhile.
    clerk.renewed(at(4), at(3), &renewed(Vec::new(), false));
    assert_eq!(clerk.loss(at(4)), None);
    assert!(matches!(clerk.request(number), Some(Request::Release(_))));
    let next = clerk.heard(at(5), at(5), number, Heard::Answer(Answer::Done));
    assert_eq!(next, Next::Over(Outcome::Released));
}

#[test]
fn a_sign_of_life_is_sent_at_a_third_of_the_lease() {
    let mut clerk = clerk();
    assert_eq!(clerk.deadline(), Some(at(10)));
    assert_eq!(clerk.due(at(9)), None);
    assert_eq!(clerk.due(at(10)), Some(Request::Renew(ME)));
    clerk.unheard(at(11));
    assert_eq!(clerk.due(at(11)), None, "not at once again");
    assert_eq!(clerk.due(at(12)), Some(Request::Renew(ME)), "and beside the one under way");
    clerk.renewed(at(12), at(10), &renewed(Vec::new(), false));
    assert_eq!(clerk.deadline(), Some(at(20)), "counted from when it was sent");
    // Any answer is a sign of life.
    takes(&mut clerk, at(15), "k", 1);
    assert_eq!(clerk.deadline(), Some(at(25)));
}

#[test]
fn silence_for_a_lease_is_a_loss_until_somebody_answers() {
    let mut clerk = clerk();
    takes(&mut clerk, at(1), "k", 1);
    for second in 11..31 {
        if clerk.due(at(second)).is_some() {
            clerk.renewed(at(second), at(second), &Heard::Silence);
        }
        assert_eq!(clerk.loss(at(second)), None);
    }
    assert_eq!(clerk.loss(at(31)), Some(Loss::Silent), "others may have it from now on");
    assert_eq!(clerk.token(at(31), &"k".into()), None);
    assert!(clerk.deadline().is_some_and(|deadline| deadline <= at(31)));
    clerk.due(at(31));
    clerk.unheard(at(31));
    assert!(clerk.deadline().is_some_and(|deadline| deadline > at(31)), "noticed once");
    // The service was away, and has begun the lease anew: nothing was lost after all.
    clerk.renewed(at(40), at(40), &renewed(vec![grant("k", 1)], false));
    assert_eq!(clerk.loss(at(40)), None);
    assert!(!clerk.is_gone());
    assert_eq!(clerk.token(at(40), &"k".into()), Some(Token(1)));
}

#[test]
fn a_session_that_is_unknown_is_gone_with_everything() {
    let unknown = Refusal::Unknown(ME);
    let mut clerk = clerk();
    takes(&mut clerk, at(1), "k", 1);
    assert!(clerk.due(at(12)).is_some());
    clerk.renewed(at(12), at(12), &Heard::Refused(unknown.clone().into()));
    assert_eq!(clerk.loss(at(12)), Some(Loss::Session(unknown.clone())));
    assert!(clerk.is_gone());
    let token = clerk.token(at(13), &"k".into());
    assert_eq!((token, clerk.due(at(99)), clerk.deadline()), (None, None, None));
    let number = clerk.release("k".into(), None);
    let next = clerk.heard(at(13), at(13), number, Heard::Refused(unknown.clone().into()));
    assert_eq!(next, Next::Over(Outcome::Refused(unknown.clone())));
    assert_eq!(clerk.loss(at(99)), Some(Loss::Session(unknown)), "and not only in doubt");
}

#[test]
fn a_renewal_that_does_not_tell_a_name_tells_its_loss() {
    let lost = |names: &[&str]| Loss::Names(names.iter().map(|&name| Name::from(name)).collect());
    let mut clerk = clerk();
    for (name, token) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        takes(&mut clerk, at(1), name, token);
    }
    // `d` is behind what was told, `c` is held by another token: it was lost and taken again.
    clerk.renewed(at(3), at(2), &renewed(vec![grant("a", 1), grant("c", 9)], true));
    assert_eq!(clerk.loss(at(3)), Some(lost(&["b", "c"])));
    // What was granted after the renewal was sent cannot be in its answer.
    takes(&mut clerk, at(6), "e", 5);
    // Nor need be what is just being given back.
    let number = clerk.release("a".into(), None);
    clerk.renewed(at(7), at(5), &renewed(vec![grant("d", 4)], false));
    assert_eq!(clerk.loss(at(7)), Some(lost(&["b", "c"])));
    clerk.heard(at(7), at(5), number, Heard::Answer(Answer::Done));
    clerk.renewed(at(9), at(8), &renewed(Vec::new(), false));
    assert_eq!(clerk.loss(at(9)), Some(lost(&["b", "c", "d", "e"])));
    // A wound takes everything at once.
    takes(&mut clerk, at(10), "f", 6);
    let number = clerk.acquire(vec![Want::new("g", Mode::X)], Patience::For(LEASE));
    let refusal = Refusal::Wounded { name: "f".into(), by: Owner::session(1) };
    clerk.heard(at(11), at(10), number, Heard::Refused(refusal.into()));
    assert_eq!(clerk.loss(at(11)), Some(lost(&["b", "c", "d", "e", "f"])));
}
