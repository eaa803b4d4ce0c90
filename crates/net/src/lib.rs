//! Under construction: the door essay follows.

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
pub use peers::{PeerStatus, Peers, PeersConfig};
pub use rpc::{Ask, CallError, HangUp, Line, RpcError, Wire, Wrapped, context_until};
pub use running::{Running, Stop, Stopped, abort_on_panic};
pub use serve::Server;
pub use tcp::Tcp;
pub use weather::Weather;
