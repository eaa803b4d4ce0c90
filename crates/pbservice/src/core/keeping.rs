//! What a server with a disk writes down, when it may forget, and how its next life begins.

use protocol::{Effects, Lsn};
use viewservice::{Incarnation, Pinger, View};

use super::{Part, Pb};
use crate::{
    config::Config,
    item::{Item, PIECE},
    message::Record,
    state::{Covered, State},
};

/// A piece of a checkpoint follows so many bytes of operations.
const SHARE: usize = PIECE / 4;

/// Writes the records of a server; nothing, if it has no disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Keeper {
    durable: bool,
    threshold: usize,
    /// The number of this life.
    life: Option<Incarnation>,
    /// The life in which the state on the disk began: every one since has had it, and only added
    /// to it.
    heir: Option<Incarnation>,
    /// Bytes since the state was last begun to be written down.
    written: usize,
    /// The state is being written down: so far, and from this record on.
    walk: Option<(Covered, Lsn)>,
    /// Bytes of operations since the last piece of that.
    owed: usize,
}

impl Keeper {
    fn new(config: &Config) -> Self {
        Self {
            durable: config.durable,
            threshold: config.checkpoint_bytes,
            life: None,
            heir: None,
            written: 0,
            walk: None,
            owed: 0,
        }
    }

    /// This life has a number. A disk on which nothing ever began has an empty state from now on;
    /// that is written down before the first ping leaves. Should this life end as the very first
    /// primary, before it knows that it is, its next one can go on in its place.
    pub(super) fn born(&mut self, life: Incarnation, fx: &mut Effects<Pb>) {
        self.life = Some(life);
        if self.heir.is_none() {
            self.fresh(fx);
        }
    }

    /// The state is whole, and empty.
    pub(super) fn fresh(&mut self, fx: &mut Effects<Pb>) {
        if let Some(life) = self.of_this_life() {
            fx.save(Record::Fresh(life));
        }
    }

    /// There is no state any more.
    pub(super) fn wipe(&mut self, fx: &mut Effects<Pb>) {
        if let Some(life) = self.of_this_life() {
            let from = fx.save(Record::Wiped(life));
            fx.forget(from);
        }
    }

    /// What the disk has from now on is of this life alone.
    fn of_this_life(&mut self) -> Option<Incarnation> {
        let life = self.life.filter(|_| self.durable)?;
        self.heir = Some(life);
        (self.written, self.walk) = (0, None);
        Some(life)
    }

    /// These happened, and `state` is what came of them. While the state is being written down, a
    /// piece follows each [`SHARE`] bytes of operations: the disk never gets more than a few times
    /// what clients give it, and pings that wait behind it are not late.
    pub(super) fn items(&mut self, items: &[Item], state: &State, fx: &mut Effects<Pb>) {
        if !self.durable {
            return;
        }
        let items: Vec<Item> = items.iter().filter(|item| !item.is_probe()).cloned().collect();
        if items.is_empty() {
            return;
        }
        self.owed += self.save(items, fx);
        if !state.is_whole() {
            return;
        }
        match self.walk.take() {
            Some(walk) if self.owed < SHARE => self.walk = Some(walk),
            Some((covered, from)) => {
                self.owed = 0;
                let (piece, covered) = state.piece(&covered);
                self.save(vec![piece], fx);
                if covered == Covered::Whole {
                    fx.forget(from);
                } else {
                    self.walk = Some((covered, from));
                }
            }
            None if self.written > self.threshold.max(2 * state.walk_bytes()) => {
                let Some(heir) = self.heir else { return };
                let from = fx.save(Record::Checkpoint(heir));
                (self.written, self.owed) = (0, 0);
                self.save(vec![state.begin()], fx);
                self.walk = Some((Covered::nothing(), from));
            }
            None => {}
        }
    }

    fn save(&mut self, items: Vec<Item>, fx: &mut Effects<Pb>) -> usize {
        let bytes = items.iter().map(Item::bytes).sum::<usize>();
        self.written += bytes;
        fx.save(Record::Items(items));
        bytes
    }
}

impl Pb {
    /// A server's next life, from what its earlier ones have written down; its first, from nothing.
    pub fn recover(config: Config, records: impl IntoIterator<Item = (Lsn, Record)>) -> Self {
        let mut keeper = Keeper::new(&config);
        let mut state = State::nothing();
        for (_, record) in records {
            match record {
                Record::Fresh(life) => {
                    state = State::fresh();
                    keeper.heir = Some(life);
                }
                Record::Wiped(life) => {
                    state = State::nothing();
                    keeper.heir = Some(life);
                }
                Record::Checkpoint(life) => keeper.heir = Some(life),
                Record::Items(items) => {
                    for item in &items {
                        keeper.written += item.bytes();
                        state.apply(item);
                    }
                }
            }
        }
        let heir = keeper.heir.filter(|_| state.is_whole() && config.durable);
        let pinger = Pinger::new(config.me, config.addr.clone(), heir);
        let (view, part) = (View::default(), Part::Idle);
        Self { config, pinger, view, part, state, keeper, disk_ill: false }
    }
}
