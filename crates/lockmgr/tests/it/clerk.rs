//! What a client does about silence, refusals and losses.

use std::time::Duration;

use lockmgr::{
    Answer, Clerk, Grant, Loss, Mode, Name, Owner, Patience, Refusal, Refused, Renewed, RequestNo,
    Ticket, Token, Want,
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
    assert_eq!(clerk.token(&"k".into()), Some(Token(1)));
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
    let mut other = self::clerk().after_another(RequestNo(90), RequestNo(100));
    let own = other.release("b".into(), None);
    assert_eq!((own, floor(other.request(own))), (RequestNo(100), RequestNo(90)));
}

#[test]
fn a_request_that_is_given_up_is_taken_back_if_it_may_have_arrived() {
    let mut clerk = clerk();
    let wants = vec![Want::new("k", Mode::X)];
    let unsent = clerk.acquire(wants.clone(), Patience::For(LEASE));
    clerk.heard(at(1), at(1), unsent, Heard::Unreachable);
    assert!(!clerk.exposed(unsent));
    assert_eq!(clerk.give_up(unsent), None);
    let sent = clerk.acquire(wants, Patience::For(LEASE));
    clerk.heard(at(1), at(1), sent, Heard::Silence);
    assert!(clerk.exposed(sent));
    let ticket = Ticket { owner: ME, request: sent };
    assert_eq!(clerk.give_up(sent), Some(Request::Cancel(ticket)));
    let late = clerk.heard(at(1), at(1), sent, Heard::Answer(Answer::Waiting));
    assert_eq!(late, Next::Over(Outcome::Unknown), "nobody asks about it any more");
}

#[test]
fn a_sign_of_life_is_sent_at_a_third_of_the_lease() {
    let mut clerk = clerk();
    assert_eq!(clerk.deadline(), Some(at(10)));
    assert_eq!(clerk.due(at(9)), None);
    assert_eq!(clerk.due(at(10)), Some(Request::Renew(ME)));
    assert_eq!(clerk.due(at(11)), None, "one at a time");
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
        assert_eq!(clerk.losses(), []);
    }
    clerk.due(at(31));
    assert_eq!(clerk.losses(), [Loss::Silent], "others may have it from now on");
    clerk.due(at(32));
    assert_eq!(clerk.losses(), [], "said once");
    // The service was away, and has begun the lease anew: nothing was lost after all.
    clerk.renewed(at(40), at(40), &renewed(vec![grant("k", 1)], false));
    assert_eq!(clerk.losses(), []);
    assert!(!clerk.is_gone());
    assert_eq!(clerk.token(&"k".into()), Some(Token(1)));
}

#[test]
fn a_session_that_is_unknown_is_gone_with_everything() {
    let unknown = Refusal::Unknown(ME);
    let mut clerk = clerk();
    takes(&mut clerk, at(1), "k", 1);
    assert!(clerk.due(at(12)).is_some());
    clerk.renewed(at(12), at(12), &Heard::Refused(unknown.clone().into()));
    assert_eq!(clerk.losses(), [Loss::Session(unknown.clone())]);
    assert!(clerk.is_gone());
    assert_eq!((clerk.token(&"k".into()), clerk.due(at(99)), clerk.deadline()), (None, None, None));
    let number = clerk.release("k".into(), None);
    let next = clerk.heard(at(13), at(13), number, Heard::Refused(unknown.clone().into()));
    assert_eq!(next, Next::Over(Outcome::Refused(unknown)));
    assert_eq!(clerk.losses(), [], "said once");
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
    assert_eq!(clerk.losses(), [lost(&["b", "c"])]);
    // What was granted after the renewal was sent cannot be in its answer.
    takes(&mut clerk, at(6), "e", 5);
    // Nor need be what is just being given back.
    let number = clerk.release("a".into(), None);
    clerk.renewed(at(7), at(5), &renewed(vec![grant("d", 4)], false));
    assert_eq!(clerk.losses(), []);
    clerk.heard(at(7), at(5), number, Heard::Answer(Answer::Done));
    clerk.renewed(at(9), at(8), &renewed(Vec::new(), false));
    assert_eq!(clerk.losses(), [lost(&["d", "e"])]);
    // A wound takes everything at once.
    takes(&mut clerk, at(10), "f", 6);
    let number = clerk.acquire(vec![Want::new("g", Mode::X)], Patience::For(LEASE));
    let refusal = Refusal::Wounded { name: "f".into(), by: Owner::session(1) };
    clerk.heard(at(11), at(10), number, Heard::Refused(refusal.into()));
    assert_eq!(clerk.losses(), [lost(&["f"])]);
}
