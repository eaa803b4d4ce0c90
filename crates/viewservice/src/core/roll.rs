//! Liveness: who was heard when, and what that makes the service believe.
//!
//! All of it is forgotten when the service ends, and none of it can hurt anybody's data.

use std::{collections::BTreeMap, time::Duration};

use protocol::{NodeId, Time};

use crate::{
    core::safety::{Beliefs, Safety},
    message::{MAX_SERVERS, Ping, Refused, ServerStatus, Stuck},
    pinger::PING_INTERVAL,
    view::{Member, Role, Server, View, ViewNum},
};

/// So many intervals without a ping, and a server is taken for dead.
pub const DEAD_PINGS: u32 = 5;

/// Silent for longer than this is dead.
const DEAD: Duration = PING_INTERVAL.saturating_mul(DEAD_PINGS);

/// An idle server is appointed only if it was heard within this time: better no backup for a
/// moment than one that has just died.
const FRESH: Duration = PING_INTERVAL.saturating_mul(2);

/// A name is taken while a life under it was heard within one and a half intervals.
const TAKEN: Duration = Duration::from_millis(150);

/// A backup that its primary reported lost is not given to it again for so long: both reach the
/// service, but not each other, and trying at once would change the view without end.
pub const COOLING: Duration = Duration::from_secs(2);

/// For so long after its own restart the service thinks nothing of anybody's silence: a server that
/// lost its connection may pause for a second before it tries again.
const GRACE: Duration = Duration::from_secs(1);

/// When nobody at all was heard for so long, it was most likely the service that was not there: its
/// machine slept, or its network was away. Silence counts anew from then on, or the first ping of a
/// returning crowd would find all the others dead.
const DEAF: Duration = PING_INTERVAL.saturating_mul(3);

/// An idle server that was silent for longer than this is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// Everybody who was heard in this life of the service, and the members of the view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Roll {
    /// The newest life heard of each server.
    known: BTreeMap<NodeId, Known>,
    /// When anybody was heard last.
    heard: Time,
    /// No silence before this time means anything.
    listening: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Known {
    server: Server,
    heard: Time,
    /// The view it named.
    pinged: Option<ViewNum>,
    /// Reported lost by this primary, which is not given it again before this time.
    cooling: Option<(NodeId, Time)>,
}

impl Known {
    fn silent(&self, now: Time) -> Duration {
        now.since(self.heard)
    }
}

impl Roll {
    /// The roll of a service that begins to live at `now`: the members of the view are taken as
    /// just heard, so that its own absence costs none of them its place.
    pub(super) fn new(view: &View, now: Time) -> Self {
        let known = view.servers().map(|server| {
            let server = server.clone();
            let node = server.member.node;
            (node, Known { server, heard: now, pinged: None, cooling: None })
        });
        let known: BTreeMap<NodeId, Known> = known.collect();
        let listening = if known.is_empty() { now } else { now.plus(GRACE) };
        Self { known, heard: now, listening }
    }

    /// Whether a new life of `node` may have a name.
    ///
    /// # Errors
    ///
    /// [`Refused::Taken`] while an earlier life seems to go on, [`Refused::TooMany`].
    pub(super) fn admit(&mut self, now: Time, view: &View, node: NodeId) -> Result<(), Refused> {
        self.forget(now, view);
        match self.known.get(&node) {
            Some(known) if known.silent(now) < TAKEN => Err(Refused::Taken),
            None if self.known.len() >= MAX_SERVERS => Err(Refused::TooMany),
            _ => Ok(()),
        }
    }

