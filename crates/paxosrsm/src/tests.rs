//! The rules of this layer, one test each.

mod clerk;

mod forms;

mod golden;

mod replica;

mod sessions;
