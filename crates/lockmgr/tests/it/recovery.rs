//! A life may end between any two records, also inside a checkpoint.

use std::time::Duration;

use lockmgr::{
    LockService, Mode, Name, Owner, Patience, Record, Release, RequestNo, Rule, State, Table,
    Ticket, core::Config, message::Request,
};
use protocol::{Lsn, Rng};
use sim::Scenario;

use crate::desk::Service;

/// A checkpoint after so few records, so that there are many.
const EVERY: u64 = 11;

fn config(rule: Rule) -> Config {
    Config { rule: Some(rule), checkpoint_every: EVERY }
}

/// Sessions that take, give back, wait, fall silent and close, as the seed says.
fn lived(rule: Rule, seed: u64, steps: u32) -> Service {
    let mut rng = Rng::new(seed);
    let mut service = Service::new(config(rule));
    service.hoards = true;
    let mut owners: Vec<Owner> = Vec::new();
    for number in 0..steps {
        let request = RequestNo(u64::from(number) + 1_000);
        if owners.len() < 3 || rng.chance(60) {
            owners.push(service.open(Duration::from_secs(20)));
        }
        let owner = owners[rng.below(owners.len() as u64) as usize];
        let name = format!("k{}", rng.below(4));
        match rng.below(10) {
            0..=4 => {
                let mode = lockmgr::mode::MODES[rng.below(6) as usize];
                let wait = match rng.chance(200) {
                    true => Patience::Try,
                    false => Patience::For(Duration::from_secs(rng.range(1, 15))),
                };
                let mut acquire = service.wants(owner, &name, mode, wait);
                if rng.chance(300) {
                    acquire.floor = acquire.ticket.request;
                }
                service.send(Request::Acquire(acquire));
            }
            5..=6 => {
                let ticket = Ticket { owner, request };
                let (floor, name, token) = (RequestNo(0), Name::from(&name[..]), None);
                service.send(Request::Release(Release { ticket, floor, name, token }));
            }
            7 => _ = service.send(Request::Renew(owner)),
            8 => service.pass(Duration::from_millis(rng.below(8_000))),
            _ => {
                owners.retain(|other| *other != owner);
                service.send(Request::Close(owner));
            }
        }
    }
    service
}

/// What the commands of these records lead to, by themselves.
fn told(rule: Rule, records: &[(Lsn, Record)]) -> State<Rule> {
    let mut state = Table::fenced(rule).state().clone();
    for (_, record) in records {
        if let Record::Applied(command) = record {
            state.apply(command.clone(), &mut Vec::new());
        }
    }
    state
}

#[test]
fn a_log_is_read_again_whichever_of_its_records_was_the_last() {
    let (mut prefixes, mut checkpoints) = (0, 0);
    for rule in lockmgr::policy::RULES {
        for seed in 0..4 {
            let service = lived(rule, seed, 250);
            let disk = &service.disk;
            for end in 0..=disk.len() {
                let core = LockService::recover(config(rule), disk[..end].to_vec());
                let core = core.unwrap_or_else(|why| panic!("{rule}, seed {seed}, {end}: {why}"));
                assert_eq!(
                    core.table().state(),
                    &told(rule, &disk[..end]),
                    "{rule}, seed {seed}, the first {end} records"
                );
                prefixes += 1;
            }
            let whole = told(rule, disk);
            for keep in &service.forgotten {
                let kept = disk.iter().filter(|(lsn, _)| lsn >= keep).cloned();
                let core = LockService::recover(config(rule), kept);
                let core = core.unwrap_or_else(|why| panic!("{rule}, seed {seed}: {why}"));
                assert_eq!(core.table().state(), &whole, "what was forgotten is not needed");
                checkpoints += 1;
            }
        }
    }
    assert!(checkpoints > 20, "only {checkpoints} checkpoints");
    let figure = format!("{prefixes} prefixes of 20 logs, {checkpoints} checkpoints");
    Scenario { seeds: 20, events: prefixes, acknowledged: 0, figure }
        .write("a_log_is_read_again_whichever_of_its_records_was_the_last");
}

/// A life that ends in a checkpoint, and the next one too: what they left behind is passed over.
#[test]
fn unfinished_checkpoints_are_passed_over() {
    let rule = Rule::Detect;
    let service = lived(rule, 5, 120);
    let disk = &service.disk;
    let begins = disk.iter().position(|(lsn, _)| *lsn == service.forgotten[0]).expect("it began");
    let (before, pieces) = (&disk[..begins], &disk[begins..]);
    let ends = pieces.iter().skip(1).take_while(|(_, it)| matches!(it, Record::Piece(_))).count();
    let state = told(rule, before);
    for first in 0..=ends {
        for second in 0..=ends {
            let parts = [before, &pieces[..first], &pieces[..second]].concat();
            let core = LockService::recover(config(rule), parts).expect("nothing is lost");
            assert_eq!(core.table().state(), &state);
        }
    }
}

/// Records that were lost, doubled or exchanged are refused with a reason, or mean what they say.
/// Nothing of it hurts.
#[test]
fn records_that_do_not_fit_are_refused() {
    let mut rng = Rng::new(8_11);
    let rule = Rule::Detect;
    let (mut refused, mut reasons) = (0, std::collections::BTreeSet::new());
    for round in 0..3_000 {
        let mut disk = lived_before(round % 8);
        let [at, other] = [0; 2].map(|_| rng.below(disk.len() as u64) as usize);
        match rng.below(3) {
            0 => _ = disk.remove(at),
            1 => disk.insert(at, disk[other].clone()),
            _ => disk.swap(at, other),
        }
        if let Err(why) = LockService::recover(config(rule), disk) {
            refused += 1;
            let why = why.to_string();
            reasons.insert(why.chars().filter(|c| !c.is_ascii_digit()).collect::<String>());
        }
    }
    assert!(refused > 500, "only {refused} of 3000 were refused");
    assert!(reasons.len() >= 5, "{reasons:?}");
}

thread_local! {
    static LOGS: Vec<Vec<(Lsn, Record)>> =
        (0..8).map(|seed| lived(Rule::Detect, seed, 120).disk).collect();
}

fn lived_before(which: u64) -> Vec<(Lsn, Record)> {
    LOGS.with(|logs| logs[which as usize].clone())
}

/// Whoever holds much is written down seldom: a checkpoint costs at most one record for every two.
#[test]
fn a_large_table_is_not_written_down_all_the_time() {
    let mut service = Service::new(config(Rule::Detect));
    service.hoards = true;
    for number in 0..1_500 {
        let owner = service.open(Duration::from_secs(600));
        service.take(owner, &format!("k{number}"), Mode::X);
    }
    let pieces = service.disk.iter().filter(|(_, it)| matches!(it, Record::Piece(_))).count();
    let commands = service.disk.iter().filter(|(_, it)| matches!(it, Record::Applied(_))).count();
    assert!(service.forgotten.len() > 3, "it was written down");
    assert!(pieces < 2 * commands, "{pieces} pieces for {commands} commands");
}
