//! A machine of three lines, replicated: what it takes, and what it survives.
//!
//! ```text
//! cargo run -p paxosrsm --example tour
//! ```

use bytes::Bytes;
use paxosrsm::machine::Coded;
use paxosrsm::{
    ClientId, Config, Index, Replica, RequestNo, Sessions, Solo, StateMachine,
    core::Restored,
    message::{Output, Request, Submit},
    sessions::{Command, Response},
    suite::{Length, Tape, Text},
};
use protocol::{Desk, Lsn, NodeId, Time, Word};

fn main() {
    // A coat for a machine: the same request twice is one effect.
    let mut sessions = Sessions::new(Tape::default());
    let Response::Registered(client) = sessions.apply(Command::Register) else { return };
    for _ in 0..2 {
        let command = Text(Bytes::from_static(b"pay the baker"));
        let request = RequestNo(1);
        let said: Response<Length> = sessions.apply(Command::Do { client, request, command });
        println!("{client:?} asks for its first request: {said:?}");
    }
    println!("on the tape: {:?}", sessions.machine().0);
    let stranger =
        Command::Do { client: ClientId(99), request: RequestNo(1), command: Text(Bytes::new()) };
    println!("a client nobody knows: {:?}\n", sessions.apply(stranger));

    // A replica of a tape, in a group of one. Nothing is answered before it is durable.
    let me = NodeId(1);
    let solo = Solo::recover(me, Index(0), []).expect("nothing is wrong with an empty past");
    let config = Config { me, snapshot_bytes: 20 };
    let replica = Replica::new(config, solo, Restored::fresh(Tape::default()));
    let mut desk = Desk::new(me, replica, Lsn(0));
    desk.wake(Time::ZERO);
    let mut image = None;
    for (ticket, word) in (1..).zip(["bread", "milk", "apples", "honey"]) {
        desk.request(Time::ZERO, ticket, None, Request::Submit(Submit(Bytes::from(word))));
        println!("{word}: saved as {:?}", desk.records().collect::<Vec<_>>());
        assert!(desk.next_word().is_none(), "the disk has not said that it is safe");
        desk.durable(Time::ZERO, Lsn(ticket));
        while let Some(word) = desk.next_word() {
            match word {
                Word::Answer { reply, .. } => println!("  answered: {reply:?}"),
                Word::Output(Output::Save { upto, image: taken }) => {
                    let bytes = Bytes::from(taken.write());
                    println!("  a snapshot of everything below {}: {} bytes", upto.0, bytes.len());
                    image = Some(bytes);
                }
                _ => {}
            }
        }
    }
    let image = image.expect("twenty bytes were applied");
    let whole = Restored::<Tape>::open(&image).expect("it is whole");
    println!("\nrestored up to {}: {:?}", whole.applied.0, whole.machine.0);
    let mut spoilt = image.to_vec();
    spoilt[20] ^= 1;
    let refused = Restored::<Tape>::open(&Bytes::from(spoilt)).is_none();
    println!("with one bit flipped it is {}", if refused { "refused" } else { "believed" });
    println!("its length as an answer in bytes: {:?}", Length(4).to_bytes());
}
