//! A primary, a backup, no split brain.
//!
//! # What it promises
//!
//! Keys and values are bytes. A client puts, appends, deletes and gets; whatever it was told is
//! done is at the primary and at its backup, and every later get sees it. Each change takes effect
//! at most once, however often it had to be repeated, also by the server that takes the primary's
//! place. There are never two primaries that answer: not while the view service, the clients, or
//! the two servers are cut off from each other, in whatever pairs. With [`durable`] servers an
//! acknowledged change is on the disks of both, and survives that both lose power at once.
//!
//! # What it assumes
//!
//! That the view service gives out one view after the other and that a view is left only as it
//! says. Without disks, that of the servers which had the whole state one was always alive. A
//! server that stopped stays stopped: its next life comes under a new number. The state fits in
//! memory.
//!
//! # The idea in one picture
//!
//! ```text
//!             who is primary?
//!   client ───────────────────▶ view service ◀── ping: "I know view 7, and my backup has all"
//!      │                                      ──▶ "view 7: n1, backup n2"
//!      │ append k "x"
//!      ▼            Forward(view 7, from place 12: append k "x", ...)
//!     n1 ──────────────────────────────────────────▶ n2   applies in order, then answers
//!     n1 ◀────────────────── has up to 12 ──────────  n2
//!      │
//!      ▼ only now
//!   client: done
//! ```
//!
//! Each view with a backup has one stream of items. The state itself travels in it: pieces are cut
//! from the live state, one by one, between the operations, and an operation on a part that has not
//! travelled yet is left out by the backup, since that part will come as it was afterwards. So the
//! primary never stops and never copies its state, and what is cut half-way goes on where it was
//! cut. A disk is written in the same words, and what was written is read back as a transfer would
//! be.
//!
//! A get changes nothing and still waits for a word of the backup: the backup may be primary of a
//! newer view by now, and then it says so. That is how a primary that was left behind finds out.
//!
//! # Invariants
//!
//! * Nothing is answered that the backup of an acknowledged view does not have.
//! * A view is acknowledged only when its backup has everything that was answered without it.
//! * Only a server with the whole state serves, and what is dropped from a view is never the whole
//!   state again.
//! * A backup takes the places of the stream in order, each once, from its own view's primary only.
//! * The table of sessions travels with the state: who has one has the other.
//! * Every queue and table is bounded: places that wait for the backup, answers, sessions, batches,
//!   pieces.
//!
//! # What was left out
//!
//! More than one backup, reading from the backup, and a view service that is itself replicated: that
//! is what the Paxos layers are for. If the only server with the whole state is lost for ever, the
//! store stays shut rather than invent answers.
//!
//! # Reading order
//!
//! [`change`], [`item`], `print`, [`sessions`], [`state`], [`message`], [`config`], [`core`](mod@core),
//! [`clerk`]; then the shell: [`service`], [`storage`], [`server`], [`client`].
//!
//! [`durable`]: Config::durable

pub mod change;

pub mod item;

mod print;

pub mod sessions;

pub mod state;

pub mod message;

pub mod config;

pub mod core;

pub mod clerk;

pub mod service;

pub mod storage;

pub mod server;

pub mod client;

#[cfg(test)]
mod tests;

pub use change::{Change, Done, MAX_KEY, MAX_VALUE, RequestNo, SessionId};
pub use clerk::Clerk;
pub use client::{Client, Connections, Error};
pub use config::Config;
pub use core::Pb;
pub use item::{Item, Seq};
pub use message::{Answer, Digest, Duty, Output, Rebuff, Record, Refused, Reply, Request, Status};
pub use server::{Ended, Home, Node, OpenError};
pub use state::State;
pub use storage::Storage;
