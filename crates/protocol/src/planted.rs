//! Bugs on purpose: a test that never failed proves nothing.
//!
//! Each classic mistake sits behind one name at the place where it would be made. Without the
//! feature `planted`, [`is`] is constantly false and the names are not in the binary. With it,
//! the bug named by the environment variable [`VARIABLE`] is awake, and `cargo xtask bugs` demands
//! that some test catches it.

/// The environment variable that names the bug to wake.
pub const VARIABLE: &str = "SYNOD_PLANTED_BUG";

/// Whether the bug `name` is awake. Always false without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub fn is(_name: &str) -> bool {
    false
}

/// Whether the bug `name` is awake. Always false without the feature `planted`.
#[cfg(feature = "planted")]
#[must_use]
pub fn is(name: &str) -> bool {
    use std::sync::OnceLock;
    static AWAKE: OnceLock<Option<String>> = OnceLock::new();
    AWAKE.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(name)
}
