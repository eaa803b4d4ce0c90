//! The bytes of items, of records and of calls: written by one version, read by another.

use std::fmt::Debug;

use net::codec::frames::{answer_frame, answer_of, request_frame, request_of};
use pbservice::{
    Change, Digest, Done, Duty, Item, Rebuff, Record, Refused, RequestNo, Seq, SessionId, Status,
    item::Row,
    message::{Forward, Forwarded, Get, Open, Submit},
    service::{LogStatus, NodeStatus, PbPeerRequest, PbPeerResponse, PbRequest, PbResponse},
    storage::{self, MAX_RECORD},
};
use protocol::{NodeId, codec};
use serde::{Serialize, de::DeserializeOwned};
use sim::golden::Golden;
use viewservice::{Incarnation, Member, Server, View, ViewNum};

use crate::shell::b;

fn file(name: &str) -> Golden {
    Golden::new(env!("CARGO_MANIFEST_DIR"), &format!("tests/golden/{name}.txt"))
}

/// A number of more than one byte.
const SESSION: SessionId = SessionId(300);

fn member() -> Member {
    Member { node: NodeId(2), incarnation: Incarnation(70_000) }
}

fn changes() -> Vec<Change> {
    vec![Change::Put(b("k"), b("v")), Change::Append(b("k"), b("tail")), Change::Delete(b("k"))]
}

fn items() -> Vec<Item> {
    let row = |session, done| Row { session, number: RequestNo(7), done, used: 70_000 };
    let wants = |change| Item::Do { session: SESSION, number: RequestNo(7), change };
    let rows = vec![
        row(SessionId(1), Done::Written),
        row(SessionId(2), Done::Deleted(true)),
        row(SESSION, Done::TooLarge),
    ];
    let mut items = vec![
        Item::Probe,
        Item::Open { evict: None },
        Item::Open { evict: Some(SESSION) },
        Item::Begin { opened: 300, uses: 70_000 },
        Item::Keys { pairs: vec![(b("k"), b("v")), (b("l"), b(""))], upto: Some(b("m")) },
        Item::Keys { pairs: vec![], upto: None },
        Item::Sessions { rows, upto: Some(SessionId(301)) },
        Item::Sessions { rows: vec![], upto: None },
    ];
    items.extend(changes().into_iter().map(wants));
    items
}

#[test]
fn golden_bytes_of_every_item_and_record() {
    let mut golden = file("records");
    golden.about("items: what stands at one place of the stream, and of a log");
    let variants = sim::variants!(Item:
        "probe" => Item::Probe,
        "open" => Item::Open { .. },
        "put" => Item::Do { change: Change::Put(..), .. },
        "append" => Item::Do { change: Change::Append(..), .. },
        "delete" => Item::Do { change: Change::Delete(_), .. },
        "begin" => Item::Begin { .. },
        "keys" => Item::Keys { .. },
        "sessions" => Item::Sessions { .. },
    );
    let encode = |item: &Item| codec::encode(item, MAX_RECORD).expect("small");
    let decode = |bytes: &[u8]| codec::decode(bytes, MAX_RECORD).expect("an item");
    golden.hold_all(&items(), variants, encode, decode);
    golden.about("records: a version byte, then the record");
    let variants = sim::variants!(Record:
        "born" => Record::Born(_),
        "fresh" => Record::Fresh(_),
        "wiped" => Record::Wiped(_),
        "checkpoint" => Record::Checkpoint(_),
        "items" => Record::Items(_),
    );
    let life = Incarnation(70_000);
    let records = [
        Record::Fresh(life),
        Record::Wiped(life),
        Record::Checkpoint(vec![life, Incarnation(70_000)]),
        Record::Born(life),
        Record::Items(vec![Item::Open { evict: None }, Item::Probe]),
    ];
    let encode = |record: &Record| {
        let mut bytes = Vec::new();
        storage::encode(record, &mut bytes);
        bytes
    };
    let decode = |bytes: &[u8]| storage::decode(bytes).expect("a record");
    golden.hold_all(&records, variants, encode, decode);
    golden.end();
}

