//! A core of twenty lines behind a desk: what it says, and when it may be heard.
//!
//! ```text
//! cargo run -p protocol --example tour
//! ```

use protocol::{Core, Desk, Effects, Event, Free, Lsn, NodeId, Time, Word};

/// Gives out numbers, each once, also across its lives.
#[derive(Default)]
struct Numbers {
    given: u64,
}

#[derive(Clone, Debug)]
enum Ask {
    Next,
    HowMany,
}

/// An answer that no record needs to stand behind.
struct Roughly(u64);
impl Free for Roughly {
    const WHY: &'static str = "it is a guess, and called one";
}
impl From<Roughly> for String {
    fn from(Roughly(count): Roughly) -> Self {
        format!("about {count} were given out")
    }
}

impl Core for Numbers {
    type Request = Ask;
    type Reply = String;
    type Record = u64;
    type Output = ();

    fn step(&mut self, _now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Request { caller, request: Ask::Next } => {
                self.given += 1;
                fx.save(self.given);
                // `answer_free` would not compile: a `String` is not `Free`.
                fx.answer(caller, format!("{} is yours", self.given));
            }
            Event::Request { caller, request: Ask::HowMany } => {
                fx.answer_free(caller, Roughly(self.given));
            }
            Event::Reply(_) | Event::Failed { .. } | Event::DiskHealthy(_) | Event::Wake => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

fn main() {
    let mut desk = Desk::new(NodeId(1), Numbers::default(), Lsn(0));
    for (ticket, request) in [(1, Ask::Next), (2, Ask::Next), (3, Ask::HowMany)] {
        println!("caller {ticket} asks {request:?}");
        desk.request(Time::ZERO, ticket, None, request);
    }
    println!("to be saved: {:?}", desk.records().collect::<Vec<_>>());
    for durable in 0..=2 {
        desk.durable(Time::ZERO, Lsn(durable));
        println!("{durable} records are durable; {} words still wait", desk.held());
        while let Some(Word::Answer { ticket, reply }) = desk.next_word() {
            println!("  caller {ticket} hears {reply:?}");
        }
    }
}
