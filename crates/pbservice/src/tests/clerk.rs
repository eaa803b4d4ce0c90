//! What a client does about silence, refusals and new views.

use std::time::Duration;

use protocol::NodeId;
use viewservice::{Incarnation, Member, Server, View, ViewNum};

use super::b;
use crate::{
    Clerk,
    change::{Change, Done, RequestNo, SessionId},
    clerk::{Ask, Heard, Next, Try},
    message::{Answer, Refused, Request, Submit},
};

fn view(number: u64, primary: u16) -> View {
    let member = Member { node: NodeId(primary), incarnation: Incarnation(1) };
    let primary = Some(Server { member, addr: format!("h{primary}") });
    View { number: ViewNum(number), primary, backup: None }
}

fn put() -> Change {
    Change::Put(b("k"), b("v"))
}

/// Whom it asks next, and what.
fn ask(next: Next) -> (Option<u16>, Option<Request>) {
    match next {
        Next::Try(Try { ask: Ask::View, .. }) => (None, None),
        Next::Try(Try { ask: Ask::Server(server, request), .. }) => {
            (Some(server.member.node.0), Some(request))
        }
        other => panic!("it is finished: {other:?}"),
    }
}

fn number(next: Next) -> RequestNo {
    match ask(next) {
        (_, Some(Request::Submit(Submit { number, .. }))) => number,
        other => panic!("{other:?}"),
    }
}

/// A clerk that knows n1 as primary of view 1 and has session 7.
fn settled() -> Clerk {
    let mut clerk = Clerk::new(1);
    assert_eq!(clerk.change(put()).ask, Ask::View);
    assert!(matches!(ask(clerk.heard(Heard::View(view(1, 1)))), (Some(1), Some(Request::Open(_)))));
    let opened = clerk.heard(Heard::Answer(Answer::Opened(SessionId(7))));
    let (server, request) = ask(opened);
    let expected = Submit { session: SessionId(7), number: RequestNo(1), change: put() };
    assert_eq!((server, request), (Some(1), Some(Request::Submit(expected))));
    let done = clerk.heard(Heard::Answer(Answer::Done(Done::Written)));
    assert_eq!(done, Next::Done(Done::Written));
    clerk
}

#[test]
fn a_repetition_keeps_its_number_and_the_next_request_takes_another() {
    let mut clerk = settled();
    clerk.change(put());
    assert!(!clerk.exposed());
    assert_eq!(ask(clerk.heard(Heard::Silence)), (None, None));
    assert!(clerk.exposed());
    assert_eq!(number(clerk.heard(Heard::View(view(2, 2)))), RequestNo(2));
    assert_eq!(ask(clerk.heard(Heard::Refused(Refused::Interrupted))), (None, None));
    assert_eq!(number(clerk.heard(Heard::View(view(3, 1)))), RequestNo(2));
    let done = Heard::Answer(Answer::Done(Done::Written));
    assert_eq!(clerk.heard(done), Next::Done(Done::Written));
    let again = clerk.change(put());
    assert_eq!(number(Next::Try(again)), RequestNo(3));
    // What was given up keeps its number to itself.
    clerk.give_up();
    let again = clerk.change(put());
    assert_eq!(number(Next::Try(again)), RequestNo(4));
}

#[test]
fn only_what_was_sent_and_not_refused_may_have_happened() {
    for (heard, exposes) in [
        (Heard::Silence, true),
        (Heard::Refused(Refused::Interrupted), true),
        (Heard::Unreachable, false),
        (Heard::Refused(Refused::NotPrimary(ViewNum(9))), false),
        (Heard::Refused(Refused::Busy), false),
        (Heard::Answer(Answer::Value(None)), true),
    ] {
        let mut clerk = settled();
        clerk.change(put());
        assert_eq!(ask(clerk.heard(heard.clone())), (None, None), "{heard:?}");
        assert_eq!(clerk.exposed(), exposes, "{heard:?}");
        // The view service says nothing: of the change that is no news.
        clerk.heard(Heard::Silence);
        assert_eq!(clerk.exposed(), exposes, "{heard:?}");
    }
    // A get changes nothing, and neither does a session.
    let mut clerk = settled();
    clerk.get(b("k"));
    clerk.heard(Heard::Silence);
    assert!(!clerk.exposed());
    let mut clerk = Clerk::new(1);
    clerk.change(put());
    clerk.heard(Heard::View(view(1, 1)));
    clerk.heard(Heard::Silence);
    assert!(!clerk.exposed());
}

#[test]
fn a_forgotten_session_is_opened_again_unless_the_change_may_have_happened() {
    let mut clerk = settled();
    clerk.change(put());
    let next = clerk.heard(Heard::Refused(Refused::Expired));
    assert!(matches!(ask(next), (Some(1), Some(Request::Open(_)))));
    let opened = clerk.heard(Heard::Answer(Answer::Opened(SessionId(8))));
    assert_eq!(number(opened), RequestNo(2));

    let mut clerk = settled();
    clerk.change(put());
    clerk.heard(Heard::Silence);
    clerk.heard(Heard::View(view(2, 2)));
    assert_eq!(clerk.heard(Heard::Refused(Refused::Expired)), Next::Unknown);
    // The next change begins with a new session.
    let next = Next::Try(clerk.change(put()));
    assert!(matches!(ask(next), (Some(2), Some(Request::Open(_)))));
}

