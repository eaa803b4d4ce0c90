//! One world becomes two: for searches over everything that can happen.
//!
//! A search tries every next event on the same state, so it must copy the state. A core that owns
//! [`Caller`]s cannot be `Clone`, since whoever copies the right to answer could answer twice. Here
//! the copies live in different worlds, and only a [`Desk`] can say that they do.

use crate::{Caller, Core, Desk, Effects};

/// The proof that the copy will live in another world. Only [`Desk::fork`] makes one.
pub struct Worlds(());

/// A core that a search can copy.
pub trait Fork: Core {
    /// The same core in another world.
    fn fork(&self, worlds: &Worlds) -> Self;
}

impl Caller {
    /// The same caller in another world.
    pub fn fork(&self, _worlds: &Worlds) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Fork> Desk<C> {
    /// The same desk in another world. To be called when everything it saved is durable and
    /// everything it said was taken out.
    ///
    /// # Panics
    ///
    /// If it still holds something.
    #[must_use]
    pub fn fork(&self) -> Self {
        assert!(self.is_clear(), "a desk with words or records on it is copied");
        let mut fx = Effects::new(self.me, self.fx.saved);
        fx.calls = self.fx.calls;
        let gates = self.gates.clone();
        Self { me: self.me, core: self.core.fork(&Worlds(())), fx, durable: self.durable, gates }
    }
}
