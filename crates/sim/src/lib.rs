//! The weather: a thousand bad days in a second, each exactly repeatable.
//!
//! # What it promises
//!
//! The cores that run here are the shipped ones, behind the shipped [`Desk`](protocol::Desk). Same
//! seed, same binary: the same events in the same order, to the last draw of chance. After every
//! single event the subject's invariants are checked; after the storm the world is healed and must
//! come to rest. A failing seed prints the command that replays it, and shrinks.
//!
//! # What it assumes
//!
//! That a core is pure. A core that reads a clock or iterates a hash map makes two runs of one
//! seed differ, and the test that runs seeds twice says so.
//!
//! # The idea in one picture
//!
//! ```text
//!   seed ──▶ Plan: faults with times ──▶ World ─┬─ heap of (time, number, what)
//!                                               ├─ nodes: Desk + disk (durable, pending)
//!   Subject: clients, outputs, invariants ◀─────┴─ weather: loss, delay, cuts
//! ```
//!
//! A node's disk is what it saved and what is durable of that. A sync covers what was pending when
//! it began, so group commit is modelled. A crash keeps what is durable and a random prefix of the
//! rest. The witness compares every word that leaves with the speaker's disk at that instant.
//!
//! # Invariants
//!
//! * No tokio, no thread, no clock, no randomness but the seed's.
//! * An answer to an earlier life of a node is never delivered to a later one.
//!
//! # What was left out
//!
//! Bytes: frames, codecs and the real log are under the tests of `net` and `wal`, and under those
//! of whole processes.
//!
//! # Reading order
//!
//! [`world`], [`weather`], [`mod@shrink`], [`stage`] for the golden scripts, [`golden`] for bytes, [`register`].

pub mod world;

pub mod weather;

pub mod shrink;

pub mod stage;

pub mod register;

pub mod golden;

#[cfg(test)]
mod tests;

pub use register::Scenario;
pub use shrink::shrink;
pub use stage::Stage;
pub use weather::{Climate, Fault, Plan};
pub use world::{Io, Subject, Toll, Trouble, View, WATCHDOG, World};
