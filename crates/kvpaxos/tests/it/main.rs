//! A store, from the conformance of its machine to whole groups on two networks.

mod group;

mod many;

mod failures;

mod stopping;

mod suites;

mod swap;
