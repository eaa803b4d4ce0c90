//! A server's side of the conversation, call by call.

use std::time::Duration;

use protocol::{CallId, NodeId, Time};
use viewservice::{
    Incarnation, Joined, Member, News, PING_INTERVAL, Ping, Pinger, Pong, Refused, Reply, Request,
    Server, View, ViewNum,
};

fn at(millis: u64) -> Time {
    Time::ZERO.plus(Duration::from_millis(millis))
}

fn joined(incarnation: u64) -> Reply {
    Reply::Joined(Ok(Joined { incarnation: Incarnation(incarnation) }))
}

fn due(pinger: &mut Pinger, now: Time) -> Option<Request> {
    pinger.due(now, ViewNum(3), true, false)
}

/// A pinger that has been named 7 at time zero.
fn named(heir: Vec<Incarnation>) -> Pinger {
    let mut pinger = Pinger::new(NodeId(2), "there".to_owned(), heir);
    assert_eq!(pinger.deadline(), Time::ZERO, "the first call is due at birth");
    assert!(matches!(due(&mut pinger, Time::ZERO), Some(Request::Join(_))));
    pinger.called(CallId(1));
    assert_eq!(pinger.heard(Time::ZERO, CallId(1), joined(7)), News::Named(Incarnation(7)));
    pinger
}

#[test]
fn a_name_first_and_then_a_ping_each_interval() {
    let mut pinger = named(vec![Incarnation(4)]);
    for tick in 0..5 {
        let now = at(100 * tick);
        assert_eq!(pinger.deadline().max(now), now, "it is due");
        let member = Member { node: NodeId(2), incarnation: Incarnation(7) };
        let server = Server { member, addr: "there".to_owned() };
        let (heir, view) = (vec![Incarnation(4)], ViewNum(3));
        let expected = Ping { server, view, installed: true, heir, lost_backup: false };
        assert_eq!(due(&mut pinger, now), Some(Request::Ping(expected)));
        let call = CallId(10 + tick);
        pinger.called(call);
        assert_eq!(due(&mut pinger, now), None, "one call at a time");
        assert_eq!(pinger.deadline(), now.plus(PING_INTERVAL));
        let pong = Reply::Pong(Ok(Pong { view: View::default() }));
        assert_eq!(pinger.heard(at(100 * tick + 3), call, pong), News::Viewed(View::default()));
        assert_eq!(pinger.deadline(), now.plus(PING_INTERVAL), "an answer is no reason to ping");
        assert_eq!(due(&mut pinger, at(100 * tick + 99)), None);
    }
}

#[test]
fn a_call_that_is_not_answered_is_given_up_and_its_late_answer_is_news() {
    let mut pinger = named(Vec::new());
    assert!(due(&mut pinger, at(0)).is_some());
    pinger.called(CallId(2));
    assert_eq!(due(&mut pinger, at(99)), None);
    assert!(due(&mut pinger, at(100)).is_some(), "the next one goes out");
    pinger.called(CallId(3));
    let view = View { number: ViewNum(9), ..View::default() };
    let late = Reply::Pong(Ok(Pong { view: view.clone() }));
    assert_eq!(pinger.heard(at(150), CallId(2), late), News::Viewed(view));
    assert_eq!(due(&mut pinger, at(150)), None, "the later call is under way still");
    pinger.failed(at(160), CallId(3));
    assert_eq!(due(&mut pinger, at(160)), None, "who fails at once is not called without pause");
    assert!(due(&mut pinger, at(200)).is_some());
}

#[test]
fn news_go_out_at_the_next_chance() {
    let mut pinger = named(Vec::new());
    assert!(due(&mut pinger, at(0)).is_some());
    pinger.called(CallId(2));
    pinger.hurry();
    assert_eq!(due(&mut pinger, at(10)), None, "the call under way did not carry them");
    let pong = Reply::Pong(Ok(Pong { view: View::default() }));
    pinger.heard(at(11), CallId(2), pong.clone());
    assert_eq!(pinger.deadline(), Time::ZERO);
    assert!(due(&mut pinger, at(11)).is_some());
    pinger.called(CallId(3));
    pinger.heard(at(12), CallId(3), pong);
    pinger.hurry();
    assert!(due(&mut pinger, at(13)).is_some(), "no call is under way: at once");
    assert_eq!(pinger.deadline(), at(113));
}

#[test]
fn a_life_has_one_name() {
    let mut pinger = Pinger::new(NodeId(2), "there".to_owned(), Vec::new());
    assert!(due(&mut pinger, at(0)).is_some());
    pinger.called(CallId(1));
    assert!(due(&mut pinger, at(100)).is_some());
    pinger.called(CallId(2));
    assert_eq!(pinger.heard(at(101), CallId(1), joined(5)), News::Named(Incarnation(5)));
    assert_eq!(pinger.heard(at(102), CallId(2), joined(6)), News::Nothing, "6 is burned");
    assert_eq!(pinger.member().map(|it| it.incarnation), Some(Incarnation(5)));
    let taken = Reply::Joined(Err(Refused::Taken));
    assert_eq!(pinger.heard(at(103), CallId(9), taken.clone()), News::Nothing);
    let mut other = Pinger::new(NodeId(2), "there".to_owned(), Vec::new());
    assert!(due(&mut other, at(0)).is_some());
    other.called(CallId(1));
    assert_eq!(other.heard(at(1), CallId(1), taken), News::Refused(Refused::Taken));
    assert!(matches!(due(&mut other, at(100)), Some(Request::Join(_))), "it asks again");
}

#[test]
fn a_member_inherits_nothing_any_more() {
    let mut pinger = named(vec![Incarnation(4)]);
    let member = pinger.member().expect("named");
    let server = Server { member, addr: "there".to_owned() };
    let heir = |pinger: &mut Pinger, now: Time| match due(pinger, now) {
        Some(Request::Ping(ping)) => ping.heir,
        other => panic!("{other:?}"),
    };
    assert_eq!(heir(&mut pinger, at(0)), [Incarnation(4)]);
    pinger.called(CallId(2));
    pinger.heard(at(1), CallId(2), Reply::Pong(Ok(Pong { view: View::default() })));
    assert_eq!(heir(&mut pinger, at(100)), [Incarnation(4)], "it is still idle");
    pinger.called(CallId(3));
    let view = View { number: ViewNum(5), primary: Some(server), backup: None };
    pinger.heard(at(101), CallId(3), Reply::Pong(Ok(Pong { view })));
    assert_eq!(heir(&mut pinger, at(200)), []);
}
