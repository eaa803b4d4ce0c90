//! What a clerk does about a try that is not answered while the world goes on.

use std::time::Duration;

use pbservice::{
    Answer, Change, Clerk, Done, Request, SessionId,
    clerk::{Ask, Heard, Next, Try},
};
use protocol::NodeId;
use viewservice::{Incarnation, Member, Server, View, ViewNum};

use crate::shell::b;

fn server(node: u16) -> Server {
    let member = Member { node: NodeId(node), incarnation: Incarnation(u64::from(node)) };
    Server { member, addr: format!("h{node}") }
}

fn view(number: u64, primary: u16, backup: Option<u16>) -> View {
    View { number: ViewNum(number), primary: Some(server(primary)), backup: backup.map(server) }
}

/// The request that a clerk puts to this server at once.
fn asks(next: Next, node: u16) -> Request {
    match next {
        Next::Try(Try { after: Duration::ZERO, ask: Ask::Server(asked, request) }) => {
            assert_eq!(asked, server(node));
            request
        }
        other => panic!("n{node} should be asked at once: {other:?}"),
    }
}

/// A clerk whose append is on its way to n1, primary of view 2 with backup n2, and that append.
fn appending() -> (Clerk, Request) {
    let mut clerk = Clerk::new(1);
    let first = clerk.change(Change::Append(b("k"), b("v")));
    assert_eq!(first.ask, Ask::View);
    let open = asks(clerk.heard(Heard::View(view(2, 1, Some(2)))), 1);
    assert!(matches!(open, Request::Open(_)), "{open:?}");
    let opened = Heard::Answer(Answer::Opened(SessionId(7)));
    let submit = asks(clerk.heard(opened), 1);
    (clerk, submit)
}

#[test]
fn a_newer_view_ends_a_try_and_the_same_request_goes_to_the_new_primary() {
    let (mut clerk, submit) = appending();
    let newer = view(3, 2, None);
    assert!(clerk.leads_elsewhere(&newer));
    let again = asks(clerk.heard(Heard::Overtaken(newer)), 2);
    assert_eq!(again, submit, "under the same number");
    assert!(clerk.exposed(), "the first try may have been done");
    let done = clerk.heard(Heard::Answer(Answer::Done(Done::Written)));
    assert_eq!(done, Next::Done(Done::Written));
}

#[test]
fn a_view_that_leads_nowhere_else_ends_no_try() {
    let (mut clerk, _) = appending();
    // Older, known already, and newer with the same primary.
    for other in [view(1, 3, None), view(2, 1, Some(2)), view(3, 1, Some(3)), view(4, 1, None)] {
        assert!(!clerk.leads_elsewhere(&other), "{other}");
    }
    // Whoever is told of it all the same takes it for silence.
    let next = clerk.heard(Heard::Overtaken(view(2, 1, Some(2))));
    assert_eq!(next, Next::Try(Try { after: Duration::ZERO, ask: Ask::View }));
    assert!(clerk.exposed());
}
