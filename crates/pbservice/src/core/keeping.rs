//! What a server with a disk writes down, when it may forget, and how its next life begins.

use protocol::{Effects, Lsn};
use viewservice::{Incarnation, MAX_LIVES, Pinger, View};

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
    /// The lives that have had the state on the disk, or less of it, this one among them.
    lives: Vec<Incarnation>,
    /// The last record says that the state is whole and empty.
    fresh: bool,
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
            lives: Vec::new(),
            fresh: false,
            written: 0,
            walk: None,
            owed: 0,
        }
    }

    /// This life has a number. That it has what the disk has is written down before the first ping
    /// leaves. A disk on which nothing ever began has an empty state from now on: should this life
    /// end as the very first primary, before it knows that it is, its next one can go on in its
    /// place.
    pub(super) fn born(&mut self, life: Incarnation, fx: &mut Effects<Pb>) {
        self.life = Some(life);
        if self.lives.is_empty() {
            self.fresh(fx);
        } else if self.durable {
            add(&mut self.lives, life);
            fx.save(Record::Born(life));
        }
    }

    /// The state is whole, and empty. Said once: a disk that was new when this life was
    /// [`born`](Self::born) has heard it already.
    pub(super) fn fresh(&mut self, fx: &mut Effects<Pb>) {
        if !self.fresh
            && let Some(life) = self.of_this_life()
        {
            fx.save(Record::Fresh(life));
            self.fresh = true;
        }
    }

    /// There is no state any more.
    pub(super) fn wipe(&mut self, fx: &mut Effects<Pb>) {
        if let Some(life) = self.of_this_life() {
            let from = fx.save(Record::Wiped(life));
            self.fresh = false;
            fx.forget(from);
        }
    }

    /// What the disk has from now on is of this life alone.
    fn of_this_life(&mut self) -> Option<Incarnation> {
        let life = self.life.filter(|_| self.durable)?;
        self.lives = vec![life];
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
        if self.walk.is_none() && self.written > self.threshold.max(2 * state.walk_bytes()) {
            let from = fx.save(Record::Checkpoint(self.lives.clone()));
            self.written = 0;
            self.save(vec![state.begin()], fx);
            self.walk = Some((Covered::nothing(), from));
            self.owed = 0;
        }
        while self.owed >= SHARE
            && let Some((covered, from)) = self.walk.take()
        {
            self.owed -= SHARE;
            let (piece, covered) = state.piece(&covered);
            self.save(vec![piece], fx);
            if covered == Covered::Whole {
                fx.forget(from);
            } else {
                self.walk = Some((covered, from));
            }
        }
        self.owed %= SHARE;
    }

    fn save(&mut self, items: Vec<Item>, fx: &mut Effects<Pb>) -> usize {
        let bytes = items.iter().map(Item::bytes).sum::<usize>();
        self.written += bytes;
        self.fresh = false;
        fx.save(Record::Items(items));
        bytes
    }
}

/// One more life. Of too many, the second goes: the first was a member, and of those that followed
/// the newest is most likely the one that the view service has heard of.
fn add(lives: &mut Vec<Incarnation>, life: Incarnation) {
    if lives.len() >= MAX_LIVES {
        lives.remove(1);
    }
    lives.push(life);
}

impl Pb {
    /// A server's next life, from what its earlier ones have written down; its first, from nothing.
    pub fn recover(config: Config, records: impl IntoIterator<Item = (Lsn, Record)>) -> Self {
        let mut keeper = Keeper::new(&config);
        let mut state = State::nothing();
        for (_, record) in records {
            match record {
                Record::Born(life) => add(&mut keeper.lives, life),
                Record::Fresh(life) => {
                    state = State::fresh();
                    keeper.lives = vec![life];
                }
                Record::Wiped(life) => {
                    state = State::nothing();
                    keeper.lives = vec![life];
                }
                Record::Checkpoint(lives) => keeper.lives = lives,
                Record::Items(items) => {
                    for item in &items {
                        keeper.written += item.bytes();
                        state.apply(item);
                    }
                }
            }
        }
        let whole = state.is_whole() && config.durable;
        let heir = if whole { keeper.lives.clone() } else { Vec::new() };
        let pinger = Pinger::new(config.me, config.addr.clone(), heir);
        let (view, part) = (View::default(), Part::Idle);
        Self { config, pinger, view, part, state, keeper, disk_ill: false }
    }
}
