//! The knobs: plain fields, each with its unit, its default and one sentence.

use std::time::Duration;

use protocol::NodeId;

/// The most members a group may have: votes are bits of one word.
pub const MAX_MEMBERS: usize = 15;

/// The largest single value or command, in bytes; a little above 1 MiB so that a command around a
/// 1 MiB value fits.
pub const MAX_VALUE: usize = (1 << 20) + (16 << 10);

/// Who names the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The caller names the slot; holes stay open until somebody starts them (door `Instances`).
    Explicit,
    /// The leader names the slot; a new leader closes holes with no-ops (door `Log`).
    Append,
}

/// How one node of a group behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// All voters, this node among them; at most [`MAX_MEMBERS`].
    pub members: Vec<NodeId>,
    /// Who names the slots. Default: `Append`.
    pub mode: Mode,
    /// Between two heartbeats of a leader, and two probes of a follower. Default 75 ms.
    pub heartbeat: Duration,
    /// How old the last sign of a healthy leader may become before it is suspected: T_e, drawn
    /// anew from [1, 1.5) times this. Default 500 ms; syncs stall for up to 230 ms on some disks.
    pub election_timeout: Duration,
    /// How long a canvass waits for stragglers, and the least time a call is given. Default 150 ms.
    pub probe_timeout: Duration,
    /// How old an undecided proposal may become before its leader calls itself unhealthy. Default 1 s.
    pub stall: Duration,
    /// How long a leader waits for a next Accept to carry its watermark. Default 5 ms.
    pub linger: Duration,
    /// Undecided batches in flight when the leader names the slots. Default 2: one on its way while
    /// the next fills. With 4 the same load made batches half as large, and at 256 clients a
    /// sixth more processor time per command.
    pub window: usize,
    /// Undecided slots when callers name them; in a log, how far the window may run ahead of its
    /// oldest undecided slot. Default 1,024.
    pub undecided: usize,
    /// Accept calls in flight to one peer. Default 8; 64 is sensible for `Explicit`.
    pub peer_window: usize,
    /// Commands in one slot. Default 1,024.
    pub batch_commands: usize,
    /// Bytes in one slot, unless a single command is larger. Default 1 MiB.
    pub batch_bytes: usize,
    /// Commands waiting for a slot before the leader says Busy, and reads waiting for their check.
    /// Default 16,384.
    pub queue_commands: usize,
    /// Bytes of those commands, and of those reads, before the leader says Busy. Default 32 MiB.
    pub queue_bytes: usize,
    /// Bytes of values in one Promise page or one Fetched page, unless one value is larger.
    /// Default 1 MiB.
    pub page_bytes: usize,
    /// Settled slots kept behind a snapshot, so that a short absence is mended by entries.
    /// Default 1,024.
    pub trailing: u64,
    /// Bytes of the values in them: whichever is less is kept. Default 16 MiB.
    pub trailing_bytes: usize,
}

impl Config {
    /// The defaults for one node of a group.
    #[must_use]
    pub fn new(me: NodeId, members: Vec<NodeId>) -> Self {
        Self {
            me,
            members,
            mode: Mode::Append,
            heartbeat: Duration::from_millis(75),
            election_timeout: Duration::from_millis(500),
            probe_timeout: Duration::from_millis(150),
            stall: Duration::from_secs(1),
            linger: Duration::from_millis(5),
            window: 2,
            undecided: 1024,
            peer_window: 8,
            batch_commands: 1024,
            batch_bytes: 1 << 20,
            queue_commands: 16_384,
            queue_bytes: 32 << 20,
            page_bytes: 1 << 20,
            trailing: 1024,
            trailing_bytes: 16 << 20,
        }
    }

    /// The same with the caller naming the slots.
    #[must_use]
    pub fn explicit(me: NodeId, members: Vec<NodeId>) -> Self {
        Self { mode: Mode::Explicit, peer_window: 64, ..Self::new(me, members) }
    }

    /// Whether these knobs make sense together.
    ///
    /// # Errors
    ///
    /// One sentence that names the knob.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut sorted = self.members.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != self.members.len() {
            return Err(ConfigError::Twice);
        }
        if !sorted.contains(&self.me) {
            return Err(ConfigError::NotAMember(self.me));
        }
        if sorted.len() > MAX_MEMBERS {
            return Err(ConfigError::TooMany(sorted.len()));
        }
        let counts = [self.window, self.undecided, self.peer_window, self.batch_commands];
        if counts.contains(&0) || self.heartbeat.is_zero() || self.probe_timeout.is_zero() {
            return Err(ConfigError::Zero);
        }
        if self.heartbeat * 4 > self.election_timeout {
            return Err(ConfigError::Hasty);
        }
        Ok(())
    }
}

/// Knobs that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A member is named twice.
    #[error("a member is named twice: name each node once")]
    Twice,
    /// This node is not among the members.
    #[error("{0} is not among the members: add it, or start another node")]
    NotAMember(NodeId),
    /// More members than votes can be counted for.
    #[error("{0} members are too many: at most {MAX_MEMBERS}")]
    TooMany(usize),
    /// A window, a batch or a pause of zero.
    #[error(
        "window, undecided, peer_window, batch_commands, heartbeat and probe_timeout must not be 0"
    )]
    Zero,
    /// Fewer than four heartbeats per election timeout.
    #[error("election_timeout must be at least four heartbeats, or calm looks like death")]
    Hasty,
}
