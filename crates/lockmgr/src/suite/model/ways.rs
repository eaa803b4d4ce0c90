//! Who is in whose way, who yields, and who gets something.

use super::{Life, Model, One};
use crate::{
    Discipline, Grant, Link, Mode, Name, News, Owner, Refusal, Reply, Rule, Ticket, table::Trouble,
};

/// Which modes two owners may have of one name: IS, IX, S, U, SIX, X.
const TOGETHER: [&str; 6] = ["111110", "110000", "101100", "101000", "100000", "000000"];

fn goes(one: Mode, other: Mode) -> bool {
    TOGETHER[one as usize].as_bytes()[other as usize] == b'1'
}

impl Model {
    /// Why a request that would not wait is refused.
    pub(super) fn why_not_at_once(&self, ticket: Ticket) -> Option<Refusal> {
        let ask = self.ask(ticket)?;
        for (name, ..) in &ask.wants {
            let ways = self.ways(ticket);
            if let Some(way) = ways.iter().find(|way| way.name == *name) {
                return Some(Refusal::Taken { name: name.clone(), by: way.blocker });
            }
            if self.rests(ticket).any(|rests| rests == name) {
                return Some(Refusal::Quiet(name.clone()));
            }
        }
        let (name, other) = self.behind(ticket).into_iter().next()?;
        Some(Refusal::Taken { name, by: other.owner })
    }

    /// Whether the owner of this request holds this much of the name already.
    pub(super) fn has(&self, owner: Owner, name: &Name, mode: Mode) -> bool {
        let at = self.place(owner).expect("it asked");
        self.owners[at].hold(name).is_some_and(|hold| hold.mode == mode)
    }

    /// The names a request cannot have because they rest.
    pub(super) fn rests(&self, ticket: Ticket) -> impl Iterator<Item = &Name> {
        let wants = self.ask(ticket).into_iter().flat_map(|ask| &ask.wants);
        let rests = wants.filter(move |(name, mode, _)| {
            !self.has(ticket.owner, name, *mode) && self.quiet.iter().any(|(it, _)| it == name)
        });
        rests.map(|(name, ..)| name)
    }

    /// Everybody's place in the queue of a name, the first first.
    pub(in crate::suite) fn queue(&self, name: &Name) -> Vec<(Ticket, Mode)> {
        let mut queue = Vec::new();
        for one in &self.owners {
            for ask in one.waits() {
                for (_, mode, had) in ask.wants.iter().filter(|(it, ..)| it == name) {
                    let age = match self.rule {
                        Rule::WoundWait | Rule::WaitDie => Some((one.birth, one.owner)),
                        Rule::NoWait | Rule::Detect | Rule::TimeoutOnly => None,
                    };
                    let ticket = Ticket { owner: one.owner, request: ask.number };
                    queue.push(((!had, age, ask.arrival), (ticket, *mode)));
                }
            }
        }
        queue.sort_by_key(|(place, _)| *place);
        queue.into_iter().map(|(_, who)| who).collect()
    }

    /// All that is in the way of a request: who holds, by owner, then who comes first.
    pub(in crate::suite) fn ways(&self, ticket: Ticket) -> Vec<Link> {
        let mut ways = Vec::new();
        let Some(ask) = self.ask(ticket) else { return ways };
        for (name, mode, _) in &ask.wants {
            if self.has(ticket.owner, name, *mode) {
                continue;
            }
            let way = |blocker, has, holds| Link {
                waiter: ticket,
                name: name.clone(),
                wants: *mode,
                blocker,
                has,
                holds,
            };
            let holds = self.holders(name).into_iter();
            ways.extend(holds.map(|(owner, hold)| way(owner, hold.mode, true)));
            let queue = self.queue(name).into_iter().take_while(|(other, _)| *other != ticket);
            ways.extend(queue.map(|(other, has)| way(other.owner, has, false)));
        }
        ways.retain(|way| way.blocker != ticket.owner && !goes(way.wants, way.has));
        ways
    }

    /// Who holds a name, by owner.
    pub(in crate::suite) fn holders(&self, name: &Name) -> Vec<(Owner, &Grant)> {
        let holds = |one: &'_ One| one.owner;
        let mut holders: Vec<_> =
            self.owners.iter().filter_map(|one| Some((holds(one), one.hold(name)?))).collect();
        holders.sort_by_key(|(owner, _)| *owner);
        holders
    }

    /// Who would have to wait for this request and must not, each with the name.
    pub(super) fn behind(&self, ticket: Ticket) -> Vec<(Name, Ticket)> {
        let mut behind = Vec::new();
        for (name, mode, _) in &self.ask(ticket).expect("it asks").wants {
            let later = self.queue(name).into_iter().skip_while(|(other, _)| *other != ticket);
            for (other, has) in later.skip(1) {
                let free = goes(*mode, has) || self.has(other.owner, name, has);
                if !free && !self.may_wait(other.owner, ticket.owner) {
                    behind.push((name.clone(), other));
                }
            }
        }
        behind
    }

