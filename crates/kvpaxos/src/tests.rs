//! The rules of the map, one test each.

mod forms;

mod store;

mod many;