    /// A ping was heard.
    ///
    /// # Errors
    ///
    /// [`Refused::Superseded`] if a later life of the same server was heard,
    /// [`Refused::TooMany`].
    pub(super) fn hear(&mut self, now: Time, view: &View, ping: &Ping) -> Result<(), Refused> {
        if now.since(self.heard) > DEAF {
            self.listening = self.listening.max(now);
        }
        self.heard = now;
        self.forget(now, view);
        let member = ping.member();
        let cooling = match self.known.get(&member.node) {
            Some(known) if known.server.member.outlived(member) => {
                return Err(Refused::Superseded { by: known.server.member.incarnation });
            }
            // A new life has a new beginning.
            Some(known) if known.server.member == member => known.cooling,
            Some(_) => None,
            None if self.known.len() >= MAX_SERVERS => return Err(Refused::TooMany),
            None => None,
        };
        let server = ping.server.clone();
        let known = Known { server, heard: now, pinged: Some(ping.view), cooling };
        self.known.insert(member.node, known);
        Ok(())
    }

    /// Idle servers that nobody has heard for long make room for others.
    fn forget(&mut self, now: Time, view: &View) {
        self.known.retain(|_, known| {
            known.silent(now) <= FORGOTTEN || view.role(known.server.member) != Role::Idle
        });
    }

    /// The backup of `view` does not answer its primary, `by`.
    pub(super) fn lost(&mut self, now: Time, view: &View, by: NodeId) {
        let Some(backup) = &view.backup else { return };
        if let Some(known) = self.known.get_mut(&backup.member.node)
            && known.server.member == backup.member
        {
            known.cooling = Some((by, now.plus(COOLING)));
        }
    }

    /// What is to be believed when `pinging` pings.
    pub(super) fn beliefs(&self, now: Time, view: &View, pinging: NodeId) -> Beliefs {
        let gone = |server: &Option<Server>| {
            server.as_ref().is_some_and(|server| self.is_gone(now, server.member))
        };
        Beliefs {
            primary_gone: gone(&view.primary),
            backup_gone: gone(&view.backup),
            volunteer: self.volunteer(now, view, pinging),
        }
    }

    /// Whether a life is over, as far as can be known: silent for too long, or a later one of the
    /// same server was heard.
    fn is_gone(&self, now: Time, member: Member) -> bool {
        self.known.get(&member.node).is_none_or(|known| {
            let silent = now.since(known.heard.max(self.listening));
            known.server.member.outlived(member) || silent > DEAD
        })
    }

    /// The idle server that has waited longest in its life, among those that are surely there.
    fn volunteer(&self, now: Time, view: &View, pinging: NodeId) -> Option<Server> {
        let fit = |known: &&Known| {
            known.server.member.node != pinging
                && view.role(known.server.member) == Role::Idle
                && known.silent(now) <= FRESH
                && known.cooling.is_none_or(|(by, until)| by != pinging || until <= now)
        };
        let waiting = self.known.values().filter(fit);
        waiting.min_by_key(|known| known.server.member.incarnation).map(|it| it.server.clone())
    }

    /// Everybody, for people.
    pub(super) fn status(&self, now: Time, view: &View) -> Vec<ServerStatus> {
        let one = |known: &Known| ServerStatus {
            server: known.server.clone(),
            silent: known.silent(now),
            pinged: known.pinged,
            role: view.role(known.server.member),
        };
        self.known.values().map(one).collect()
    }

    /// Why nobody serves, if so.
    pub(super) fn stuck(&self, now: Time, safety: &Safety) -> Option<Stuck> {
        let View { number, primary, backup } = &safety.view;
        let Some(primary) = primary.clone() else { return Some(Stuck::Nobody) };
        let backup = backup.clone();
        let view = *number;
        if !self.is_gone(now, primary.member) {
            return None;
        }
        let later = |known: &Known| known.server.member.outlived(primary.member);
        let empty = self.known.get(&primary.member.node).is_some_and(later);
        if !safety.acknowledged {
            return Some(Stuck::Unacknowledged { view, primary, empty });
        }
        match &backup {
            Some(it) if !self.is_gone(now, it.member) => None,
            _ => Some(Stuck::Deserted { view, primary, backup, empty }),
        }
    }
}