    pub(super) fn is_older(&self, one: Owner, other: Owner) -> bool {
        let age = |owner| (self.owners[self.place(owner).expect("it is there")].birth, owner);
        age(one) < age(other)
    }

    pub(super) fn may_wait(&self, waiter: Owner, blocker: Owner) -> bool {
        match self.rule {
            Rule::WoundWait => !self.is_older(waiter, blocker),
            Rule::WaitDie => self.is_older(waiter, blocker),
            Rule::NoWait => false,
            Rule::Detect | Rule::TimeoutOnly => true,
        }
    }

    /// A request has come: who must not wait is refused, or takes.
    pub(super) fn meet(&mut self, ticket: Ticket) {
        let me = ticket.owner;
        let ways = self.ways(ticket);
        let bad: Vec<_> = ways.iter().filter(|way| !self.may_wait(me, way.blocker)).collect();
        let wounds = self.rule == Rule::WoundWait;
        if let Some(way) = bad.first().filter(|_| !wounds) {
            let refusal = self.dies(way.name.clone(), way.blocker);
            return self.refuse(ticket, &refusal);
        }
        let behind = self.behind(ticket);
        if let Some((name, other)) = behind.first().filter(|_| wounds) {
            return self.wound(me, &Refusal::Wounded { name: name.clone(), by: other.owner });
        }
        for way in bad {
            self.wound(way.blocker, &Refusal::Wounded { name: way.name.clone(), by: me });
        }
        for (name, other) in behind {
            if self.ask(other).is_some_and(|ask| ask.answer.is_none()) {
                let refusal = self.dies(name, me);
                self.refuse(other, &refusal);
            }
        }
    }

    pub(super) fn dies(&self, name: Name, by: Owner) -> Refusal {
        match self.rule {
            Rule::NoWait => Refusal::Taken { name, by },
            _ => Refusal::Died { name, by },
        }
    }

    pub(super) fn wound(&mut self, victim: Owner, refusal: &Refusal) {
        let Ok(one) = self.one(victim) else { return };
        let idle = one.held.is_empty() && one.waits().next().is_none();
        if !idle && matches!(one.life, Life::Active | Life::Shrinking) {
            self.troubles.push(Trouble { owner: victim, refusal: refusal.clone() });
            self.abort(victim, refusal);
        }
    }

    pub(super) fn abort(&mut self, owner: Owner, refusal: &Refusal) {
        self.strip(owner, refusal);
        self.news.push(News::Lost(owner, refusal.clone()));
        let one = self.one(owner).expect("it lost something");
        if one.terms.discipline == Discipline::TwoPhase {
            one.life = Life::Dead(refusal.clone());
        }
    }

    pub(super) fn strip(&mut self, owner: Owner, refusal: &Refusal) {
        let one = self.one(owner).expect("it loses something");
        let had = !std::mem::take(&mut one.held).is_empty();
        let mut waiting = Vec::new();
        for ask in &mut one.asks {
            match &ask.answer {
                None => waiting.push(ask.number),
                Some(Reply::Granted(_)) if had => {
                    ask.answer = Some(Reply::Refused(refusal.clone()));
                }
                Some(_) => {}
            }
        }
        for request in waiting {
            self.refuse(Ticket { owner, request }, refusal);
        }
    }

    /// Whoever nobody and nothing is in the way of gets what it wants, until there is nobody.
    pub(super) fn settle(&mut self) {
        while let Some(ticket) = self
            .waiting()
            .into_iter()
            .find(|ticket| self.ways(*ticket).is_empty() && self.rests(*ticket).next().is_none())
        {
            let told = self.told.iter().position(|(other, _)| *other == ticket);
            let told = told.map(|at| self.told.swap_remove(at).1).unwrap_or_default();
            let wants = self.ask(ticket).expect("it waits").wants.clone();
            let one = self.one(ticket.owner).expect("it waits");
            let mut grants = Vec::new();
            for (name, mode, _) in wants {
                let new = told.iter().find(|grant| grant.name == name);
                let token = match one.hold(&name) {
                    Some(hold) if hold.mode == mode => hold.token,
                    _ => new.and_then(|grant| grant.token),
                };
                one.held.retain(|hold| hold.name != name);
                one.held.push(Grant { name: name.clone(), mode, token });
                grants.push(Grant { name, mode, token });
            }
            self.answer(ticket, Reply::Granted(grants.clone()));
            self.news.push(News::Granted(ticket, grants));
        }
    }
}
