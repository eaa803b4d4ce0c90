//! A store, from the conformance of its machine to whole groups on two networks.

mod group;

mod failures;

mod stopping;

mod suites;

mod swap;
