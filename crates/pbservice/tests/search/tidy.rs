//! Keeps a world small without losing anything that could happen in it.

use pbservice::{Duty, Reply, Request, message::Forward};
use protocol::NodeId;

use crate::{
    actors::{Call, Flight, What, Who},
    canon::digest,
    world::World,
};

impl World {
    /// Sweeps away what can change nothing any more, and says which state this is. Of several
    /// copies of the same words one is kept: that words arrive twice is for the budget to allow.
    pub(crate) fn tidy(&mut self) {
        while self.without.slow_pings
            && let Some(at) = self.flights.iter().position(|it| self.is_small_talk(it))
        {
            let flight = self.flights.remove(at);
            if !self.is_cut(&flight) {
                self.deliver(&flight, 0);
            }
        }
        for process in &mut self.processes {
            process.tidy();
        }
        let mut flights = std::mem::take(&mut self.flights);
        flights.retain(|flight| self.matters(flight));
        let mut named: Vec<_> = flights.into_iter().map(|it| (self.name(&it), it)).collect();
        named.sort_by_key(|(name, _)| *name);
        named.dedup_by_key(|(name, _)| *name);
        let names: Vec<_> = named.iter().map(|(name, _)| *name).collect();
        self.flights = named.into_iter().map(|(_, flight)| flight).collect();

        let service = self.service_digest();
        let processes: Vec<_> = self
            .processes
            .iter()
            .map(|it| if it.up { (it.node, Some(it.digest())) } else { (it.node, None) })
            .collect();
        let wrongs = (self.hollow, self.forgotten);
        let clients = (&self.clients, &self.history, wrongs, self.cut, &self.left, self.steps);
        self.digest = digest(&(names, service, processes, clients));
    }

    /// What sets this flight apart from others.
    fn name(&self, flight: &Flight) -> (Who, Who, Call, u64) {
        let caller = match (flight.from, flight.to) {
            (_, Who::Client(_)) => None,
            (Who::Process(it), Who::Service | Who::Server(_)) => Some(it),
            (_, Who::Process(it)) => Some(it),
            _ => None,
        };
        let call = caller.map_or(Call::GivenUp, |it| self.processes[it].call(flight.call));
        (flight.from, flight.to, call, flight.digest)
    }

    /// Whether it is a ping, or an answer to one without news.
    fn is_small_talk(&self, flight: &Flight) -> bool {
        match (&*flight.what, flight.to) {
            (_, Who::Service) => true,
            (What::Reply(reply @ Reply::View(_)), Who::Process(to)) if self.processes[to].up => {
                !self.would_be_heard(to, reply)
            }
            _ => false,
        }
    }

    /// Whether it comes from or goes to a server that is cut off.
    fn is_cut(&self, flight: &Flight) -> bool {
        let cut = |who: Who| match who {
            Who::Process(it) => self.cut == Some(self.processes[it].node),
            Who::Server(node) => self.cut == Some(node),
            Who::Service | Who::Client(_) => false,
        };
        cut(flight.from) || cut(flight.to)
    }

    /// Whether its arrival could still change anything.
    fn matters(&self, flight: &Flight) -> bool {
        if self.is_cut(flight) {
            return false;
        }
        match (&*flight.what, flight.from, flight.to) {
            (What::Answer(number, _), _, Who::Client(client)) => self.clients[client].at == *number,
            (What::Ask(Request::Forward(forward)), Who::Process(from), Who::Server(to))
                if self.without.stale_forwards =>
            {
                let caller = &self.processes[from];
                let heeded = caller.up && caller.call(flight.call) != Call::GivenUp;
                heeded || self.is_news(forward, to)
            }
            (What::Reply(reply), _, Who::Process(to)) => {
                let it = &self.processes[to];
                let heeded = it.up && it.call(flight.call) != Call::GivenUp;
                let stale = !heeded && !self.would_be_heard(to, reply);
                it.up && !(stale && self.without.stale_answers)
            }
            _ => true,
        }
    }

    /// Whether a forward brings somebody something, though nobody waits for the answer.
    fn is_news(&self, forward: &Forward, to: NodeId) -> bool {
        self.processes.iter().filter(|it| it.up && it.node == to).any(|it| {
            let core = it.core();
            let upto = forward.first.0 + forward.items.len() as u64 - 1;
            forward.view > core.view().number
                || forward.view == core.view().number
                    && core.duty() == Duty::Backup
                    && upto > core.places().0.0
        })
    }

    /// Whether an answer that nobody waits for says something new.
    fn would_be_heard(&self, process: usize, reply: &Reply) -> bool {
        use viewservice::Reply::{Joined, Pong};
        let core = self.processes[process].core();
        match reply {
            Reply::View(Joined(_)) => core.member().is_none(),
            Reply::View(Pong(Ok(pong))) => pong.view.number > core.view().number,
            Reply::View(Pong(Err(_))) => true,
            _ => false,
        }
    }
}
