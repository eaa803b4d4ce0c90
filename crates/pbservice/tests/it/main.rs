//! The crate's one integration binary: servers in their shells, on the memory network, on real
//! sockets and on disks.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod clerk;
mod digest;
mod disks;
mod golden;
mod hostile;
mod ledger;
mod served;
mod shell;
mod sockets;
mod stopping;
