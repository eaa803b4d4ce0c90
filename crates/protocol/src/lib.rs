//! The mould: decide here, do it elsewhere.
//!
//! # What it promises
//!
//! A machine cast in this mould *cannot* speak before it has written down what its words rest on.
//! It touches no disk, socket, clock or random number, so the same events give the same decisions
//! on a real machine, in the simulator and in a model checker.
//!
//! # What it assumes
//!
//! Whoever drives a [`Desk`] hands every record to a log in order, and reports durability
//! truthfully. Nothing else is asked of the layer below.
//!
//! # The idea in one picture
//!
//! ```text
//!   event ──▶ Core::step ──▶ Effects ──▶ Desk ──┬──▶ records ──▶ Log (the disk)
//!                (decides)   (append-only)      │                  │ durable up to n
//!                                               └── held words ◀───┘
//!                                                      │ now they may leave
//!                                                      ▼
//!                                               Word: send, answer, output
//! ```
//!
//! A [`Core`] decides and touches nothing. It writes what it wants into [`Effects`], which it can
//! only add to. The [`Desk`] keeps every word until *all* records that the core has ever saved are
//! durable; a duplicate request saves nothing and must still not be answered before the original
//! is on disk. Words that need not wait say so by their *type*, [`Free`], with the reason beside
//! the message. A node sends itself the same request as the others; its answer passes its own log
//! and comes back as a [`Heard`], which only a desk can make. So no tally can count an unsaved
//! vote.
//!
//! # Invariants
//!
//! * A held word never leaves before every record saved so far is durable.
//! * Held words never overtake each other; free words may overtake held ones.
//! * Each [`Caller`] is answered at most once.
//! * After [`Event::Wake`] a core is no longer due.
//!
//! # What was left out
//!
//! Membership of the world (who the peers are) belongs to each core's own configuration. Reading
//! old records back while running is an output and a later local request, not a new effect.
//!
//! # Reading order
//!
//! [`node`], [`machine`], [`effects`], [`desk`], [`log`], then [`rng`], [`codec`], [`fork`] and [`planted`].

pub mod node;

pub mod machine;

pub mod effects;

pub mod desk;

pub mod log;

pub mod rng;

pub mod codec;

pub mod fork;

pub mod planted;

#[cfg(test)]
mod tests;

pub use desk::{Desk, Word};
pub use effects::{Effects, Wrap};
pub use fork::{Fork, Worlds};
pub use log::Log;
pub use machine::{Caller, Core, Event, Free, Heard};
pub use node::{CallId, Lsn, NodeId, Time};
pub use rng::Rng;
