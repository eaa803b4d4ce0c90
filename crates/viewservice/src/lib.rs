//! Who is primary now.
//!
//! # What it promises
//!
//! There is one sequence of views, numbered from 1 without a gap, and each number stands for one
//! view for ever: through any crash of the service, restarts included. Each view's primary was
//! primary or backup of the view before, or is a later life of one of the two with its disk; so
//! data goes from view to view with a server that has it. Nobody becomes primary in place of
//! another before the other has *acknowledged* its view: said that its backup has everything. An
//! idle server, or one that came back empty, never becomes primary. No incarnation is issued twice.
//!
//! # What it assumes
//!
//! A primary says [`installed`](Ping::installed) only when its backup has everything that anybody
//! was told is done, and from then on tells nobody anything that its backup does not have. A server
//! that says whose [`heir`](Ping::heir) it is has on its disk what each life that it names had.
//! Nodes are who their connections prove them to be. The service is one process: while it is away
//! no view changes, and servers go on in the view they have.
//!
//! # The idea in one picture
//!
//! ```text
//!   server ── Join ───────────────────────▶ view service   a name for this life: incarnation 7
//!   server ── Ping(n2#7, view 0) ─────────▶                n2#7 is idle: it could be appointed
//!   primary ─ Ping(n1#1, view 4) ─────────▶                adopted: view 4 may get another backup
//!           ◀──────────── Pong(view 5) ────                view 5 {n1#1, n2#7}
//!   primary ═ everything ═▶ n2#7
//!   primary ─ Ping(n1#1, view 5, installed) ▶              acknowledged: n2#7 may take over
//!           ...silence...
//!   backup ── Ping(n2#7, view 5) ─────────▶                view 6 {n2#7, -}
//! ```
//!
//! Servers ping ten times a second. Whoever was not heard for five intervals is taken for dead,
//! which may be wrong, so nothing rests on it but when a view changes. A view changes only inside
//! a ping: there is no timer, and no view that nobody has heard of. What was said and issued is on
//! disk before anybody is told.
//!
//! # Invariants
//!
//! * Consecutive views differ in more than their number, and the number is one more.
//! * A view is not replaced before its primary adopted it, unless by that primary's own heir.
//! * A primary is replaced by another server only after it acknowledged.
//! * Of two lives of one server only the later is listened to.
//! * An answer leaves when everything it rests on is durable.
//!
//! # What was left out
//!
//! Replication of the service itself: if its machine is gone, no view changes any more. A primary
//! that dies before it acknowledged and loses its disk leaves the service stuck for ever, since
//! nobody else has its data; [`Status`] says so. More than one backup.
//!
//! # Reading order
//!
//! [`view`], [`message`], [`record`]; then [`core`](mod@core): `safety`, which is all there is to
//! understand, and `roll`, which only judges who lives; [`pinger`] is the other end. Around them
//! [`service`], [`server`] and [`client`]; [`suite`] is the proof.

pub mod view;

pub mod message;

pub mod record;

pub mod core;

pub mod pinger;

pub mod service;

pub mod server;

pub mod client;

pub mod suite;

pub use client::{ViewClient, ViewWire};
pub use core::{Safety, ViewService};
pub use message::{
    Join, Joined, MAX_SERVERS, Ping, Pong, Refused, Reply, Request, ServerStatus, Status, Stuck,
};
pub use pinger::{News, PING_INTERVAL, Pinger};
pub use record::Record;
pub use server::{Home, Service, Storage};
pub use view::{
    Incarnation, MAX_ADDR, MAX_LIVES, Member, Role, SERVICE_NODE, Server, View, ViewNum,
};
