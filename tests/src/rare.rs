//! What hardly ever happens, and must have happened before a volume of seeds is worth anything.

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
    /// A primary heard from its backup that its view was over.
    PrimaryFenced,
    /// A client was told that its request may have happened.
    ClientInterrupted,
    /// A client asked a server that is not the primary.
    NotPrimary,
    /// A piece of a state was sent again after a call had failed.
    PieceSentAgain,
    /// A primary was gone while the last piece of its state was on its way.
    GoneAtLastPiece,
    /// A backup was promoted that had been handed nothing behind the last piece.
    PromotedAtLastPiece,
    /// A request that came again was answered from a table that travelled.
    AnsweredFromTransferred,
    /// A primary came back with its disk and went on.
    HeirResumed,
    /// A backup came back with its disk and took over.
    HeirTookOver,
    /// A primary came back empty, and its backup took over at once.
    CameBackEmpty,
    /// A backup was reported lost.
    BackupLost,
    /// A forward of an old view was refused.
    StaleForward,
    /// A server lost power while it wrote its state down again.
    CheckpointCut,
    /// The view service lost power and went on with the view it had.
    ServiceRestarted,
    /// The only data was lost for ever, and nobody answered any more.
    DataLost,
}

impl Sight {
    /// How many there are.
    const COUNT: usize = Self::DataLost as usize + 1;

    /// What a replicated store must have come through.
    pub const STORE: [Self; 26] = [
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

    /// What a primary and its backup must have come through.
    pub const PAIR: [Self; 26] = [
        Self::PrimaryFenced,
        Self::ClientInterrupted,
        Self::NotPrimary,
        Self::PieceSentAgain,
        Self::GoneAtLastPiece,
        Self::PromotedAtLastPiece,
        Self::AnsweredFromMemory,
        Self::AnsweredFromTransferred,
        Self::HeirResumed,
        Self::HeirTookOver,
        Self::CameBackEmpty,
        Self::BackupLost,
        Self::StaleForward,
        Self::CheckpointCut,
        Self::LogShortened,
        Self::ServiceRestarted,
        Self::DataLost,
        Self::AllDown,
        Self::GivenUp,
        Self::MessageLost,
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
            Self::PrimaryFenced => "primary fenced by its backup",
            Self::ClientInterrupted => "client interrupted",
            Self::NotPrimary => "client sent away by a server that is not primary",
            Self::PieceSentAgain => "transfer cut and resumed",
            Self::GoneAtLastPiece => "primary gone with the last piece on its way",
            Self::PromotedAtLastPiece => "backup promoted right behind the last piece",
            Self::AnsweredFromTransferred => "same request answered from a table that travelled",
            Self::HeirResumed => "primary resumed with its disk",
            Self::HeirTookOver => "backup back with its disk took over",
            Self::CameBackEmpty => "primary came back empty, backup promoted",
            Self::BackupLost => "backup reported lost",
            Self::StaleForward => "forward of an old view refused",
            Self::CheckpointCut => "power lost during a checkpoint of the state",
            Self::ServiceRestarted => "view service restarted",
            Self::DataLost => "only data lost, nobody answered",
        }
    }
}

/// How often each was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rare([u64; Sight::COUNT]);

impl Default for Rare {
    fn default() -> Self {
        Self([0; Sight::COUNT])
    }
}

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

    /// What of this was never seen.
    pub fn missing(&self, wanted: &[Sight]) -> Vec<&'static str> {
        let missing = wanted.iter().filter(|sight| self.count(**sight) == 0);
        missing.map(|sight| sight.name()).collect()
    }

    /// How often each of these was seen, a line each.
    #[must_use]
    pub fn table(&self, wanted: &[Sight]) -> String {
        let line = |sight: &Sight| format!("{:>10}  {}\n", self.count(*sight), sight.name());
        wanted.iter().map(line).collect()
    }
}
