//! The judge: could an honest store have given these answers?
//!
//! # What it promises
//!
//! [`check`] says *illegal* only if no order of the recorded operations explains what every client
//! heard, key by key, and then names a few operations that already contradict each other. It says
//! *ok* only if it found such an order. When time or memory runs out it says *unknown*, which is
//! neither. It never panics on what [`read`] accepts, and [`read`] accepts or refuses any bytes.
//!
//! # What it assumes
//!
//! All times of a history come from one monotonic clock. A client has one request open at a time.
//! Keys start missing. Checking is fast when written values are unique, and merely correct when
//! they are not.
//!
//! # The idea in one picture
//!
//! ```text
//!   client 1   |---- put a ----|
//!   client 2        |---- put b ----|
//!   client 3                   |- get: b -|  |- get: a -|
//!                                                 ✗ a cannot come back: b was there after it
//!
//!   an order exists  ⟺  each operation can be shrunk to one instant within its bar
//!                       so that a plain map, asked in that order, gives the same answers
//! ```
//!
//! Keys do not influence each other, so each is a puzzle of its own ([linearizability is local]).
//! One puzzle is searched for an order, remembering every situation already met. The value of the
//! key is only followed as far as some answer still to come could tell: a place in the tree of all
//! values anybody saw.
//!
//! [linearizability is local]: https://doi.org/10.1145/78969.78972
//!
//! # Invariants
//!
//! * An order that is found respects real time: what ended before another began comes first.
//! * An operation of unknown outcome takes effect once after its call, or never; a refused one
//!   never does.
//! * Distrusting an answer never turns a legal history into an illegal one.
//! * A search that gave up is never a violation, and a check of nothing is never a pass.
//!
//! # What was left out
//!
//! Transactions are read and kept, and their keys are left unchecked; strict serializability will
//! be a second checker beside this one. Sequential consistency and other weaker promises are nobody's here.
//!
//! # Reading order
//!
//! [`history`], [`mod@file`], [`linearizable`], then `problem` (what is asked), `situation` and
//! `search` (the answer), `tree`, `runs` and `links` (what makes it fast) and `explain`; [`appends`] is
//! a judge of its own, and [`mod@timeline`] the picture.

pub mod history;

pub mod file;

pub mod linearizable;

mod base64;

mod problem;

mod tree;

mod runs;

mod links;

mod situation;

mod search;

mod explain;

pub mod appends;

pub mod timeline;

pub use file::{Error, Header, History, Mark, MarkKind, Writer, read, spell, unspell};
pub use history::{Action, Answer, Operation, Outcome, Step, Text, Verb};
pub use linearizable::{Counts, GaveUp, Report, Verdict, Violation, check};
pub use timeline::timeline;
