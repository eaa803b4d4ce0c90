//! The state in pieces, for a log that wants to forget what led to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Names,
    lock::{Entry, Hold},
    owner::{Phase, Request, Standing, Waiting},
    state::{State, Trouble},
};
use crate::{
    Birth, MAX_LANES, Mode, Name, Owner, Patience, Policy, Reply, RequestNo, Terms, Ticket, Token,
};

/// One piece carries at most so many holds.
const HOLDS_A_PIECE: usize = 64;

/// A part of the state. The first one begins, the last one ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece(Part);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    Begin {
        fenced: bool,
        opened: u64,
        arrivals: u64,
        tokens: u64,
        recent: Vec<Trouble>,
    },
    Owner {
        owner: Owner,
        birth: Birth,
        terms: Terms,
        phase: Phase,
        floors: Vec<RequestNo>,
    },
    Holds {
        owner: Owner,
        holds: Vec<(Name, Mode, Option<Token>)>,
    },
    Waits {
        ticket: Ticket,
        waiting: Waiting,
    },
    Over {
        ticket: Ticket,
        reply: Reply,
    },
    Quiet {
        name: Name,
        delay: Duration,
    },
    /// And so many came before.
    End {
        parts: u64,
    },
}

/// Pieces that do not make a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parts of a written-down table of locks do not fit together: {0}")]
pub struct Torn(&'static str);

impl<P: Policy> State<P> {
    /// The whole state, piece by piece.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        let Self { fenced, opened, arrivals, tokens, .. } = *self;
        let recent = self.recent.iter().cloned().collect();
        let begin = Part::Begin { fenced, opened, arrivals, tokens, recent };
        let quiet = self.locks.iter().filter_map(|(name, lock)| {
            Some(Part::Quiet { name: name.clone(), delay: lock.quiet? })
        });
        let owners = self.owners.iter().flat_map(|(&owner, one)| self.parts_of(owner, one));
        let mut parts = 0;
        let counted = std::iter::once(begin).chain(owners).chain(quiet).map(Some);
        counted.chain(std::iter::once(None)).map(move |part| {
            let part = part.unwrap_or(Part::End { parts });
            parts += 1;
            Piece(part)
        })
    }

    fn parts_of(&self, owner: Owner, standing: &Standing) -> impl Iterator<Item = Part> {
        let Standing { birth, terms, ref phase, ref floors, .. } = *standing;
        let (phase, floors) = (phase.clone(), floors.clone());
        let first = Part::Owner { owner, birth, terms, phase, floors };
        let holds: Vec<_> =
            self.held_by(owner).map(|one| (one.name, one.mode, one.token)).collect();
        let holds: Vec<_> = holds
            .chunks(HOLDS_A_PIECE)
            .map(|holds| Part::Holds { owner, holds: holds.to_vec() })
            .collect();
        let requests = standing.requests.iter().map(move |(&request, what)| {
            let ticket = Ticket { owner, request };
            match what.clone() {
                Request::Waits(waiting) => Part::Waits { ticket, waiting },
                Request::Over(reply) => Part::Over { ticket, reply },
            }
        });
        std::iter::once(first).chain(holds).chain(requests)
    }
}

/// A state that is being put together again.
#[derive(Clone, Debug)]
pub struct Rebuilt<P: Policy> {
    state: State<P>,
    /// How many pieces it took.
    parts: u64,
}

impl<P: Policy> Rebuilt<P> {
    /// Nothing yet. The policy is not in the pieces: it is the table's, for all its life.
    pub fn new(policy: P) -> Self {
        Self { state: State::new(policy, false), parts: 0 }
    }

