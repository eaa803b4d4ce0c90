//! A server's side of the conversation: ask for a name, then ping for ever.
//!
//! Liveness only: whatever this loses, repeats or sends late, the service decides the same.

use std::time::Duration;

use protocol::{CallId, NodeId, Time};

use crate::{
    message::{Join, Ping, Refused, Reply, Request},
    view::{Incarnation, Member, Role, Server, View, ViewNum},
};

/// A server pings once each so often.
pub const PING_INTERVAL: Duration = Duration::from_millis(100);

/// The part of a server's core that talks to the view service. Pure: whoever embeds it sends what
/// [`due`](Self::due) gives out, and reports what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pinger {
    node: NodeId,
    addr: String,
    heir: Vec<Incarnation>,
    incarnation: Option<Incarnation>,
    /// When the next call is due, if none is under way.
    next: Time,
    under_way: Option<UnderWay>,
}

/// The call that an answer is hoped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct UnderWay {
    /// Its name, once it has one.
    call: Option<CallId>,
    /// When hope is given up.
    until: Time,
}

/// What an answer brought.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// Nothing.
    Nothing,
    /// This life has a name now: the first ping under it is due. Whoever keeps its state on disk
    /// writes the name down durably before that ping.
    Named(Incarnation),
    /// A view that was in force when the service answered. Answers overtake each other: whoever
    /// knows a newer one takes no notice.
    Viewed(View),
    /// The service does not listen to this server, and why. After
    /// [`Superseded`](Refused::Superseded) this life is over; the others may pass.
    Refused(Refused),
}

impl Pinger {
    /// A new life of `node`, reached at `addr`, without a name yet. `heir` names its own earlier
    /// lives whose state this one has, as a [`Ping`] says them; it is empty for one that begins
    /// empty.
    #[must_use]
    pub fn new(node: NodeId, addr: String, heir: Vec<Incarnation>) -> Self {
        Self { node, addr, heir, incarnation: None, next: Time::ZERO, under_way: None }
    }

    /// When to ask [`due`](Self::due) again: at once at birth, then when the next ping is due or
    /// the call under way is given up.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.under_way.map_or(self.next, |call| call.until)
    }

    /// There is news: ping at the next chance, which is now, or when the call under way has ended.
    pub fn hurry(&mut self) {
        self.next = Time::ZERO;
    }

    /// The call that is due, if none is under way: a join until this life has a name, then a ping
    /// each [`PING_INTERVAL`]. The three facts are those of [`Ping`]. A call that was not answered
    /// for so long is given up, and the next one goes out; if its answer comes after all, it is
    /// news still.
    pub fn due(
        &mut self,
        now: Time,
        adopted: ViewNum,
        installed: bool,
        lost_backup: bool,
    ) -> Option<Request> {
        if self.deadline() > now {
            return None;
        }
        self.next = now.plus(PING_INTERVAL);
        self.under_way = Some(UnderWay { call: None, until: self.next });
        Some(match self.member() {
            None => Request::Join(Join { node: self.node }),
            Some(member) => Request::Ping(Ping {
                server: Server { member, addr: self.addr.clone() },
                view: adopted,
                installed,
                heir: self.heir.clone(),
                lost_backup,
            }),
        })
    }

    /// What `due` gave out was sent under this name.
    pub fn called(&mut self, call: CallId) {
        if let Some(under_way) = &mut self.under_way {
            under_way.call = Some(call);
        }
    }

    /// The service answered `call`.
    pub fn heard(&mut self, _now: Time, call: CallId, reply: Reply) -> News {
        self.ended(call);
        match reply {
            // A join that was given up and answered after all, or a second one: its number is
            // burned, and that is all.
            Reply::Joined(_) if self.incarnation.is_some() => News::Nothing,
            Reply::Joined(Ok(joined)) => {
                self.incarnation = Some(joined.incarnation);
                self.under_way = None;
                self.next = Time::ZERO;
                News::Named(joined.incarnation)
            }
            Reply::Pong(Ok(pong)) => {
                // Once this life is a member itself it inherits nothing any more, and a backup is
                // about to give up what it had.
                if self.member().is_some_and(|member| pong.view.role(member) != Role::Idle) {
                    self.heir.clear();
                }
                News::Viewed(pong.view)
            }
            Reply::Joined(Err(refused)) | Reply::Pong(Err(refused)) => News::Refused(refused),
            Reply::View(view) => News::Viewed(view),
            Reply::Status(_) => News::Nothing,
        }
    }

    /// `call` came to nothing; it is made again when the next one is due.
    pub fn failed(&mut self, _now: Time, call: CallId) {
        self.ended(call);
    }

    /// Who this is, once it has a name.
    #[must_use]
    pub fn member(&self) -> Option<Member> {
        self.incarnation.map(|incarnation| Member { node: self.node, incarnation })
    }

    fn ended(&mut self, call: CallId) {
        if self.under_way.is_some_and(|under_way| under_way.call == Some(call)) {
            self.under_way = None;
        }
    }
}
