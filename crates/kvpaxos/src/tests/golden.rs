//! The bytes of every form and every call, in files; beside [`super::forms`], which says what the
//! forms mean.

use bytes::Bytes;
use net::codec::frames::{answer_frame, answer_of, request_frame, request_of};
use paxosrsm::{
    Coded, Index, Refused, StateMachine,
    agreement::Status,
    message::{Chunk, Digest, Done, Piece, Query, ReplicaStatus, Submit, Taken},
};
use protocol::NodeId;
use sim::golden::Golden;

use super::forms::{b, commands, found, questions, responses};
use crate::{
    Command, Expect, Found, Question, Response, Store,
    service::{KvRequest, KvResponse, LogStatus, NodeStatus},
};

fn file(name: &str) -> Golden {
    Golden::new(env!("CARGO_MANIFEST_DIR"), &format!("tests/golden/{name}.txt"))
}

fn coded<T: Coded>(value: &T) -> Vec<u8> {
    value.to_bytes().to_vec()
}

fn meant<T: Coded>(bytes: &[u8]) -> T {
    T::decode(&Bytes::copy_from_slice(bytes)).expect("it means something")
}

#[test]
fn golden_bytes_of_every_form() {
    let mut golden = file("forms");
    golden.about("commands, as they lie in the log inside a session's request");
    let variants = sim::variants!(Command:
        "put" => Command::Put(..),
        "append" => Command::Append(..),
        "delete" => Command::Delete(_),
        "cas absent" => Command::Cas(_, Expect::Absent, _),
        "cas value" => Command::Cas(_, Expect::Value(_), _),
        "cas version" => Command::Cas(_, Expect::Version(_), _),
        "put many" => Command::PutMany(_),
    );
    golden.hold_all(&commands(), variants, coded, meant);
    golden.about("responses, as sessions in snapshots remember them");
    let variants = sim::variants!(Response:
        "written" => Response::Written(_),
        "deleted" => Response::Deleted(_),
        "differs" => Response::Differs(_),
        "too large" => Response::TooLarge,
    );
    golden.hold_all(&responses(), variants, coded, meant);
    golden.about("questions, as clients ask them");
    let variants = sim::variants!(Question:
        "get" => Question::Get(_),
        "get many" => Question::GetMany(_),
        "scan" => Question::Scan { .. },
    );
    golden.hold_all(&questions(), variants, coded, meant);
    golden.about("what they are told");
    let variants = sim::variants!(Found:
        "one" => Found::One(_),
        "many" => Found::Many(_),
        "page" => Found::Page(_),
        "too much" => Found::TooMuch,
    );
    golden.hold_all(&found(), variants, coded, meant);
    golden.about("the image of a store: writes, keys, then each key, its version and its value");
    let mut store = Store::default();
    for command in commands() {
        store.apply(command);
    }
    let image = store.freeze().write();
    let back = Store::restore(&Bytes::from(image.clone())).expect("an image");
    assert_eq!(back.freeze().write(), image);
    golden.hold("image", &image);
    golden.end();
}

fn requests() -> Vec<KvRequest> {
    vec![
        KvRequest::Submit { submit: Submit(b("s")) },
        KvRequest::Get { query: Query(b("q")) },
        KvRequest::Status {},
        KvRequest::Digest {},
        KvRequest::Snapshot { covering: Index(300) },
        KvRequest::Piece { chunk: Chunk { upto: Index(300), offset: 5 } },
    ]
}

fn answers() -> Vec<KvResponse> {
    let agreement = Status {
        role: "leader".to_owned(),
        ballot: "3.1".to_owned(),
        leader: Some(NodeId(1)),
        chosen: Index(9),
        floor: Index(2),
        peers: vec![(NodeId(2), Index(8))],
        batches: (4, 5),
        campaigns: 6,
    };
    let replica = ReplicaStatus {
        me: NodeId(1),
        agreement,
        applied: Index(9),
        chain: 300,
        snapshot: Index(2),
        commands: 7,
    };
    let log = LogStatus {
        syncs: 1,
        records: 2,
        segments: 3,
        live_bytes: 4,
        last_sync_us: 5,
        max_sync_us: 6,
    };
    let status = NodeStatus { replica, log: Some(log), connections: (7, 8) };
    let piece = Piece { upto: Index(300), offset: 5, total: 8, bytes: b("xyz") };
    vec![
        KvResponse::Submit(Ok(Done(b("d")))),
        KvResponse::Submit(Err(Refused::NotLeading(Some(NodeId(2))))),
        KvResponse::Submit(Err(Refused::Busy)),
        KvResponse::Submit(Err(Refused::Unknown)),
        KvResponse::Submit(Err(Refused::TooLarge)),
        KvResponse::Submit(Err(Refused::Malformed)),
        KvResponse::Get(Ok(Done(b("d")))),
        KvResponse::Status(Some(status)),
        KvResponse::Digest(Some(Digest { applied: Index(9), state: 300 })),
        KvResponse::Snapshot(Taken(Some(Index(300)))),
        KvResponse::Piece(piece),
    ]
}

#[test]
fn golden_bytes_of_every_call_of_a_client() {
    let mut golden = file("calls");
    golden.about("requests, as frames");
    let (name, all) = sim::variants!(KvRequest:
        "submit" => KvRequest::Submit { .. },
        "get" => KvRequest::Get { .. },
        "status" => KvRequest::Status { .. },
        "digest" => KvRequest::Digest { .. },
        "snapshot" => KvRequest::Snapshot { .. },
        "piece" => KvRequest::Piece { .. },
    );
    assert_eq!(requests().iter().map(name).collect::<Vec<_>>(), all, "each has golden bytes");
    for request in requests() {
        let (name, said) = (name(&request), format!("{request:?}"));
        let bytes = request_frame(1, request).expect("within the limit");
        let heard = request_of::<KvRequest>(&bytes).expect("sound").expect("a request");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(name, &bytes);
    }
    golden.about("answers, as frames");
    let (name, all) = sim::variants!(KvResponse:
        "done" => KvResponse::Submit(Ok(_)),
        "not leading" => KvResponse::Submit(Err(Refused::NotLeading(_))),
        "busy" => KvResponse::Submit(Err(Refused::Busy)),
        "unknown" => KvResponse::Submit(Err(Refused::Unknown)),
        "too large" => KvResponse::Submit(Err(Refused::TooLarge)),
        "malformed" => KvResponse::Submit(Err(Refused::Malformed)),
        "got" => KvResponse::Get(_),
        "how it is" => KvResponse::Status(_),
        "fingerprint" => KvResponse::Digest(_),
        "taken" => KvResponse::Snapshot(_),
        "a piece" => KvResponse::Piece(_),
    );
    assert_eq!(answers().iter().map(name).collect::<Vec<_>>(), all, "each has golden bytes");
    for answer in answers() {
        let (name, said) = (name(&answer), format!("{answer:?}"));
        let bytes = answer_frame(1, answer).expect("within the limit");
        let heard = answer_of::<KvResponse>(&bytes).expect("sound").expect("an answer");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(name, &bytes);
    }
    golden.end();
}
