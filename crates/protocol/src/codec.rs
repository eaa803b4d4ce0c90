//! How values become bytes: bincode 1.3.3 with fixed options and a limit, named nowhere else.
//!
//! Integers are variable-length, bytes left over are refused, and no length that a stranger wrote
//! is believed beyond the limit. The frames of the network and the payloads on disk use the same
//! options, so a record can be read by whoever can read a frame.

use bincode::Options;
use serde::{Serialize, de::DeserializeOwned};

/// Bytes that do not mean what they should.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode {what}: {why}")]
pub struct Malformed {
    /// The type that was expected.
    pub what: &'static str,
    /// What was wrong with the bytes.
    pub why: String,
}

fn options(limit: u64) -> impl Options {
    bincode::DefaultOptions::new().with_limit(limit)
}

/// The bytes of `value`.
///
/// # Errors
///
/// If they would be more than `limit`.
pub fn encode<T: Serialize>(value: &T, limit: u64) -> Result<Vec<u8>, Malformed> {
    options(limit).serialize(value).map_err(|e| malformed::<T>(&e))
}

/// Adds the bytes of `value` to `into`.
///
/// # Errors
///
/// If they would be more than `limit`; `into` may then hold a part of them.
pub fn encode_into<T: Serialize>(
    value: &T,
    limit: u64,
    into: &mut Vec<u8>,
) -> Result<(), Malformed> {
    options(limit).serialize_into(into, value).map_err(|e| malformed::<T>(&e))
}

/// The value that `bytes` mean, all of them.
///
/// # Errors
///
/// If they mean nothing, or more than the value, or claim lengths beyond `limit`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: u64) -> Result<T, Malformed> {
    options(limit).deserialize(bytes).map_err(|e| malformed::<T>(&e))
}

fn malformed<T>(error: &bincode::Error) -> Malformed {
    Malformed { what: std::any::type_name::<T>(), why: error.to_string() }
}
