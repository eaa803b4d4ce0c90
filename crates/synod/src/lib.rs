//! The roof: the one binary, whose verbs start nodes, talk to them, break them and judge them.
//!
//! # What it promises
//!
//! Each verb ends with a number that says whether anything may have happened, and a failure with
//! one sentence that names the next step. A verdict is *pass* only if every acknowledged write is
//! there exactly once, the recorded history is linearizable and all replicas hold the same state.
//! Whatever a verb started is gone when it ends.
//!
//! # What it assumes
//!
//! A directory on a disk whose sync means it, and the loopback device. It knows the layers below
//! only by their doors; nothing here decides what is chosen, applied or durable.
//!
//! # The idea in one picture
//!
//! ```text
//!   put get mget scan-all load shell      demo   chaos   bench
//!              │                            │ ▲      │
//!              ▼                            ▼ │      ▼ kill, cut, heal
//!        store::Client            trial: witnesses   nodes: threads or processes
//!              │                            │              │
//!              └────────── TCP ─────────────┴──────▶ node: paxosrsm on a wal
//!                                           │        view, pb: a view service and servers
//!                                           ▼ everything asked and heard
//!                                       histcheck ──▶ verdict
//! ```
//!
//! # Invariants
//!
//! * Results go to standard output, narration to standard error; when nobody reads the results any
//!   more, the verb ends, and that is no failure.
//! * Every flag is a variable of the same name, and every command takes a format.
//! * What a load notes as done is done; what it does not note may be done, and is done again.
//! * What a client was not told is recorded as unknown, never as failed, and whoever goes on from
//!   there counts as another client.
//! * An unknown verdict is no pass, and neither is a verdict over nothing.
//! * No child process outlives the verb that started it, unless that is killed itself.
//!
//! # What was left out
//!
//! Shards and transactions have no verbs yet, and a primary/backup store has only the verbs
//! that its layer has. There is no daemon mode and no remote control of nodes: the system's own
//! tools start and stop processes.
//!
//! # Reading order
//!
//! [`cli`] and [`failure`]; [`settings`] and [`node`] for a node, [`view`] and [`pb`] for those of
//! a primary/backup store, [`lock`] for a lock service and its clients; [`store`], [`verbs`], [`status`] and [`mod@print`] for their clients, [`mod@load`] for many lines and [`shell`] with [`prompt`] for
//! people; [`trial`] with [`demo`], [`chaos`] and [`processes`]; [`check`] and [`mod@bench`];
//! [`version`]; [`logtool`] with `records`, and [`snapshottool`], for what lies on disk.

pub mod bench;

pub mod chaos;

pub mod check;

pub mod cli;

pub mod demo;

pub mod failure;

pub mod load;

pub mod lock;

pub mod logtool;

pub mod node;

pub mod pb;

pub mod print;

pub mod processes;

pub mod prompt;

mod records;

pub mod settings;

pub mod shell;

pub mod snapshottool;

pub mod status;

pub mod store;

pub mod trial;

pub mod verbs;

pub mod version;

pub mod view;

/// What the README shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
