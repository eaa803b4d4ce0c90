//! The promises of an agreement, one function each.

use bytes::Bytes;
use protocol::NodeId;

use super::{TRAILING, bench::Bench};
use crate::{
    agreement::{Agreement, Refused},
    message::{Reply, Request, Submit},
};

/// More than any command may have.
const TOO_LARGE: usize = 3 << 20;

fn text(number: u64) -> Bytes {
    Bytes::from(format!("command {number}"))
}

/// Does the commands of this range, and checks the place of each.
fn perform<A: Agreement>(bench: &mut Bench<'_, A>, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let length = bench.perform(&text(number));
        assert_eq!(length, number + 1, "command {number} is at another place");
    }
}

/// The member that leads.
fn leader<A: Agreement>(bench: &Bench<'_, A>) -> NodeId {
    let leads = |id: &NodeId| bench.replica(*id).agreement().leader() == Some(*id);
    bench.ids.iter().copied().find(leads).expect("somebody leads by now")
}

/// Does the commands of this range all at once, behind one that finds the leader.
fn burst<A: Agreement>(bench: &mut Bench<'_, A>, numbers: std::ops::Range<u64>) {
    perform(bench, numbers.start..numbers.start + 1);
    let leads = leader(bench);
    let rest: Vec<u64> =
        (numbers.start + 1..numbers.end).map(|number| bench.submit(leads, &text(number))).collect();
    bench.until("everything is applied", |bench| bench.tape(leads).len() as u64 >= numbers.end);
    bench.pass(10);
    for ticket in rest {
        let answer = bench.answer(ticket);
        assert!(matches!(answer, Some(Reply::Done(_))), "{answer:?}");
    }
}

/// All members end with exactly these commands, in this order.
fn all_have<A: Agreement>(bench: &mut Bench<'_, A>, count: u64) {
    let whole: Vec<Bytes> = (0..count).map(text).collect();
    bench.until("everybody has everything", |bench| {
        bench.ids.iter().all(|id| bench.tape(*id).len() as u64 >= count)
    });
    for id in bench.ids.clone() {
        assert_eq!(bench.tape(id), whole, "the tape of {id}");
    }
}

pub(super) fn commands_come_in_order_each_once<A: Agreement>(mut bench: Bench<'_, A>) {
    perform(&mut bench, 0..20);
    all_have(&mut bench, 20);
    // Many at once: the order is theirs to find, but it is one order, and nothing is lost.
    burst(&mut bench, 20..60);
    bench.until("everybody has everything", |bench| {
        bench.ids.iter().all(|id| bench.tape(*id).len() == 60)
    });
    let leads = leader(&bench);
    let first = bench.tape(leads).to_vec();
    for id in bench.ids.clone() {
        assert_eq!(bench.tape(id), first, "two members disagree");
        assert_eq!(bench.replica(id).chain(), bench.replica(leads).chain());
    }
    for number in 0..60 {
        let found = first.iter().filter(|done| **done == text(number)).count();
        assert_eq!(found, 1, "command {number} was decided {found} times");
    }
}

pub(super) fn nothing_is_answered_before_it_is_durable<A: Agreement>(mut bench: Bench<'_, A>) {
    perform(&mut bench, 0..3);
    let leads = leader(&bench);
    bench.disks_hold = true;
    let ticket = bench.submit(leads, &text(3));
    bench.pass(20);
    assert!(bench.answer(ticket).is_none(), "answered while no disk had it");
    bench.disks_hold = false;
    bench.until("the answer", |bench| bench.answer(ticket).is_some());
}

pub(super) fn a_query_sees_everything_acknowledged<A: Agreement>(mut bench: Bench<'_, A>) {
    for number in 0..20 {
        perform(&mut bench, number..number + 1);
        // Each in turn is the first that is asked: a member that lags behind must not answer from
        // what it has.
        let id = bench.ids[number as usize % bench.ids.len()];
        let seen = bench.look(id);
        assert!(seen > number, "command {number} was acknowledged, and {id} shows {seen}");
    }
}

pub(super) fn recovery_hands_out_the_rest<A: Agreement>(mut bench: Bench<'_, A>) {
    for life in 0..4 {
        perform(&mut bench, life * 10..(life + 1) * 10);
        for id in bench.ids.clone() {
            bench.crash(id);
        }
        for id in bench.ids.clone() {
            bench.start(id).expect("a sound past");
        }
        for id in bench.ids.clone() {
            assert_eq!(bench.look(id), (life + 1) * 10, "{id} in life {life}");
        }
    }
    all_have(&mut bench, 40);
}

