//! The knobs of a server, and every bound that is not one.

use std::time::Duration;

use protocol::NodeId;

/// Items of one forward.
pub const BATCH_ITEMS: usize = 1_024;
/// Bytes of the items of one forward; one item more may stand in it.
pub const BATCH_BYTES: usize = 1 << 20;
/// Bytes of a forward, and of a piece of the state in it, to begin with and at least. As long as
/// full ones arrive [quickly](QUICK) the next may be twice as large, up to [`BATCH_BYTES`]; one
/// that was [slow](SLOW) is followed by one half as large.
pub const LEAST_BYTES: usize = 16 << 10;
/// A forward that is answered within this time was quick.
pub const QUICK: Duration = Duration::from_millis(125);
/// A forward that is not answered within this time was slow. Far below [`BACKUP_PATIENCE`].
pub const SLOW: Duration = Duration::from_millis(500);
/// Bytes a second of the slowest link over which a backup is given the state.
pub const SLOWEST: usize = 64 << 10;
/// Items that wait for the backup, sent or not.
pub const QUEUE_ITEMS: usize = 16_384;
/// Bytes of the items that wait for the backup.
pub const QUEUE_BYTES: usize = 32 << 20;
/// Pieces of the state among them.
pub const QUEUE_PIECES: usize = 16;
/// Answers that wait for the backup.
pub const WAITING: usize = 16_384;
/// Bytes of values in answers that wait for the backup.
pub const WAITING_BYTES: usize = 32 << 20;
/// Pause before a backup that was not ready is asked again.
pub const FORWARD_PAUSE: Duration = Duration::from_millis(10);
/// Time without progress after which a backup is reported lost. Longer than a disk hangs now and
/// then, since the price of being wrong is to send it the whole state again.
pub const BACKUP_PATIENCE: Duration = Duration::from_secs(1);

/// How long so many bytes may be on their way: as long as until the backup counts as lost, and what
/// a single large item takes beyond that.
#[must_use]
pub fn patience(bytes: usize) -> Duration {
    let beyond = bytes.saturating_sub(LEAST_BYTES) as u64;
    BACKUP_PATIENCE + Duration::from_millis(beyond * 1_000 / SLOWEST as u64)
}

/// Bytes of a log from which on the state is written down again; twice the state if that is more.
pub const CHECKPOINT_BYTES: usize = 64 << 20;

/// What a server must know of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its name.
    pub me: NodeId,
    /// Where it is reached.
    pub addr: String,
    /// The name of the view service.
    pub service: NodeId,
    /// Whether it writes down what it has before it answers.
    pub durable: bool,
    /// Bytes of its log from which on it writes its state down again, usually
    /// [`CHECKPOINT_BYTES`].
    pub checkpoint_bytes: usize,
}

impl Config {
    /// A server with nothing but its memory, reached at `addr`.
    #[must_use]
    pub fn new(me: NodeId, addr: impl Into<String>) -> Self {
        Self {
            me,
            addr: addr.into(),
            service: viewservice::SERVICE_NODE,
            durable: false,
            checkpoint_bytes: CHECKPOINT_BYTES,
        }
    }

    /// The same with a disk.
    #[must_use]
    pub fn durable(self) -> Self {
        Self { durable: true, ..self }
    }
}
