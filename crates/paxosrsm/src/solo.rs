//! Agreement among one: for study, for swapping, and for tests of what stands above.
//!
//! A command is saved, and a note to oneself is held by the desk until it is durable; when the
//! note comes back the command is decided. That is the whole protocol.

use bytes::Bytes;
use protocol::{Caller, Core, Effects, Event, Free, Lsn, NodeId, Time};
use serde::{Deserialize, Serialize};

use crate::agreement::{Agreement, Happened, Index, Refused, Status, Wish};

/// The largest command, in bytes: the same as in a group of many, so that one can stand in for the
/// other.
pub const MAX_COMMAND: usize = paxos::config::MAX_VALUE;

/// A group of one.
#[derive(Debug)]
pub struct Solo {
    me: NodeId,
    /// Saved, in order, not yet handed out; the first stands at `handed`.
    waiting: std::collections::VecDeque<(Bytes, Option<Caller>)>,
    handed: Index,
    next: Index,
    floor: Index,
    /// The record of each command from the floor on.
    records: std::collections::VecDeque<(Index, Lsn)>,
    born: bool,
}

/// What it can be asked.
#[derive(Clone, Debug)]
pub enum Ask {
    /// By a replica.
    Wish(Wish),
    /// By itself, held until everything saved before is durable: hand out up to here.
    Durable(Index),
}

/// What it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// All is well.
    Well,
    /// The command is beyond the limit, which is that of a group of many: [`MAX_COMMAND`].
    TooLarge,
}
impl Free for Noted {
    const WHY: &'static str = "it says nothing, or that nothing was done";
}

/// What it remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// The command at this index.
    Command(Index, Bytes),
    /// Everything below is in a snapshot.
    Floor(Index),
}

/// What it announces.
#[derive(Debug)]
pub enum Says {
    /// This command is next.
    Decided(Index, Bytes, Option<Caller>),
    /// This query may be answered.
    Readable(Caller, Bytes),
}
impl Free for Says {
    const WHY: &'static str = "it is said when the note to oneself came back through the log";
}

impl Solo {
    /// A node with the memory of its earlier lives; `applied` is what the layer above has already.
    ///
    /// # Errors
    ///
    /// If commands between `applied` and the log's beginning, or inside the log, are missing: what
    /// is left would be taken for the whole.
    pub fn recover(
        me: NodeId,
        applied: Index,
        lines: impl IntoIterator<Item = (Lsn, Line)>,
    ) -> Result<Self, String> {
        let mut solo = Self {
            me,
            waiting: std::collections::VecDeque::new(),
            handed: applied,
            next: applied,
            floor: Index(0),
            records: std::collections::VecDeque::new(),
            born: false,
        };
        for (lsn, line) in lines {
            match line {
                Line::Command(index, command) => {
                    solo.records.push_back((index, lsn));
                    if index < applied {
                        continue;
                    }
                    if index != solo.next {
                        let (next, index) = (solo.next.0, index.0);
                        return Err(format!(
                            "command {next} is missing: the log goes on at {index}"
                        ));
                    }
                    solo.next.0 += 1;
                    solo.waiting.push_back((command, None));
                }
                Line::Floor(floor) => solo.release(floor),
            }
        }
        if solo.floor > applied {
            let (floor, applied) = (solo.floor.0, applied.0);
            return Err(format!(
                "the log begins at command {floor}, but the newest sound snapshot ends at {applied}"
            ));
        }
        Ok(solo)
    }

    fn release(&mut self, floor: Index) {
        self.floor = self.floor.max(floor);
        while self.records.front().is_some_and(|(index, _)| *index < self.floor) {
            self.records.pop_front();
        }
    }

    fn wish(&mut self, caller: Caller, wish: Wish, fx: &mut Effects<Self>) {
        match wish {
            Wish::Propose(command) if command.len() > MAX_COMMAND => {
                fx.answer_free(caller, Noted::TooLarge);
            }
            Wish::Propose(command) => {
                let lsn = fx.save(Line::Command(self.next, command.clone()));
                self.records.push_back((self.next, lsn));
                self.next.0 += 1;
                self.waiting.push_back((command, Some(caller)));
                fx.send(self.me, Ask::Durable(self.next));
            }
            // Everything acknowledged was handed out before it was acknowledged.
            Wish::Ask(query) => fx.output_free(Says::Readable(caller, query)),
            Wish::Compact(upto) | Wish::Install(upto) => {
                self.release(upto.min(self.handed));
                let lsn = fx.save(Line::Floor(self.floor));
                fx.forget(self.records.front().map_or(lsn, |(_, first)| lsn.min(*first)));
                fx.answer_free(caller, Noted::Well);
            }
        }
    }

    fn hand_out(&mut self, upto: Index, fx: &mut Effects<Self>) {
        while self.handed < upto {
            let Some((command, caller)) = self.waiting.pop_front() else { return };
            fx.output_free(Says::Decided(self.handed, command, caller));
            self.handed.0 += 1;
        }
    }
}

impl Core for Solo {
    type Request = Ask;
    type Reply = Noted;
    type Record = Line;
    type Output = Says;

    fn step(&mut self, _now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Request { caller, request: Ask::Wish(wish) } => self.wish(caller, wish, fx),
            Event::Request { caller, request: Ask::Durable(upto) } => {
                self.hand_out(upto, fx);
                fx.answer_free(caller, Noted::Well);
            }
            Event::Wake => {
                if !self.born {
                    self.born = true;
                    self.hand_out(self.next, fx);
                }
            }
            Event::Reply(_) | Event::Failed { .. } | Event::DiskHealthy(_) => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        (!self.born).then_some(Time::ZERO)
    }
}

impl Agreement for Solo {
    fn wish(wish: Wish) -> Ask {
        Ask::Wish(wish)
    }

    fn happened(output: Says) -> Happened {
        match output {
            Says::Decided(index, command, caller) => Happened::Decided {
                index,
                batch: command.clone(),
                commands: vec![command],
                callers: vec![caller],
            },
            Says::Readable(caller, query) => Happened::Readable { caller, query },
        }
    }

    fn refused(reply: &Noted) -> Option<Refused> {
        (*reply == Noted::TooLarge).then_some(Refused::TooLarge)
    }

    fn leader(&self) -> Option<NodeId> {
        Some(self.me)
    }

    fn status(&self) -> Status {
        Status {
            role: "alone".to_owned(),
            leader: Some(self.me),
            chosen: self.handed,
            floor: self.floor,
            ..Status::default()
        }
    }
}