/// Five lives with a snapshot every few commands: the log stays short, and nothing is lost.
pub(super) fn a_snapshot_replaces_what_the_log_forgets<A: Agreement>(mut bench: Bench<'_, A>) {
    for id in bench.ids.clone() {
        bench.crash(id);
    }
    bench.snapshots_every(64);
    for life in 0..5 {
        for id in bench.ids.clone() {
            bench.start(id).expect("a sound past");
        }
        // In bursts, so that much is applied between taking a snapshot and its being durable.
        for burst_of in 0..4 {
            let from = life * 60 + burst_of * 15;
            burst(&mut bench, from..from + 15);
        }
        all_have(&mut bench, (life + 1) * 60);
        for id in bench.ids.clone() {
            // A snapshot is taken when as much was applied as the last one was large: the log
            // never holds much more than half of everything.
            let (records, limit) = (bench.records(id), 20 + 40 * (life as usize + 1));
            assert!(records < limit, "{id} keeps {records} records in life {life}");
            bench.crash(id);
        }
    }
    for id in bench.ids.clone() {
        assert!(bench.newest_snapshot(id).is_some(), "{id} never took a snapshot");
        bench.start(id).expect("a sound past");
    }
    all_have(&mut bench, 300);
}

/// Without its snapshots a member whose log was shortened must not begin: it would call what is
/// left the whole.
pub(super) fn a_past_with_a_hole_is_refused<A: Agreement>(mut bench: Bench<'_, A>) {
    for id in bench.ids.clone() {
        bench.crash(id);
    }
    bench.snapshots_every(64);
    for id in bench.ids.clone() {
        bench.start(id).expect("a sound past");
    }
    perform(&mut bench, 0..60);
    let first = bench.ids[0];
    bench.until("a shorter log", |bench| bench.replica(first).agreement().status().floor.0 > 0);
    bench.pass(10);
    bench.crash(first);
    bench.forget_snapshots(first);
    assert!(bench.start(first).is_err(), "it began although its past has a hole");
}

pub(super) fn too_large_is_refused_and_nothing_else_suffers<A: Agreement>(mut bench: Bench<'_, A>) {
    perform(&mut bench, 0..2);
    let leads = leader(&bench);
    let huge = Request::Submit(Submit(Bytes::from(vec![7; TOO_LARGE])));
    let ticket = bench.ask(leads, huge);
    let mut answer = None;
    bench.until("the refusal", |bench| {
        answer = bench.answer(ticket);
        answer.is_some()
    });
    assert!(matches!(answer, Some(Reply::Refused(Refused::TooLarge))), "{answer:?}");
    perform(&mut bench, 2..4);
}

pub(super) fn who_is_far_behind_installs_a_snapshot<A: Agreement>(mut bench: Bench<'_, A>) {
    for id in bench.ids.clone() {
        bench.crash(id);
    }
    bench.snapshots_every(64);
    for id in bench.ids.clone() {
        bench.start(id).expect("a sound past");
    }
    perform(&mut bench, 0..5);
    all_have(&mut bench, 5);
    let leads = leader(&bench);
    let behind = bench.ids.iter().copied().find(|id| *id != leads).expect("several members");
    bench.cut_off(behind);
    perform(&mut bench, 5..5 + 20 * TRAILING);
    bench.rejoin();
    all_have(&mut bench, 5 + 20 * TRAILING);
    perform(&mut bench, 5 + 20 * TRAILING..10 + 20 * TRAILING);
    all_have(&mut bench, 10 + 20 * TRAILING);
}

/// A life that ends between writing a snapshot and shortening the log leaves an agreement that
/// knows of the older snapshot only. The replica must tell it of the newer one, or whoever needs
/// it asks for ever for one that is gone.
pub(super) fn a_crash_between_snapshot_and_shortening_strands_nobody<A: Agreement>(
    mut bench: Bench<'_, A>,
) {
    for id in bench.ids.clone() {
        bench.crash(id);
    }
    let (behind, others) =
        bench.ids.split_last().map(|(last, rest)| (*last, rest.to_vec())).expect("several members");
    bench.snapshots_every(64);
    bench.cut_off(behind);
    bench.start(behind).expect("a sound past");
    for id in &others {
        bench.start(*id).expect("a sound past");
    }
    perform(&mut bench, 0..20 * TRAILING);
    bench.reports_lost = true;
    let before: Vec<_> = others.iter().map(|id| (*id, bench.newest_snapshot(*id))).collect();
    let mut count = 20 * TRAILING;
    while before.iter().any(|(id, newest)| bench.newest_snapshot(*id) <= *newest) {
        perform(&mut bench, count..count + 1);
        count += 1;
    }
    bench.pass(100);
    for id in &others {
        bench.crash(*id);
    }
    // No further snapshot mends it by chance.
    bench.snapshots_every(u64::MAX);
    bench.reports_lost = false;
    for id in &others {
        bench.start(*id).expect("a sound past");
    }
    bench.rejoin();
    all_have(&mut bench, count);
}
