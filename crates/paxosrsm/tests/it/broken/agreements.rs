//! Agreements that break a promise.

use bytes::Bytes;
use paxos::{Output, Paxos};
use paxosrsm::{
    Agreement, Index, Refused, Solo,
    agreement::{Happened, Status, Wish},
    solo::{Ask, Line, MAX_COMMAND, Noted, Says},
    suite,
};
use protocol::{Core, Effects, Event, NodeId, Time, Wrap};

use super::blame;
use crate::suites::{members, paxos_of};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    DecidesTwice,
    LeavesAGap,
    DecidesBeforeItIsDurable,
    TakesAnySize,
    NeverShortensItsLog,
    ForgetsTheLastRecord,
    TakesAHoleForTheWhole,
}

/// A group of one with one flaw.
struct Bent {
    solo: Solo,
    flaw: Flaw,
    /// Decided in this life and before.
    decided: u64,
}

impl Bent {
    /// Decides a command here and now.
    fn decide(&mut self, command: Bytes, caller: Option<protocol::Caller>, fx: &mut Effects<Self>) {
        fx.output_free(Says::Decided(Index(self.decided), command, caller));
        self.decided += 1;
    }
}

impl Core for Bent {
    type Request = Ask;
    type Reply = Noted;
    type Record = Line;
    type Output = Says;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        let event = match event {
            Event::Request { caller, request: Ask::Wish(Wish::Propose(command)) }
                if self.flaw == Flaw::DecidesBeforeItIsDurable
                    || self.flaw == Flaw::TakesAnySize && command.len() > MAX_COMMAND =>
            {
                fx.save(Line::Command(Index(self.decided), command.clone()));
                return self.decide(command, Some(caller), fx);
            }
            Event::Request { caller, request: Ask::Wish(Wish::Compact(_)) }
                if self.flaw == Flaw::NeverShortensItsLog =>
            {
                return fx.answer(caller, Noted::Well);
            }
            Event::Request { caller, request } => Event::Request { caller, request },
            Event::Reply(heard) => Event::Reply(heard),
            Event::Failed { to, call } => Event::Failed { to, call },
            Event::DiskHealthy(healthy) => Event::DiskHealthy(healthy),
            Event::Wake => Event::Wake,
        };
        let wrap = Wrap { request: |r| r, reply: |r| r, record: |r| r, output: |o| o };
        for says in fx.nest(wrap, |fx| self.solo.step(now, event, fx)) {
            match says {
                Says::Decided(_, command, caller) => {
                    let tenth = self.decided % 10 == 9;
                    if tenth && self.flaw == Flaw::LeavesAGap {
                        self.decided += 1;
                    }
                    if tenth && self.flaw == Flaw::DecidesTwice {
                        self.decide(command.clone(), None, fx);
                    }
                    self.decide(command, caller, fx);
                }
                other => fx.output_free(other),
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.solo.deadline()
    }
}

impl Agreement for Bent {
    fn wish(wish: Wish) -> Ask {
        Solo::wish(wish)
    }

    fn happened(says: Says) -> Happened {
        Solo::happened(says)
    }

    fn refused(noted: &Noted) -> Option<Refused> {
        Solo::refused(noted)
    }

    fn leader(&self) -> Option<NodeId> {
        self.solo.leader()
    }

    fn status(&self) -> Status {
        self.solo.status()
    }
}

fn suite_over(flaw: Flaw) {
    suite::agreement(&members(1), |me, _seed, applied, mut past| {
        if flaw == Flaw::ForgetsTheLastRecord {
            past.pop();
        }
        let recovered = Solo::recover(me, applied, past.clone());
        let solo = match recovered {
            // It begins at the first command that is there, and calls that the beginning.
            Err(_) if flaw == Flaw::TakesAHoleForTheWhole => {
                let lines = past.iter().filter_map(|(_, line)| match line {
                    Line::Command(index, _) => Some(*index),
                    Line::Floor(_) => None,
                });
                Solo::recover(me, lines.min().unwrap_or(applied).max(applied), [])?
            }
            recovered => recovered?,
        };
        Ok(Bent { solo, flaw, decided: applied.0 })
    });
}

#[test]
fn a_broken_agreement_is_found() {
    let flaws = [
        (Flaw::DecidesTwice, "is at another place"),
        (Flaw::LeavesAGap, "the agreement left a gap"),
        (Flaw::DecidesBeforeItIsDurable, "answered while no disk had it"),
        (Flaw::TakesAnySize, "Done"),
        (Flaw::NeverShortensItsLog, "records in life"),
        (Flaw::ForgetsTheLastRecord, "in life"),
        (Flaw::TakesAHoleForTheWhole, "its past has a hole"),
    ];
    for (flaw, expected) in flaws {
        let said = blame(&format!("{flaw:?}"), || suite_over(flaw));
        assert!(said.contains(expected), "{flaw:?}: {said}");
    }
}

/// Multi-Paxos of which every member answers queries from what it happens to have.
struct Stale(Paxos);

#[derive(Clone, Debug)]
enum Hears {
    Paxos(paxos::Request),
    Query(Bytes),
}

impl Core for Stale {
    type Request = Hears;
    type Reply = paxos::Reply;
    type Record = paxos::Record;
    type Output = Output;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        let event = match event {
            Event::Request { caller, request: Hears::Query(query) } => {
                return fx.output_free(Output::Readable { caller, query });
            }
            Event::Request { caller, request: Hears::Paxos(request) } => {
                Event::Request { caller, request }
            }
            Event::Reply(heard) => Event::Reply(heard),
            Event::Failed { to, call } => Event::Failed { to, call },
            Event::DiskHealthy(healthy) => Event::DiskHealthy(healthy),
            Event::Wake => Event::Wake,
        };
        let wrap = Wrap { request: Hears::Paxos, reply: |r| r, record: |r| r, output: |o| o };
        for output in fx.nest(wrap, |fx| self.0.step(now, event, fx)) {
            fx.output_free(output);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.0.deadline()
    }
}

impl Agreement for Stale {
    fn wish(wish: Wish) -> Hears {
        match wish {
            Wish::Ask(query) => Hears::Query(query),
            wish => Hears::Paxos(<Paxos as Agreement>::wish(wish)),
        }
    }

    fn happened(output: Output) -> Happened {
        <Paxos as Agreement>::happened(output)
    }

    fn refused(reply: &paxos::Reply) -> Option<Refused> {
        <Paxos as Agreement>::refused(reply)
    }

    /// It names nobody but itself, so that nobody hands a query on.
    fn leader(&self) -> Option<NodeId> {
        Agreement::leader(&self.0).filter(|_| self.0.leads())
    }

    fn status(&self) -> Status {
        Agreement::status(&self.0)
    }
}

#[test]
fn a_stale_answer_is_found() {
    let members = members(3);
    let recover = paxos_of(&members);
    let said = blame("stale answers", || {
        suite::agreement(&members, |me, seed, applied, past| {
            recover(me, seed, applied, past).map(Stale)
        });
    });
    assert!(said.contains("was acknowledged, and n"), "{said}");
}
