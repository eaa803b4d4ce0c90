//! What must be true after every event.
//!
//! * **V1** a number stands for one view for ever; **V2** each view follows from the one before;
//!   **V3** no incarnation is issued twice; **V4** the service says nothing that its disk lacks.
//! * **P1** whoever is, or may become, primary has everything that anybody was told is done.
//! * **P2** a request that comes to a primary when a later one has begun is not answered by it.
//! * **P3** a place of a stream holds one item for ever; the backup is never ahead; at the same
//!   place both have the same state, as far as it has travelled.
//! * **P4** what is told is on the disks it rests on; who comes back has what its disk had.
//! * **P5** no server is told to be what it cannot be. **P6** queues are bounded.

mod streams;

mod succession;

use std::collections::BTreeMap;

use pbservice::{Answer, Duty, Item, Pb, Rebuff, Refused, RequestNo, Seq, SessionId, State};
use protocol::{NodeId, Time};
use sim::View;
use viewservice::{Incarnation, Member, Role, SERVICE_NODE, Safety, ViewNum};

use super::{clients::Asked, disks::Disks, node::Node};
use crate::rare::{Rare, Sight};
use streams::Streams;

/// A server as it was when it was last looked at.
#[derive(Clone, Debug)]
struct Glance {
    member: Option<Member>,
    view: ViewNum,
    duty: Duty,
    places: (Seq, Seq),
    /// The view in which its state last came from another server.
    joined: ViewNum,
}

/// Somebody has begun to be primary.
#[derive(Clone, Copy, Debug)]
struct Reign {
    view: ViewNum,
    member: Member,
    begun: Time,
}

/// Remembers what was said and done.
#[derive(Debug, Default)]
pub struct Watch {
    durable: bool,
    trouble: Option<String>,
    /// Every view that anybody was told of.
    views: BTreeMap<ViewNum, viewservice::View>,
    /// The highest incarnation that anybody was told.
    issued: Incarnation,
    /// What the view service knew when it was last looked at; nothing while it is down.
    safety: Option<Safety>,
    glances: BTreeMap<NodeId, Glance>,
    reigns: Vec<Reign>,
    streams: Streams,
    /// The latest request of each session that anybody was told is done.
    told: BTreeMap<SessionId, RequestNo>,
    /// The view in which each request was first answered.
    first: BTreeMap<(SessionId, RequestNo), ViewNum>,
    /// When a client was last told anything but a refusal.
    pub(super) spoke: Time,
}

impl Watch {
    pub(super) fn new(durable: bool) -> Self {
        Self { durable, ..Self::default() }
    }

    /// Something is wrong that will be reported at the end of the event.
    pub(super) fn blame(&mut self, what: String) {
        self.trouble.get_or_insert(what);
    }

    /// What the view service last knew.
    #[must_use]
    pub fn safety(&self) -> Option<&Safety> {
        self.safety.as_ref()
    }

    /// Bytes of items that primaries have sent their backups so far.
    #[must_use]
    pub fn forwarded_bytes(&self) -> u64 {
        self.streams.bytes
    }

    /// A node lost power.
    pub(super) fn crashed(&mut self, node: NodeId, rare: &mut Rare) {
        if node == SERVICE_NODE {
            self.safety = None;
        }
        if let Some(glance) = self.glances.remove(&node)
            && glance.duty == Duty::Installing
            && self.streams.last_piece(glance.view).is_some()
        {
            rare.saw(Sight::GoneAtLastPiece);
        }
    }

    /// A server tells a client something.
    ///
    /// # Errors
    ///
    /// P2 or P4.
    pub(super) fn answers(
        &mut self,
        node: NodeId,
        asked: Asked,
        answer: &Result<Answer, Refused>,
        disks: &Disks,
        rare: &mut Rare,
    ) -> Result<(), String> {
        let Ok(answer) = answer else { return Ok(()) };
        let Some(glance) = self.glances.get(&node) else {
            return Err(format!("P5 duty: {node} answers before it has a name"));
        };
        let later =
            |reign: &&Reign| reign.view > glance.view && Some(reign.member) != glance.member;
        if let Some(reign) = self.reigns.iter().find(|reign| later(reign) && reign.begun < asked.at)
        {
            return Err(format!(
                "P2 one voice: {node}, in view {}, answers a request that came at {}, when {} was \
                 primary of view {} already, since {}",
                glance.view, asked.at, reign.member, reign.view, reign.begun
            ));
        }
        let told = match (answer, asked.change) {
            (Answer::Done(_), Some(named)) => named,
            (Answer::Opened(session), _) => (*session, RequestNo(0)),
            _ => return Ok(()),
        };
        self.tells(node, told, disks, rare)
    }

