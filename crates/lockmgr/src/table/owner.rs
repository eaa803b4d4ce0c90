//! What an owner has asked, and what it may still ask about.

use std::collections::BTreeMap;

use protocol::planted;
use serde::{Deserialize, Serialize};

use super::{Names, lock::Place, state::State};
use crate::{
    Birth, Discipline, Full, MAX_GIVEN_BACK, MAX_LANES, MAX_REQUESTS, Mode, Name, News, Owner,
    Patience, Policy, Refusal, Reply, RequestNo, Terms, Ticket, Why,
};

/// How far an owner has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Phase {
    /// It takes and gives back.
    Active,
    /// A transaction that has given something back.
    Shrinking,
    /// It cannot yield.
    Pinned,
    /// A transaction that lost everything, and has not left yet.
    Aborted(Refusal),
}

/// One owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Standing {
    pub(super) birth: Birth,
    pub(super) terms: Terms,
    pub(super) phase: Phase,
    pub(super) held: Names,
    /// What each request waits for, or what came of it.
    pub(super) requests: BTreeMap<RequestNo, Request>,
    /// What it is done with in each of its lanes, the lane that was begun first first. The opener's
    /// is always there, and all that it has asked is in one of them.
    pub(super) floors: Vec<RequestNo>,
}

/// One request that its owner may still ask about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Waits(Waiting),
    Over(Reply),
}

impl Request {
    /// How many names it wants, or was granted.
    pub(super) fn names(&self) -> usize {
        match self {
            Self::Waits(waiting) => waiting.wants.len(),
            Self::Over(Reply::Granted(grants)) => grants.len(),
            Self::Over(_) => 0,
        }
    }
}

/// What a request waits for: all of it, and its place in each queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) wants: Vec<(Name, Mode, Place)>,
    pub(super) patience: Patience,
}

impl Standing {
    pub(super) fn new(birth: Birth, terms: Terms) -> Self {
        Self {
            birth,
            terms,
            phase: Phase::Active,
            held: Names::new(),
            requests: BTreeMap::new(),
            floors: vec![RequestNo(0)],
        }
    }

    /// The floor of this lane, which begins now if it is new. Where there are too many, the first
    /// one ends of which nothing waits: whoever began it has most likely gone long ago.
    fn begin(&mut self, lane: u32) -> Result<&mut RequestNo, Refusal> {
        let at = match self.floors.iter().position(|floor| floor.lane() == lane) {
            Some(at) => at,
            None => {
                if self.floors.len() >= MAX_LANES {
                    self.end_a_lane()?;
                }
                self.floors.push(RequestNo::floor_of(lane));
                self.floors.len() - 1
            }
        };
        Ok(&mut self.floors[at])
    }

    /// The opener's lane is not ended: what it asks is seldom, and late where it is asked twice.
    fn end_a_lane(&mut self) -> Result<(), Refusal> {
        let idle = |floor: &RequestNo| {
            let lane = self.requests.range(RequestNo::floor_of(floor.lane())..);
            let mut lane = lane.take_while(|(number, _)| number.lane() == floor.lane());
            floor.lane() != 0 && !lane.any(|(_, what)| matches!(what, Request::Waits(_)))
        };
        let ended = self.floors.iter().position(idle).ok_or(Refusal::Full(Full::Requests))?;
        let lane = self.floors.remove(ended).lane();
        self.requests.retain(|number, _| number.lane() != lane);
        Ok(())
    }

    /// Takes out all requests from `first` on and before `end`.
    fn forget(&mut self, first: RequestNo, end: RequestNo) -> BTreeMap<RequestNo, Request> {
        let mut done = self.requests.split_off(&first);
        let mut rest = done.split_off(&end);
        self.requests.append(&mut rest);
        done
    }
}

