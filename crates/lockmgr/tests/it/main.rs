//! What the table of locks promises, tried.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod calls;
mod circles;
mod clerk;
mod desk;
mod durable;
mod fenced;
mod golden;
mod homes;
mod interleavings;
mod lives;
mod node;
mod plays;
mod recovery;
mod scenarios;
mod scripts;
mod service;
mod table;
mod torn;
mod trial;
