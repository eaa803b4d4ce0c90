//! A third `Agreement`: one member numbers the commands, for ever; the others copy what it has.
//!
//! It promises all that the seam asks for: one order, each command once, nothing answered before it
//! is durable; whoever fell behind gets the rows it lacks, or a snapshot.
//!
//! What Multi-Paxos does and this one does not: nobody takes the sequencer's place. While it is away
//! nothing is decided, and with its disk every acknowledged command is lost that nobody had copied.
//!
//! `cargo run -p paxosrsm --example third_agreement`

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use paxosrsm::agreement::{Agreement, Happened, Index, Refused, Status, Wish};
use paxosrsm::solo::{self, Line, Says, Solo};
use paxosrsm::suite;
use protocol::{Caller, Core, Effects, Event, Free, NodeId, Time, Wrap};

const SEQUENCER: NodeId = NodeId(1);
const PAGE: usize = 7; // of the largest commands, in a peer's frame of 8 MiB
const PAUSE: Duration = Duration::from_millis(20); // between two questions with nothing new

/// One member. What numbers and saves is a `Solo`; everybody else asks it for rows.
struct Member {
    /// At the sequencer only, with what was decided since its latest snapshot.
    solo: Option<Solo>,
    rows: VecDeque<Bytes>,
    /// At the sequencer: where its rows begin. At a copier: the first row that it lacks.
    at: Index,
    ask_at: Time,
}

#[derive(Clone, Debug)]
enum Ask {
    Solo(solo::Ask),
    Rows(Index),
}

type Rows = (Index, Vec<Bytes>); // from the index on

#[derive(Debug)]
struct Tell(Happened);
impl Free for Tell {
    const WHY: &'static str = "rows are durable at the sequencer before anybody is given them";
}

impl Member {
    /// The sequencer's step: that of a `Solo`, with a copy of each decision kept for the others.
    fn number(&mut self, now: Time, event: Event<Solo>, fx: &mut Effects<Self>) {
        let Some(solo) = &mut self.solo else { return };
        let wrap = Wrap {
            request: Ask::Solo,
            reply: |noted| Solo::refused(&noted).map_or(Ok(Rows::default()), Err),
            record: |line| line,
            output: |says| Tell(Solo::happened(says)),
        };
        for says in fx.nest(wrap, |fx| solo.step(now, event, fx)) {
            if let Says::Decided(_, command, _) = &says {
                self.rows.push_back(command.clone());
            }
            fx.output_free(Tell(Solo::happened(says)));
        }
    }

    fn asked(&mut self, now: Time, caller: Caller, request: solo::Ask, fx: &mut Effects<Self>) {
        if let solo::Ask::Wish(Wish::Compact(upto) | Wish::Install(upto)) = request {
            let covered = upto.0.saturating_sub(self.at.0) as usize;
            self.rows.drain(..covered.min(self.rows.len()));
            self.at = self.at.max(upto);
        }
        if self.solo.is_some() {
            return self.number(now, Event::Request { caller, request }, fx);
        }
        fx.answer(caller, Err(Refused::NotLeading(Some(SEQUENCER))));
    }

    fn copy(&mut self, now: Time, (first, rows): Rows, fx: &mut Effects<Self>) {
        if first > self.at {
            return fx.output_free(Tell(Happened::NeedSnapshot { from: SEQUENCER, upto: first }));
        }
        for command in rows.into_iter().skip((self.at.0 - first.0) as usize) {
            fx.output_free(Tell(Solo::happened(Says::Decided(self.at, command, None))));
            self.at.0 += 1;
            self.ask_at = now;
        }
    }
}

impl Core for Member {
    type Request = Ask;
    type Reply = Result<Rows, Refused>;
    type Record = Line;
    type Output = Tell;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Request { caller, request: Ask::Rows(from) } => {
                let rows = self.rows.iter().skip(from.0.saturating_sub(self.at.0) as usize);
                fx.answer(caller, Ok((from.max(self.at), rows.take(PAGE).cloned().collect())));
            }
            Event::Request { caller, request: Ask::Solo(ask) } => self.asked(now, caller, ask, fx),
            Event::Reply(heard) => self.copy(now, heard.take().1.unwrap_or_default(), fx),
            Event::Wake if self.solo.is_some() => self.number(now, Event::Wake, fx),
            // Also what was lost is asked for again when the pause is over.
            Event::Wake => {
                self.ask_at = now.plus(PAUSE);
                fx.send(SEQUENCER, Ask::Rows(self.at));
            }
            Event::Failed { .. } | Event::DiskHealthy(_) => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.solo.as_ref().map_or(Some(self.ask_at), Core::deadline)
    }
}

impl Agreement for Member {
    fn wish(wish: Wish) -> Ask {
        Ask::Solo(solo::Ask::Wish(wish))
    }

    fn happened(Tell(happened): Tell) -> Happened {
        happened
    }

    fn refused(reply: &Result<Rows, Refused>) -> Option<Refused> {
        reply.as_ref().err().copied()
    }

    fn leader(&self) -> Option<NodeId> {
        Some(SEQUENCER)
    }

    fn status(&self) -> Status {
        self.solo.as_ref().map(Agreement::status).unwrap_or_default()
    }
}

fn main() {
    for count in [1, 3] {
        let members: Vec<NodeId> = (1..=count).map(NodeId).collect();
        suite::agreement(&members, |me, _seed, at, past| {
            let solo = (me == SEQUENCER).then(|| Solo::recover(me, at, past)).transpose()?;
            Ok(Member { solo, rows: VecDeque::new(), at, ask_at: Time::ZERO })
        });
        println!("a sequencer and {} copiers: every promise holds", count - 1);
    }
}