#[test]
fn a_refusal_is_final_and_honest_about_earlier_tries() {
    for why in [Refused::TooLarge, Refused::Late] {
        let mut clerk = settled();
        clerk.change(put());
        assert_eq!(clerk.heard(Heard::Refused(why.clone())), Next::Refused(why.clone()));
        let mut clerk = settled();
        clerk.change(put());
        clerk.heard(Heard::Silence);
        clerk.heard(Heard::View(view(2, 2)));
        assert_eq!(clerk.heard(Heard::Refused(why)), Next::Unknown);
    }
}

#[test]
fn an_answer_to_another_question_is_none() {
    for wrong in [Answer::Opened(SessionId(3)), Answer::Value(Some(b("v")))] {
        let mut clerk = settled();
        clerk.change(put());
        assert_eq!(ask(clerk.heard(Heard::Answer(wrong))), (None, None));
        assert_eq!(number(clerk.heard(Heard::View(view(2, 2)))), RequestNo(2));
    }
    for wrong in [Answer::Opened(SessionId(3)), Answer::Done(Done::Written)] {
        let mut clerk = settled();
        clerk.get(b("k"));
        assert_eq!(ask(clerk.heard(Heard::Answer(wrong))), (None, None));
        let value = clerk.heard(Heard::Answer(Answer::Value(Some(b("v")))));
        assert_eq!(value, Next::Value(Some(b("v"))));
    }
}

#[test]
fn a_view_is_believed_only_if_it_is_newer() {
    let mut clerk = settled();
    clerk.get(b("k"));
    clerk.heard(Heard::Refused(Refused::NotPrimary(ViewNum(3))));
    assert_eq!(ask(clerk.heard(Heard::View(view(3, 2)))).0, Some(2));
    clerk.heard(Heard::Refused(Refused::NotPrimary(ViewNum(3))));
    assert_eq!(ask(clerk.heard(Heard::View(view(2, 1)))).0, Some(2));
    assert_eq!(clerk.view().number, ViewNum(3));
}

/// Whoever is busy may have been replaced because of that; until somebody says so, it is asked again.
#[test]
fn of_a_busy_server_the_view_service_is_asked() {
    let mut clerk = settled();
    clerk.change(put());
    assert_eq!(ask(clerk.heard(Heard::Refused(Refused::Busy))), (None, None));
    let again = clerk.heard(Heard::View(view(1, 1)));
    assert!(matches!(&again, Next::Try(it) if it.after > Duration::ZERO), "after a pause");
    assert_eq!(number(again), RequestNo(2));
    assert_eq!(ask(clerk.heard(Heard::Refused(Refused::Busy))), (None, None));
    let elsewhere = clerk.heard(Heard::View(view(2, 2)));
    assert!(matches!(&elsewhere, Next::Try(it) if it.after == Duration::ZERO), "at once");
    assert_eq!(ask(elsewhere).0, Some(2));
}

#[test]
fn without_a_view_service_the_known_primary_is_asked_again() {
    let mut clerk = settled();
    clerk.change(put());
    for _ in 0..3 {
        assert_eq!(ask(clerk.heard(Heard::Silence)), (None, None));
        let again = clerk.heard(Heard::Unreachable);
        assert!(matches!(&again, Next::Try(it) if it.after > Duration::ZERO), "after a pause");
        assert_eq!(number(again), RequestNo(2));
    }
    let done = Heard::Answer(Answer::Done(Done::Written));
    assert_eq!(clerk.heard(done), Next::Done(Done::Written));
    // Who knows nobody has nobody else to ask.
    let mut clerk = Clerk::new(1);
    clerk.change(put());
    assert_eq!(ask(clerk.heard(Heard::Unreachable)), (None, None));
}

/// Nobody is asked without end and without a pause, and no pause grows without end.
#[test]
fn whoever_gets_nowhere_asks_less_and_less_often() {
    for seed in 0..100 {
        let mut clerk = Clerk::new(seed);
        clerk.change(put());
        clerk.heard(Heard::View(view(1, 1)));
        let mut waited = Duration::ZERO;
        let mut next = clerk.heard(Heard::Unreachable);
        for _ in 0..100 {
            let Next::Try(it) = &next else { panic!("{next:?}") };
            assert!(it.after <= Duration::from_millis(50), "{it:?}");
            waited += it.after;
            next = match &it.ask {
                Ask::View => clerk.heard(Heard::View(view(1, 1))),
                Ask::Server(..) => clerk.heard(Heard::Unreachable),
            };
        }
        assert!(waited > Duration::from_millis(800), "seed {seed}: {waited:?} in 100 tries");
    }
}
