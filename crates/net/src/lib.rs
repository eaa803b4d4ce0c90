//! The network: the only crate that opens sockets, and the driver that lets a core live among them.
//!
//! # What it promises
//!
//! Whoever has a [`Core`](protocol::Core), a [`Log`](protocol::Log) and a tarpc service gets a
//! node: requests reach the core one at a time and in batches, its words leave when its disk allows
//! it, calls to other nodes are made, given up and made again, and every one of them ends in a
//! reply or in a failure by its deadline. No bytes from outside can panic a node, make it hold more
//! memory than its limits say, or hurt another connection than their own. What is stopped leaves no
//! task and no socket behind.
//!
//! # What it assumes
//!
//! A network may lose connections, delay bytes for as long as it likes and hang for ever; it does
//! not change them or let them overtake each other. A node is who its greeting says: there is no
//! encryption and no proof of identity yet, so only loopback or a network of friends is safe. One
//! current-thread runtime per node is what this is measured on.
//!
//! # The idea in one picture
//!
//! ```text
//!             another node                                this node
//!   ┌──────────────────────────────┐        ┌────────────────────────────────────┐
//!   │ drive ─ Calls ─ Peers ─ Wire │        │ Server ─ Mount ─ handler ─ Inbox   │
//!   │                      │       │        │    ▲                         │     │
//!   │              tarpc client    │        │ tarpc server              drive    │
//!   │                   codec      │        │  codec                   ┌───┴───┐ │
//!   └─────────────────────┬────────┘        └────┬─────────────────────│  Desk │─┘
//!                         │  hello, then frames  │                     │ Core  │─▶ Log
//!                         └───── Connection ─────┘                     └───────┘
//!                       Network: Tcp, Memory, Faulty
//! ```
//!
//! A [`Network`] gives byte streams and knows nothing else, so the real codec runs in every test,
//! and faults are made below it. The first frame of each connection is a [`Hello`]; what it proved
//! is what a handler is told. A handler holds nothing but an [`Inbox`]: it asks and waits, and may
//! be dropped at any await. [`drive`](drive()) owns the core: each turn it hands the records to the log,
//! carries the words away, and takes in everything that has happened meanwhile, at once.
//!
//! # Invariants
//!
//! * Nobody but its driver touches a core, and the driver never waits inside a turn.
//! * A request is answered at most once, and never to another caller than its own.
//! * Every call ends by its deadline, also behind a peer that reads nothing.
//! * Between two nodes and for one service there is at most one connection and one attempt to make
//!   one.
//! * Every closed connection is counted under one reason in [`Counters`].
//! * A frame that is too big fails one call when it leaves, and one connection when it arrives.
//!
//! # What was left out
//!
//! Encryption and proof of identity; they belong between [`Network`] and the greeting. An idle
//! connection is kept for ever, as peers need it, and so is one whose owner reads no answers: it
//! holds its place among the thousand and the answers to its own requests. tarpc's own limits stay
//! visible: calls may overtake each other, and there are no one-way messages. Calls of several
//! groups to one node are not bundled yet.
//!
//! # Reading order
//!
//! [`network`], [`tcp`], [`memory`], [`weather`], [`faulty`], [`suite`]; then a connection's life:
//! [`limits`], [`hello`], [`codec`], [`rpc`], [`mount`], [`serve`], [`counters`]; the other end:
//! [`peers`], [`lanes`]; and what it is all for: [`inbox`](mod@inbox), [`drive`](mod@drive),
//! [`running`].

pub mod network;

pub mod tcp;

pub mod memory;

pub mod weather;

pub mod faulty;

pub mod suite;

pub mod limits;

pub mod hello;

pub mod codec;

pub mod rpc;

pub mod mount;

pub mod serve;

pub mod counters;

pub mod peers;

pub mod lanes;

pub mod inbox;

mod peer;

mod tickets;

mod overdue;

pub mod drive;

pub mod running;

pub use codec::FrameError;
pub use counters::Counters;
pub use drive::{Alone, Calls, Forgetful, Life, drive};
pub use faulty::Faulty;
pub use hello::{Hello, Refusal};
pub use inbox::{Gone, Inbox, Post, inbox};
pub use lanes::{Lane, Lanes};
pub use memory::Memory;
pub use mount::{Bounds, Mount};
pub use network::{Addr, ByteStream, Connection, Listener, Network};
pub use peer::PeerStatus;
pub use peers::{Peers, PeersConfig};
pub use rpc::{Ask, CallError, HangUp, Line, RpcError, Wire, Wrapped, context_until};
pub use running::{Running, Stop, Stopped, abort_on_panic};
pub use serve::Server;
pub use tcp::Tcp;
pub use weather::Weather;
