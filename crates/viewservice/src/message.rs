//! What servers and clients ask the view service, and what it answers.

use std::{fmt, time::Duration};

use protocol::NodeId;
use serde::{Deserialize, Serialize};

use crate::view::{Incarnation, MAX_ADDR, MAX_LIVES, Member, Role, Server, View, ViewNum};

/// A server that has just begun to live wants a name for this life. Its answer burns a number and
/// does nothing else; only a [`Ping`] under that number makes the life known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Join {
    /// Which server; its connection must have proved it.
    pub node: NodeId,
}

/// The name of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Joined {
    /// Issued to nobody before, and to nobody again.
    pub incarnation: Incarnation,
}

/// "I live, and this is where I stand." Sent once each [`PING_INTERVAL`](crate::PING_INTERVAL),
/// and at once when there is news. Safe to repeat, to lose and to be overtaken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ping {
    /// Who pings, and where it is reached.
    pub server: Server,
    /// The newest view it has adopted; 0 if none.
    pub view: ViewNum,
    /// From the primary of that view: my backup has everything, and I answer nobody without it any
    /// more; or there is no backup. Whoever says this may be replaced.
    pub installed: bool,
    /// Earlier lives of this server whose state I have: the disk that I have is the one that they
    /// had, and what any of them had acknowledged is on it. Each of them is named, at most
    /// [`MAX_LIVES`], since a life in between may have been lived elsewhere: without a disk, or
    /// with another. Empty if I began empty.
    pub heir: Vec<Incarnation>,
    /// From the primary of that view: my backup has not answered me for too long.
    pub lost_backup: bool,
}

impl Ping {
    /// Who pings.
    #[must_use]
    pub fn member(&self) -> Member {
        self.server.member
    }

    /// Whether what `earlier` had is on this life's disk: it is an earlier life of the same server,
    /// and one of those that it is [`heir`](Self::heir) of.
    #[must_use]
    pub fn inherits(&self, earlier: Member) -> bool {
        self.member().outlived(earlier) && self.heir.contains(&earlier.incarnation)
    }
}

/// Printed without what is not so.
impl fmt::Debug for Ping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ping {{ {} in {}", self.server, self.view)?;
        if self.installed {
            write!(f, ", installed")?;
        }
        for (at, heir) in self.heir.iter().enumerate() {
            write!(f, "{} {heir}", if at == 0 { ", heir of" } else { " and" })?;
        }
        if self.lost_backup {
            write!(f, ", lost its backup")?;
        }
        write!(f, " }}")
    }
}

/// The view in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pong {
    /// The newest view there is.
    pub view: View,
}

/// Why a server is not listened to. Nothing has changed, except that a life known to be over is
/// none.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
pub enum Refused {
    /// The connection did not prove that it is that server's.
    #[error("the connection did not prove to be that server's")]
    Unproven,
    /// A later life of the same server has been heard: this one must end.
    #[error("a later life of this server, incarnation {by}, has taken over its name")]
    Superseded {
        /// The later one.
        by: Incarnation,
    },
    /// It names an incarnation or a view that was never issued.
    #[error(
        "it names an incarnation or a view that this service never issued: is it another service?"
    )]
    Unknown,
    /// Another life under this name was heard a moment ago.
    #[error("another server under this name is alive")]
    Taken,
    /// As many servers are known as may be.
    #[error("{MAX_SERVERS} servers are known, and no more may be")]
    TooMany,
    /// The address has more than [`MAX_ADDR`] bytes, or it names more than [`MAX_LIVES`] lives.
    #[error(
        "the address is longer than {MAX_ADDR} bytes, or it is heir of more than {MAX_LIVES} lives"
    )]
    TooLong,
}

/// How many servers are known at once, at most.
pub const MAX_SERVERS: usize = 64;

/// How the service sees the world, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Status {
    /// The view in force.
    pub view: View,
    /// Its primary knows it.
    pub adopted: bool,
    /// Its primary says that its backup has everything, or has none: it may be replaced.
    pub acknowledged: bool,
    /// How long the view has been in force, as far as this life of the service knows.
    pub since: Duration,
    /// The highest incarnation issued so far.
    pub issued: Incarnation,
    /// Every server known, in order of their nodes.
    pub servers: Vec<ServerStatus>,
    /// Why nobody serves and who could change that, if so.
    pub stuck: Option<Stuck>,
}

/// One server, as the service sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Who and where.
    pub server: Server,
    /// How long it has not been heard.
    pub silent: Duration,
    /// The view it named in its last ping; `None` if it is a member of the view and was not heard
    /// in this life of the service.
    pub pinged: Option<ViewNum>,
    /// What it is.
    pub role: Role,
}

/// Why nobody serves. Its text says who has to come back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stuck {
    /// No server has come yet.
    Nobody,
    /// The primary is gone, and had not said that its backup has everything: only it has.
    Unacknowledged {
        /// The view that waits.
        view: ViewNum,
        /// For whom.
        primary: Server,
        /// A later life of it came, and without its data.
        empty: bool,
    },
    /// The primary is gone, and there is no backup that could take over.
    Deserted {
        /// The view that waits.
        view: ViewNum,
        /// For whom.
        primary: Server,
        /// Or for whom.
        backup: Option<Server>,
        /// A later life of the primary came, and without its data.
        empty: bool,
    },
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gone = |empty: &bool| if *empty { "came back empty" } else { "is silent" };
        match self {
            Self::Nobody => return write!(f, "no server has come yet: start one"),
            Self::Unacknowledged { view, primary, empty } => write!(
                f,
                "view {view} waits for {primary}: it {}, and it had not said yet that its backup \
                 has everything, so its data is nowhere else; ",
                gone(empty)
            )?,
            Self::Deserted { view, primary, backup: None, empty } => write!(
                f,
                "view {view} waits for {primary}: it {}, and there was no backup, so its data is \
                 nowhere else; ",
                gone(empty)
            )?,
            Self::Deserted { view, primary, backup: Some(backup), empty } => write!(
                f,
                "view {view} waits for {primary}, which {}, or for its backup {backup}, which is \
                 gone too; ",
                gone(empty)
            )?,
        }
        // Whether a server had a disk nobody here knows.
        write!(
            f,
            "if one that has the data still runs, let it be heard again; if it ended, start it \
             again with its disk; if it had no disk, the data is lost: begin a new store, with a \
             new directory for the view service"
        )
    }
}

/// What the view service can be asked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// A name for a new life, please.
    Join(Join),
    /// A sign of life, with what is new.
    Ping(Ping),
    /// The view, please. Changes nothing: who only looks does not volunteer.
    Get,
    /// How does the world look from there? Changes nothing.
    Status,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(join) => write!(f, "{join:?}"),
            Self::Ping(ping) => write!(f, "{ping:?}"),
            Self::Get => write!(f, "Get"),
            Self::Status => write!(f, "Status"),
        }
    }
}

/// What it answers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reply {
    /// To a join.
    Joined(Result<Joined, Refused>),
    /// To a ping.
    Pong(Result<Pong, Refused>),
    /// To a get.
    View(View),
    /// To a status.
    Status(Status),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(Ok(joined)) => write!(f, "{joined:?}"),
            Self::Pong(Ok(pong)) => write!(f, "Pong {{ {} }}", pong.view),
            Self::Joined(Err(refused)) | Self::Pong(Err(refused)) => {
                write!(f, "Refused({refused:?})")
            }
            Self::View(view) => write!(f, "View {{ {view} }}"),
            Self::Status(status) => write!(f, "{status:?}"),
        }
    }
}
