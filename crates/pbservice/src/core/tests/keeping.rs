//! What a server with a disk can rely on when it begins again.

use std::collections::BTreeMap;

use protocol::Rng;

use super::*;
use crate::{
    change::Done,
    state::State,
    tests::{replay, seeds},
};

/// A log that is written down again after so many bytes.
const SMALL: usize = 64 << 10;

/// What was true when an event had saved its last record.
struct Ledger(BTreeMap<Lsn, State>);

impl Ledger {
    /// Before its first view a server has nothing; its disk has the empty state of a store to which
    /// nothing has happened, should it be the first primary and never know.
    fn begin(trial: &Trial) -> Self {
        let first = trial.disk.last().expect("it has a name").0;
        Self(BTreeMap::from([(first, State::fresh())]))
    }

    fn note(&mut self, trial: &Trial) {
        let lsn = trial.disk.last().map_or(Lsn(0), |(lsn, _)| *lsn);
        self.0.insert(lsn, trial.core().state().clone());
    }

    /// What is true when exactly these records are durable. An event saves what happened first;
    /// the pieces of a checkpoint that follow say nothing new.
    fn state_at(&self, upto: Lsn) -> &State {
        self.0.range(upto..).next().expect("every event was noted").1
    }
}

/// The records up to `upto`, but for what was forgotten when they were durable.
fn kept(trial: &Trial, upto: Lsn) -> Vec<(Lsn, Record)> {
    let durable = |(gate, _): &&(Lsn, Lsn)| *gate <= upto;
    let keep = trial.forgets.iter().filter(durable).map(|(_, keep)| *keep).max();
    let all = trial.disk.iter().filter(|(lsn, _)| Some(*lsn) >= keep && *lsn <= upto);
    all.cloned().collect()
}

/// From the records up to any place comes the state that was true at that place, whether or not
/// what may be forgotten is still there.
fn every_prefix_is_a_past(trial: &Trial, ledger: &Ledger, which: &str) {
    for (at, (upto, _)) in trial.disk.iter().enumerate() {
        let short = kept(trial, *upto);
        for records in [&short, &trial.disk[..=at]] {
            let again = Pb::recover(trial.config.clone(), records.iter().cloned());
            let right = again.state() == ledger.state_at(*upto);
            assert!(right, "{which}: {} records up to {}", records.len(), upto.0);
        }
    }
}

/// How many places in the log are inside a checkpoint: the state is being written down again.
fn inside(trial: &Trial) -> u64 {
    trial.forgets.iter().map(|(gate, keep)| gate.0 - keep.0).sum()
}

fn is_piece(record: &Record) -> bool {
    matches!(record, Record::Items(items) if items.iter().all(Item::is_piece))
}

fn some_change(rng: &mut Rng) -> Change {
    let key = format!("{}", rng.below(24));
    match rng.below(4) {
        0 => Change::Delete(b(&key)),
        1 => append(&key, &"a".repeat(rng.below(300) as usize)),
        _ => put(&key, &"p".repeat(rng.below(16_000) as usize)),
    }
}

/// The first primary works alone for a while.
fn works(seed: u64, operations: u64) -> (Trial, Ledger, BTreeMap<Lsn, u64>) {
    let mut rng = Rng::new(seed);
    let mut trial = Trial::durable(life(1), SMALL, Vec::new());
    let (mut ledger, mut told) = (Ledger::begin(&trial), BTreeMap::new());
    trial.told(view(1, &[life(1)]));
    ledger.note(&trial);
    trial.hears(Request::Open(Open)).expect("it leads");
    ledger.note(&trial);
    for number in 1..=operations {
        let heard = trial.hears(wants(number, some_change(&mut rng)));
        assert!(matches!(heard, Ok(Answer::Done(Done::Written | Done::Deleted(_)))));
        ledger.note(&trial);
        told.insert(trial.disk.last().expect("it saves").0, number);
    }
    (trial, ledger, told)
}

#[test]
fn every_prefix_of_a_primarys_log_is_the_state_of_that_time() {
    let (mut forgotten, mut places) = (0, 0);
    for seed in seeds(6) {
        let (trial, ledger, told) = works(seed, 250);
        let which = replay(seed, "every_prefix_of_a_primarys_log");
        every_prefix_is_a_past(&trial, &ledger, &which);
        // Whatever was answered is there, and the next life knows that it was done.
        for (upto, number) in told {
            let again = Trial::durable(life(1), SMALL, kept(&trial, upto));
            let admission = again.core().state().admit(SessionId(1), RequestNo(number));
            assert!(matches!(admission, crate::sessions::Admission::Repeat(_)), "{which}");
        }
        (forgotten, places) = (forgotten + trial.forgets.len(), places + inside(&trial));
        let pieces = trial.disk.iter().filter(|(_, it)| is_piece(it)).count();
        assert!(pieces > 3 * trial.forgets.len(), "{which}: {pieces} pieces");
    }
    assert!(places > 60, "{places} places inside {forgotten} checkpoints");
}

#[test]
fn a_log_is_written_down_again_before_it_is_long() {
    let (trial, ..) = works(1, 1_500);
    let all = kept(&trial, trial.disk.last().expect("records").0);
    let bytes = |record: &Record| match record {
        Record::Items(items) => items.iter().map(Item::bytes).sum(),
        _ => 0,
    };
    let kept: usize = all.iter().map(|(_, record)| bytes(record)).sum();
    let written: usize = trial.disk.iter().map(|(_, record)| bytes(record)).sum();
    let state = trial.core().state().walk_bytes();
    // What is kept is the threshold or twice the state, the pieces of a walk, and what happened
    // meanwhile; what is written is not much more than what clients gave.
    assert!(kept < 4 * SMALL.max(2 * state), "{kept} bytes for {state}");
    assert!(written > 10 * kept, "{written} bytes were written, {kept} are kept");
    assert!(trial.forgets.len() > 3);
}

