//! What the view service must never forget.

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
