//! One replicated map.
//!
//! # What it promises
//!
//! Keys and values are bytes. A [`Client`] puts, appends, deletes, compares and sets, and gets;
//! whatever it was told is done is on the disks of a majority, and every later get, at any server,
//! sees it. Many keys can be put at once, all or none of them, and many be got as they were at one
//! moment; a scan goes over all keys page by page and finds each that is there all the while. Who
//! puts over a version needs no session, and costs the servers no memory. Each operation takes effect at most once, however often it had to be repeated. An
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
//! The map keeps its keys in a row: new ones at its end, the last in place of a deleted one. The
//! log decides that row, and snapshots keep it, so a place in it means the same at every replica,
//! and a [`Cursor`] that walks towards the beginning misses nothing. That is a
//! scan without an index.
//!
//! # Invariants
//!
//! * A key has at most [`MAX_KEY`] bytes and a value at most [`MAX_VALUE`], after an append too.
//! * Versions only rise; two writes never share one.
//! * Every form in bytes means one thing, and bytes that mean nothing are refused, not guessed.
//! * Stores that equal logs built have equal images, byte for byte, and keys in the same row.
//! * No command and no question takes longer than its limits in keys and bytes allow.
//!
//! # What was left out
//!
//! Ranges in order, watches, conditions on several keys (a transaction layer's work), expiry,
//! encryption, and any limit on how many keys there are but memory. A compare-and-set that carries
//! two values of a mebibyte is larger than one command may be, and is refused as too large. A scan
//! is no picture of one moment: a key that comes or goes meanwhile may be found or not, and one
//! that is there may be found twice.
//!
//! # Reading order
//!
//! [`command`], [`question`], [`core`](mod@core), [`service`], [`server`], [`client`], [`versioned`].

pub mod command;

pub mod question;

pub mod core;

pub mod service;

pub mod server;

pub mod client;

pub mod versioned;

#[cfg(test)]
mod tests;

pub use client::{Client, Connections, Error};
pub use command::{
    Command, Expect, MAX_COMMAND, MAX_KEY, MAX_KEYS_PER_CALL, MAX_VALUE, Response, Version,
};
pub use core::Store;
pub use question::{Cursor, Entry, Found, MAX_ANSWER, Page, Question, Show, Value};
pub use versioned::PutError;
