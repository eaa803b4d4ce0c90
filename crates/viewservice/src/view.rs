//! The nouns of this layer: a life of a server, a view, and who is what in it.

use std::fmt;

use protocol::NodeId;
use serde::{Deserialize, Serialize};

/// By convention the node that the view service itself greets with; servers are numbered from 1.
pub const SERVICE_NODE: NodeId = NodeId(0);

/// The longest address of a server, in bytes.
pub const MAX_ADDR: usize = 256;

/// The most earlier lives that one life can be the heir of.
pub const MAX_LIVES: usize = 64;

/// The number of a view. 0 stands before the first view, when nobody is primary; each further view
/// has the number of the one before and one more.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewNum(pub u64);

impl ViewNum {
    /// The number of the view that replaces this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Debug for ViewNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for ViewNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One life of one server. The view service issues these from 1 on, never one twice, over all
/// servers and across its own restarts; so of two lives of one server the later has the higher.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A server in one of its lives: the unit that can be primary or backup. A server that lost its
/// memory comes back as another member, so nobody takes it for the one that had the data.
///
/// Printed as `n2#7`: node 2, incarnation 7.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Which server.
    pub node: NodeId,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

impl Member {
    /// Whether this is a later life of the same server.
    #[must_use]
    pub fn outlived(self, other: Self) -> bool {
        self.node == other.node && self.incarnation > other.incarnation
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.node, self.incarnation)
    }
}

/// A member, and where the others and clients reach it.
///
/// Printed as `n2#7 at 127.0.0.1:4002`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Server {
    /// Who it is.
    pub member: Member,
    /// Where it is, at most [`MAX_ADDR`] bytes. Opaque to the view service.
    pub addr: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.member, self.addr)
    }
}

/// What a member is in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// It answers clients.
    Primary,
    /// It keeps a copy of everything, ready to take over.
    Backup,
    /// It waits to be needed.
    Idle,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
            Self::Idle => "idle",
        })
    }
}

/// Who is primary and who is backup, under a number. A number stands for one view for ever.
///
/// Printed as `view 3 {n1#1 at a, n2#7 at b}`; nobody is `-`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct View {
    /// Its number.
    pub number: ViewNum,
    /// Who answers clients; nobody in view 0 only.
    pub primary: Option<Server>,
    /// Who has, or is being given, a copy.
    pub backup: Option<Server>,
}

impl View {
    /// What `member` is in this view. Another life of the same server is another member.
    #[must_use]
    pub fn role(&self, member: Member) -> Role {
        let is = |server: &Option<Server>| server.as_ref().is_some_and(|it| it.member == member);
        match () {
            () if is(&self.primary) => Role::Primary,
            () if is(&self.backup) => Role::Backup,
            () => Role::Idle,
        }
    }

    /// The primary and the backup, as far as there are any.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.primary.iter().chain(&self.backup)
    }

    /// The life of `node` that is primary or backup.
    #[must_use]
    pub fn member_of(&self, node: NodeId) -> Option<Member> {
        self.servers().map(|server| server.member).find(|member| member.node == node)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |server: &Option<Server>| match server {
            Some(server) => server.to_string(),
            None => "-".to_owned(),
        };
        write!(f, "view {} {{{}, {}}}", self.number, name(&self.primary), name(&self.backup))
    }
}
