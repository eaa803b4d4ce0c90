//! What the lock service must never forget.

use protocol::codec;
use serde::{Deserialize, Serialize};

use crate::{Command, Rule, table::Piece};

/// One line of its memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The table is under this rule. Stands first, and before each checkpoint, which may be the
    /// first thing that is left.
    Born {
        /// Who yields.
        rule: Rule,
    },
    /// The table was told this.
    Applied(Command),
    /// A part of the table as it is at this place.
    Piece(Piece),
}

/// Largest record on disk, in bytes: a checkpoint begins with the last 64 deadlocks, each with up
/// to 64 names of 1 KiB. The largest request has 1024 names.
pub const MAX_RECORD: u64 = 8 << 20;

/// How records look in the log: a letter that no other kind of node writes, a version byte, then the
/// record. Records of two kinds of nodes may have the same bytes but for that, and a directory must
/// not be taken for one of another kind. The version covers what commands *do* as well: read under
/// other rules they would lead to other holders than were told.
const KIND: u8 = b'L';
const VERSION: u8 = 1;

/// A record that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by somebody else.
    #[error("a record that is not a lock service's")]
    Foreign,
    /// Written by a version of this crate that is not known here.
    #[error("a record of version {0}; this program reads version {VERSION}")]
    Version(u8),
    /// Its bytes mean nothing.
    #[error(transparent)]
    Malformed(#[from] codec::Malformed),
}

/// Names that weigh as much as a record of one.
const NAMES_A_RECORD: usize = 16;

/// How many ordinary records this one is worth, when it is asked whether a checkpoint is due: a
/// request may want a thousand names of a kibibyte.
#[must_use]
pub fn weight(command: &Command) -> u64 {
    match command {
        Command::Acquire(acquire) => 1 + (acquire.wants.len() / NAMES_A_RECORD) as u64,
        _ => 1,
    }
}

/// Adds the bytes of a record to `into`.
///
/// # Panics
///
/// If it is larger than [`MAX_RECORD`]: something beyond its limit was let in, our own bug.
pub fn encode(record: &Record, into: &mut Vec<u8>) {
    into.extend([KIND, VERSION]);
    codec::encode_into(record, MAX_RECORD, into).expect("names and lists are within their limits");
}

/// The record that these bytes mean.
///
/// # Errors
///
/// If they mean none.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    match bytes {
        [KIND, VERSION, record @ ..] => Ok(codec::decode(record, MAX_RECORD)?),
        [KIND, version, ..] => Err(RecordError::Version(*version)),
        _ => Err(RecordError::Foreign),
    }
}
