//! The rules of the map, one test each.

mod forms;

mod golden;

mod store;

mod many;
