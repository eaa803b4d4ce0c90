//! The whole tower in the weather: a replicated store, its clients, and bad days from a seed.
//!
//! # What it promises
//!
//! The cores that run here are the shipped ones, stacked as they are in a real server: a store in
//! a coat of sessions, replicated over Multi-Paxos, each node behind the shipped desk. After every
//! event the invariants of every layer are checked; after the storm the store must come to rest;
//! and what the clients heard must be explicable by one honest map. A seed that fails prints the
//! command that replays it.
//!
//! # What it assumes
//!
//! That the cores are pure. Sockets, codecs and the real log are not here: they have tests of
//! their own, and those of whole processes.
//!
//! # The idea in one picture
//!
//! ```text
//!   seed ──▶ Shape: nodes, knobs, clients      clerks ──loss──▶ replicas ──weather──▶ replicas
//!        └─▶ Plan: faults with times             │                 │
//!                                                ▼                 ├─▶ records: durable or lost
//!                            history ──▶ histcheck                 └─▶ snapshots: durable or lost
//!                            tokens, sessions, images ──▶ verdict
//! ```
//!
//! # Invariants
//!
//! * Same seed, same binary: the same day, to the last event.
//! * An operation is recorded as unknown unless its client was told how it ended.
//! * A snapshot is on a disk only when the time to write it has passed without a crash.
//!
//! # Reading order
//!
//! [`shape`] says what kind of day it is, [`kv`] is the world's subject with its clients and
//! disks, [`verdict`] judges the end, [`day`] runs one seed; [`pb`] is all that once more for a view
//! service, a primary and its backup; [`locks`] a lock service that is killed. [`rare`] counts what hardly ever happens, [`topology`] lists kinds of days, [`mod@soak`] runs many, [`mod@trace`] keeps their whole story, [`mod@play`]
//! and [`scene`] are for days with a script, [`hunt`] goes after planted bugs.

pub mod shape;

pub mod kv;

pub mod verdict;

pub mod day;

pub mod pb;

pub mod locks;

pub mod rare;

pub mod topology;

pub mod trace;

pub mod play;

pub mod soak;

pub mod digest;

pub mod scene;

pub mod hunt;
