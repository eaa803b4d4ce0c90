//! What a server with a disk writes down, when it may forget, and how its next life begins.

use protocol::{Effects, Lsn};
use viewservice::{Incarnation, Pinger, View};

use super::{Part, Pb};
use crate::{
    config::Config,
    item::Item,
    message::Record,
    state::{Covered, State},
};

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
        }
    }

    /// This life has a number. It need not be written down: whoever begins or gives up a state
    /// writes it beside that.
    pub(super) fn born(&mut self, life: Incarnation) {
        self.life = Some(life);
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

    /// These happened, and `state` is what came of them. A piece of a checkpoint follows them, so
    /// a log is written down again just as fast as it grows.
    pub(super) fn items(&mut self, items: &[Item], state: &State, fx: &mut Effects<Pb>) {
        if !self.durable {
            return;
        }
        let items: Vec<Item> = items.iter().filter(|item| !item.is_probe()).cloned().collect();
        if items.is_empty() {
            return;
        }
        self.save(items, fx);
        if !state.is_whole() {
            return;
        }
        match self.walk.take() {
            Some((covered, from)) => {
                let (piece, covered) = state.piece(&covered);
                self.save(vec![piece], fx);
                if covered == Covered::Whole {
                    fx.forget(from);
                } else {
                    self.walk = Some((covered, from));
                }
            }
            None if self.written > self.threshold.max(2 * state.bytes()) => {
                let Some(heir) = self.heir else { return };
                let from = fx.save(Record::Checkpoint(heir));
                self.written = 0;
                self.save(vec![state.begin()], fx);
                self.walk = Some((Covered::nothing(), from));
            }
            None => {}
        }
    }

    fn save(&mut self, items: Vec<Item>, fx: &mut Effects<Pb>) {
        self.written += items.iter().map(Item::bytes).sum::<usize>();
        fx.save(Record::Items(items));
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
        Self { config, pinger, view: View::default(), part: Part::Idle, state, keeper }
    }
}
