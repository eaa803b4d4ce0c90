//! What honest servers do: live, ping, adopt, fill a backup, answer clients.

use protocol::{CallId, NodeId};

use crate::{
    message::{Refused, Reply, Stuck},
    pinger::{News, Pinger},
    suite::town::{Town, What},
    view::{Incarnation, Member, Role, Server, View},
};

/// A server, and the smallest store there is: the number of the newest write it has.
pub(super) struct Citizen {
    pub(super) node: NodeId,
    /// Its state survives a crash.
    pub(super) durable: bool,
    /// Cut off from the service.
    pub(super) silent: bool,
    /// Its conversation; `None` while it is down.
    pub(super) pinger: Option<Pinger>,
    /// Counts its lives.
    pub(super) life: u64,
    pub(super) adopted: View,
    pub(super) has: u64,
    /// The lives, this one among them, that had what it has or less.
    pub(super) chain: Vec<Incarnation>,
    /// As primary: its backup has everything.
    pub(super) installed: bool,
    /// As primary: it gave up its backup.
    pub(super) lost: bool,
}

impl Citizen {
    /// A server that has not begun to live.
    pub(super) fn new(number: u16, durable: bool) -> Self {
        Self {
            node: NodeId(number),
            durable,
            silent: false,
            pinger: None,
            life: 0,
            adopted: View::default(),
            has: 0,
            chain: Vec::new(),
            installed: false,
            lost: false,
        }
    }

    fn member(&self) -> Option<Member> {
        self.pinger.as_ref()?.member()
    }

    fn role(&self) -> Role {
        self.member().map_or(Role::Idle, |member| self.adopted.role(member))
    }

    /// What it has is this life's as well.
    fn belong(&mut self) {
        let name = self.member().map(|it| it.incarnation);
        let new = name.filter(|name| !self.chain.contains(name));
        self.chain.extend(new);
    }

    fn adopt(&mut self, view: View) {
        self.adopted = view;
        (self.installed, self.lost) = (false, false);
        match self.role() {
            // It begins to be filled; what it had is given up.
            Role::Backup => (self.has, self.chain) = (0, Vec::new()),
            Role::Primary => {
                self.belong();
                self.installed = self.adopted.backup.is_none();
            }
            Role::Idle => {}
        }
    }
}

impl Town {
    /// A server begins to live, with what is on its disk or without.
    pub(super) fn begin_life(&mut self, who: usize, with_disk: bool) {
        let citizen = &mut self.citizens[who];
        if !citizen.durable || !with_disk {
            (citizen.has, citizen.chain) = (0, Vec::new());
        }
        let addr = format!("host{}:1", citizen.node.0);
        citizen.pinger = Some(Pinger::new(citizen.node, addr, citizen.chain.clone()));
        citizen.adopted = View::default();
        (citizen.installed, citizen.lost) = (false, false);
        citizen.life += 1;
        self.walked.lives += 1;
    }

    /// It dies.
    pub(super) fn end_life(&mut self, who: usize) {
        self.citizens[who].pinger = None;
    }

    /// A server makes the call that is due.
    pub(super) fn speak(&mut self, who: usize) {
        let now = self.now;
        let citizen = &mut self.citizens[who];
        let Some(pinger) = &mut citizen.pinger else { return };
        let (view, installed, lost) = (citizen.adopted.number, citizen.installed, citizen.lost);
        let Some(request) = pinger.due(now, view, installed, lost) else { return };
        self.ticket += 1;
        let call = CallId(self.ticket);
        pinger.called(call);
        let (node, life, silent) = (citizen.node, citizen.life, citizen.silent);
        if !silent {
            self.send(node, life, call, What::Request(request));
        }
    }