impl<P: Policy> State<P> {
    /// What is common to all requests of an owner: it is known, its number is not over, and what
    /// was answered before is answered again. A new one finds no place where `room` are remembered.
    pub(super) fn seen_before(
        &mut self,
        ticket: Ticket,
        floor: RequestNo,
        room: usize,
        news: &mut Vec<News>,
    ) -> Result<Option<Reply>, Refusal> {
        let unknown = Refusal::Unknown(ticket.owner);
        let standing = self.owners.get_mut(&ticket.owner).ok_or(unknown)?;
        let known = standing.begin(ticket.request.lane())?;
        let raised = if floor.lane() == ticket.request.lane() { floor.max(*known) } else { *known };
        if ticket.request < raised {
            return Err(Refusal::Late(ticket));
        }
        if raised > *known {
            *known = raised;
            let done = standing.forget(RequestNo::floor_of(raised.lane()), raised);
            self.give_up(ticket.owner, done, news);
        }
        let standing = &self.owners[&ticket.owner];
        Ok(match standing.requests.get(&ticket.request) {
            Some(Request::Over(reply)) => Some(reply.clone()),
            Some(Request::Waits(_)) => Some(Reply::Waiting),
            None if standing.requests.len() >= room => {
                return Err(Refusal::Full(Full::Requests));
            }
            None => None,
        })
    }

    /// What its owner no longer asks about waits no longer.
    fn give_up(&mut self, owner: Owner, done: BTreeMap<RequestNo, Request>, news: &mut Vec<News>) {
        let mut freed = Names::new();
        for (request, what) in done {
            if let Request::Waits(waiting) = what {
                self.unqueue(&waiting, &mut freed);
                news.push(News::Refused(Ticket { owner, request }, Refusal::Cancelled));
            }
        }
        self.pass(freed, news);
    }

    pub(super) fn cancel(&mut self, ticket: Ticket, why: Why, news: &mut Vec<News>) -> Reply {
        let refusal = match why {
            Why::Asked => Refusal::Cancelled,
            Why::TimedOut => Refusal::TimedOut,
            Why::Deadlock(chain) => Refusal::Deadlock(chain),
        };
        let Some(standing) = self.owners.get(&ticket.owner) else { return Reply::Done };
        match standing.requests.get(&ticket.request) {
            Some(Request::Over(reply)) => reply.clone(),
            Some(Request::Waits(_)) => {
                let two_phase = standing.terms.discipline == Discipline::TwoPhase;
                if let Refusal::Deadlock(_) = refusal {
                    self.remember(ticket.owner, refusal.clone());
                    if two_phase {
                        let freed = self.abort(ticket.owner, &refusal, news);
                        self.pass(freed, news);
                        return Reply::Done;
                    }
                }
                let mut freed = Names::new();
                self.refuse(ticket, refusal, &mut freed, news);
                if !planted::is("never-wakes-after-a-cancel") {
                    self.pass(freed, news);
                }
                Reply::Done
            }
            // It came before the request did, which must not be granted behind its owner's back.
            None if refusal == Refusal::Cancelled => self.never(ticket),
            None => Reply::Done,
        }
    }

    /// A request that was taken back before it came: when it comes, it is over.
    fn never(&mut self, ticket: Ticket) -> Reply {
        let standing = self.owners.get_mut(&ticket.owner).expect("it was looked up");
        let floor = match standing.begin(ticket.request.lane()) {
            Ok(floor) => *floor,
            Err(refusal) => return Reply::Refused(refusal),
        };
        // Below the floor it is refused anyway.
        if ticket.request >= floor {
            if standing.requests.len() >= MAX_REQUESTS + MAX_GIVEN_BACK {
                return Reply::Refused(Refusal::Full(Full::Requests));
            }
            let over = Request::Over(Reply::Refused(Refusal::Cancelled));
            standing.requests.insert(ticket.request, over);
        }
        Reply::Done
    }

    /// A request that waits ends without its locks.
    pub(super) fn refuse(
        &mut self,
        ticket: Ticket,
        refusal: Refusal,
        freed: &mut Names,
        news: &mut Vec<News>,
    ) {
        let over = Request::Over(Reply::Refused(refusal.clone()));
        let standing = self.owners.get_mut(&ticket.owner).expect("who waits is known");
        let Some(Request::Waits(waiting)) = standing.requests.insert(ticket.request, over) else {
            panic!("{ticket} does not wait");
        };
        self.unqueue(&waiting, freed);
        news.push(News::Refused(ticket, refusal));
    }
}
