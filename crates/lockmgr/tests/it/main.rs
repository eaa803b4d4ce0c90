//! What the table of locks promises, tried.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod circles;
mod desk;
mod durable;
mod golden;
mod homes;
mod interleavings;
mod lives;
mod recovery;
mod scripts;
mod service;
mod table;
mod torn;
