//! The bytes of calls: spoken by one version, heard by another.

use std::time::Duration;

use lockmgr::{
    Acquire, Full, Grant, Link, Mode, Owner, Patience, Refusal, Refused, Release, Renewed,
    RequestNo, Terms, Ticket, Token, Unsound, View, Want,
    service::{LocksRequest, LocksResponse},
    table::{Held, LockView, OwnerView, Trouble, Wanted},
};
use net::codec::frames::{answer_frame, answer_of, request_frame, request_of};
use sim::golden::Golden;

const A: Owner = Owner::session(1);
const B: Owner = Owner { client: 300, number: 7 };

fn ticket() -> Ticket {
    Ticket { owner: B, request: RequestNo(70_000) }
}

fn requests() -> Vec<LocksRequest> {
    let floor = RequestNo(300);
    let wants = vec![Want::new("deep", Mode::IX), Want::new("deep/name", Mode::X)];
    let patience = Patience::For(Duration::from_millis(1_500));
    let waits = Acquire { ticket: ticket(), floor, wants, patience };
    let tries = Acquire { patience: Patience::Try, ..waits.clone() };
    let token = Some(Token(70_000));
    vec![
        LocksRequest::Open { terms: Terms::session(Duration::from_secs(30)) },
        LocksRequest::Acquire { acquire: waits },
        LocksRequest::Acquire { acquire: tries },
        LocksRequest::Release {
            release: Release { ticket: ticket(), floor, name: "k".into(), token },
        },
        LocksRequest::Cancel { ticket: ticket() },
        LocksRequest::Renew { owner: A },
        LocksRequest::Close { owner: B },
        LocksRequest::Look { name: "k".into() },
        LocksRequest::View { after: None },
        LocksRequest::View { after: Some("k".into()) },
    ]
}

fn lock() -> LockView {
    let token = Some(Token(70_000));
    let waited = Duration::from_millis(1_500);
    LockView {
        name: "k".into(),
        holders: vec![Held { owner: A, mode: Mode::U, token }],
        queue: vec![Wanted { ticket: ticket(), mode: Mode::SIX, waited, behind: vec![A] }],
        quiet: true,
    }
}

fn refusals() -> Vec<Refusal> {
    let (name, by) = ("k".into(), A);
    let link = Link {
        waiter: ticket(),
        name: "k".into(),
        wants: Mode::X,
        blocker: A,
        has: Mode::S,
        holds: false,
    };
    vec![
        Refusal::Taken { name, by },
        Refusal::Quiet("k".into()),
        Refusal::Died { name: "k".into(), by },
        Refusal::Wounded { name: "k".into(), by },
        Refusal::Deadlock(vec![link]),
        Refusal::TimedOut,
        Refusal::Cancelled,
        Refusal::Unknown(B),
        Refusal::Late(ticket()),
        Refusal::Shrinking(B),
        Refusal::Waits("k".into()),
        Refusal::NotHeld("k".into()),
        Refusal::Unsound(Unsound::Name),
        Refusal::Full(Full::Requests),
    ]
}

fn answers() -> Vec<LocksResponse> {
    let token = Some(Token(70_000));
    let grants = vec![Grant { name: "k".into(), mode: Mode::X, token }];
    let lease = Some(Duration::from_secs(30));
    let renewed = Renewed { lease, holds: grants.clone(), more: true, waits: 3 };
    let view = View {
        locks: vec![lock()],
        owners: vec![OwnerView { owner: A, lease, holds: 1, waits: 0 }],
        more: true,
        recent: vec![Trouble { owner: B, refusal: Refusal::TimedOut }],
        names: 300,
        waiting: 2,
    };
    let mut answers = vec![
        LocksResponse::Open(Ok(A)),
        LocksResponse::Open(Err(Refused::Busy)),
        LocksResponse::Acquire(Ok(Some(grants.clone()))),
        LocksResponse::Acquire(Ok(None)),
    ];
    let refused = refusals().into_iter().map(|it| LocksResponse::Acquire(Err(it.into())));
    answers.extend(refused);
    answers.extend([
        LocksResponse::Release(Ok(())),
        LocksResponse::Release(Err(Refused::Interrupted)),
        LocksResponse::Cancel(Ok(None)),
        LocksResponse::Cancel(Ok(Some(grants))),
        LocksResponse::Renew(Ok(renewed)),
        LocksResponse::Close(Ok(())),
        LocksResponse::Look(Ok(None)),
        LocksResponse::Look(Ok(Some(lock()))),
        LocksResponse::View(Ok(view)),
    ]);
    answers
}

/// `name`, or `name 2` for the second of that name.
fn numbered(names: &mut Vec<String>, name: &str) -> String {
    names.push(name.to_owned());
    match names.iter().filter(|other| *other == name).count() {
        1 => name.to_owned(),
        count => format!("{name} {count}"),
    }
}

#[test]
fn golden_bytes_of_every_call() {
    let mut golden = Golden::new(env!("CARGO_MANIFEST_DIR"), "tests/golden/calls.txt");
    golden.about("requests, as frames");
    let (name, all) = sim::variants!(LocksRequest:
        "open" => LocksRequest::Open { .. },
        "acquire" => LocksRequest::Acquire { .. },
        "release" => LocksRequest::Release { .. },
        "cancel" => LocksRequest::Cancel { .. },
        "renew" => LocksRequest::Renew { .. },
        "close" => LocksRequest::Close { .. },
        "look" => LocksRequest::Look { .. },
        "view" => LocksRequest::View { .. },
    );
    let mut names = Vec::new();
    for request in requests() {
        let (name, said) = (numbered(&mut names, name(&request)), format!("{request:?}"));
        let bytes = request_frame(1, request).expect("within the limit");
        let heard = request_of::<LocksRequest>(&bytes).expect("sound").expect("a request");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(&name, &bytes);
    }
    assert!(all.iter().all(|name| names.iter().any(|held| held == name)), "each has bytes");
    golden.about("answers, as frames");
    let (name, all) = sim::variants!(LocksResponse:
        "opened" => LocksResponse::Open(_),
        "acquired" => LocksResponse::Acquire(Ok(_)),
        "not acquired" => LocksResponse::Acquire(Err(_)),
        "released" => LocksResponse::Release(_),
        "cancelled" => LocksResponse::Cancel(_),
        "renewed" => LocksResponse::Renew(_),
        "closed" => LocksResponse::Close(_),
        "lock" => LocksResponse::Look(_),
        "seen" => LocksResponse::View(_),
    );
    let mut names = Vec::new();
    for answer in answers() {
        let (name, said) = (numbered(&mut names, name(&answer)), format!("{answer:?}"));
        let bytes = answer_frame(1, answer).expect("within the limit");
        let heard = answer_of::<LocksResponse>(&bytes).expect("sound").expect("an answer");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(&name, &bytes);
    }
    assert!(all.iter().all(|name| names.iter().any(|held| held == name)), "each has bytes");
    golden.end();
}
