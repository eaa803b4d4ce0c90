//! What hardly ever happens, and must have happened before a volume of seeds is worth anything.

use std::fmt;

/// A rare state that somebody came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A slot with votes at one ballot was chosen at a later leader's.
    SecondLeaderChose,
    /// A new leader closed a gap with a no-op.
    HoleFilled,
    /// A replica wrote a snapshot of its own.
    SnapshotTaken,
    /// A replica went on from somebody else's snapshot.
    SnapshotInstalled,
    /// A snapshot could not be written.
    SnapshotFailed,
    /// A transfer went on where it had stopped.
    TransferResumed,
    /// A log let go of slots that a snapshot covers.
    LogShortened,
    /// A request that came again was answered from memory.
    AnsweredFromMemory,
    /// A client heard that its session is gone, after it may have had an effect.
    SessionExpired,
    /// A replica handed a request on to the leader.
    Forwarded,
    /// A client was told that too much is waiting.
    RefusedBusy,
    /// A leader lost office with commands in flight, and said so.
    DeposedInFlight,
    /// A read came to a leader that had not finished its takeover.
    ReadDuringTakeover,
    /// Everybody was down at once, and came back.
    AllDown,
    /// A leader that was up was replaced while its disk was slow.
    SickLeaderReplaced,
    /// A client gave a request up.
    GivenUp,
    /// Somebody caught up by entries.
    CaughtUpByEntries,
    /// A message got lost by chance.
    MessageLost,
    /// A message was swallowed while the nodes were in three groups.
    ThreeGroups,
    /// A message did not reach a node that is deaf.
    DeafMissed,
    /// A message took a path of four or five seconds.
    DelayedPath,
    /// A power cut left a part of what was being written.
    TornWrite,
    /// An event waited its turn at a node that is ten times slower.
    SlowNode,
    /// A node whose disk is gone refused to start.
    DiskGone,
    /// The whole state of a node was compared with its twin's.
    TwinCompared,
    /// A message came to a twin twice and changed nothing.
    RepeatHarmless,
}

impl Sight {
    /// Every sight.
    pub const ALL: [Self; 26] = [
        Self::SecondLeaderChose,
        Self::HoleFilled,
        Self::SnapshotTaken,
        Self::SnapshotInstalled,
        Self::SnapshotFailed,
        Self::TransferResumed,
        Self::LogShortened,
        Self::AnsweredFromMemory,
        Self::SessionExpired,
        Self::Forwarded,
        Self::RefusedBusy,
        Self::DeposedInFlight,
        Self::ReadDuringTakeover,
        Self::AllDown,
        Self::SickLeaderReplaced,
        Self::GivenUp,
        Self::CaughtUpByEntries,
        Self::MessageLost,
        Self::ThreeGroups,
        Self::DeafMissed,
        Self::DelayedPath,
        Self::TornWrite,
        Self::SlowNode,
        Self::DiskGone,
        Self::TwinCompared,
        Self::RepeatHarmless,
    ];

    /// What it is called in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SecondLeaderChose => "value chosen by a second leader",
            Self::HoleFilled => "hole filled with a no-op",
            Self::SnapshotTaken => "snapshot taken",
            Self::SnapshotInstalled => "snapshot installed from a peer",
            Self::SnapshotFailed => "snapshot not written",
            Self::TransferResumed => "transfer resumed",
            Self::LogShortened => "log shortened",
            Self::AnsweredFromMemory => "same request answered from memory",
            Self::SessionExpired => "session expired, outcome unknown",
            Self::Forwarded => "forwarded to the leader",
            Self::RefusedBusy => "refused as busy",
            Self::DeposedInFlight => "leader deposed with commands in flight",
            Self::ReadDuringTakeover => "read came during a takeover",
            Self::AllDown => "all nodes down at once and back",
            Self::SickLeaderReplaced => "leader with a slow disk replaced",
            Self::GivenUp => "client gave up",
            Self::CaughtUpByEntries => "caught up by entries",
            Self::MessageLost => "message lost",
            Self::ThreeGroups => "message lost between three groups",
            Self::DeafMissed => "message missed by a deaf node",
            Self::DelayedPath => "message on a path of 4-5 s",
            Self::TornWrite => "write torn by a power cut",
            Self::SlowNode => "event waited at a slow node",
            Self::DiskGone => "start refused without a disk",
            Self::TwinCompared => "state compared with a twin's",
            Self::RepeatHarmless => "repeated message changed nothing",
        }
    }
}

/// How often each was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rare([u64; Sight::ALL.len()]);

impl Rare {
    /// It was seen.
    pub fn saw(&mut self, sight: Sight) {
        self.add(sight, 1);
    }

    /// It was seen so many times.
    pub fn add(&mut self, sight: Sight, times: u64) {
        self.0[sight as usize] += times;
    }

    /// How often it was seen.
    #[must_use]
    pub fn count(&self, sight: Sight) -> u64 {
        self.0[sight as usize]
    }

    /// Adds what was seen on another day.
    pub fn merge(&mut self, other: &Self) {
        for (mine, more) in self.0.iter_mut().zip(other.0) {
            *mine += more;
        }
    }

    /// What was never seen.
    pub fn missing(&self) -> impl Iterator<Item = Sight> + '_ {
        Sight::ALL.into_iter().filter(|sight| self.count(*sight) == 0)
    }
}

impl fmt::Display for Rare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sight in Sight::ALL {
            writeln!(f, "{:>10}  {}", self.count(sight), sight.name())?;
        }
        Ok(())
    }
}
