//! One thing per slot, for slots that are mostly dense: rows of them, with a tree for the far ones.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{Hash, Hasher},
};

use crate::Slot;

/// How far beyond the last dense slot an entry may lie and still extend the rows, in slots. One
/// that lies farther goes to the tree, so that a single distant slot cannot allocate a desert.
const STRIDE: u64 = 1024;

/// Slots in a row. Rows are allocated one by one and never moved, so that a long log grows without
/// being copied; a row that was released serves again as the next one.
const ROW: usize = 64;

/// One `T` per slot from [`base`](Self::base) up. Dense slots live in rows, far ones in a tree.
#[derive(Clone, Debug)]
pub struct Slots<T> {
    base: u64,
    /// Behind the last dense slot.
    end: u64,
    /// The rows from the one that holds `base` to the one that holds the slot before `end`.
    rows: VecDeque<Box<[Option<T>]>>,
    spare: Option<Box<[Option<T>]>>,
    far: BTreeMap<u64, T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { base: 0, end: 0, rows: VecDeque::new(), spare: None, far: BTreeMap::new() }
    }
}

/// Equal if they hold the same things in the same slots, whatever their rows have been through.
impl<T: PartialEq> PartialEq for Slots<T> {
    fn eq(&self, other: &Self) -> bool {
        self.base == other.base && self.iter_from(Slot(0)).eq(other.iter_from(Slot(0)))
    }
}

impl<T: Eq> Eq for Slots<T> {}

impl<T: Hash> Hash for Slots<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.base, self.count()).hash(state);
        for (slot, thing) in self.iter_from(Slot(0)) {
            (slot, thing).hash(state);
        }
    }
}

impl<T> Slots<T> {
    /// The first slot that can be held.
    #[must_use]
    pub fn base(&self) -> Slot {
        Slot(self.base)
    }

    /// Row and place of a dense slot; `None` for a released or a far one.
    #[inline]
    fn place(&self, slot: u64) -> Option<(usize, usize)> {
        if slot < self.base || slot >= self.end {
            return None;
        }
        let row = slot / ROW as u64 - self.base / ROW as u64;
        Some((row as usize, (slot % ROW as u64) as usize))
    }

    /// What stands at `slot`.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&T> {
        match self.place(slot.0) {
            Some((row, at)) => self.rows[row][at].as_ref(),
            None => self.far.get(&slot.0),
        }
    }

    /// What stands at `slot`, to change it.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.place(slot.0) {
            Some((row, at)) => self.rows[row][at].as_mut(),
            None => self.far.get_mut(&slot.0),
        }
    }

    /// Puts `thing` at `slot` and returns what stood there.
    ///
    /// # Panics
    ///
    /// If `slot` was released.
    pub fn insert(&mut self, slot: Slot, thing: T) -> Option<T> {
        assert!(slot.0 >= self.base, "slot {slot} was released: the base is {}", self.base);
        if slot.0 - self.base >= self.end - self.base + STRIDE {
            return self.far.insert(slot.0, thing);
        }
        if slot.0 >= self.end {
            self.extend(slot.0 + 1);
        }
        let (row, at) = self.place(slot.0).expect("the rows reach as far as was just seen to");
        self.rows[row][at].replace(thing)
    }

    /// Takes out what stands at `slot`.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        match self.place(slot.0) {
            Some((row, at)) => self.rows[row][at].take(),
            None => self.far.remove(&slot.0),
        }
    }

    /// Lets go of everything below `slot`; the base never moves back.
    pub fn release_below(&mut self, slot: Slot) {
        if slot.0 <= self.base {
            return;
        }
        let (first, new) = (self.base / ROW as u64, slot.0 / ROW as u64);
        // Rows that are wholly below; emptied before they serve again.
        for _ in first..new {
            let Some(mut row) = self.rows.pop_front() else { break };
            if self.spare.is_none() {
                row.fill_with(|| None);
                self.spare = Some(row);
            }
        }
        let within = if new == first { (self.base % ROW as u64) as usize } else { 0 };
        if let Some(row) = self.rows.front_mut() {
            row[within..(slot.0 % ROW as u64) as usize].fill_with(|| None);
        }
        self.base = slot.0;
        self.end = self.end.max(slot.0);
        if !self.far.is_empty() {
            self.far = self.far.split_off(&slot.0);
            self.absorb();
        }
    }

    /// Everything from `from` on, in order.
    pub fn iter_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &T)> {
        let from = from.0.max(self.base);
        let near = (from..self.end).filter_map(|slot| {
            let (row, at) = self.place(slot)?;
            Some((Slot(slot), self.rows[row][at].as_ref()?))
        });
        near.chain(self.far.range(from..).map(|(slot, thing)| (Slot(*slot), thing)))
    }

    /// The highest slot that holds anything.
    #[must_use]
    pub fn last(&self) -> Option<Slot> {
        if let Some((slot, _)) = self.far.last_key_value() {
            return Some(Slot(*slot));
        }
        (self.base..self.end).rev().map(Slot).find(|slot| self.get(*slot).is_some())
    }

    /// How many slots hold something. Linear in the dense part.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter_from(Slot(0)).count()
    }

    /// Makes the rows reach up to `end`.
    fn extend(&mut self, end: u64) {
        self.end = end;
        let rows = (end.div_ceil(ROW as u64) - self.base / ROW as u64) as usize;
        while self.rows.len() < rows {
            let row = self.spare.take();
            self.rows.push_back(row.unwrap_or_else(|| (0..ROW).map(|_| None).collect()));
        }
        self.absorb();
    }

    /// Moves far entries that the rows now cover into them.
    fn absorb(&mut self) {
        while let Some(entry) = self.far.first_entry() {
            let slot = *entry.key();
            if slot >= self.end {
                return;
            }
            let thing = entry.remove();
            let (row, at) = self.place(slot).expect("it is covered");
            self.rows[row][at] = Some(thing);
        }
    }
}
