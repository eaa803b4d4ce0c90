//! The proof: a random walk of the shipped service among honest servers in bad weather, judged
//! after every decision by a [`model`] that shares no line with it.
//!
//! Messages are lost, late, repeated and overtake each other; servers fall silent, die, and come
//! back with or without their disk; the service dies with records half written. In the end the
//! weather clears, and either there is a primary with a backup, or the service is right to be
//! stuck.

pub mod model;

mod citizen;

mod town;

pub use town::Town;

use crate::message::Stuck;

/// What a walk has come through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Pings that were heard.
    pub pings: u64,
    /// Views that came into force.
    pub views: u64,
    /// Views with another server as primary than the one before.
    pub successions: u64,
    /// Views whose primary is a later life of the one before.
    pub heirs: u64,
    /// Lives that servers began.
    pub lives: u64,
    /// Lives that the service began.
    pub restarts: u64,
    /// Writes that a client was told are done.
    pub writes: u64,
    /// Whether it ended stuck, and rightly so.
    pub stuck: bool,
}

/// Servers in a walk.
pub const SERVERS: u16 = 5;

/// So many steps of the world that `seed` makes, then calm.
///
/// # Errors
///
/// What rule was broken, and when.
pub fn walk(seed: u64, steps: u32) -> Result<Walked, String> {
    let mut town = Town::new(seed);
    for _ in 0..steps {
        town.storm()?;
    }
    town.clear_up()?;
    // Long enough for a backup that is left alone for two seconds, twice.
    for _ in 0..400 {
        town.calm()?;
    }
    let stuck = town.status()?.stuck;
    match &stuck {
        None => town.serves_with_a_backup()?,
        Some(Stuck::Nobody) => return Err("nobody serves, and everybody is there".to_owned()),
        Some(stuck) => town.is_rightly_stuck(stuck)?,
    }
    let view = town.view().clone();
    for _ in 0..100 {
        town.calm()?;
    }
    if *town.view() != view {
        return Err(format!("all is calm, and {view} became {}", town.view()));
    }
    Ok(Walked { stuck: stuck.is_some(), ..town.walked() })
}
