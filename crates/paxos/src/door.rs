//! The doors of a node: everything it can be asked, everything it answers and announces.

use bytes::Bytes;
use protocol::{Caller, Free, NodeId};
use serde::{Deserialize, Serialize};

use crate::{
    Accept, Accepted, Ballot, Beat, Fetch, Fetched, Forward, Heartbeat, Nack, Outcome, Prepare,
    Probe, Promise, Pulse, Slot, Value,
};

/// Why a local request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Certainly not done: this node does not lead.
    #[error("this node does not lead")]
    NotLeading(Option<NodeId>),
    /// Certainly not done: too much is waiting already.
    #[error("too much is waiting already: try again later")]
    Busy,
    /// Perhaps done, perhaps not: leadership was lost while it was under way.
    #[error("leadership was lost on the way: it may or may not have happened")]
    Unknown,
    /// Certainly not done: the value, or the number of its slot, is larger than the limit.
    #[error("the value is too large")]
    TooLarge,
    /// Certainly not done: this group was opened with the other door.
    #[error("this group names its slots the other way")]
    WrongDoor,
}

/// What became of an instance (door `Instances`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// This value was chosen.
    Decided(Value),
    /// Nothing is known to be chosen here.
    Pending,
    /// Everybody was done with it.
    Forgotten,
}

/// What `status` shows of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This node.
    pub me: NodeId,
    /// `leader`, `candidate` or `follower`.
    pub role: String,
    /// Its ballot if it leads or campaigns, else the one it follows.
    pub ballot: Ballot,
    /// Whom it believes to lead.
    pub leader: Option<NodeId>,
    /// The highest ballot promised.
    pub promised: Ballot,
    /// Every slot below is known chosen.
    pub settled: Slot,
    /// Every slot below was handed to the layer above.
    pub delivered: Slot,
    /// Every slot below is gone from the log.
    pub floor: Slot,
    /// Slots proposed and not yet chosen.
    pub undecided: u64,
    /// Commands waiting for a slot.
    pub queued: u64,
    /// How far each peer is, as a leader last heard: node and its settled slot.
    pub peers: Vec<(NodeId, Slot)>,
    /// Campaigns this node began in this life.
    pub campaigns: u64,
    /// Batches and commands proposed in this life.
    pub batches: (u64, u64),
}

/// What a node can be asked.
#[derive(Clone, Debug)]
pub enum Request {
    /// From peers.
    Prepare(Prepare),
    /// From peers.
    Accept(Accept),
    /// From peers.
    Heartbeat(Heartbeat),
    /// From peers.
    Probe(Probe),
    /// From peers.
    Fetch(Fetch),
    /// From peers.
    Forward(Forward),
    /// Own process, door `Log`: get this command chosen; answered [`Told::Appended`].
    Append(Bytes),
    /// The layer above: get this command chosen; its caller comes back in [`Output::Decided`].
    Propose(Bytes),
    /// Own process, door `Log`: answered [`Told::Readable`] once every command that was
    /// acknowledged anywhere before this was asked has been handed out here.
    Barrier,
    /// The layer above: as `Barrier`, but its caller and these bytes come back in
    /// [`Output::Readable`].
    Ask(Bytes),
    /// Own process, door `Instances`: begin agreement on this value in this slot.
    Start(Slot, Bytes),
    /// Own process, door `Instances`: what became of this slot; answered [`Told::Fate`].
    Fate(Slot),
    /// Own process, door `Instances`: slots up to and including this one are not needed any more.
    Done(Slot),
    /// Own process, door `Instances`: answered [`Told::Bounds`].
    Bounds,
    /// The layer above has a durable snapshot of everything below this slot.
    Compact(Slot),
    /// The layer above installed a durable snapshot of everything below this slot.
    Install(Slot),
    /// Own process: answered [`Told::Status`].
    Inspect,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `Prepare`.
    Promise(Promise),
    /// To `Prepare`, `Accept` and `Heartbeat`.
    Nack(Nack),
    /// To `Accept`.
    Accepted(Accepted),
    /// To `Heartbeat`.
    Beat(Beat),
    /// To `Probe`.
    Pulse(Pulse),
    /// To `Fetch`.
    Fetched(Fetched),
    /// To `Forward`.
    Outcome(Outcome),
    /// To the own process.
    Told(Told),
}

