//! A replica and its snapshots, on a desk without a disk.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::{Desk, Lsn, NodeId, Time, Word};

use crate::{
    agreement::{Agreement, Index, Refused},
    core::{Config, Replica, Restored},
    message::{Chunk, Output, Query, Reply, Request, Submit, Taken},
    solo::{Ask, Noted, Solo},
    suite::Tape,
};

const ME: NodeId = NodeId(1);

struct Node {
    desk: Desk<Replica<Solo, Tape>>,
    saved: Lsn,
    tickets: u64,
    answers: BTreeMap<u64, Reply<Noted>>,
    outputs: Vec<Output>,
}

impl Node {
    fn new(snapshot_bytes: u64) -> Self {
        let solo = Solo::recover(ME, Index(0), []).expect("nothing is wrong with an empty past");
        let config = Config { me: ME, snapshot_bytes };
        let replica = Replica::new(config, solo, Restored::fresh(Tape::default()));
        let mut desk = Desk::new(ME, replica, Lsn(0));
        desk.wake(Time::ZERO);
        let (answers, outputs) = (BTreeMap::new(), Vec::new());
        Self { desk, saved: Lsn(0), tickets: 0, answers, outputs }
    }

    fn ask(&mut self, request: Request<Ask>) -> u64 {
        self.tickets += 1;
        self.desk.request(Time::ZERO, self.tickets, None, request);
        self.saved.0 += self.desk.records().count() as u64;
        self.desk.durable(Time::ZERO, self.saved);
        self.saved.0 += self.desk.records().count() as u64;
        self.desk.durable(Time::ZERO, self.saved);
        while let Some(word) = self.desk.next_word() {
            match word {
                Word::Answer { ticket, reply } => drop(self.answers.insert(ticket, reply)),
                Word::Output(Output::Applied { .. }) | Word::Forget(_) => {}
                Word::Output(output) => self.outputs.push(output),
                Word::Send { to, .. } => panic!("nobody is at {to}"),
            }
        }
        self.tickets
    }

    fn submit(&mut self, word: &str) {
        let ticket = self.ask(Request::Submit(Submit(Bytes::copy_from_slice(word.as_bytes()))));
        assert!(matches!(self.answers.remove(&ticket), Some(Reply::Done(_))));
    }

    /// The snapshot that was asked to be written last, if any.
    fn asked_to_save(&mut self) -> Option<(Index, Bytes)> {
        match self.outputs.pop()? {
            Output::Save { upto, image } => Some((upto, Bytes::from(image.write()))),
            _ => None,
        }
    }
}

pub(super) fn sealed() -> Bytes {
    let mut node = Node::new(1);
    node.submit("a");
    node.asked_to_save().expect("one byte is enough").1
}

/// Its form, what it covers, the fingerprint of the past, the machine, a fingerprint of all that.
#[test]
fn golden_snapshot() {
    let image = sealed();
    let chain = crate::machine::fingerprint(0, b"a");
    let mut golden = vec![2];
    for number in [1, chain, 1] {
        golden.extend_from_slice(&u64::to_le_bytes(number));
    }
    golden.extend_from_slice(b"\x01\0\0\0a");
    let seal = crate::machine::fingerprint(0, &golden);
    golden.extend_from_slice(&seal.to_le_bytes());
    assert_eq!(image, golden);
}

#[test]
fn a_snapshot_with_any_bit_flipped_or_any_end_missing_is_refused() {
    let image = sealed();
    let whole = Restored::<Tape>::open(&image).expect("whole");
    assert_eq!((whole.applied, whole.machine.0.len()), (Index(1), 1));
    assert_eq!(whole.size, image.len() as u64);
    for bit in 0..image.len() * 8 {
        let mut spoilt = image.to_vec();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        assert!(Restored::<Tape>::open(&Bytes::from(spoilt)).is_none(), "bit {bit}");
    }
    for cut in 0..image.len() {
        assert!(Restored::<Tape>::open(&image.slice(..cut)).is_none(), "cut at {cut}");
    }
}

/// A disk that refused once must not be the end of all snapshots.
#[test]
fn after_a_failed_snapshot_the_next_is_taken_when_it_is_due() {
    let mut node = Node::new(10);
    node.submit("0123456789, and twice as much");
    let (upto, _) = node.asked_to_save().expect("more than enough was applied");
    node.submit("0123456789, and twice as much");
    assert!(node.asked_to_save().is_none(), "one is being written");
    node.ask(Request::Saved { upto, written: false });
    assert_eq!(node.desk.core().agreement().status().floor, Index(0), "nothing was shortened");
    node.submit("0123456789, and twice as much");
    let (upto, _) = node.asked_to_save().expect("the next is due");
    node.ask(Request::Saved { upto, written: true });
    assert_eq!(node.desk.core().agreement().status().floor, Index(3));
}

