//! The bytes of records and of calls between nodes: written by one version, read by another.

use bytes::Bytes;
use net::codec::frames::{answer_frame, answer_of, request_frame, request_of};
use paxos::{
    Accept, Accepted, Ballot, Beat, Fetch, Fetched, Forward, Heartbeat, Nack, Outcome, Prepare,
    Probe, Promise, Pulse, Record, Slot, Value, Watermark,
    batch::pack,
    message::Report,
    server::{decode_record, encode_record},
    service::{PeerRequest, PeerResponse},
};
use protocol::NodeId;
use sim::golden::Golden;

fn ballot() -> Ballot {
    Ballot { round: 300, node: NodeId(2) }
}

fn data() -> Value {
    Value::Data(pack([Bytes::from_static(b"a"), Bytes::from_static(b"bcd")].iter()))
}

#[test]
fn golden_bytes_of_every_record() {
    let mut golden = Golden::new(env!("CARGO_MANIFEST_DIR"), "tests/golden/records.txt");
    golden.about("a version byte, then the record; a value is nothing or a batch of commands");
    let (ballot, slot, settled) = (ballot(), Slot(70_000), Slot(5));
    let values = [
        Record::Promised { ballot },
        Record::Accepted { ballot, slot, value: data(), settled },
        Record::Accepted { ballot, slot: Slot(0), value: Value::Noop, settled: Slot(0) },
        Record::Learned { slot, value: data() },
        Record::Checkpoint { promised: ballot, floor: Slot(4), settled, snapshot: Some(Slot(4)) },
        Record::Checkpoint { promised: Ballot::NONE, floor: Slot(4), settled, snapshot: None },
    ];
    let variants = sim::variants!(Record:
        "promised" => Record::Promised { .. },
        "accepted" => Record::Accepted { .. },
        "learned" => Record::Learned { .. },
        "checkpoint" => Record::Checkpoint { .. },
    );
    let encode = |record: &Record| {
        let mut bytes = Vec::new();
        encode_record(record, &mut bytes);
        bytes
    };
    let decode = |bytes: &[u8]| decode_record(bytes).expect("a record");
    golden.hold_all(&values, variants, encode, decode);
    golden.end();
}

fn requests() -> Vec<PeerRequest> {
    let (ballot, slot, value) = (ballot(), Slot(70_000), data());
    let chosen = Watermark { low: Slot(1), upto: Slot(3), runs: vec![(Slot(5), Slot(7))] };
    let done = vec![(NodeId(1), Slot(2))];
    let heartbeat = Heartbeat { ballot, chosen: chosen.clone(), check: 9, done };
    vec![
        PeerRequest::Prepare { prepare: Prepare { ballot, from: slot } },
        PeerRequest::Accept { accept: Accept { ballot, slot, value: value.clone(), chosen } },
        PeerRequest::Heartbeat { heartbeat },
        PeerRequest::Probe { probe: Probe { canvass: true } },
        PeerRequest::Fetch { fetch: Fetch { from: slot } },
        PeerRequest::Forward { forward: Forward { slot, value } },
    ]
}

fn answers() -> Vec<PeerResponse> {
    let (ballot, slot, settled, value) = (ballot(), Slot(70_000), Slot(5), data());
    let nack = Nack { promised: ballot, settled, chosen: Some((slot, value.clone())) };
    let report = Report { slot, ballot, value: value.clone(), chosen: true };
    let promise = Promise { ballot, settled, accepted: vec![report], more: Some(slot) };
    let done = vec![(NodeId(1), Slot(2))];
    let beat = Beat { ballot, check: 9, settled, disk_healthy: true, done };
    let fetched = Fetched {
        chosen: vec![(slot, value.clone())],
        settled,
        floor: Slot(2),
        snapshot: Some(Slot(2)),
    };
    vec![
        PeerResponse::Prepare(Ok(promise)),
        PeerResponse::Prepare(Err(nack.clone())),
        PeerResponse::Accept(Ok(Accepted { ballot, slot, settled })),
        PeerResponse::Accept(Err(nack.clone())),
        PeerResponse::Heartbeat(Ok(beat)),
        PeerResponse::Heartbeat(Err(nack)),
        PeerResponse::Probe(Pulse { ballot, content: Some(ballot), settled }),
        PeerResponse::Fetch(fetched),
        PeerResponse::Forward(Outcome::Chosen(slot, value)),
        PeerResponse::Forward(Outcome::Forgotten(slot)),
        PeerResponse::Forward(Outcome::Elsewhere(Some(NodeId(3)))),
    ]
}

#[test]
fn golden_bytes_of_every_call_between_nodes() {
    let mut golden = Golden::new(env!("CARGO_MANIFEST_DIR"), "tests/golden/calls.txt");
    golden.about("requests, as frames");
    let (name, all) = sim::variants!(PeerRequest:
        "prepare" => PeerRequest::Prepare { .. },
        "accept" => PeerRequest::Accept { .. },
        "heartbeat" => PeerRequest::Heartbeat { .. },
        "probe" => PeerRequest::Probe { .. },
        "fetch" => PeerRequest::Fetch { .. },
        "forward" => PeerRequest::Forward { .. },
    );
    assert_eq!(requests().iter().map(name).collect::<Vec<_>>(), all, "each has golden bytes");
    for request in requests() {
        let (name, said) = (name(&request), format!("{request:?}"));
        let bytes = request_frame(1, request).expect("within the limit");
        let heard = request_of::<PeerRequest>(&bytes).expect("sound").expect("a request");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(name, &bytes);
    }
    golden.about("answers, as frames");
    let (name, all) = sim::variants!(PeerResponse:
        "promise" => PeerResponse::Prepare(Ok(_)),
        "no promise" => PeerResponse::Prepare(Err(_)),
        "accepted" => PeerResponse::Accept(Ok(_)),
        "not accepted" => PeerResponse::Accept(Err(_)),
        "beat" => PeerResponse::Heartbeat(Ok(_)),
        "no beat" => PeerResponse::Heartbeat(Err(_)),
        "pulse" => PeerResponse::Probe(_),
        "fetched" => PeerResponse::Fetch(_),
        "chosen" => PeerResponse::Forward(Outcome::Chosen(..)),
        "forgotten" => PeerResponse::Forward(Outcome::Forgotten(_)),
        "elsewhere" => PeerResponse::Forward(Outcome::Elsewhere(_)),
    );
    assert_eq!(answers().iter().map(name).collect::<Vec<_>>(), all, "each has golden bytes");
    for answer in answers() {
        let (name, said) = (name(&answer), format!("{answer:?}"));
        let bytes = answer_frame(1, answer).expect("within the limit");
        let heard = answer_of::<PeerResponse>(&bytes).expect("sound").expect("an answer");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(name, &bytes);
    }
    golden.end();
}
