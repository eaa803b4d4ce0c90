//! What views must be like, said once more: from what was heard by the service and what it wrote
//! down, without a look at how it decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use protocol::{NodeId, Time};

use crate::{
    message::Ping,
    view::{Incarnation, Member, Server, View, ViewNum},
};

/// Who was heard within this time is alive.
const ALIVE: Duration = Duration::from_millis(500);

/// Who was not heard within this time is not appointed.
const FRESH: Duration = Duration::from_millis(200);

/// The judge of one service, over all its lives.
#[derive(Debug, Default)]
pub struct Model {
    /// Every view there was, in order; first the one before all.
    views: Vec<View>,
    /// How many of them are durable.
    durable: usize,
    /// What anybody was told that a number stands for.
    told: BTreeMap<ViewNum, View>,
    /// Names that were given.
    names: BTreeSet<Incarnation>,
    /// Who has said that it adopted which view.
    adopted: BTreeSet<(ViewNum, Member)>,
    /// Who has said that which view may be replaced.
    acknowledged: BTreeSet<(ViewNum, Member)>,
    /// When each life was heard by this life of the service.
    heard: BTreeMap<Member, Time>,
}

fn members(view: &View) -> Vec<Member> {
    view.servers().map(|server| server.member).collect()
}

impl Model {
    /// Before anything.
    #[must_use]
    pub fn new() -> Self {
        Self { views: vec![View::default()], durable: 1, ..Self::default() }
    }

    /// The newest view, durable or not.
    #[must_use]
    pub fn newest(&self) -> &View {
        self.views.last().expect("there is always one")
    }

    /// The service begins another life at `now`; so many of its views are on its disk.
    pub fn begins(&mut self, now: Time, durable: usize) {
        self.views.truncate(durable + 1);
        self.durable = self.views.len();
        self.heard = members(self.newest()).into_iter().map(|member| (member, now)).collect();
    }

    /// So many views are durable.
    pub fn durable(&mut self, views: usize) {
        self.durable = self.durable.max(views + 1);
    }

    /// The service hears a ping.
    pub fn hears(&mut self, now: Time, ping: &Ping) {
        let (member, view) = (ping.member(), ping.view);
        self.heard.insert(member, now);
        self.adopted.insert((view, member));
        if ping.installed {
            self.acknowledged.insert((view, member));
        }
    }

    /// Somebody is given a name.
    ///
    /// # Errors
    ///
    /// If anybody had it before.
    pub fn names(&mut self, name: Incarnation) -> Result<(), String> {
        if name == Incarnation(0) || !self.names.insert(name) {
            return Err(format!("incarnation {name} was issued twice"));
        }
        Ok(())
    }

    /// Somebody is told a view.
    ///
    /// # Errors
    ///
    /// If it is not durable, or another view had its number.
    pub fn tells(&mut self, view: &View) -> Result<(), String> {
        let place = usize::try_from(view.number.0).unwrap_or(usize::MAX);
        if place >= self.durable || self.views[place] != *view {
            return Err(format!("{view} is told and not on disk"));
        }
        let before = self.told.entry(view.number).or_insert_with(|| view.clone());
        if before != view {
            return Err(format!("{view} was {before}"));
        }
        Ok(())
    }

    /// The service replaces its view while it hears `ping`.
    ///
    /// # Errors
    ///
    /// The rule that is broken.
    pub fn replaces(&mut self, now: Time, ping: &Ping, next: &View) -> Result<(), String> {
        let before = self.newest().clone();
        let trouble = |rule: &str| Err(format!("{rule}: {before} became {next} at {ping:?}"));
        if next.number.0 != before.number.0 + 1 {
            return trouble("views are numbered without a gap");
        }
        if members(&before) == members(next) {
            return trouble("consecutive views differ");
        }
        let Some(primary) = next.primary.clone() else { return trouble("there is a primary") };
        if next.backup.as_ref().is_some_and(|it| it.member.node == primary.member.node) {
            return trouble("primary and backup are two servers");
        }
        if let Some(old) = &before.primary {
            self.succeeds(ping, &before, old.member, primary.member)?;
            self.leave_for_a_reason(now, ping, &before, next)?;
        }
        let newcomers = next.servers().map(|it| it.member);
        for newcomer in newcomers.filter(|it| !members(&before).contains(it)) {
            let fresh = self.heard.get(&newcomer).is_some_and(|at| now.since(*at) <= FRESH);
            if !fresh || self.is_outlived(newcomer) {
                return trouble("who is appointed is alive");
            }
        }
        self.views.push(next.clone());
        Ok(())
    }

    /// The primary of a view was primary or backup before, or has the disk of one; and nothing
    /// changes before the old primary said that it may.
    fn succeeds(&self, ping: &Ping, before: &View, old: Member, new: Member) -> Result<(), String> {
        let with_disk_of = |earlier: Member| {
            let same = earlier.node == new.node && earlier.incarnation < new.incarnation;
            same && ping.heir.contains(&earlier.incarnation) && ping.server.member == new
        };
        let backup = before.backup.as_ref().map(|it| it.member);
        let adopted = self.adopted.contains(&(before.number, old));
        let acknowledged = match backup {
            Some(_) => self.acknowledged.contains(&(before.number, old)),
            None => adopted,
        };
        let allowed = match () {
            () if new == old => adopted,
            () if with_disk_of(old) => true,
            () if backup == Some(new) || backup.is_some_and(with_disk_of) => acknowledged,
            () => return Err(format!("{new} was neither primary nor backup of {before}")),
        };
        if allowed { Ok(()) } else { Err(format!("{old} had not acknowledged {before}")) }
    }

    /// Nobody loses a place who was heard a moment ago and has neither restarted nor been reported
    /// lost.
    fn leave_for_a_reason(
        &self,
        now: Time,
        ping: &Ping,
        before: &View,
        next: &View,
    ) -> Result<(), String> {
        let gone = |member: Member| {
            let heard = self.heard.get(&member).is_some_and(|at| now.since(*at) <= ALIVE);
            self.is_outlived(member) || !heard
        };
        let is = |server: &Option<Server>, member| {
            server.as_ref().is_some_and(|server| server.member == member)
        };
        let reported = ping.lost_backup && is(&before.primary, ping.member());
        let lost = |member| is(&before.backup, member) && reported;
        for member in members(before) {
            let kept = next.role(member) == before.role(member);
            let promoted = is(&next.primary, member);
            if !kept && !promoted && !gone(member) && !lost(member) {
                return Err(format!("{member} lost its place in {before} for nothing: {next}"));
            }
        }
        Ok(())
    }

    /// Whether a later life of the same server was heard, or is a member.
    fn is_outlived(&self, member: Member) -> bool {
        let known = self.heard.keys().copied().chain(members(self.newest()));
        let later = |it: Member| it.node == member.node && it.incarnation > member.incarnation;
        known.into_iter().any(later)
    }

    /// The life of `node` that is a member of the newest view.
    #[must_use]
    pub fn place_of(&self, node: NodeId) -> Option<Member> {
        members(self.newest()).into_iter().find(|member| member.node == node)
    }
}
