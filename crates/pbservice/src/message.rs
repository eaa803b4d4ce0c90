//! What a server can be asked, by clients, by its primary and, through it, the view service; and
//! what is answered.

use bytes::Bytes;
use protocol::Free;
use serde::{Deserialize, Serialize};
use viewservice::{Incarnation, Member, View, ViewNum};

use crate::{
    change::{Change, Done, RequestNo, SessionId},
    item::{Item, Seq},
};

/// A client asks for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Open;

/// A client asks for a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Submit {
    /// Its session.
    pub session: SessionId,
    /// The number of this request; a repetition keeps it.
    pub number: RequestNo,
    /// What it wants.
    pub change: Change,
}

/// A client asks for a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Get {
    /// Of this key.
    pub key: Bytes,
}

/// A primary hands its backup the next part of the stream. One such call is under way at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Forward {
    /// The stream of this view.
    pub view: ViewNum,
    /// Who sends it: that view's primary.
    pub from: Member,
    /// The place of the first item.
    pub first: Seq,
    /// In order.
    pub items: Vec<Item>,
}

impl Free for Forward {
    const WHY: &'static str = "the backup may know more than the primary's disk: nobody is answered \
                               before both have it, and a primary that comes back sends its own \
                               state anew";
}

/// The backup has the stream of this view up to here, on its disk if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Forwarded {
    /// Which stream.
    pub view: ViewNum,
    /// The last place it has.
    pub upto: Seq,
}

/// Why a server did not take what a primary forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Rebuff {
    /// It knows a newer view: whoever sends this is no primary any more, or will hear of a new
    /// view of its own.
    #[error("view {} is over: this server knows view {}", .stale.0, .known.0)]
    Stale {
        /// The view of the forward.
        stale: ViewNum,
        /// The one that is known here.
        known: ViewNum,
    },
    /// It does not know that view yet, or is not the backup of it.
    #[error("this server is not, or not yet, the backup of that view")]
    NotBackup,
    /// The connection does not prove that it comes from that view's primary.
    #[error("that forward comes from nobody who is primary of its view")]
    Stranger,
    /// It carries more than one call may, or a key or value beyond its limit, or does not begin
    /// where a stream begins, or has parts of the state out of their order.
    #[error("that forward is malformed or too large")]
    Malformed,
}

/// What a client's request came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// The name of the new session.
    Opened(SessionId),
    /// What came of the change.
    Done(Done),
    /// The value, if the key is there.
    Value(Option<Bytes>),
}

/// Why a server did not do what a client asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// It is not the primary, as far as it knows. Certainly not done by this try.
    #[error("this server is not the primary; view {} is the newest it knows", .0.0)]
    NotPrimary(ViewNum),
    /// It was the primary when it took the request and is not any more. May have been done.
    #[error("this server lost its place as primary meanwhile; it may have been done")]
    Interrupted,
    /// Too much is waiting here. Certainly not done by this try.
    #[error("too many requests wait at this server")]
    Busy,
    /// A key or a value is beyond its limit. Certainly not done.
    #[error("a key or a value is too large")]
    TooLarge,
    /// The session is not remembered: an earlier try may have been done, this one was not.
    #[error("this session is forgotten")]
    Expired,
    /// A later request of the same session was done: nobody should wait for this one.
    #[error("a later request of this session was done")]
    Late,
}

/// A refusal that says nothing of what happened here: certainly nothing, by this try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// [`Refused::NotPrimary`].
    NotPrimary(ViewNum),
    /// [`Refused::Busy`].
    Busy,
}

impl Free for NotNow {
    const WHY: &'static str = "it claims nothing but that nothing was done";
}

impl From<NotNow> for Reply {
    fn from(not_now: NotNow) -> Self {
        Self::Client(Err(match not_now {
            NotNow::NotPrimary(known) => Refused::NotPrimary(known),
            NotNow::Busy => Refused::Busy,
        }))
    }
}

/// What a server does in its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Duty {
    /// Nothing: it waits to be needed.
    Idle,
    /// It answers clients by itself; there is no backup.
    Alone,
    /// It answers clients by itself while its backup receives the state.
    Installing,
    /// It answers clients when its backup has what they asked for.
    Paired,
    /// It was told by its backup that its view is over.
    Fenced,
    /// It receives, or has, the state of its primary.
    Backup,
}

/// How a server is doing, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Who it is, once it has an incarnation.
    pub member: Option<Member>,
    /// The newest view it knows.
    pub view: View,
    /// What it does in it.
    pub duty: Duty,
    /// Whether it has the whole state.
    pub whole: bool,
    /// Keys here.
    pub keys: u64,
    /// Bytes of keys and values here.
    pub bytes: u64,
    /// Sessions remembered here.
    pub sessions: u64,
    /// The last place of the stream: sequenced, if it is primary, or received.
    pub last: Seq,
    /// The last place that the backup is known to have.
    pub forwarded: Seq,
}

/// What a server has, in a word, so that it can be compared with what another has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The newest view it knows.
    pub view: ViewNum,
    /// The last place of the stream: sequenced, if it is primary, or received.
    pub last: Seq,
    /// Whether it has the whole state.
    pub whole: bool,
    /// See [`State::digest`](crate::State::digest).
    pub state: u64,
}

/// Everything a server can be asked, and everything it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// By a client.
    Open(Open),
    /// By a client.
    Submit(Submit),
    /// By a client.
    Get(Get),
    /// By people.
    Status,
    /// By tests and trials: it takes a walk over everything that the server has.
    Digest,
    /// By a primary.
    Forward(Forward),
    /// Of the view service. Never asked of a server.
    View(viewservice::Request),
}

impl From<Forward> for Request {
    fn from(forward: Forward) -> Self {
        Self::Forward(forward)
    }
}

/// Everything a server answers, and everything it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To a client.
    Client(Result<Answer, Refused>),
    /// To people.
    Status(Box<Status>),
    /// To whoever compares.
    Digest(Digest),
    /// To a primary.
    Forwarded(Result<Forwarded, Rebuff>),
    /// By the view service.
    View(viewservice::Reply),
}

/// What a server announces to its own process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// It adopted this view: here are the addresses of whom it may have to call.
    Adopted(View),
    /// Another life of the same name took its place: this one must end.
    Superseded(Member),
    /// The view service does not take its word, and why.
    Unwelcome(viewservice::Refused),
    /// It is told to be primary of this view and does not have the whole state: it refuses to serve.
    Hollow(ViewNum),
    /// It left something unanswered or unheeded.
    Ignored(Ignored),
}

impl Free for Output {
    const WHY: &'static str = "it repeats the view service, or tells people what was not done";
}

/// Why something that came changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// A view that is not newer than the one that is known.
    OldView,
    /// An answer to a forward that was given up, or of another view.
    LateAnswer,
    /// A backup says that it has what nobody sent it.
    Boast,
    /// Places of the stream that are here already.
    Repeated,
    /// A forward that leaves out places of the stream.
    Gap,
    /// A question that is not for servers.
    Misplaced,
}

/// What a server must never forget, if it has a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// This life has the state that is here, and what the lives before it had. It is durable before
    /// anybody hears of this life, so what a life that was heard of had is known for certain.
    Born(Incarnation),
    /// From this life on there is a whole state, and it begins empty.
    Fresh(Incarnation),
    /// This life is a backup: the state of its primary is going to come, and what is written
    /// before this is void.
    Wiped(Incarnation),
    /// The state as it is from here on is written down again, in pieces between the operations.
    /// These lives have had it, or less of it.
    Checkpoint(Vec<Incarnation>),
    /// These happened, in order.
    Items(Vec<Item>),
}