    /// A server tells a client that this is done.
    fn tells(
        &mut self,
        node: NodeId,
        (session, number): (SessionId, RequestNo),
        disks: &Disks,
        rare: &mut Rare,
    ) -> Result<(), String> {
        if self.durable {
            let kept = disks.state(node);
            if kept.is_none_or(|state| lacks(state, session, number)) {
                return Err(format!("P4 durable: {node} says {session:?} {number:?} is done"));
            }
        }
        let latest = self.told.entry(session).or_default();
        *latest = number.max(*latest);
        let Some(glance) = self.glances.get(&node) else { return Ok(()) };
        if number > RequestNo(0)
            && let Some(first) = self.first.insert((session, number), glance.view)
        {
            rare.saw(Sight::AnsweredFromMemory);
            self.first.insert((session, number), first);
            if first < glance.joined {
                rare.saw(Sight::AnsweredFromTransferred);
            }
        }
        Ok(())
    }

    /// A backup says that it has the stream of a view up to a place.
    ///
    /// # Errors
    ///
    /// P4.
    pub(super) fn has(
        &mut self,
        node: NodeId,
        answer: &Result<pbservice::message::Forwarded, Rebuff>,
        disks: &Disks,
        rare: &mut Rare,
    ) -> Result<(), String> {
        match answer {
            Ok(forwarded) if self.durable => {
                let Some(state) = disks.state(node).filter(|state| state.is_whole()) else {
                    return Ok(());
                };
                match self.streams.last_done(forwarded.view, forwarded.upto) {
                    Some((session, number)) if lacks(state, session, number) => Err(format!(
                        "P4 durable: {node} says it has all up to {:?} of view {}",
                        forwarded.upto, forwarded.view
                    )),
                    _ => Ok(()),
                }
            }
            Err(Rebuff::Stale { .. }) => {
                rare.saw(Sight::StaleForward);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A primary sends its backup a part of its stream.
    ///
    /// # Errors
    ///
    /// P3.
    pub(super) fn forwards(
        &mut self,
        forward: &pbservice::message::Forward,
        rare: &mut Rare,
    ) -> Result<(), String> {
        self.streams.sent(forward, rare)
    }

    /// Everything that must be true, after an event at `node`.
    ///
    /// # Errors
    ///
    /// What is not.
    pub(super) fn look(
        &mut self,
        node: NodeId,
        view: &View<'_, Node>,
        disks: &Disks,
        rare: &mut Rare,
    ) -> Result<(), String> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        match view.core(node) {
            Some(Node::Service(service)) => self.service(service.safety(), view, rare)?,
            Some(Node::Server(server)) => self.server(node, server, view, rare)?,
            None => {}
        }
        self.nothing_lost(node, view, disks)
    }

    /// What one server has become.
    fn server(
        &mut self,
        node: NodeId,
        server: &Pb,
        view: &View<'_, Node>,
        rare: &mut Rare,
    ) -> Result<(), String> {
        let number = server.view().number;
        let before = self.glances.get(&node).cloned();
        let known = before.as_ref().map_or(ViewNum(0), |it| it.view);
        let mut joined = before.as_ref().map_or(ViewNum(0), |it| it.joined);
        if number < known {
            return Err(format!("V1 views: {node} goes back from view {known} to {number}"));
        }
        if number > known {
            self.adopted(server, before.as_ref(), view.now, rare)?;
        }
        let duty = server.duty();
        if duty == Duty::Backup {
            joined = number;
        }
        if duty == Duty::Fenced && before.as_ref().is_some_and(|it| it.duty != Duty::Fenced) {
            rare.saw(Sight::PrimaryFenced);
        }
        let glance =
            Glance { member: server.member(), view: number, duty, places: server.places(), joined };
        let moved = before.is_none_or(|it| it.places != glance.places || it.view != number);
        self.glances.insert(node, glance);
        streams::bounded(node, server)?;
        if moved { streams::agree(node, server, view) } else { Ok(()) }
    }

    /// A server has heard of a newer view.
    fn adopted(
        &mut self,
        server: &Pb,
        before: Option<&Glance>,
        now: Time,
        rare: &mut Rare,
    ) -> Result<(), String> {
        let view = server.view();
        self.same(view)?;
        let Some(member) = server.member() else {
            return Err("P5 duty: a server without a name has a view".into());
        };
        if view.role(member) != Role::Primary {
            return Ok(());
        }
        self.reigns.push(Reign { view: view.number, member, begun: now });
        if let Some(before) = before
            && before.duty == Duty::Backup
            && self.streams.last_piece(before.view) == Some(before.places.0)
        {
            rare.saw(Sight::PromotedAtLastPiece);
        }
        Ok(())
    }

    /// A view is what everybody was told it is.
    fn same(&mut self, view: &viewservice::View) -> Result<(), String> {
        match self.views.get(&view.number) {
            Some(known) if known != view => {
                Err(format!("V1 views: there is {known}, and there is {view}"))
            }
            Some(_) => Ok(()),
            None => Err(format!("V1 views: nobody was told of {view}, and somebody knows it")),
        }
    }

    /// P1: whoever is primary of the view in force, and its backup once that view is
    /// acknowledged, have everything that anybody was told is done: in memory, and on disk.
    fn nothing_lost(
        &self,
        node: NodeId,
        view: &View<'_, Node>,
        disks: &Disks,
    ) -> Result<(), String> {
        let Some(safety) = &self.safety else { return Ok(()) };
        let backup = safety.view.backup.as_ref().filter(|_| safety.acknowledged);
        for member in safety.view.primary.iter().chain(backup).map(|server| server.member) {
            if node != member.node && node != SERVICE_NODE {
                continue;
            }
            if let Some(Node::Server(server)) = view.core(member.node)
                && server.member() == Some(member)
            {
                self.has_all(server.state()).map_err(|what| {
                    format!("P1 nothing lost: {member}, of {}, {what}", safety.view)
                })?;
            }
            if self.durable
                && let Some(state) = disks.state(member.node)
            {
                self.has_all(state).map_err(|what| {
                    format!("P1 nothing lost: the disk of {member}, of {}, {what}", safety.view)
                })?;
            }
        }
        Ok(())
    }

    fn has_all(&self, state: &State) -> Result<(), String> {
        let missing = self.told.iter().find(|(session, number)| lacks(state, **session, **number));
        match missing {
            None => Ok(()),
            Some((session, number)) => {
                Err(format!("does not know that {session:?} {number:?} is done"))
            }
        }
    }

    /// Whether the only data is lost for ever: the primary of the view in force is gone, and
    /// nobody who has everything may take its place. A server with a disk comes back with its data,
    /// but the first primary of all may lose power before it has written that there is none yet.
    #[must_use]
    pub fn lost(&self, view: &View<'_, Node>, disks: &Disks) -> bool {
        let Some(safety) = &self.safety else { return false };
        let Some(primary) = &safety.view.primary else { return false };
        let gone = |member: Member| {
            let lives = match view.core(member.node) {
                Some(Node::Server(server)) => server.member() == Some(member),
                _ => false,
            };
            let kept = self.durable && disks.state(member.node).is_some_and(State::is_whole);
            !lives && !kept
        };
        let backup = safety.view.backup.as_ref().filter(|_| safety.acknowledged);
        gone(primary.member) && backup.is_none_or(|backup| gone(backup.member))
    }
}

/// Whether a state does not know that this was done.
fn lacks(state: &State, session: SessionId, number: RequestNo) -> bool {
    use pbservice::sessions::Admission;
    match state.admit(session, number) {
        Admission::Fresh | Admission::Expired => true,
        Admission::Repeat(_) | Admission::Late => false,
    }
}

/// Whether an item is the last piece of a state.
fn is_last_piece(item: &Item) -> bool {
    matches!(item, Item::Sessions { upto: None, .. })
}
