//! The bytes of records: written by one version, read by another.

use std::time::Duration;

use lockmgr::{
    Acquire, Birth, Command, Link, Mode, Owner, Patience, Record, Release, RequestNo, Rule, State,
    Table, Terms, Ticket, Token, Want, Why,
    record::{decode, encode},
};
use protocol::Rng;
use sim::golden::Golden;

const A: Owner = Owner::session(1);
const B: Owner = Owner { client: 300, number: 7 };

fn ticket(owner: Owner, request: u64) -> Ticket {
    Ticket { owner, request: RequestNo(request) }
}

fn acquire(owner: Owner, request: u64, name: &str, mode: Mode, patience: Patience) -> Command {
    let wants = vec![Want::new(name, mode)];
    let floor = RequestNo(request / 2);
    Command::Acquire(Acquire { ticket: ticket(owner, request), floor, wants, patience })
}

fn commands() -> Vec<Command> {
    let wait = Patience::For(Duration::from_millis(1_500));
    let delay = Duration::from_secs(9);
    let session = Terms { delay, ..Terms::session(Duration::from_secs(30)) };
    let link = Link {
        waiter: ticket(B, 5),
        name: "deep/name".into(),
        wants: Mode::SIX,
        blocker: A,
        has: Mode::IX,
        holds: true,
    };
    let release = Release {
        ticket: ticket(B, 9),
        floor: RequestNo(2),
        name: "k".into(),
        token: Some(Token(70_000)),
    };
    let cancel = |why| Command::Cancel { ticket: ticket(B, 5), why };
    let mut commands = vec![
        Command::Open(session),
        Command::Enter { owner: B, birth: Birth(300), terms: Terms::TRANSACTION },
        acquire(A, 1, "k", Mode::X, Patience::Try),
        acquire(B, 5, "k", Mode::SIX, wait),
        Command::Release(release),
        cancel(Why::Asked),
        cancel(Why::TimedOut),
        cancel(Why::Deadlock(vec![link])),
        Command::Pin(B),
        Command::Leave(B),
        Command::Expire(vec![A, B]),
        Command::Reopen("k".into()),
    ];
    let modes = lockmgr::mode::MODES.into_iter().enumerate();
    commands.extend(modes.map(|(at, mode)| acquire(A, 10 + at as u64, "m", mode, Patience::Try)));
    commands
}

/// A table with something of each kind in it.
fn table() -> State<Rule> {
    let mut state = Table::fenced(Rule::Detect).state().clone();
    let wait = Patience::For(Duration::from_secs(60));
    let quiet = Terms { delay: Duration::from_secs(9), ..Terms::session(Duration::from_secs(30)) };
    let deadlock =
        Command::Cancel { ticket: ticket(Owner::session(2), 1), why: Why::Deadlock(Vec::new()) };
    for command in [
        Command::Open(quiet),
        Command::Open(quiet),
        Command::Open(quiet),
        Command::Enter { owner: B, birth: Birth(300), terms: Terms::TRANSACTION },
        acquire(A, 1, "k", Mode::X, Patience::Try),
        acquire(Owner::session(2), 1, "k", Mode::S, wait),
        deadlock,
        acquire(B, 2, "k", Mode::S, wait),
        acquire(Owner::session(3), 1, "q", Mode::U, wait),
        Command::Expire(vec![Owner::session(3)]),
    ] {
        state.apply(command, &mut Vec::new());
    }
    state
}

fn bytes_of(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, &mut bytes);
    bytes
}

#[test]
fn golden_bytes_of_every_record() {
    let mut golden = Golden::new(env!("CARGO_MANIFEST_DIR"), "tests/golden/records.txt");
    golden.about("a letter and a version byte, then the record");
    let mut values: Vec<Record> =
        lockmgr::policy::RULES.into_iter().map(|rule| Record::Born { rule }).collect();
    values.extend(commands().into_iter().map(Record::Applied));
    let table = table();
    values.extend(table.pieces().map(Record::Piece));
    let variants = sim::variants!(Record:
        "born" => Record::Born { .. },
        "open" => Record::Applied(Command::Open(_)),
        "enter" => Record::Applied(Command::Enter { .. }),
        "acquire" => Record::Applied(Command::Acquire(_)),
        "release" => Record::Applied(Command::Release(_)),
        "cancel" => Record::Applied(Command::Cancel { .. }),
        "pin" => Record::Applied(Command::Pin(_)),
        "leave" => Record::Applied(Command::Leave(_)),
        "expire" => Record::Applied(Command::Expire(_)),
        "reopen" => Record::Applied(Command::Reopen(_)),
        "piece" => Record::Piece(_),
    );
    golden.hold_all(&values, variants, bytes_of, |bytes| decode(bytes).expect("a record"));
    golden.end();
    for record in &values {
        let mut bytes = bytes_of(record);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{end} bytes of {record:?} mean something");
        }
        bytes[1] += 1;
        let error = decode(&bytes).expect_err("another version").to_string();
        assert!(error.contains("version 2"), "{error}");
        bytes[..2].fill(1);
        let error = decode(&bytes).expect_err("another kind of node").to_string();
        assert!(error.contains("not a lock service's"), "{error}");
    }
}

/// Spoilt bytes mean something else or nothing; they never hurt, whether read or recovered from.
#[test]
fn spoilt_records_are_read_or_refused() {
    let mut rng = Rng::new(8_117);
    let table = table();
    let pieces = table.pieces().map(Record::Piece);
    let born = Record::Born { rule: Rule::Detect };
    let sound: Vec<Vec<u8>> = std::iter::once(born).chain(pieces).map(|it| bytes_of(&it)).collect();
    let (mut meant, mut recovered) = (0, 0);
    for _ in 0..40_000 {
        let mut spoilt = sound.clone();
        let which = rng.below(spoilt.len() as u64) as usize;
        let bytes = &mut spoilt[which];
        for _ in 0..=rng.below(2) {
            let at = rng.range(2, bytes.len() as u64) as usize;
            bytes[at] = rng.next_u64() as u8;
        }
        let records: Result<Vec<Record>, _> = spoilt.iter().map(|bytes| decode(bytes)).collect();
        let Ok(records) = records else { continue };
        meant += 1;
        let numbered = (1..).map(protocol::Lsn).zip(records);
        let config = lockmgr::core::Config::default();
        recovered += u64::from(lockmgr::LockService::recover(config, numbered).is_ok());
    }
    assert!(meant > 1_000, "only {meant} were read");
    assert!(recovered > 100 && recovered < meant, "{recovered} of {meant} made a table");
}
