//! What is said to the table.

use std::time::Duration;

use super::{Life, NAMES, OWNERS};
use crate::{
    Acquire, Birth, Command, Discipline, Name, Owner, Patience, Release, RequestNo, Terms, Ticket,
    Token, Want, Why, mode::MODES,
};

impl Life {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    pub(super) fn somebody(&mut self) -> Option<Owner> {
        let owners: Vec<_> = self.table.state().owners().collect();
        let at = self.below(owners.len());
        owners.get(at).copied()
    }

    pub(super) fn command(&mut self) -> Command {
        let owners = self.table.state().owners().count() as u64;
        if self.rng.below(OWNERS) >= owners {
            return self.newcomer();
        }
        let owner = match self.rng.chance(20) {
            // Nobody that is there.
            true => Owner::session(99),
            false => self.somebody().unwrap_or(Owner::session(99)),
        };
        match self.rng.below(1000) {
            0..520 => self.acquire(owner),
            520..700 => self.release(owner),
            700..780 if !self.asked.is_empty() => {
                let recent = self.asked.len().min(40);
                let at = self.asked.len() - 1 - self.below(recent);
                self.asked[at].clone()
            }
            780..880 => {
                let waiting: Vec<_> = self.table.state().waiting().collect();
                let at = self.below(waiting.len());
                let request = RequestNo(self.rng.below(self.number + 1));
                let ticket = waiting.get(at).copied().unwrap_or(Ticket { owner, request });
                Command::Cancel { ticket, why: Why::Asked }
            }
            880..900 => Command::Pin(owner),
            // A request that is taken back before it comes.
            900..920 => {
                let late = self.acquire(owner);
                self.asked.push(late.clone());
                let Command::Acquire(Acquire { ticket, .. }) = late else { return late };
                Command::Cancel { ticket, why: Why::Asked }
            }
            _ => Command::Leave(owner),
        }
    }

    fn newcomer(&mut self) -> Command {
        let discipline = if self.rng.chance(500) { Discipline::Free } else { Discipline::TwoPhase };
        let leases = [None, Some(50), Some(300), Some(5_000)];
        let lease = leases[self.below(leases.len())].map(Duration::from_millis);
        let delay = Duration::from_millis([0, 0, 30][self.below(3)]);
        let terms = Terms { discipline, lease, delay };
        if self.rng.chance(400) {
            return Command::Open(terms);
        }
        self.number += 1;
        let owner = Owner { client: 1_000, number: self.number };
        Command::Enter { owner, birth: Birth(self.rng.below(60)), terms }
    }

    fn ticket(&mut self, owner: Owner) -> (Ticket, RequestNo) {
        self.number += 1;
        let lane = [0, 0, 0, 1, 7][self.below(5)] << 32;
        let floor = match self.rng.below(20) {
            0 | 1 => lane | self.number.saturating_sub(self.rng.below(30)),
            // Of another lane: it says nothing.
            2 => 1 << 32 | self.number,
            _ => 0,
        };
        (Ticket { owner, request: RequestNo(lane | self.number) }, RequestNo(floor))
    }

    fn acquire(&mut self, owner: Owner) -> Command {
        let (ticket, floor) = self.ticket(owner);
        let count = [1, 1, 1, 2, 2, 3, 4][self.below(7)];
        let mut wants: Vec<Want> = Vec::new();
        while wants.len() < count {
            let name = NAMES[self.below(NAMES.len())];
            let mode = MODES[self.below(MODES.len())];
            if wants.iter().all(|want| want.name != name.into()) || self.rng.chance(10) {
                wants.push(Want::new(name, mode));
            }
        }
        if self.rng.chance(5) {
            wants.clear();
        }
        let patience = match self.rng.chance(150) {
            true => Patience::Try,
            false => Patience::For(Duration::from_millis(self.rng.below(400))),
        };
        Command::Acquire(Acquire { ticket, floor, wants, patience })
    }

    fn release(&mut self, owner: Owner) -> Command {
        let (ticket, floor) = self.ticket(owner);
        let held: Vec<_> = self.table.held_by(owner).collect();
        let at = self.below(held.len());
        let hold = held.get(at).filter(|_| self.rng.chance(800));
        let name = hold.map(|hold| hold.name.clone());
        let name = name.unwrap_or_else(|| Name::from(NAMES[self.below(NAMES.len())]));
        let token = match self.rng.below(4) {
            0 => Some(Token(self.rng.below(self.tokens + 1))),
            1 => held.get(at).and_then(|hold| hold.token),
            _ => None,
        };
        Command::Release(Release { ticket, floor, name, token })
    }
}
