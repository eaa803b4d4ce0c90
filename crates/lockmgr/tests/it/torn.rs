//! A written-down table that is not whole, or not true: refused, and never a panic.

use std::time::Duration;

use lockmgr::{
    Acquire, Birth, Command, Discipline, Mode, Name, Owner, Patience, RequestNo, Rule, State,
    Table, Terms, Ticket, Want,
    table::{Piece, Rebuilt},
};
use protocol::{Rng, Time, codec};

/// Everything that a table can have: sessions and transactions, holders, queues, outcomes, a name
/// that is kept quiet.
fn full() -> State<Rule> {
    let mut table = Table::fenced(Rule::Detect);
    let mut news = Vec::new();
    let second = Duration::from_secs(1);
    let terms = Terms { discipline: Discipline::Free, lease: Some(second), delay: second };
    for _ in 0..3 {
        table.apply(Time::ZERO, Command::Open(terms), &mut news);
    }
    let owner = Owner { client: 9, number: 4 };
    let birth = Birth(7);
    table.apply(Time::ZERO, Command::Enter { owner, birth, terms: Terms::TRANSACTION }, &mut news);
    let owners = [Owner::session(1), Owner::session(2), owner];
    for (number, owner) in (1..).zip(owners) {
        let ticket = Ticket { owner, request: RequestNo(number) };
        let wants = vec![Want::new("both", Mode::S), Want::new("k", Mode::X)];
        let patience = Patience::For(second);
        let acquire = Acquire { ticket, floor: RequestNo(0), wants, patience };
        table.apply(Time::ZERO, Command::Acquire(acquire), &mut news);
    }
    let ticket = Ticket { owner: Owner::session(3), request: RequestNo(1) };
    let wants = vec![Want::new("last words", Mode::X)];
    let acquire = Acquire { ticket, floor: RequestNo(0), wants, patience: Patience::Try };
    table.apply(Time::ZERO, Command::Acquire(acquire), &mut news);
    table.state().clone()
}

fn rebuilt(pieces: impl IntoIterator<Item = Piece>) -> Option<State<Rule>> {
    let mut rebuilt = Rebuilt::new(Rule::Detect);
    for piece in pieces {
        if let Some(state) = rebuilt.take(piece).ok()? {
            return Some(state);
        }
    }
    None
}

#[test]
fn a_part_that_is_missing_or_there_twice_is_noticed() {
    let state = full();
    let pieces: Vec<_> = state.pieces().collect();
    assert_eq!(rebuilt(pieces.clone()), Some(state));
    for at in 0..pieces.len() {
        let without = pieces.iter().enumerate().filter(|(it, _)| *it != at).map(|(_, one)| one);
        assert_eq!(rebuilt(without.cloned()), None, "without {:?}", pieces[at]);
    }
    // The last one ends the table; what comes after it begins another.
    for at in 0..pieces.len() - 1 {
        let mut twice = pieces.clone();
        twice.insert(at, pieces[at].clone());
        assert_eq!(rebuilt(twice), None, "twice {:?}", pieces[at]);
    }
}

/// Bytes that a disk made up: whatever they say is refused, or a table that goes on without a panic.
#[test]
fn made_up_parts_never_bring_a_table_down() {
    let pieces: Vec<_> = full().pieces().collect();
    let mut taken = 0;
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let mut forged = pieces.clone();
        let at = rng.below(forged.len() as u64) as usize;
        let mut bytes = codec::encode(&forged[at], 1 << 20).expect("it is small");
        let byte = rng.below(bytes.len() as u64) as usize;
        bytes[byte] = rng.below(16) as u8;
        let Ok(piece) = codec::decode(&bytes, 1 << 20) else { continue };
        forged[at] = piece;
        let Some(state) = rebuilt(forged) else { continue };
        taken += 1;
        let mut table = Table::resume(state, Time::ZERO);
        let mut news = Vec::new();
        let mut now = Time::ZERO;
        for client in 1..=5 {
            while let Some(command) = table.due(now) {
                table.apply(now, command, &mut news);
            }
            let owner = Owner::session(client);
            let ticket = Ticket { owner, request: RequestNo(rng.below(4)) };
            let wants = vec![Want { name: Name::from("k"), mode: Mode::X }];
            let patience = Patience::For(Duration::from_secs(1));
            let acquire = Acquire { ticket, floor: RequestNo(0), wants, patience };
            table.apply(now, Command::Acquire(acquire), &mut news);
            now = now.plus(Duration::from_millis(400));
        }
        while let Some(command) = table.due(now) {
            table.apply(now, command, &mut news);
        }
        table.apply(now, Command::Leave(Owner { client: 9, number: 4 }), &mut news);
    }
    assert!(taken > 100, "only {taken} were taken");
}
