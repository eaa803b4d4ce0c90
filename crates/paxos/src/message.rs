//! What nodes ask each other, and what they answer.
//!
//! Beside each word that may overtake the disk stands why ([`Free`]). `Promise`, `Accepted` and
//! `Nack` must never be among them: the first two are votes, and a nack reveals a promise.

use protocol::{Free, NodeId};
use serde::{Deserialize, Serialize};

use crate::{Ballot, Slot, Value};

/// Phase 1a (PMS 2.2): promise to accept nothing below `ballot`, in any slot, and report what was
/// accepted from `from` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// The candidate's ballot. Its own promise is durable before this is sent.
    pub ballot: Ballot,
    /// Report from here. The promise covers every slot all the same.
    pub from: Slot,
}

/// One slot in a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The slot.
    pub slot: Slot,
    /// The ballot of the vote.
    pub ballot: Ballot,
    /// The value voted for, or the chosen value.
    pub value: Value,
    /// Whether the acceptor knows that this value is chosen.
    pub chosen: bool,
}

/// Phase 1b (PMS 2.2): the promise, and what was accepted before it. Large reports come in pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The ballot promised.
    pub ballot: Ballot,
    /// Every slot below is settled for this acceptor: a candidate must not propose there.
    pub settled: Slot,
    /// What was accepted, in slot order, from the asked slot or `settled` on.
    pub accepted: Vec<Report>,
    /// Where the next page starts, if this is not the last.
    pub more: Option<Slot>,
}

/// What a leader says is chosen. Built only from its own tallies at its own ballot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Everything below is settled somewhere; who lacks it must fetch it by value.
    pub low: Slot,
    /// Everything in `low..upto` was chosen at this leader's ballot.
    pub upto: Slot,
    /// Further runs chosen at this ballot above `upto`, as first and end; at most [`MAX_RUNS`].
    pub runs: Vec<(Slot, Slot)>,
}

/// Most runs above the watermark in one message.
pub const MAX_RUNS: usize = 128;

/// Phase 2a (PMS 2.2): vote for `value` in `slot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// The leader's ballot.
    pub ballot: Ballot,
    /// The slot.
    pub slot: Slot,
    /// The only value this ballot will ever propose there.
    pub value: Value,
    /// What is chosen so far, riding along.
    pub chosen: Watermark,
}
impl Free for Accept {
    const WHY: &'static str = "the leader's own vote waits in its own log; proposing needs no vote";
}

/// Phase 2b (PMS 2.2): a durable vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The ballot voted in.
    pub ballot: Ballot,
    /// The slot voted on.
    pub slot: Slot,
    /// Every slot below is settled for this acceptor.
    pub settled: Slot,
}

/// No: a higher ballot was promised, or the slot is settled here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// The highest ballot promised.
    pub promised: Ballot,
    /// Every slot below is settled for this acceptor.
    pub settled: Slot,
    /// The outcome of the slot that was asked about, if it is known.
    pub chosen: Option<(Slot, Value)>,
}

/// A leader's sign of life: what is chosen, and the number of its latest leadership check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The leader's ballot.
    pub ballot: Ballot,
    /// What is chosen so far.
    pub chosen: Watermark,
    /// A number that only rises within one ballot: its echo confirms reads that came before it.
    pub check: u64,
    /// What each node is done with (door `Instances`).
    pub done: Vec<(NodeId, Slot)>,
}
impl Free for Heartbeat {
    const WHY: &'static str = "a watermark rests on a quorum of votes that are durable already";
}

/// The echo of a heartbeat: nothing higher was promised here when it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The ballot of the heartbeat.
    pub ballot: Ballot,
    /// Its number.
    pub check: u64,
    /// Every slot below is settled for this node.
    pub settled: Slot,
    /// Whether this node's disk keeps up.
    pub disk_healthy: bool,
    /// What each node is done with, as far as this node knows.
    pub done: Vec<(NodeId, Slot)>,
}
impl Free for Beat {
    const WHY: &'static str = "it denies a higher promise; no crash can make that untrue";
}

/// Are you there, and is all well with the leader? Raises no ballot, changes no state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Whether the asker is about to campaign and asks everybody first.
    pub canvass: bool,
}
impl Free for Probe {
    const WHY: &'static str = "it only asks";
}

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// The highest ballot seen.
    pub ballot: Ballot,
    /// The ballot of the leader that this node is content with: its own if it leads and is
    /// healthy, else one whose owner answered it lately and called itself healthy.
    pub content: Option<Ballot>,
    /// Every slot below is settled for this node.
    pub settled: Slot,
}
impl Free for Pulse {
    const WHY: &'static str = "contentment is a hint; elections are safe whatever it says";
}

/// Tell me what is chosen from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Everything chosen from this slot on, as far as one page goes.
    pub from: Slot,
}
impl Free for Fetch {
    const WHY: &'static str = "it only asks";
}

/// Chosen values, by value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Chosen slots in order, one page of them.
    pub chosen: Vec<(Slot, Value)>,
    /// Everything below is settled here.
    pub settled: Slot,
    /// Nothing below can be had by entries.
    pub floor: Slot,
    /// The snapshot that replaces it.
    pub snapshot: Option<Slot>,
}
impl Free for Fetched {
    const WHY: &'static str = "chosen values rest on a quorum of durable votes";
}

/// Please get this value chosen, or tell me what was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The slot its starter named.
    pub slot: Slot,
    /// The value it started.
    pub value: Value,
}
impl Free for Forward {
    const WHY: &'static str = "it hands on what a caller said";
}

/// The answer to a forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// This is chosen there.
    Chosen(Slot, Value),
    /// Everything below this slot was forgotten by everybody.
    Forgotten(Slot),
    /// This node does not lead; perhaps that one does.
    Elsewhere(Option<NodeId>),
}
impl Free for Outcome {
    const WHY: &'static str =
        "an outcome rests on a quorum of durable votes; a redirect on nothing";
}