/// Answers to the own process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Chosen in this slot, and so is everything before it.
    Appended(Slot),
    /// Everything below this slot has been handed out.
    Readable(Slot),
    /// Not done, and why.
    Refused(Refusal),
    /// Begun, joined, or known already.
    Started,
    /// What became of a slot.
    Fate(Fate),
    /// The lowest slot that is not forgotten, and the highest ever heard of.
    Bounds {
        /// One more than the slot that everybody is done with.
        min: Slot,
        /// The highest slot this node has heard of.
        max: Option<Slot>,
    },
    /// How this node is doing.
    Status(Box<Status>),
    /// Noted.
    Noted,
}
impl Free for Told {
    const WHY: &'static str = "what is chosen is durable at a quorum; the rest is a look at memory";
}

/// What a node announces unasked.
#[derive(Debug)]
pub enum Output {
    /// A value is chosen. With door `Log`: in slot order, gapless, each once.
    Decided {
        /// The slot.
        slot: Slot,
        /// Its value, for ever.
        value: Value,
        /// Whose `Propose` it carries, in batch order; ends behind the last one, so it is empty
        /// unless proposed here.
        callers: Vec<Option<Caller>>,
    },
    /// An `Ask` may be answered from what has been handed out so far.
    Readable {
        /// Who asked.
        caller: Caller,
        /// What, in the words of the layer above.
        query: Bytes,
    },
    /// This node lacks slots that nobody keeps any more; this peer has a snapshot up to there.
    NeedSnapshot {
        /// Whom to ask.
        from: NodeId,
        /// What its snapshot covers: everything below.
        upto: Slot,
    },
    /// This node follows or leads another ballot now.
    Role {
        /// The ballot; [`Ballot::NONE`] when nobody is followed.
        ballot: Ballot,
        /// Whether this node leads it.
        leads: bool,
        /// Why it came to this.
        why: Why,
    },
    /// A message was ignored, and why.
    Ignored(Ignored),
}
impl Free for Output {
    const WHY: &'static str = "what is decided is durable at a quorum; the rest are hints";
}

/// Why a node changed its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It won: a quorum promised.
    Elected,
    /// It began a campaign.
    Campaign,
    /// It heard of a higher ballot.
    Outranked,
    /// It heard from a leader.
    Found,
    /// Its campaign came to nothing.
    GaveUp,
    /// It led, but cannot reach what was settled before it.
    Stuck,
}

/// Why a message was ignored: a closed list, each with a golden script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// An answer to a ballot this node no longer campaigns or leads with.
    StaleBallot,
    /// An answer that was counted already.
    Duplicate,
    /// A vote for a slot that is chosen already.
    AlreadyChosen,
    /// An answer to a question nobody remembers.
    Unasked,
    /// A value that contradicts a chosen one; whoever sent it is broken.
    Contradiction,
    /// A message from a node that is not a member.
    Stranger,
    /// A number or a name that no sound node would say.
    Absurd,
}

impl Ignored {
    /// Every reason, so that the scripts can be counted.
    pub const ALL: [Self; 7] = [
        Self::StaleBallot,
        Self::Duplicate,
        Self::AlreadyChosen,
        Self::Unasked,
        Self::Contradiction,
        Self::Stranger,
        Self::Absurd,
    ];
}

macro_rules! worded {
    ($($into:ident :: $word:ident),* $(,)?) => {
        $(impl From<$word> for $into {
            fn from(word: $word) -> Self {
                Self::$word(word)
            }
        })*
    };
}
worded!(
    Request::Prepare,
    Request::Accept,
    Request::Heartbeat,
    Request::Probe,
    Request::Fetch,
    Request::Forward,
    Reply::Promise,
    Reply::Nack,
    Reply::Accepted,
    Reply::Beat,
    Reply::Pulse,
    Reply::Fetched,
    Reply::Outcome,
    Reply::Told,
);
