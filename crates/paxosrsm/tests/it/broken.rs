//! Ways to break an implementation of a seam, each of which its suite must see.

use std::panic::{AssertUnwindSafe, catch_unwind};

mod agreements;

mod machines;

/// What a suite said about something that is broken.
///
/// # Panics
///
/// If it said nothing.
fn blame(broken: &str, suite: impl FnOnce()) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(suite)) else {
        panic!("the suite let it pass: {broken}")
    };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
