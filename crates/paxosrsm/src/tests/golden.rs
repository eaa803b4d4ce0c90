//! The bytes of every form and every call, in files; beside [`super::forms`], which says what the
//! forms mean.

use bytes::Bytes;
use net::codec::frames::{answer_frame, answer_of, request_frame, request_of};
use sim::golden::Golden;

use super::forms::text;
use crate::{
    agreement::{Index, Refused},
    engine::{Engine, Single},
    machine::{Coded, StateMachine},
    message::{Chunk, Done, Piece, Query, Submit},
    service::{ReplicaRequest, ReplicaResponse},
    sessions::{ClientId, Command, RequestNo, Response, Sessions},
    solo::Line,
    suite::{Length, Tape, Text},
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
    let (client, request) = (ClientId(0x0102), RequestNo(3));
    golden.about("what sessions put into the log; the command inside is the machine's");
    let variants = sim::variants!(Command<Text>:
        "register" => Command::Register,
        "do" => Command::Do { .. },
        "bare" => Command::Bare(_),
    );
    let named = Command::Do { client, request, command: text("hi") };
    let commands = [Command::Register, named, Command::Bare(text("hi"))];
    golden.hold_all(&commands, variants, coded, meant);
    golden.about("what comes out");
    let variants = sim::variants!(Response<Length>:
        "registered" => Response::Registered(_),
        "done" => Response::Done(_),
        "expired" => Response::Expired,
        "stale" => Response::Stale,
        "malformed" => Response::Malformed,
    );
    let responses = [
        Response::Registered(client),
        Response::Done(Length(5)),
        Response::Expired,
        Response::Stale,
        Response::Malformed,
    ];
    golden.hold_all(&responses, variants, coded, meant);
    golden.about("records of a group of one");
    let variants = sim::variants!(Line:
        "command" => Line::Command(..),
        "floor" => Line::Floor(_),
    );
    let lines = [Line::Command(Index(5), Bytes::from_static(b"hi")), Line::Floor(Index(300))];
    let encode = |line: &Line| {
        let mut bytes = Vec::new();
        Single::encode()(line, &mut bytes);
        bytes
    };
    golden.hold_all(&lines, variants, encode, |bytes| Single::decode(bytes).expect("a line"));
    golden.about("the table of sessions and the machine, as a snapshot has them");
    let mut sessions = Sessions::with_limit(Tape::default(), 4);
    sessions.apply(Command::Register);
    sessions.apply(Command::Register);
    let (client, request) = (ClientId(1), RequestNo(1));
    sessions.apply(Command::Do { client, request, command: text("hi") });
    let image = sessions.freeze().write();
    let back = Sessions::<Tape>::restore(&Bytes::from(image.clone())).expect("an image");
    assert_eq!(back.freeze().write(), image);
    golden.hold("sessions", &image);
    golden.about("a sealed snapshot: what it covers, the past, the machine, the seal");
    golden.hold("snapshot", &super::replica::sealed());
    golden.end();
}

#[test]
fn golden_bytes_of_every_call_between_replicas() {
    let mut golden = file("calls");
    let bytes = Bytes::from_static(b"xyz");
    let upto = Index(300);
    let requests = [
        ReplicaRequest::Submit { submit: Submit(bytes.clone()) },
        ReplicaRequest::Query { query: Query(bytes.clone()) },
        ReplicaRequest::Chunk { chunk: Chunk { upto, offset: 5 } },
    ];
    golden.about("requests, as frames");
    let (name, all) = sim::variants!(ReplicaRequest:
        "submit" => ReplicaRequest::Submit { .. },
        "query" => ReplicaRequest::Query { .. },
        "chunk" => ReplicaRequest::Chunk { .. },
    );
    assert_eq!(requests.iter().map(name).collect::<Vec<_>>(), all, "each has golden bytes");
    for request in requests {
        let (name, said) = (name(&request), format!("{request:?}"));
        let bytes = request_frame(1, request).expect("within the limit");
        let heard = request_of::<ReplicaRequest>(&bytes).expect("sound").expect("a request");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(name, &bytes);
    }
    let answers = [
        ReplicaResponse::Submit(Ok(Done(bytes.clone()))),
        ReplicaResponse::Submit(Err(Refused::NotLeading(None))),
        ReplicaResponse::Query(Ok(Done(bytes.clone()))),
        ReplicaResponse::Query(Err(Refused::Busy)),
        ReplicaResponse::Chunk(Piece { upto, offset: 5, total: 8, bytes }),
    ];
    golden.about("answers, as frames");
    let (name, all) = sim::variants!(ReplicaResponse:
        "done" => ReplicaResponse::Submit(Ok(_)),
        "not done" => ReplicaResponse::Submit(Err(_)),
        "shown" => ReplicaResponse::Query(Ok(_)),
        "not shown" => ReplicaResponse::Query(Err(_)),
        "piece" => ReplicaResponse::Chunk(_),
    );
    assert_eq!(answers.iter().map(name).collect::<Vec<_>>(), all, "each has golden bytes");
    for answer in answers {
        let (name, said) = (name(&answer), format!("{answer:?}"));
        let bytes = answer_frame(1, answer).expect("within the limit");
        let heard = answer_of::<ReplicaResponse>(&bytes).expect("sound").expect("an answer");
        assert_eq!(format!("{:?}", heard.1), said);
        golden.hold(name, &bytes);
    }
    golden.end();
}