/// The backup of view 2 receives a state in pieces, and operations between them.
#[test]
fn every_prefix_of_a_backups_log_is_the_part_that_it_had() {
    for seed in seeds(4) {
        let which = replay(seed, "every_prefix_of_a_backups_log");
        let (mut primary, ..) = works(seed, 120);
        primary.told(view(2, &[life(1), life(2)]));
        let mut backup = Trial::durable(life(2), SMALL, Vec::new());
        let mut ledger = Ledger::begin(&backup);
        backup.told(view(2, &[life(1), life(2)]));
        ledger.note(&backup);
        let mut rng = Rng::new(seed);
        for number in 121..=400 {
            primary.ask(wants(number, some_change(&mut rng)));
            if let Some((_, call, forward)) = primary.forwards.pop() {
                let upto = backup.forwarded_by(Some(NodeId(1)), forward).expect("its backup");
                ledger.note(&backup);
                primary.backup_says(call, Ok(Forwarded { view: ViewNum(2), upto }));
            }
        }
        assert!(backup.core().state().is_whole() && primary.core().installed(), "{which}");
        every_prefix_is_a_past(&backup, &ledger, &which);
    }
}

/// Who has everything says whose life it carries on; who has a part says nothing.
#[test]
fn only_a_whole_state_is_inherited() {
    let (trial, ..) = works(1, 30);
    let again = Member { incarnation: Incarnation(7), ..life(1) };
    for (upto, _) in &trial.disk {
        let heir = Trial::durable(again, SMALL, kept(&trial, *upto)).ping().heir;
        assert_eq!(heir, [Incarnation(1)], "records up to {}", upto.0);
    }
    assert_eq!(Trial::durable(again, SMALL, Vec::new()).ping().heir, [], "nothing was there");
    // A server without a disk inherits nothing, whatever it is given.
    let plain = Trial::begin(Config::new(NodeId(1), "here"), again, trial.disk.clone()).named();
    assert_eq!(plain.ping().heir, []);
    // A backup that has a part.
    let mut backup = Trial::durable(life(2), SMALL, Vec::new());
    backup.told(view(2, &[life(1), life(2)]));
    backup.takes(1, vec![Item::Begin { opened: 1, uses: 1 }]).expect("its backup");
    let half = kept(&backup, backup.disk.last().expect("records").0);
    let third = Member { incarnation: Incarnation(7), ..life(2) };
    assert_eq!(Trial::durable(third, SMALL, half).ping().heir, []);
    let keys = Item::Keys { pairs: Vec::new(), upto: None };
    let sessions = Item::Sessions { rows: Vec::new(), upto: None };
    backup.takes(2, vec![keys, sessions]).expect("its backup");
    let whole = kept(&backup, backup.disk.last().expect("records").0);
    let heir = Trial::durable(third, SMALL, whole).ping().heir;
    assert_eq!(heir, [Incarnation(2)]);
}

/// A life that is told to be backup has nothing any more, also for its later lives.
#[test]
fn who_becomes_backup_forgets_what_it_had() {
    let (trial, ..) = works(1, 30);
    let second = Member { incarnation: Incarnation(7), ..life(1) };
    let mut backup = Trial::durable(second, SMALL, trial.disk.clone());
    backup.told(view(9, &[life(2), second]));
    let disk = backup.disk.clone();
    let third = Member { incarnation: Incarnation(8), ..life(1) };
    let again = Trial::durable(third, SMALL, disk);
    assert!(!again.core().state().is_whole() && again.ping().heir.is_empty());
    assert!(backup.forgets.len() == 1, "and the log is short again");
}

/// An answer and a ping never stand on what is not on the disk.
#[test]
fn nobody_hears_of_what_is_not_durable() {
    let config = Config::new(NodeId(1), "here").durable();
    let mut desk = Desk::new(NodeId(1), Pb::recover(config, []), Lsn(0));
    desk.wake(Time::ZERO);
    let Some(Word::Send { call, .. }) = desk.next_word() else { panic!("it asks for a name") };
    let joined = Ok(Joined { incarnation: Incarnation(1) });
    let joined = Reply::View(viewservice::Reply::Joined(joined));
    desk.reply(Time::ZERO, SERVICE_NODE, call, joined);
    desk.wake(Time::ZERO);
    assert!(desk.next_word().is_none(), "a life that is not on disk does not ping");
    desk.durable(Time::ZERO, desk.saved());
    let Some(Word::Send { call, .. }) = desk.next_word() else { panic!("it pings") };
    let pong = viewservice::Reply::Pong(Ok(Pong { view: view(1, &[life(1)]) }));
    desk.reply(Time::ZERO, SERVICE_NODE, call, Reply::View(pong));
    desk.request(Time::ZERO, 5, None, Request::Open(Open));
    while let Some(word) = desk.next_word() {
        assert!(matches!(word, Word::Output(_)), "{word:?}");
    }
    desk.durable(Time::ZERO, desk.saved());
    let answered = std::iter::from_fn(|| desk.next_word())
        .any(|word| matches!(word, Word::Answer { ticket: 5, .. }));
    assert!(answered);
}
