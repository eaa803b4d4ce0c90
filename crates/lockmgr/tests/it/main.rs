//! What the table of locks promises, tried.

mod homes;
mod table;
