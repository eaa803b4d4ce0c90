//! The rules of this layer, one test each.

mod clerk;

mod forms;

mod golden;

mod questions;

mod replica;

mod sessions;
