//! The conformance suites, and what a replica does with snapshots, restarts and bad weather.

mod suites;
