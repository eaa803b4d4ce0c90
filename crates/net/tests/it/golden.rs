//! The bytes that nodes of two versions must both understand.

use net::{
    codec::frames::{answer_frame, answer_of, cancel_frame, request_frame, request_of},
    hello::{Hello, HelloError, Refusal, answer, greet, hear},
};
use protocol::NodeId;
use sim::golden::Golden;

#[tokio::test]
async fn golden_bytes_of_greetings_and_frames() {
    let mut golden = Golden::new(env!("CARGO_MANIFEST_DIR"), "tests/golden/wire.txt");
    golden.about("what a caller says first: magic, version, length, then cluster, node, service");
    let client = Hello { cluster: 7, node: None, service: "kv".to_owned() };
    let node = Hello { cluster: u64::MAX, node: Some(NodeId(3)), service: "paxos".to_owned() };
    let accepted = said(Ok(NodeId(2))).await;
    for (name, hello) in [("hello of a client", client), ("hello of a node", node)] {
        let mut stream = tokio::io::join(&accepted[..], Vec::new());
        assert_eq!(greet(&mut stream, &hello).await.expect("accepted"), NodeId(2));
        let (_, bytes) = stream.into_inner();
        assert_eq!(hear(&mut &bytes[..]).await.expect("a greeting"), hello);
        golden.hold(name, &bytes);
    }
    golden.about("what it hears: the server's node, or why not");
    golden.hold("accepted", &accepted);
    let (name, all) = sim::variants!(Refusal:
        "wrong cluster" => Refusal::WrongCluster { .. },
        "wrong version" => Refusal::WrongVersion { .. },
        "unknown service" => Refusal::UnknownService,
        "too many" => Refusal::TooMany,
        "not a member" => Refusal::NotAMember,
    );
    let refusals = [
        Refusal::WrongCluster { ours: 300 },
        Refusal::WrongVersion { ours: 1 },
        Refusal::UnknownService,
        Refusal::TooMany,
        Refusal::NotAMember,
    ];
    assert_eq!(refusals.iter().map(name).collect::<Vec<_>>(), all);
    for refusal in refusals {
        let bytes = said(Err(refusal.clone())).await;
        let hello = Hello { cluster: 1, node: None, service: "kv".to_owned() };
        let heard = greet(&mut tokio::io::join(&bytes[..], Vec::new()), &hello).await;
        assert!(matches!(heard, Err(HelloError::Refused(why)) if why == refusal));
        golden.hold(name(&refusal), &bytes);
    }
    golden.about("a call, length first: variant, time left, trace, number, message");
    let call = request_frame(300, "hi".to_owned()).expect("small");
    assert_eq!(request_of(&call).expect("sound"), Some((300, "hi".to_owned())));
    golden.hold("request", &call);
    golden.hold("cancel", &cancel_frame(300).expect("small"));
    let reply = answer_frame(300, "ho".to_owned()).expect("small");
    assert_eq!(answer_of(&reply).expect("sound"), Some((300, "ho".to_owned())));
    golden.hold("answer", &reply);
    golden.end();
}

async fn said(verdict: Result<NodeId, Refusal>) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer(&mut bytes, verdict).await.expect("memory");
    bytes
}
