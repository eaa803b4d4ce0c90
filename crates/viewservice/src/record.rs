//! What the view service must never forget.

use protocol::codec;
use serde::{Deserialize, Serialize};

use crate::{
    core::Safety,
    view::{Incarnation, View, ViewNum},
};

/// One line of its memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// This number is used up, one more than the last.
    Issued(Incarnation),
    /// This view is in force, with the number behind the last one's.
    Viewed(View),
    /// The view in force was adopted by its primary, and perhaps acknowledged too.
    Acked {
        /// Which view.
        view: ViewNum,
        /// Whether it may be replaced.
        acknowledged: bool,
    },
    /// Everything that the records before it are still needed for.
    Checkpoint(Safety),
}

/// Largest record on disk, in bytes: a view has two addresses of 256 bytes and a few numbers.
pub const MAX_RECORD: u64 = 4 << 10;

/// How records look in the log: a version byte, then the record.
const VERSION: u8 = 1;

/// A record that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a version of this crate that is not known here.
    #[error("a record of version {0}; this program reads version {VERSION}")]
    Version(u8),
    /// Its bytes mean nothing.
    #[error(transparent)]
    Malformed(#[from] codec::Malformed),
}

/// Adds the bytes of a record to `into`.
///
/// # Panics
///
/// If it is larger than [`MAX_RECORD`]: an address beyond its limit was let in, our own bug.
pub fn encode(record: &Record, into: &mut Vec<u8>) {
    into.push(VERSION);
    codec::encode_into(record, MAX_RECORD, into).expect("addresses are within their limit");
}

/// The record that these bytes mean.
///
/// # Errors
///
/// If they mean none.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    match bytes.split_first() {
        Some((&VERSION, record)) => Ok(codec::decode(record, MAX_RECORD)?),
        Some((&version, _)) => Err(RecordError::Version(version)),
        None => Err(RecordError::Version(0)),
    }
}
