//! Who may touch what, and who must yield.
//!
//! # What it promises
//!
//! Names are bytes. An owner, a session of the lock service or a transaction, holds a name alone or
//! with others whose mode goes with its own; nobody else does until it gives the name back, falls
//! silent for longer than its lease, or must yield to an older one. A request wants one name or
//! many, gets all or none, and waits only as long as it says. Nobody waits for ever in a circle, and
//! who is refused for a circle is told all of it. A request that is asked again is the same request.
//! What the lock server has answered outlives it, and every lease is honoured whole by the next
//! life. Each of its grants has a token, larger than all before it.
//!
//! # What it assumes
//!
//! That whoever was taken for dead may be alive and still believe that it holds something: a lease
//! says when others may go on, and never stops anybody. Only a resource that refuses tokens smaller
//! than the largest it has seen is safe; for one that cannot there is a delay, which is a guess.
//! Clocks run about as fast as each other. The table fits in memory.
//!
//! # The idea in one picture
//!
//! ```text
//!                    Expire, Cancel, Reopen: what time brings
//!                     ┌───────────────────────────────────┐
//!                     ▼                                   │
//!   client ──▶ commands ──▶ log ──▶ State::apply       clocks ◀── renewals, never logged
//!      ▲                              │  no time         ▲
//!      │                              │  no chance       │ after a death: all begin anew
//!      └── answer, when all of it ◀───┴──────────────────┘
//!          is on disk                 holds, queues, tokens
//! ```
//!
//! [`State`] is what must not be lost, and a log of commands is all of it. What may be lost is in
//! clocks beside it: when leases and waits end. What time brings becomes a command, so that the log
//! tells it too, and a lease can be prolonged without the disk. Who waits for whom is read off the
//! table and never kept beside it.
//!
//! One table has three homes: the memory of a leader, which dies with it and gives no tokens; the
//! log of a lock server, [`LockService`]; and a replicated log. [`suite`] is what all of them do.
//!
//! # Invariants
//!
//! * Two owners hold a name only in modes that go together.
//! * A request that could be granted is granted: nobody waits for a name that is free for it.
//! * Nobody overtakes a request that it does not go with, and who holds something comes first.
//! * An owner never comes back. What it says after its lease is over changes nothing.
//! * Tokens grow: over all names and all lives of a lock server.
//! * Nothing is answered that is not on disk, nor anything that rests on it.
//! * Every table is bounded: owners, holds, requests that wait, answers remembered, a chain told.
//!
//! # What was left out
//!
//! Ranges and predicates: a name is a name. Fairness between names. A lock server that is itself
//! replicated is the replicated home's. Clients are trusted with each other's sessions: whoever
//! knows a session's number may speak for it.
//!
//! # Reading order
//!
//! [`mode`], [`noun`], [`command`], [`policy`], [`table`]; then the lock server: [`message`],
//! [`record`], [`core`](mod@core), [`clerk`], [`service`], [`server`], [`client`]; [`suite`] is the
//! proof.

pub mod clerk;
pub mod client;
pub mod command;
pub mod core;
pub mod message;
pub mod mode;
pub mod noun;
pub mod policy;
pub mod record;
pub mod server;
pub mod service;
pub mod suite;
pub mod table;

pub use clerk::{Clerk, Loss};
pub use client::{Connections, Error, Session};
pub use command::{
    Acquire, Command, Discipline, Full, Grant, Link, MAX_CHAIN, MAX_GIVEN_BACK, MAX_HOLDS,
    MAX_LANES, MAX_OWNERS, MAX_REMEMBERED, MAX_REQUESTS, MAX_TERM, MAX_WAITING, News, Patience,
    Refusal, Release, Reply, Terms, Unsound, Why,
};
pub use core::LockService;
pub use message::{Answer, Refused, Renewed};
pub use mode::Mode;
pub use noun::{Birth, MAX_NAME, MAX_WANTS, Name, Owner, RequestNo, Ticket, Token, Want};
pub use policy::{Policy, Rule};
pub use record::Record;
pub use server::{Home, SERVICE_NODE, Service, Storage};
pub use table::{State, Table, View};