#[test]
fn a_report_of_an_older_snapshot_changes_nothing() {
    let mut node = Node::new(1);
    node.submit("a");
    node.submit("b");
    node.ask(Request::Saved { upto: Index(1), written: true });
    let ticket = node.ask(Request::Saved { upto: Index(1), written: true });
    assert_eq!(node.answers.get(&ticket), Some(&Reply::Refused(Refused::Busy)));
    assert_eq!(node.desk.core().agreement().status().floor, Index(1));
}

/// Who wants a snapshot gets one that covers what he named, and asking again begins no other.
#[test]
fn a_snapshot_is_taken_when_somebody_wants_one() {
    let mut node = Node::new(u64::MAX);
    let want = |node: &mut Node, covering| {
        let ticket = node.ask(Request::Snapshot { covering: Index(covering) });
        match node.answers.remove(&ticket) {
            Some(Reply::Taken(Taken(upto))) => upto,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(want(&mut node, 0), Some(Index(0)), "nothing is covered by nothing");
    node.submit("a");
    node.submit("b");
    assert_eq!(want(&mut node, 3), None);
    assert!(node.outputs.is_empty(), "what is not applied cannot be in it");
    assert_eq!(want(&mut node, 1), None);
    assert_eq!(want(&mut node, 2), None);
    assert_eq!(node.outputs.len(), 1, "one is being written");
    let (upto, image) = node.asked_to_save().expect("it was asked for");
    let whole = Restored::<Tape>::open(&image).expect("whole");
    assert_eq!((upto, whole.applied), (Index(2), Index(2)), "everything applied is in it");
    node.ask(Request::Saved { upto, written: false });
    assert_eq!(want(&mut node, 2), None);
    let (upto, _) = node.asked_to_save().expect("after a failure it is tried again");
    node.ask(Request::Saved { upto, written: true });
    assert_eq!(want(&mut node, 2), Some(Index(2)));
    assert_eq!(want(&mut node, 1), Some(Index(2)));
    assert!(node.outputs.is_empty(), "it is there already");
    assert_eq!(node.desk.core().agreement().status().floor, Index(2), "and the log is shorter");
}

/// Nobody may make a replica read its disk for a snapshot that it never had, or without end.
#[test]
fn pieces_are_read_for_a_bounded_number_of_askers() {
    let mut node = Node::new(1);
    node.submit("a");
    node.ask(Request::Saved { upto: Index(1), written: true });
    node.outputs.clear();
    let gone = |node: &mut Node, upto| {
        let ticket = node.ask(Request::Chunk(Chunk { upto, offset: 0 }));
        matches!(node.answers.get(&ticket), Some(Reply::Piece(piece)) if piece.total == 0)
    };
    assert!(gone(&mut node, Index(7)));
    assert!(node.outputs.is_empty());
    for asker in 0..16 {
        assert!(!gone(&mut node, Index(1)), "asker {asker} waits for the disk");
    }
    assert!(gone(&mut node, Index(1)), "the seventeenth asks again later");
    let Some(Output::Load { ticket, .. }) = node.outputs.pop() else { panic!("a piece is read") };
    node.ask(Request::Loaded { ticket, piece: None });
    assert!(!gone(&mut node, Index(1)), "one place is free again");
    // A report that nobody waits for is nothing.
    node.ask(Request::Loaded { ticket: 99, piece: None });
}

#[test]
fn bytes_that_mean_nothing_are_refused_and_the_replica_goes_on() {
    let mut node = Node::new(u64::MAX);
    let huge = Bytes::from(vec![0; crate::solo::MAX_COMMAND + 1]);
    let ticket = node.ask(Request::Submit(Submit(huge.clone())));
    assert_eq!(node.answers.get(&ticket), Some(&Reply::Refused(Refused::TooLarge)));
    assert_eq!(node.saved, Lsn(0), "nothing was logged");
    node.ask(Request::Submit(Submit(huge.slice(1..))));
    let ticket = node.ask(Request::Query(Query(Bytes::new())));
    assert!(matches!(node.answers.get(&ticket), Some(Reply::Done(_))));
}

/// A large machine is not written down for every few bytes: it takes as many as the last snapshot
/// was large. A thousand equal commands double the tape ten times.
#[test]
fn snapshots_become_rarer_as_the_machine_grows() {
    let mut node = Node::new(10);
    let mut taken = 0;
    for _ in 0..1000 {
        node.submit("0123456789");
        if let Some((upto, _)) = node.asked_to_save() {
            taken += 1;
            node.ask(Request::Saved { upto, written: true });
        }
    }
    assert!((5..=20).contains(&taken), "{taken} snapshots for a thousand commands");
}
