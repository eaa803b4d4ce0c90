//! Many slots, one value each: Multi-Paxos, usable alone.
//!
//! # What it promises
//!
//! A group of nodes agrees on one value for each slot. Once a value is chosen it stays chosen:
//! through crashes of any nodes, or of all at once, through lost, late, repeated and overtaking
//! messages, and through any number of nodes that believe to lead. While a majority is up and
//! connected, and its disks work, every value that is proposed gets an outcome. A read barrier
//! answers only when everything acknowledged before it has been handed out.
//!
//! Two doors lead in. The *log* ([`Mode::Append`]) numbers commands itself, packs many into a slot
//! and hands them out in order. The *instances* ([`Mode::Explicit`]) let the caller name the slot:
//! start, fate, done, and the bounds of what is remembered.
//!
//! # What it assumes
//!
//! Disks keep what they reported durable; nodes may stop, but do not lie. A node that may have
//! forgotten something must not vote, which is the log's business to notice. Clocks only decide
//! how soon somebody tries to lead, never what is chosen.
//!
//! # The idea in one picture
//!
//! ```text
//!            phase 1, once per leader: for every slot
//!   candidate ── Prepare(5.1, from 7) ──▶ acceptors     "nothing below 5.1 any more"
//!   candidate ◀── Promise(settled, what was accepted) ──
//!        │  a majority promised: bound values first, no-ops into the gaps of a log
//!        ▼   phase 2, once per slot
//!     leader ── Accept(5.1, slot 9, v) ──▶ acceptors    each saves its vote, then answers
//!     leader ◀───────── Accepted ─────────
//!        │  a majority voted: v is chosen in slot 9, for ever
//!        ▼
//!     leader ── watermark, on the next message ──▶ all  "up to 10 chosen at 5.1"
//! ```
//!
//! A promise covers all slots, so a stable leader pays phase 2 only. The leader votes as the
//! others do: its own vote counts when it comes back through its own log. [`Paxos`] itself does
//! nothing of this: it says what to save and to send, and a [`Desk`](protocol::Desk) keeps each
//! word until what it rests on is durable. Three nodes in memory, then, need no network:
//!
//! ```
//! use bytes::Bytes;
//! use paxos::{Config, Output, Paxos, Request, Slot};
//! use protocol::{CallId, Desk, Lsn, NodeId, Time, Word};
//!
//! let members: Vec<NodeId> = (1..=3).map(NodeId).collect();
//! let node = |me: NodeId| {
//!     let config = Config::new(me, members.clone());
//!     let paxos = Paxos::recover(config, u64::from(me.0), Slot(0), []).expect("sound knobs");
//!     Desk::new(me, paxos, Lsn(0))
//! };
//! let mut desks: Vec<Desk<Paxos>> = members.iter().copied().map(node).collect();
//! let mut calls: Vec<(usize, NodeId, CallId)> = Vec::new(); // a ticket is an index in here
//! let mut decided = Vec::new();
//! let mut asked = false;
//!
//! for millisecond in 0..1000 {
//!     let now = Time(millisecond * 1_000_000);
//!     for desk in &mut desks {
//!         if desk.deadline().is_some_and(|at| at <= now) {
//!             desk.wake(now);
//!         }
//!         if desk.core().leads() && !asked {
//!             asked = true;
//!             desk.request(now, u64::MAX, None, Request::Propose(Bytes::from_static(b"hello")));
//!         }
//!     }
//!     // Whatever is said is carried at once, until nobody says anything more.
//!     let mut quiet = 0;
//!     for turn in (0..3).cycle() {
//!         let from = members[turn];
//!         desks[turn].records().for_each(drop); // A real driver writes these to its disk.
//!         let saved = desks[turn].saved();
//!         desks[turn].durable(now, saved);
//!         let word = desks[turn].next_word();
//!         quiet = if word.is_none() { quiet + 1 } else { 0 };
//!         match word {
//!             Some(Word::Send { to, call, request }) => {
//!                 calls.push((turn, to, call));
//!                 let ticket = calls.len() as u64 - 1;
//!                 desks[usize::from(to.0) - 1].request(now, ticket, Some(from), request);
//!             }
//!             Some(Word::Answer { ticket, reply }) => {
//!                 let (caller, answerer, call) = calls[ticket as usize];
//!                 desks[caller].reply(now, answerer, call, reply);
//!             }
//!             Some(Word::Output(Output::Decided { slot, value, .. })) => {
//!                 decided.push((from, slot, value));
//!             }
//!             Some(_) | None if quiet > 3 => break,
//!             Some(_) | None => {}
//!         }
//!     }
//! }
//! assert_eq!(decided.len(), 3, "each node was handed the command");
//! assert!(decided.iter().all(|(_, slot, value)| (*slot, value) == (Slot(0), &decided[0].2)));
//! ```
//!
//! # Invariants
//!
//! * At most one value is chosen in a slot, and only one that somebody proposed (or a no-op, in a
//!   log). [`invariants::Judge`] checks this and the others on any run, from the disks.
//! * Promises only rise, across crashes too; no vote is cast below a promise.
//! * A ballot proposes at most one value in a slot, and belongs to one life of one node.
//! * A watermark speaks for slots chosen at its own ballot, and a follower believes it only of
//!   votes that it cast at that ballot or above.
//! * Slots below the floor are never proposed in again; the floor never falls.
//! * No promise, vote or refusal leaves before the disk holds what it says.
//!
//! # What was left out
//!
//! Changing the members while running (PMS 3 sketches it), leases and reads without a leader, and
//! the optimisation that sends a known value by its number only. Snapshots are the business of the
//! layer above: this crate only says when one is needed, and forgets what one covers.
//!
//! # Reading order
//!
//! The nouns first: [`ballot`], [`message`], [`record`]; then [`core`], whose files say in their
//! first word whether they are about safety (`ledger`, `acceptor`, `leader`, `learner`, `quorum`)
//! or only about liveness; then the doors, [`door`] and [`config`]. PMS is Lamport's *Paxos Made
//! Simple* (2001); numbers beside it are its sections.

pub mod ballot;

pub mod message;

pub mod record;

pub mod core;

#[cfg(feature = "net")]
pub mod service;

#[cfg(feature = "net")]
pub mod server;

pub mod door;

pub mod config;

pub mod slots;

pub mod batch;

pub mod invariants;

pub use ballot::{Ballot, Slot, Value};
pub use config::{Config, ConfigError, Mode};
pub use core::{Ledger, Paxos};
pub use door::{Fate, Ignored, Output, Refusal, Reply, Request, Status, Told, Why};
pub use message::{
    Accept, Accepted, Beat, Fetch, Fetched, Forward, Heartbeat, Nack, Outcome, Prepare, Probe,
    Promise, Pulse, Report, Watermark,
};
pub use record::Record;
pub use slots::Slots;
