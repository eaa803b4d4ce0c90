//! The backup's side: the stream of its own view's primary, in order, each place once.

use protocol::NodeId;
use viewservice::{Incarnation, Member, ViewNum};

use super::*;
use crate::Duty;

/// A request of session 1, in the stream.
fn done(number: u64, change: Change) -> Item {
    Item::Do { session: SessionId(1), number: RequestNo(number), change }
}

#[test]
fn a_forward_comes_from_the_primary_of_the_view_and_proves_it() {
    let mut backup = backup();
    let items = vec![done(1, put("k", "v"))];
    let forward = Forward { view: ViewNum(2), from: life(1), first: Seq(5), items };
    // A client, another server, this server itself.
    for peer in [None, Some(NodeId(3)), Some(NodeId(2))] {
        assert_eq!(backup.forwarded_by(peer, forward.clone()), Err(Rebuff::Stranger), "{peer:?}");
    }
    // Another life of the primary, and somebody who is not primary and does not claim to be n1.
    let other_life = Member { incarnation: Incarnation(9), ..life(1) };
    for from in [other_life, life(3)] {
        let forward = Forward { from, ..forward.clone() };
        assert_eq!(backup.forwarded_by(Some(from.node), forward), Err(Rebuff::Stranger), "{from}");
    }
    assert_eq!(backup.core().state().get(b"k"), None);
    assert_eq!(backup.forwarded_by(Some(NodeId(1)), forward), Ok(Seq(5)));
    assert_eq!(backup.core().state().get(b"k"), Some(&b("v")));
}

#[test]
fn a_forward_of_another_view_is_refused_with_what_is_known() {
    let mut backup = backup();
    backup.told(view(5, &[life(1), life(2)]));
    let begin = vec![Item::Begin { opened: 0, uses: 0 }];
    let forward = |number: u64| Forward {
        view: ViewNum(number),
        from: life(1),
        first: Seq(1),
        items: begin.clone(),
    };
    let stale = Rebuff::Stale { stale: ViewNum(4), known: ViewNum(5) };
    assert_eq!(backup.forwarded_by(Some(NodeId(1)), forward(4)), Err(stale));
    let pings = backup.pings.len();
    assert_eq!(backup.forwarded_by(Some(NodeId(1)), forward(6)), Err(Rebuff::NotBackup));
    // Of a view that it has not heard of it wants to hear: once the ping under way has ended.
    backup.told(view(5, &[life(1), life(2)]));
    assert!(backup.pings.len() > pings);
    assert_eq!(backup.core().state().covered(), &crate::state::Covered::nothing());
    assert_eq!(backup.forwarded_by(Some(NodeId(1)), forward(5)), Ok(Seq(1)));
}

#[test]
fn whoever_is_no_backup_takes_no_forward() {
    let begin = vec![Item::Begin { opened: 0, uses: 0 }];
    let forward = Forward { view: ViewNum(2), from: life(1), first: Seq(1), items: begin };
    let mut idle = Trial::new(life(3));
    assert_eq!(idle.forwarded_by(Some(NodeId(1)), forward.clone()), Err(Rebuff::NotBackup));
    idle.told(view(2, &[life(1), life(2)]));
    assert_eq!(idle.forwarded_by(Some(NodeId(1)), forward.clone()), Err(Rebuff::NotBackup));
    let mut primary = paired();
    assert_eq!(primary.forwarded_by(Some(NodeId(1)), forward.clone()), Err(Rebuff::NotBackup));
    // Another life of the backup, which the view does not speak of.
    let mut again = Trial::new(Member { incarnation: Incarnation(7), ..life(2) });
    again.told(view(2, &[life(1), life(2)]));
    assert_eq!(again.core().duty(), Duty::Idle);
    assert_eq!(again.forwarded_by(Some(NodeId(1)), forward), Err(Rebuff::NotBackup));
}

#[test]
fn each_place_is_taken_once_and_in_order() {
    let mut backup = backup();
    let item = |number: u64, tail: &str| done(number, append("k", tail));
    assert_eq!(backup.takes(5, vec![item(1, "a"), item(2, "b")]), Ok(Seq(6)));
    backup.ignored();
    // All of it again; a part again with something new behind it; less than is here.
    assert_eq!(backup.takes(5, vec![item(1, "a"), item(2, "b")]), Ok(Seq(6)));
    assert_eq!(backup.takes(6, vec![item(2, "b"), item(3, "c")]), Ok(Seq(7)));
    assert_eq!(backup.takes(5, vec![item(1, "a")]), Ok(Seq(7)));
    assert_eq!(backup.ignored(), [Ignored::Repeated; 3]);
    // A place is left out.
    assert_eq!(backup.takes(9, vec![item(5, "e")]), Ok(Seq(7)));
    assert_eq!(backup.ignored(), [Ignored::Gap]);
    // Nothing at all, at the next place and behind a gap.
    assert_eq!(backup.takes(8, vec![]), Ok(Seq(7)));
    assert_eq!(backup.takes(80, vec![]), Ok(Seq(7)));
    assert_eq!(backup.takes(8, vec![item(4, "d")]), Ok(Seq(8)));
    assert_eq!(backup.core().state().get(b"k"), Some(&b("abcd")));
}

#[test]
fn a_new_view_begins_with_nothing() {
    let mut backup = backup();
    assert_eq!(backup.takes(5, vec![done(1, put("k", "v"))]), Ok(Seq(5)));
    backup.told(view(3, &[life(1), life(2)]));
    assert!(backup.core().state().is_empty() && !backup.core().state().is_whole());
    assert_eq!(backup.core().places(), (Seq(0), Seq(0)));
    let forward = |first, items| Forward { view: ViewNum(3), from: life(1), first, items };
    // It goes on with no stream of an older view, even where the places fit.
    let goes_on = forward(Seq(6), vec![done(2, put("k", "w"))]);
    assert_eq!(backup.forwarded_by(Some(NodeId(1)), goes_on), Ok(Seq(0)));
    assert_eq!(backup.ignored(), [Ignored::Gap]);
    let begins = forward(Seq(1), vec![Item::Begin { opened: 1, uses: 2 }]);
    assert_eq!(backup.forwarded_by(Some(NodeId(1)), begins), Ok(Seq(1)));
}

#[test]
fn a_backup_that_is_dropped_has_nothing_any_more() {
    let mut backup = backup();
    assert_eq!(backup.takes(5, vec![done(1, put("k", "v"))]), Ok(Seq(5)));
    backup.told(view(3, &[life(1)]));
    assert_eq!(backup.core().duty(), Duty::Idle);
    assert!(!backup.core().state().is_whole());
    // Should it be told to lead all the same, it does not.
    backup.outputs.clear();
    backup.told(view(4, &[life(2)]));
    assert!(backup.outputs.contains(&Output::Hollow(ViewNum(4))));
    assert_eq!(backup.hears(get("k")), Err(Refused::NotPrimary(ViewNum(4))));
    assert!(!backup.ping().installed, "it acknowledges nothing");
}
