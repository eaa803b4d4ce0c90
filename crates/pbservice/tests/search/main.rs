//! What can happen at all: searches over every order of events in small worlds, on the shipped
//! cores behind the shipped desks.
//!
//! `world` is such a world, `actors` who lives in it, `history` what its clients saw; `canon` and
//! `tidy` say which two worlds count as one, `story` tells about them, `model` hands them to the
//! checker, and `dice` chooses where it walks at random.

mod actors;
mod canon;
mod dice;
mod history;
mod model;
mod searches;
mod story;
mod tidy;
mod world;
