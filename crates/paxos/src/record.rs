//! What an acceptor must never forget.

use serde::{Deserialize, Serialize};

use crate::{Ballot, Slot, Value};

/// One line of an acceptor's memory. Ballots never fall along the stream, so replay is *the last
/// record for a slot wins*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Nothing below this ballot will be accepted any more (PMS 2.2, phase 1b).
    Promised {
        /// The ballot promised.
        ballot: Ballot,
    },
    /// A vote (PMS 2.2, phase 2b). It carries its ballot, so it is a promise as well.
    Accepted {
        /// The ballot voted in.
        ballot: Ballot,
        /// The slot voted on.
        slot: Slot,
        /// The value voted for.
        value: Value,
        /// All slots below were known chosen, with their values, when this was written. A hint
        /// that spares a restarted node the asking.
        settled: Slot,
    },
    /// A chosen value heard from somebody else. Not a vote; losing it in a crash is harmless.
    Learned {
        /// The slot.
        slot: Slot,
        /// Its value, for ever.
        value: Value,
    },
    /// Everything that the records before it are still needed for, but for slots from `floor` on.
    Checkpoint {
        /// The promise in force.
        promised: Ballot,
        /// Slots below are settled: chosen, and covered by a snapshot or forgotten by everybody.
        floor: Slot,
        /// All slots below are known chosen.
        settled: Slot,
        /// The snapshot that covers everything below itself, if the layer above takes them.
        snapshot: Option<Slot>,
    },
}

/// Largest record on disk, in bytes: a value of 1 MiB plus a batch's frame and the numbers.
pub const MAX_RECORD: u64 = 4 << 20;
