//! One replicated map.
//!
//! # What it promises
//!
//! Keys and values are bytes. A [`Client`] puts, appends, deletes, compares and sets, and gets;
//! whatever it was told is done is on the disks of a majority, and every later get, at any server,
//! sees it. Each operation takes effect at most once, however often it had to be repeated. An
//! [`Error`] always says which of two things is the case: it certainly did not happen, or nobody
//! can know. What is beyond a limit is refused before anything is logged.
//!
//! # What it assumes
//!
//! That `paxosrsm` applies the same commands in the same order everywhere, each request at most
//! once, and that the map fits in memory. Clients are friends: anybody who reaches the port may
//! write, and a request is believed about whose it is.
//!
//! # The idea in one picture
//!
//! ```text
//!   Client ─ Clerk ─ Connections ──▶ Kv service ── admit: does it fit? ──▶ replica
//!     put, append,     finds the       (any server)                          │
//!     delete, cas      leader                               order, log, quorum│
//!     get ───────────────────────────▶ leader asks its quorum                 ▼
//!                                      whether it leads ──▶  Sessions( Store ): a map
//! ```
//!
//! The log holds what was asked, not what came of it: an append of ten bytes to a large value
//! costs ten bytes. Each write stamps its key with the next [`Version`] of the whole store, so a
//! key's version rises even when it is deleted and made again, and a compare-and-set by version
//! cannot be fooled by a value that came back.
//!
//! # Invariants
//!
//! * A key has at most [`MAX_KEY`] bytes and a value at most [`MAX_VALUE`], after an append too.
//! * Versions only rise; two writes never share one.
//! * Every form in bytes means one thing, and bytes that mean nothing are refused, not guessed.
//! * Equal stores have equal images, byte for byte.
//!
//! # What was left out
//!
//! Ranges, watches, several keys at once (a transaction layer's work), expiry, encryption, and
//! any limit on how many keys there are but memory. A compare-and-set that carries two values of
//! a mebibyte is larger than one command may be, and is refused as too large.
//!
//! # Reading order
//!
//! [`command`], [`core`](mod@core), [`service`], [`server`], [`client`].

pub mod command;

pub mod core;

pub mod service;

pub mod server;

pub mod client;

#[cfg(test)]
mod tests;

pub use client::{Client, Connections, Error};
pub use command::{Command, Expect, Found, Get, MAX_KEY, MAX_VALUE, Response, Version};
pub use core::Store;