    /// A server is answered.
    pub(super) fn told(
        &mut self,
        node: NodeId,
        life: u64,
        call: CallId,
        reply: Reply,
    ) -> Result<(), String> {
        let now = self.now;
        let here = |it: &&mut Citizen| it.node == node && it.life == life && !it.silent;
        let Some(citizen) = self.citizens.iter_mut().find(here) else { return Ok(()) };
        let Some(pinger) = &mut citizen.pinger else { return Ok(()) };
        match pinger.heard(now, call, reply) {
            News::Viewed(view) if view.number > citizen.adopted.number => citizen.adopt(view),
            News::Refused(Refused::Superseded { .. }) => citizen.pinger = None,
            // Before its first ping it writes down that it has what those before it had.
            News::Named(_) if !citizen.chain.is_empty() => citizen.belong(),
            News::Nothing | News::Named(_) | News::Viewed(_) | News::Refused(Refused::Taken) => {}
            News::Refused(refused) => {
                return Err(format!("{node} is honest, and was refused: {refused}"));
            }
        }
        if self.fair {
            for who in 0..self.citizens.len() {
                if self.citizens[who].pinger.is_none() {
                    self.begin_life(who, true);
                }
            }
        }
        Ok(())
    }

    /// The server that is `server` now, if that life goes on.
    fn living(&self, server: Option<&Server>) -> Option<usize> {
        let member = server?.member;
        self.citizens.iter().position(|it| it.member() == Some(member))
    }

    /// A primary may give its backup everything.
    pub(super) fn transfer(&mut self, who: usize) {
        let primary = &self.citizens[who];
        if primary.role() != Role::Primary || primary.installed || !self.rng.chance(300) {
            return;
        }
        let Some(to) = self.living(primary.adopted.backup.as_ref()) else { return };
        if self.citizens[to].adopted.number != primary.adopted.number {
            return;
        }
        let has = primary.has;
        let backup = &mut self.citizens[to];
        (backup.has, backup.chain) = (has, Vec::new());
        backup.belong();
        let primary = &mut self.citizens[who];
        (primary.installed, primary.lost) = (true, false);
        if let Some(pinger) = &mut primary.pinger {
            pinger.hurry();
        }
    }

    /// Whoever believes to be primary may answer a client, alone or with its backup.
    pub(super) fn write(&mut self, who: usize) -> Result<(), String> {
        let primary = &self.citizens[who];
        if primary.role() != Role::Primary || !self.rng.chance(100) {
            return Ok(());
        }
        let backup = self.living(primary.adopted.backup.as_ref());
        let number = primary.adopted.number;
        let together = primary.adopted.backup.is_some() && primary.installed;
        // A backup that knows a later view refuses, and one that is away does not answer.
        let agrees = backup.is_some_and(|it| self.citizens[it].adopted.number == number);
        if together && !agrees {
            return Ok(());
        }
        if primary.has != self.written {
            let (node, has, written) = (primary.node, primary.has, self.written);
            let view = &primary.adopted;
            return Err(format!("{node} serves in {view} and has {has} of {written} writes"));
        }
        self.written += 1;
        self.walked.writes += 1;
        self.citizens[who].has = self.written;
        if let Some(backup) = backup.filter(|_| together) {
            self.citizens[backup].has = self.written;
        }
        Ok(())
    }

    /// There is a primary that knows its view, and a backup that has everything.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn serves_with_a_backup(&mut self) -> Result<(), String> {
        let status = self.status()?;
        let view = &status.view;
        let both = [&view.primary, &view.backup].map(|it| self.living(it.as_ref()));
        let [Some(primary), Some(backup)] = both else {
            return Err(format!("all is calm, and {view} is not what it could be: {status:?}"));
        };
        let current = |who: usize| self.citizens[who].adopted == *view;
        if !status.acknowledged || !current(primary) || !current(backup) {
            return Err(format!("all is calm, and {view} is not acknowledged: {status:?}"));
        }
        Ok(())
    }

    /// Nobody who is here could go on from the view that the service waits in.
    ///
    /// # Errors
    ///
    /// Who could.
    pub fn is_rightly_stuck(&mut self, stuck: &Stuck) -> Result<(), String> {
        let status = self.status()?;
        let could = |place: &Option<Server>| {
            let place = place.as_ref()?;
            let same = self.citizens.iter().find(|it| it.node == place.member.node)?;
            let is = same.member() == Some(place.member);
            let inherits = same.durable && same.chain.contains(&place.member.incarnation);
            (is || inherits).then_some(same.node)
        };
        let heir = could(&status.view.primary)
            .or_else(|| could(&status.view.backup).filter(|_| status.acknowledged));
        heir.map_or(Ok(()), |node| Err(format!("{node} could go on: {stuck}")))
    }
}
