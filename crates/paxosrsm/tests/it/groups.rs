//! A group of one replica by itself, opened the one way there is, around machines of several kinds.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use net::{Addr, Memory};
use paxosrsm::{
    Coded, Refused, RequestNo, Sessions, StateMachine,
    core::Config,
    engine::{Neighbours, Single},
    message::{Done, Query, Reply, Request, Submit},
    server::Group,
    sessions::{Command, Response},
    storage::Storage,
    suite::{Length, Tape, Text},
};
use protocol::NodeId;

const ME: NodeId = NodeId(1);

/// Opens a group around any machine.
async fn open<M: StateMachine + Send + 'static>(machine: M) -> Group<Single> {
    let neighbours = Neighbours {
        network: Arc::new(Memory::new()),
        cluster: 1,
        me: ME,
        addrs: BTreeMap::from([(ME, Addr::any())]),
        seed: 1,
    };
    let storage = Storage::memory(1);
    let group =
        Group::open(Single(ME), Config::new(ME), storage, neighbours, machine, |server, _| server);
    group.await.expect("nothing is wrong with an empty past")
}

async fn submit(group: &Group<Single>, command: &impl Coded) -> Result<Bytes, Refused> {
    match group.door.request(None, Request::Submit(Submit(command.to_bytes()))).await {
        Ok(Reply::Done(Done(response))) => Ok(response),
        Ok(Reply::Refused(refused)) => Err(refused),
        other => panic!("{other:?} is no answer to a command"),
    }
}

async fn length(group: &Group<Single>) -> Length {
    match group.door.request(None, Request::Query(Query(Bytes::new()))).await {
        Ok(Reply::Done(Done(answer))) => Length::decode(&answer).expect("a length"),
        other => panic!("{other:?} is no answer to a query"),
    }
}

#[tokio::test]
async fn a_bare_tape_does_what_it_is_told_each_time() {
    let group = open(Tape::default()).await;
    let word = Text(Bytes::from_static(b"again"));
    for count in 1..=3 {
        assert_eq!(submit(&group, &word).await, Ok(Length(count).to_bytes()));
        assert_eq!(length(&group).await, Length(count));
    }
    group.stop().await.expect("its log is sound");
}

#[tokio::test]
async fn in_the_coat_of_sessions_it_does_each_request_once() {
    let group = open(Sessions::new(Tape::default())).await;
    let register: Command<Text> = Command::Register;
    let named = submit(&group, &register).await.expect("a name");
    let Some(Response::<Length>::Registered(client)) = Response::decode(&named) else {
        panic!("{named:?} is no name");
    };
    let command = Text(Bytes::from_static(b"once"));
    let once = Command::Do { client, request: RequestNo(1), command };
    for _ in 0..3 {
        let done = submit(&group, &once).await.expect("done");
        assert_eq!(Response::decode(&done), Some(Response::Done(Length(1))));
        assert_eq!(length(&group).await, Length(1));
    }
    // What means nothing to the machine is refused or answered so, and changes nothing.
    let nonsense = Text(Bytes::from_static(&[9, 9, 9]));
    let said = submit(&group, &nonsense).await;
    let malformed = Response::<Length>::Malformed.to_bytes();
    assert!(said == Err(Refused::Malformed) || said == Ok(malformed), "{said:?}");
    assert_eq!(length(&group).await, Length(1));
    group.stop().await.expect("its log is sound");
}
