//! The bytes of records and of calls: written by one version, read by another.

use std::time::Duration;

use net::codec::frames::{answer_frame, answer_of, request_frame, request_of};
use protocol::{NodeId, Rng};
use sim::golden::Golden;
use viewservice::{
    Incarnation, Join, Joined, Member, Ping, Pong, Record, Refused, Role, Safety, Server,
    ServerStatus, Status, Stuck, View, ViewNum,
    record::{decode, encode},
    service::{ViewsRequest, ViewsResponse},
};

fn server(node: u16, incarnation: u64) -> Server {
    let member = Member { node: NodeId(node), incarnation: Incarnation(incarnation) };
    Server { member, addr: format!("host{node}:4000") }
}

fn view() -> View {
    View { number: ViewNum(300), primary: Some(server(1, 7)), backup: Some(server(2, 70_000)) }
}

fn alone() -> View {
    View { number: ViewNum(1), primary: Some(server(1, 7)), backup: None }
}

#[test]
fn golden_bytes_of_every_record() {
    let mut golden = Golden::new(env!("CARGO_MANIFEST_DIR"), "tests/golden/records.txt");
    golden.about("a version byte, then the record");
    let whole =
        Safety { issued: Incarnation(70_000), view: view(), adopted: true, acknowledged: false };
    let values = [
        Record::Issued(Incarnation(7)),
        Record::Viewed(alone()),
        Record::Viewed(view()),
        Record::Acked { view: ViewNum(300), acknowledged: false },
        Record::Acked { view: ViewNum(300), acknowledged: true },
        Record::Checkpoint(Safety::default()),
        Record::Checkpoint(whole),
    ];
    let variants = sim::variants!(Record:
        "issued" => Record::Issued(_),
        "viewed" => Record::Viewed(_),
        "acked" => Record::Acked { .. },
        "checkpoint" => Record::Checkpoint(_),
    );
    let bytes_of = |record: &Record| {
        let mut bytes = Vec::new();
        encode(record, &mut bytes);
        bytes
    };
    golden.hold_all(&values, variants, bytes_of, |bytes| decode(bytes).expect("a record"));
    golden.end();
    for record in &values {
        let mut bytes = bytes_of(record);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{end} bytes of {record:?} mean something");
        }
        bytes[0] += 1;
        let error = decode(&bytes).expect_err("another version").to_string();
        assert!(error.contains("version 2"), "{error}");
    }
}

/// Spoilt bytes mean something else or nothing; they never hurt, and what they mean has one form.
#[test]
fn spoilt_records_are_read_or_refused() {
    let mut rng = Rng::new(8117);
    let mut sound = Vec::new();
    encode(&Record::Viewed(view()), &mut sound);
    let mut meant = 0;
    for _ in 0..100_000 {
        let mut bytes = sound.clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next_u64() as u8;
        }
        if rng.chance(100) {
            bytes.truncate(rng.range(1, bytes.len() as u64) as usize);
        }
        if let Ok(record) = decode(&bytes) {
            let mut again = Vec::new();
            encode(&record, &mut again);
            assert_eq!(decode(&again).expect("its own bytes"), record);
            meant += 1;
        }
    }
    assert!(meant > 1_000, "most changes of a letter in an address mean another address");
}

fn requests() -> Vec<ViewsRequest> {
    let quiet = Ping {
        server: server(2, 70_000),
        view: ViewNum(0),
        installed: false,
        heir: Vec::new(),
        lost_backup: false,
    };
    let full = Ping {
        view: ViewNum(300),
        installed: true,
        heir: vec![Incarnation(3), Incarnation(400)],
        lost_backup: true,
        ..quiet.clone()
    };
    vec![
        ViewsRequest::Join { join: Join { node: NodeId(2) } },
        ViewsRequest::Ping { ping: quiet },
        ViewsRequest::Ping { ping: full },
        ViewsRequest::Get {},
        ViewsRequest::Status {},
    ]
}

fn status(stuck: Option<Stuck>) -> ViewsResponse {
    let silent = Duration::from_millis(1_500);
    let heard = ServerStatus {
        server: server(1, 7),
        silent,
        pinged: Some(ViewNum(300)),
        role: Role::Primary,
    };
    let unheard =
        ServerStatus { server: server(2, 70_000), silent, pinged: None, role: Role::Backup };
    let idle = ServerStatus { server: server(3, 9), silent, pinged: None, role: Role::Idle };
    ViewsResponse::Status(Status {
        view: view(),
        adopted: true,
        acknowledged: true,
        since: Duration::new(3, 5),
        issued: Incarnation(70_001),
        servers: vec![heard, unheard, idle],
        stuck,
    })
}

fn answers() -> Vec<ViewsResponse> {
    let (view_num, primary) = (ViewNum(300), server(1, 7));
    let unacknowledged =
        Stuck::Unacknowledged { view: view_num, primary: primary.clone(), empty: true };
    let deserted =
        Stuck::Deserted { view: view_num, primary, backup: Some(server(2, 9)), empty: false };
    let mut answers = vec![
        ViewsResponse::Join(Ok(Joined { incarnation: Incarnation(300) })),
        ViewsResponse::Join(Err(Refused::Taken)),
        ViewsResponse::Ping(Ok(Pong { view: view() })),
    ];
    let all = [
        Refused::Unproven,
        Refused::Superseded { by: Incarnation(300) },
        Refused::Unknown,
        Refused::Taken,
        Refused::TooMany,
        Refused::TooLong,
    ];
    answers.extend(all.map(|refused| ViewsResponse::Ping(Err(refused))));
    answers.push(ViewsResponse::Get(alone()));
    answers.extend([None, Some(Stuck::Nobody), Some(unacknowledged), Some(deserted)].map(status));
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
    let (name, all) = sim::variants!(ViewsRequest:
        "join" => ViewsRequest::Join { .. },
        "ping" => ViewsRequest::Ping { .. },
        "get" => ViewsRequest::Get {},
        "status" => ViewsRequest::Status {},
    );
    let mut names = Vec::new();
    for request in requests() {
        let (name, said) = (numbered(&mut names, name(&request)), format!("{request:?}"));
        let bytes = request_frame(1, request).expect("within the limit");
        let heard = request_of::<ViewsRequest>(&bytes).expect("sound").expect("a request");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(&name, &bytes);
    }
    assert!(all.iter().all(|name| names.iter().any(|held| held == name)), "each has bytes");
    golden.about("answers, as frames");
    let (name, all) = sim::variants!(ViewsResponse:
        "joined" => ViewsResponse::Join(Ok(_)),
        "not joined" => ViewsResponse::Join(Err(_)),
        "pong" => ViewsResponse::Ping(Ok(_)),
        "no pong" => ViewsResponse::Ping(Err(_)),
        "view" => ViewsResponse::Get(_),
        "world" => ViewsResponse::Status(_),
    );
    let mut names = Vec::new();
    for answer in answers() {
        let (name, said) = (numbered(&mut names, name(&answer)), format!("{answer:?}"));
        let bytes = answer_frame(1, answer).expect("within the limit");
        let heard = answer_of::<ViewsResponse>(&bytes).expect("sound").expect("an answer");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(&name, &bytes);
    }
    assert!(all.iter().all(|name| names.iter().any(|held| held == name)), "each has bytes");
    golden.end();
}
