//! Who may touch what, and who must yield.

pub mod command;
pub mod mode;
pub mod noun;
pub mod policy;
pub mod suite;
pub mod table;

pub use command::{
    Acquire, Command, Discipline, Full, Grant, Link, MAX_CHAIN, MAX_HOLDS, MAX_OWNERS,
    MAX_REQUESTS, MAX_TERM, MAX_WAITING, News, Patience, Refusal, Release, Reply, Terms, Unsound,
    Why,
};
pub use mode::Mode;
pub use noun::{Birth, MAX_NAME, MAX_WANTS, Name, Owner, RequestNo, Ticket, Token, Want};
pub use policy::{Policy, Rule};
pub use table::{State, Table, View};