    /// Takes the next piece; returns the state with the last one.
    ///
    /// # Errors
    ///
    /// If the piece does not fit to those before it.
    pub fn take(&mut self, piece: Piece) -> Result<Option<State<P>>, Torn> {
        let Piece(part) = piece;
        if matches!(part, Part::Begin { .. }) != (self.parts == 0) {
            return Err(Torn("a first part stands first, and only there"));
        }
        self.parts += 1;
        match part {
            Part::Begin { fenced, opened, arrivals, tokens, recent } => {
                let recent = recent.into();
                self.state =
                    State { fenced, opened, arrivals, tokens, recent, ..self.state.clone() };
            }
            Part::Owner { owner, birth, terms, phase, floors } => {
                if owner.number == 0 && owner.client > self.state.opened {
                    return Err(Torn("a session that was never opened"));
                }
                if !are_lanes(&floors) {
                    return Err(Torn("an owner's lanes: too many, or one twice, or not the first"));
                }
                let standing = Standing { phase, floors, ..Standing::new(birth, terms) };
                if self.state.owners.insert(owner, standing).is_some() {
                    return Err(Torn("an owner twice"));
                }
            }
            Part::Holds { owner, holds } => {
                for (name, mode, token) in holds {
                    self.hold(owner, &name, mode, token)?;
                }
            }
            Part::Waits { ticket, waiting } => self.wait(ticket, waiting)?,
            Part::Over { ticket, reply } => self.request(ticket, Request::Over(reply))?,
            Part::Quiet { name, delay } => {
                let lock = self.state.locks.entry(name).or_default();
                if lock.quiet.replace(delay).is_some() {
                    return Err(Torn("a name that is kept quiet twice"));
                }
                self.state.places += 1;
            }
            Part::End { parts } => return self.end(parts),
        }
        Ok(None)
    }

    fn standing(&mut self, owner: Owner) -> Result<&mut Standing, Torn> {
        self.state.owners.get_mut(&owner).ok_or(Torn("something of an owner that is not there"))
    }

    fn hold(
        &mut self,
        owner: Owner,
        name: &Name,
        mode: Mode,
        token: Option<Token>,
    ) -> Result<(), Torn> {
        if token.is_some_and(|Token(token)| token > self.state.tokens) {
            return Err(Torn("a token that was never given"));
        }
        let standing = self.standing(owner)?;
        let birth = standing.birth;
        if !standing.held.insert(name.clone()) {
            return Err(Torn("a name held twice by one owner"));
        }
        let lock = self.state.locks.entry(name.clone()).or_default();
        if !lock.goes_with_holders(mode) {
            return Err(Torn("a name held by two that do not go together"));
        }
        lock.hold(owner, Hold { mode, token, birth });
        self.state.places += 1;
        Ok(())
    }

    fn wait(&mut self, ticket: Ticket, waiting: Waiting) -> Result<(), Torn> {
        let birth = self.standing(ticket.owner)?.birth;
        if waiting.wants.is_empty() || waiting.patience == Patience::Try {
            return Err(Torn("a request that cannot wait"));
        }
        let mut names: Names = waiting.wants.iter().map(|(name, ..)| name.clone()).collect();
        let others = self.state.waits_of(ticket.owner);
        let twice = others
            .flat_map(|(_, other)| &other.wants)
            .any(|(name, ..)| !names.insert(name.clone()));
        if twice || names.len() < waiting.wants.len() {
            return Err(Torn("a name that one owner waits for twice"));
        }
        self.state.waiting += 1;
        self.state.places += waiting.wants.len();
        for (name, mode, place) in &waiting.wants {
            if place.arrival() > self.state.arrivals {
                return Err(Torn("a place that was never given"));
            }
            let entry = Entry { ticket, birth, mode: *mode };
            let queue = &mut self.state.locks.entry(name.clone()).or_default().queue;
            if queue.insert(*place, entry).is_some() {
                return Err(Torn("two requests in one place"));
            }
        }
        self.request(ticket, Request::Waits(waiting))
    }

    fn request(&mut self, ticket: Ticket, what: Request) -> Result<(), Torn> {
        let standing = self.standing(ticket.owner)?;
        let lane = standing.floors.iter().find(|floor| floor.lane() == ticket.request.lane());
        if lane.is_none_or(|floor| ticket.request < *floor) {
            return Err(Torn("a request that its owner is done with"));
        }
        match standing.requests.insert(ticket.request, what) {
            None => Ok(()),
            Some(_) => Err(Torn("a request twice")),
        }
    }

    fn end(&mut self, parts: u64) -> Result<Option<State<P>>, Torn> {
        let rebuilt = std::mem::replace(self, Self::new(self.state.policy.clone()));
        // The last part counts those before it.
        if rebuilt.parts == parts + 1 {
            Ok(Some(rebuilt.state))
        } else {
            Err(Torn("parts are missing"))
        }
    }
}

/// Whether an owner can have these lanes: the opener's first, and each once.
fn are_lanes(floors: &[RequestNo]) -> bool {
    let mut lanes: Vec<u32> = floors.iter().map(|floor| floor.lane()).collect();
    let first = lanes.first() == Some(&0);
    lanes.sort_unstable();
    lanes.dedup();
    first && lanes.len() == floors.len() && lanes.len() <= MAX_LANES
}
