//! What was asked before, and what its owner is done with.

use super::{Ask, Model, One};
use crate::{Full, News, Refusal, Reply, RequestNo, Ticket, Why};

impl One {
    /// Where the floor of a lane stands; the lane begins if it is new.
    fn lane(&mut self, lane: u64) -> Result<usize, Refusal> {
        if let Some(at) = self.floors.iter().position(|floor| floor.0 >> 32 == lane) {
            return Ok(at);
        }
        if self.floors.len() == 64 {
            let waits = |lane| self.waits().any(|ask| ask.number.0 >> 32 == lane);
            let idle = (1..64).find(|at| !waits(self.floors[*at].0 >> 32));
            let ended = self.floors.remove(idle.ok_or(Refusal::Full(Full::Requests))?);
            self.asks.retain(|ask| ask.number.0 >> 32 != ended.0 >> 32);
        }
        self.floors.push(RequestNo(lane << 32));
        Ok(self.floors.len() - 1)
    }
}

impl Model {
    /// The answer given before, if this was asked before.
    pub(super) fn before(
        &mut self,
        ticket: Ticket,
        floor: RequestNo,
    ) -> Result<Option<Reply>, Refusal> {
        let one = self.one(ticket.owner)?;
        let lane = ticket.request.0 >> 32;
        let at = one.lane(lane)?;
        if floor.0 >> 32 == lane && floor > one.floors[at] && ticket.request >= floor {
            one.floors[at] = floor;
        }
        if ticket.request < one.floors[at] || floor.0 >> 32 == lane && ticket.request < floor {
            return Err(Refusal::Late(ticket));
        }
        let floor = one.floors[at];
        let below = |ask: &Ask| ask.number.0 >> 32 == lane && ask.number < floor;
        let given_up: Vec<_> = one.waits().filter(|ask| below(ask)).map(|ask| ask.number).collect();
        one.asks.retain(|ask| !below(ask));
        for request in given_up {
            let ticket = Ticket { request, ..ticket };
            self.news.push(News::Refused(ticket, Refusal::Cancelled));
        }
        self.settle();
        Ok(self.ask(ticket).map(|ask| ask.answer.clone().unwrap_or(Reply::Waiting)))
    }

    /// Taken back before it came.
    pub(super) fn never(&mut self, ticket: Ticket, why: &Why) -> Reply {
        let Ok(one) = self.one(ticket.owner) else { return Reply::Done };
        if *why == Why::Asked {
            match one.lane(ticket.request.0 >> 32) {
                Ok(at) if ticket.request >= one.floors[at] => {
                    let answer = Some(Reply::Refused(Refusal::Cancelled));
                    let (number, wants) = (ticket.request, Vec::new());
                    one.asks.push(Ask { number, answer, arrival: 0, wants });
                    one.asks.sort_by_key(|ask| ask.number);
                }
                Ok(_) => {}
                Err(refusal) => return Reply::Refused(refusal),
            }
        }
        Reply::Done
    }
}
