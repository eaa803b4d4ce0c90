//! The same commands in the same order everywhere, each at most once.
//!
//! # What it promises
//!
//! Whoever has a deterministic [`StateMachine`] gets a replicated one. Every replica applies the
//! same commands in the same order, without a gap; an answer is given only after its command was
//! decided and applied; a query is answered from a state that holds everything acknowledged before
//! it was asked. In the coat of [`Sessions`] a request that is repeated, by its client or by the
//! network, takes effect at most once, also across restarts and snapshots; only a bare command,
//! which bears no name because it does no harm a second time, is applied as often as it comes. What
//! is refused was certainly not done; what is *unknown* says so.
//!
//! # What it assumes
//!
//! Of the machine: equal machines given equal commands stay equal. A clock, chance or a hash map's
//! order inside it breaks everything above, and [`suite::machine`] is there to notice. Of the
//! [`Agreement`] below: decisions come in order, gapless, each once; [`suite::agreement`] checks
//! that. Of a client: one request under way at a time, under a name that is its own. Nothing proves
//! whose name a request bears, so a client that lies about it hurts the one it names.
//!
//! # The idea in one picture
//!
//! ```text
//!   clerk ── Submit ──▶ replica that leads ── Propose ──▶ Agreement ══ quorum of logs
//!     ▲                    ▲    (others hand on)              │
//!     │                    │                                  │ Decided, in order
//!     │                  query                                ▼
//!     └──── Done ──────────┴───────── Sessions( machine ).apply(command)
//!                                           │ enough bytes since the last?
//!                                           ▼
//!                            snapshot ──▶ durable ──▶ the log may be shortened
//! ```
//!
//! A [`Replica`] is a core around a core: it runs its agreement's step, applies what was decided
//! and answers those who asked here. A request that reaches a replica that does not lead is handed
//! to the one that does, once. Snapshots are written and read by a thread of their own; whoever
//! lacks what every log has forgotten pulls one, piece by piece, and checks the seal before it is
//! written, and has it durable before it replaces the machine.
//!
//! # Invariants
//!
//! * Commands are applied in the order of their [`Index`], without a gap, each once.
//! * Replicas with equal [`Index`] have equal machines, equal images and equal fingerprints.
//! * A request number of a session has one effect and one response, and a forgotten session none.
//! * The log loses nothing that no durable snapshot covers.
//! * Every table is bounded: sessions, requests handed on, questions, pieces being read, one
//!   transfer.
//!
//! # What was left out
//!
//! Reads at a replica that does not lead: they are handed to the leader, which asks for no disk.
//! Sessions with several requests under way (a client opens several); expiry by time (only the
//! count evicts, so that no clock is needed); machines larger than memory; changes of a group's
//! members; installing by difference instead of whole snapshots. A session's answer is remembered
//! whole, however large: a machine with large responses wants a smaller limit.
//!
//! # Reading order
//!
//! [`machine`], [`sessions`], [`agreement`], [`solo`], [`message`], [`core`](mod@core), [`suite`];
//! the other end: [`clerk`]; then the shell: [`engine`], [`storage`], [`service`], [`server`].

pub mod machine;

pub mod sessions;

pub mod agreement;

pub mod solo;

pub mod message;

pub mod core;

pub mod suite;

pub mod clerk;

pub mod engine;

pub mod storage;

mod librarian;

pub mod service;

pub mod server;

#[cfg(test)]
mod tests;

pub use agreement::{Agreement, Index, Refused};
pub use clerk::Clerk;
pub use core::{Config, Replica, Restored};
pub use machine::{Coded, Image, StateMachine};
pub use sessions::{ClientId, RequestNo, Sessions};
pub use solo::Solo;
