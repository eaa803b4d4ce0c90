//! What the table of locks promises, tried.

mod table;
