//! The conformance suites: what passes them, and what they must not let pass.

mod broken;

mod aside;

mod groups;

mod suites;