#[test]
fn records_of_another_version_or_of_none_are_refused() {
    let mut bytes = Vec::new();
    storage::encode(&Record::Fresh(Incarnation(1)), &mut bytes);
    assert!(storage::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(storage::decode(&[&bytes[..], b"x"].concat()).is_err());
    bytes[0] += 1;
    let error = storage::decode(&bytes).expect_err("another version");
    assert_eq!(error.to_string(), "a record of version 2; this program reads version 1");
    assert!(storage::decode(&[]).is_err());
}

/// Each variant has its bytes, and the bytes mean the same again.
fn hold_calls<Q>(
    golden: &mut Golden,
    values: Vec<Q>,
    (name, all): (fn(&Q) -> &'static str, &[&str]),
    frame: impl Fn(Q) -> Vec<u8>,
    heard: impl Fn(&[u8]) -> Q,
) where
    Q: Serialize + DeserializeOwned + Debug,
{
    assert_eq!(values.iter().map(name).collect::<Vec<_>>(), all, "each has golden bytes");
    for value in values {
        let (name, said) = (name(&value), format!("{value:?}"));
        let bytes = frame(value);
        assert_eq!(format!("{:?}", heard(&bytes)), said);
        golden.hold(name, &bytes);
    }
}

fn asked<Q: Serialize>(request: Q) -> Vec<u8> {
    request_frame(1, request).expect("within the limit")
}

fn request<Q: DeserializeOwned>(bytes: &[u8]) -> Q {
    request_of(bytes).expect("sound").expect("a request").1
}

fn said<R: Serialize>(answer: R) -> Vec<u8> {
    answer_frame(1, answer).expect("within the limit")
}

fn answer<R: DeserializeOwned>(bytes: &[u8]) -> R {
    answer_of(bytes).expect("sound").expect("an answer").1
}

fn status() -> NodeStatus {
    let server = Status {
        member: Some(member()),
        view: View {
            number: ViewNum(5),
            primary: Some(Server { member: member(), addr: "host:1".to_owned() }),
            backup: None,
        },
        duty: Duty::Alone,
        whole: true,
        keys: 1,
        bytes: 2,
        sessions: 3,
        last: Seq(300),
        forwarded: Seq(4),
    };
    let log = LogStatus {
        syncs: 1,
        records: 2,
        segments: 3,
        live_bytes: 4,
        last_sync_us: 5,
        max_sync_us: 6,
    };
    NodeStatus { server, log: Some(log), connections: 7 }
}

#[test]
fn golden_bytes_of_every_call_of_a_client() {
    let mut golden = file("clients");
    golden.about("requests, as frames");
    let submit = |change| Submit { session: SESSION, number: RequestNo(7), change };
    let mut requests = vec![PbRequest::Open { open: Open }];
    requests.extend(changes().into_iter().map(|it| PbRequest::Submit { submit: submit(it) }));
    requests.push(PbRequest::Get { get: Get { key: b("k") } });
    requests.push(PbRequest::Status {});
    requests.push(PbRequest::Digest {});
    let variants = sim::variants!(PbRequest:
        "open" => PbRequest::Open { .. },
        "put" => PbRequest::Submit { submit: Submit { change: Change::Put(..), .. } },
        "append" => PbRequest::Submit { submit: Submit { change: Change::Append(..), .. } },
        "delete" => PbRequest::Submit { submit: Submit { change: Change::Delete(_), .. } },
        "get" => PbRequest::Get { .. },
        "status" => PbRequest::Status { .. },
        "digest" => PbRequest::Digest { .. },
    );
    hold_calls(&mut golden, requests, variants, asked, request);
    golden.about("answers, as frames");
    let answers = vec![
        PbResponse::Open(Ok(SESSION)),
        PbResponse::Submit(Ok(Done::Written)),
        PbResponse::Submit(Ok(Done::Deleted(true))),
        PbResponse::Submit(Ok(Done::TooLarge)),
        PbResponse::Submit(Err(Refused::NotPrimary(ViewNum(300)))),
        PbResponse::Submit(Err(Refused::Interrupted)),
        PbResponse::Submit(Err(Refused::Busy)),
        PbResponse::Submit(Err(Refused::TooLarge)),
        PbResponse::Submit(Err(Refused::Expired)),
        PbResponse::Submit(Err(Refused::Late)),
        PbResponse::Get(Ok(Some(b("v")))),
        PbResponse::Get(Ok(None)),
        PbResponse::Open(Err(Refused::Busy)),
        PbResponse::Get(Err(Refused::Busy)),
        PbResponse::Status(Some(status())),
        PbResponse::Status(None),
        PbResponse::Digest(Some(Digest {
            view: ViewNum(300),
            last: Seq(9),
            whole: true,
            state: 7,
        })),
        PbResponse::Digest(None),
    ];
    let variants = sim::variants!(PbResponse:
        "opened" => PbResponse::Open(Ok(_)),
        "written" => PbResponse::Submit(Ok(Done::Written)),
        "deleted" => PbResponse::Submit(Ok(Done::Deleted(_))),
        "grown too large" => PbResponse::Submit(Ok(Done::TooLarge)),
        "not primary" => PbResponse::Submit(Err(Refused::NotPrimary(_))),
        "interrupted" => PbResponse::Submit(Err(Refused::Interrupted)),
        "busy" => PbResponse::Submit(Err(Refused::Busy)),
        "too large" => PbResponse::Submit(Err(Refused::TooLarge)),
        "expired" => PbResponse::Submit(Err(Refused::Expired)),
        "late" => PbResponse::Submit(Err(Refused::Late)),
        "value" => PbResponse::Get(Ok(Some(_))),
        "no value" => PbResponse::Get(Ok(None)),
        "not opened" => PbResponse::Open(Err(_)),
        "not got" => PbResponse::Get(Err(_)),
        "how it is" => PbResponse::Status(Some(_)),
        "about to end" => PbResponse::Status(None),
        "what it has" => PbResponse::Digest(Some(_)),
        "nothing to compare" => PbResponse::Digest(None),
    );
    hold_calls(&mut golden, answers, variants, said, answer);
    golden.end();
}

#[test]
fn golden_bytes_of_every_call_of_a_primary() {
    let mut golden = file("peers");
    golden.about("requests, as frames");
    let items = vec![Item::Probe, Item::Begin { opened: 1, uses: 2 }];
    let forward = Forward { view: ViewNum(300), from: member(), first: Seq(70_000), items };
    let variants = sim::variants!(PbPeerRequest: "forward" => PbPeerRequest::Forward { .. });
    hold_calls(&mut golden, vec![PbPeerRequest::Forward { forward }], variants, asked, request);
    golden.about("answers, as frames");
    let forwarded = Forwarded { view: ViewNum(300), upto: Seq(70_001) };
    let stale = Rebuff::Stale { stale: ViewNum(300), known: ViewNum(301) };
    let answers = [Ok(forwarded), Err(stale), Err(Rebuff::NotBackup)]
        .into_iter()
        .chain([Err(Rebuff::Stranger), Err(Rebuff::Malformed)])
        .map(PbPeerResponse::Forward)
        .collect();
    let variants = sim::variants!(PbPeerResponse:
        "forwarded" => PbPeerResponse::Forward(Ok(_)),
        "stale" => PbPeerResponse::Forward(Err(Rebuff::Stale { .. })),
        "not the backup" => PbPeerResponse::Forward(Err(Rebuff::NotBackup)),
        "stranger" => PbPeerResponse::Forward(Err(Rebuff::Stranger)),
        "malformed" => PbPeerResponse::Forward(Err(Rebuff::Malformed)),
    );
    hold_calls(&mut golden, answers, variants, said, answer);
    golden.end();
}
