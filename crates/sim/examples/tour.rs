//! A core of a few lines on a bad day: power cuts, lost messages, and a witness that compares every
//! word with the speaker's disk.
//!
//! ```text
//! cargo run -p sim --example tour
//! ```

use std::time::Duration;

use protocol::{Core, Effects, Event, Lsn, NodeId, Time, Word};
use sim::{Io, Plan, Subject, View, World, world::Record};

/// Counts up, and answers with the count. A sloppy one forgets to save it.
struct Counter(u64, bool);

impl Core for Counter {
    type Request = ();
    type Reply = u64;
    type Record = u64;
    type Output = ();

    fn step(&mut self, _: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        let Event::Request { caller, .. } = event else { return };
        self.0 += 1;
        if !self.1 {
            fx.save(self.0);
        }
        fx.answer(caller, self.0);
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

type Fine = Result<(), String>;

/// A client that asks a hundred times; how often it was answered; whether counters are sloppy.
struct Counting(u64, u64, bool);

impl Subject for Counting {
    type Core = Counter;

    fn recover(&mut self, _: NodeId, _seed: u64, past: Vec<Record<Counter>>) -> Counter {
        Counter(past.last().map_or(0, |(_, count)| *count), self.2)
    }
    fn output(&mut self, _: NodeId, (): (), _: &mut Io<Counter>) {}
    fn answer(&mut self, _ticket: u64, _count: u64, _: &mut Io<Counter>) {
        self.1 += 1;
    }
    fn tick(&mut self, _token: u64, io: &mut Io<Counter>) {
        self.0 += 1;
        io.request(Duration::ZERO, NodeId(1 + (self.0 % 3) as u16), self.0, ());
        (self.0 < 100).then(|| io.timer(Duration::from_millis(10), 0));
    }
    fn witness(&mut self, _: NodeId, word: &Word<Counter>, disk: &[(Lsn, u64)]) -> Fine {
        let saved = disk.last().map_or(0, |(_, count)| *count);
        let Word::Answer { reply, .. } = word else { return Ok(()) };
        if *reply <= saved { Ok(()) } else { Err(format!("it said {reply}; its disk has {saved}")) }
    }
    fn check(&mut self, _: NodeId, _: &View<'_, Counter>) -> Fine {
        Ok(())
    }
    fn at_rest(&self, _: &View<'_, Counter>) -> Fine {
        if self.0 == 100 { Ok(()) } else { Err("still asking".into()) }
    }
}

fn main() {
    let nodes = [1, 2, 3].map(NodeId);
    for (seed, sloppy) in [(14, false), (14, false), (20, false), (14, true)] {
        let plan = Plan::storm(seed, &nodes, Duration::from_secs(1));
        let mut world = World::new(Counting(0, 0, sloppy), &nodes, plan);
        let ended = world.run(Duration::from_secs(5));
        let (run, cuts, heard) = (world.hash(), world.crashes, world.subject.1);
        println!("seed {seed}, run {run:x}: {cuts} power cuts, {heard} answers: {ended:?}");
        assert_eq!(ended.is_err(), sloppy);
    }
}
