//! One thing per slot, for slots that are mostly dense: a ring, with a tree for the far ones.

use std::collections::{BTreeMap, VecDeque};

use crate::Slot;

/// How far beyond the last dense slot an entry may lie and still extend the ring, in slots. One
/// that lies farther goes to the tree, so that a single distant slot cannot allocate a desert.
const STRIDE: u64 = 1024;

/// One `T` per slot from [`base`](Self::base) up. Dense slots live in a ring, far ones in a tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slots<T> {
    base: u64,
    near: VecDeque<Option<T>>,
    far: BTreeMap<u64, T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { base: 0, near: VecDeque::new(), far: BTreeMap::new() }
    }
}

impl<T> Slots<T> {
    /// The first slot that can be held.
    #[must_use]
    pub fn base(&self) -> Slot {
        Slot(self.base)
    }

    /// What stands at `slot`.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&T> {
        let at = slot.0.checked_sub(self.base)?;
        if at < self.near.len() as u64 {
            self.near[at as usize].as_ref()
        } else {
            self.far.get(&slot.0)
        }
    }

    /// What stands at `slot`, to change it.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let at = slot.0.checked_sub(self.base)?;
        if at < self.near.len() as u64 {
            self.near[at as usize].as_mut()
        } else {
            self.far.get_mut(&slot.0)
        }
    }

    /// Puts `thing` at `slot` and returns what stood there.
    ///
    /// # Panics
    ///
    /// If `slot` was released.
    pub fn insert(&mut self, slot: Slot, thing: T) -> Option<T> {
        assert!(slot.0 >= self.base, "slot {slot} was released: the base is {}", self.base);
        let at = slot.0 - self.base;
        if at >= self.near.len() as u64 + STRIDE {
            return self.far.insert(slot.0, thing);
        }
        if at >= self.near.len() as u64 {
            self.near.resize_with(at as usize + 1, || None);
            self.absorb();
        }
        self.near[at as usize].replace(thing)
    }

    /// Takes out what stands at `slot`.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let at = slot.0.checked_sub(self.base)?;
        if at < self.near.len() as u64 {
            self.near[at as usize].take()
        } else {
            self.far.remove(&slot.0)
        }
    }

    /// Lets go of everything below `slot`; the base never moves back.
    pub fn release_below(&mut self, slot: Slot) {
        if slot.0 <= self.base {
            return;
        }
        let gone = (slot.0 - self.base).min(self.near.len() as u64);
        self.near.drain(..gone as usize);
        self.base = slot.0;
        self.far = self.far.split_off(&slot.0);
        self.absorb();
    }

    /// Everything from `from` on, in order.
    pub fn iter_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &T)> {
        let skip = from.0.saturating_sub(self.base).min(self.near.len() as u64);
        let near = self.near.range(skip as usize..).enumerate().filter_map(move |(i, thing)| {
            Some((Slot(self.base + skip + i as u64), thing.as_ref()?))
        });
        near.chain(self.far.range(from.0..).map(|(slot, thing)| (Slot(*slot), thing)))
    }

    /// The highest slot that holds anything.
    #[must_use]
    pub fn last(&self) -> Option<Slot> {
        if let Some((slot, _)) = self.far.last_key_value() {
            return Some(Slot(*slot));
        }
        let at = self.near.iter().rposition(Option::is_some)?;
        Some(Slot(self.base + at as u64))
    }

    /// How many slots hold something. Linear in the dense part.
    #[must_use]
    pub fn count(&self) -> usize {
        self.near.iter().flatten().count() + self.far.len()
    }

    /// Moves far entries that the ring now covers into it.
    fn absorb(&mut self) {
        while let Some(entry) = self.far.first_entry() {
            let at = entry.key() - self.base;
            if at >= self.near.len() as u64 {
                return;
            }
            self.near[at as usize] = Some(entry.remove());
        }
    }
}
