//! Clients by name, and in the order of their last use.
//!
//! Every command of every client passes here on every replica, so both are one table: a hashed map
//! whose entries are also links of a list, from the longest silent to the last heard. Finding a
//! client and moving it to the end touches its entry and two neighbours, and allocates nothing. The
//! order of the list follows from the order of the commands alone; the map's own is never looked at.

use std::hash::{BuildHasherDefault, Hasher};

use indexmap::IndexMap;

use super::{ClientId, RequestNo};

/// What is remembered of a client.
#[derive(Debug)]
pub(super) struct Session<R> {
    /// Its latest request that was done; 0 before the first.
    pub(super) request: RequestNo,
    pub(super) response: Option<R>,
    /// Its neighbours in the order of use.
    older: Place,
    newer: Place,
}

/// Where a session stands in the map; [`NOWHERE`] beyond either end of the list.
type Place = u32;
const NOWHERE: Place = Place::MAX;

/// The log counts names up, so a multiplication spreads them well enough; no client chooses one.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The clients that are remembered.
#[derive(Debug)]
pub(super) struct Table<R> {
    sessions: IndexMap<ClientId, Session<R>, BuildHasherDefault<Spread>>,
    oldest: Place,
    newest: Place,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { sessions: IndexMap::default(), oldest: NOWHERE, newest: NOWHERE }
    }
}

impl<R> Table<R> {
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Remembers a new client as the one heard last. Whether its name was new.
    pub(super) fn add(
        &mut self,
        client: ClientId,
        request: RequestNo,
        response: Option<R>,
    ) -> bool {
        let place = Place::try_from(self.sessions.len()).expect("sessions are bounded far below");
        let session = Session { request, response, older: NOWHERE, newer: NOWHERE };
        if self.sessions.insert(client, session).is_some() {
            return false;
        }
        self.append(place);
        true
    }

    /// The session of a client, which is now the one heard last.
    pub(super) fn touch(&mut self, client: ClientId) -> Option<&mut Session<R>> {
        let at = self.sessions.get_index_of(&client)?;
        let place = Place::try_from(at).expect("a place was given as one");
        if self.newest != place {
            self.unlink(place);
            self.append(place);
        }
        Some(&mut self.sessions[at])
    }

    /// Forgets the client that was silent longest.
    pub(super) fn forget_oldest(&mut self) {
        let place = self.oldest;
        if place == NOWHERE {
            return;
        }
        self.unlink(place);
        self.sessions.swap_remove_index(place as usize);
        // The last entry of the map took the place; whoever pointed at it follows.
        if (place as usize) < self.sessions.len() {
            let (older, newer) = (self.at(place).older, self.at(place).newer);
            self.point(older, newer, place, place);
        }
    }

    /// From the longest silent to the last heard.
    pub(super) fn by_use(&self) -> impl Iterator<Item = (ClientId, &Session<R>)> {
        let entry = |place: Place| self.sessions.get_index(place as usize);
        std::iter::successors(entry(self.oldest), move |(_, session)| entry(session.newer))
            .map(|(client, session)| (*client, session))
    }

    fn at(&mut self, place: Place) -> &mut Session<R> {
        &mut self.sessions[place as usize]
    }

    /// The neighbour `older` gets `next` as its newer one, the neighbour `newer` gets `before` as
    /// its older one; beyond the ends, the ends themselves do.
    fn point(&mut self, older: Place, newer: Place, next: Place, before: Place) {
        match older {
            NOWHERE => self.oldest = next,
            older => self.at(older).newer = next,
        }
        match newer {
            NOWHERE => self.newest = before,
            newer => self.at(newer).older = before,
        }
    }

    fn unlink(&mut self, place: Place) {
        let (older, newer) = (self.at(place).older, self.at(place).newer);
        self.point(older, newer, newer, older);
    }

    fn append(&mut self, place: Place) {
        let last = self.newest;
        let session = self.at(place);
        (session.older, session.newer) = (last, NOWHERE);
        self.point(last, NOWHERE, place, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the plain thing: a vector in the order of use.
    #[test]
    fn the_order_of_use_is_kept_through_every_removal() {
        let mut rng = protocol::Rng::new(11);
        let (mut table, mut plain) = (Table::<u64>::default(), Vec::new());
        for step in 0..20_000u64 {
            match rng.below(10) {
                0..3 => {
                    assert!(table.add(ClientId(step), RequestNo(0), None));
                    plain.push(ClientId(step));
                }
                3..6 => {
                    table.forget_oldest();
                    plain.drain(..plain.len().min(1));
                }
                _ => {
                    let name = ClientId(rng.below(step + 1));
                    let known = plain.iter().position(|client| *client == name);
                    assert_eq!(table.touch(name).is_some(), known.is_some());
                    if let Some(at) = known {
                        let client = plain.remove(at);
                        plain.push(client);
                    }
                }
            }
            assert_eq!(table.len(), plain.len());
            assert!(table.by_use().map(|(client, _)| client).eq(plain.iter().copied()), "{step}");
        }
        assert!(!plain.is_empty(), "the walk never built anything");
    }
}
