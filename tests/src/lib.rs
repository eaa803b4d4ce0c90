//! Tower tests.
