//! The small world that is searched: a service, three servers, the smallest store there is.

use std::{collections::BTreeSet, hash::Hash};

use protocol::NodeId;
use viewservice::{Incarnation, Member, Ping, Record, Role, Safety, Server, View, core::Beliefs};

pub const NODES: u16 = 3;
/// Deaths of servers.
const MISHAPS: u8 = 2;
/// Names that are issued: one for each life, and one that nobody gets.
const ISSUED: u64 = NODES as u64 + MISHAPS as u64 + 1;
/// Writes: one that only a primary has, and one that may go another way.
const WRITES: u8 = 2;

/// The life a server is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// Counts its lives; only for those who answer an earlier one.
    born: u8,
    pub name: Option<Incarnation>,
    adopted: View,
    /// The newest write it has.
    has: u8,
    /// The lives, this one among them, that had what it has or less.
    chain: Vec<Incarnation>,
    /// The chain of its last life, as it says in its pings.
    heir: Vec<Incarnation>,
    /// As primary of the view it adopted: its backup has everything.
    installed: bool,
}

impl Life {
    fn role(&self, node: u16) -> Option<Role> {
        let member = Member { node: NodeId(node), incarnation: self.name? };
        Some(self.adopted.role(member))
    }
}

/// What a held answer tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Held {
    Name(u16, u8, Incarnation),
    View(View),
}

/// How those in a world behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Habits {
    /// Records lag behind: the service may die between a decision and its answer. Otherwise the
    /// two are one event, so that as many events reach further.
    pub lag: bool,
    /// A primary says that its backup has everything before that is so.
    pub hasty: bool,
    /// A server that lost its memory comes back under its old number.
    pub nameless: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Town {
    pub memory: Safety,
    pub disk: Safety,
    /// Saved, not durable yet. One event's at most: what comes before they are durable might as
    /// well come afterwards, since nobody has heard anything yet.
    pending: Vec<Record>,
    held: Vec<Held>,
    /// Names that were given.
    names: BTreeSet<Incarnation>,
    /// Views that somebody was told.
    told: BTreeSet<View>,
    /// Everything any life has ever said.
    pub said: BTreeSet<Ping>,
    pub lives: [Life; NODES as usize],
    /// The newest write that a client was told is done.
    written: u8,
    /// Deaths of servers, and names that nobody got, so far.
    mishaps: u8,
    pub habits: Habits,
    /// The rules that were broken on the way here.
    pub broken: BTreeSet<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A server dies and begins another life, with or without what was on its disk.
    Restart { node: u16, disk: bool },
    /// A request for a name is heard, be it the first or a repetition.
    Join { node: u16 },
    /// Something that was said is heard, and the service believes this.
    Hear { ping: Ping, beliefs: Beliefs },
    /// The service's records are durable; its answers leave.
    Sync,
    /// The service dies; so many of its pending records happen to be on the disk.
    Crash { kept: usize },
    /// An answer arrives at a member of the view in it.
    Adopt { node: u16, view: View },
    /// A primary gives its backup everything.
    Transfer { primary: u16, backup: u16 },
    /// A client is told that a write is done.
    Write { node: u16 },
}

pub const SUCCESSION: &str = "the primary was primary or backup before, or is the heir of one";
pub const PATIENCE: &str = "nobody else becomes primary before the acknowledgement";
pub const ADOPTION: &str = "no view is replaced before its primary or its heir knows it";
pub const DIFFERENCE: &str = "consecutive views differ";
pub const NAMES: &str = "no incarnation is issued twice";
pub const NUMBERS: &str = "a number stands for one view for ever";
pub const DATA: &str = "whoever could answer a client has every acknowledged write";

impl Town {
    /// Nobody has come yet.
    pub fn empty(habits: Habits) -> Self {
        Self { habits, ..Self::default() }
    }

    fn life(&mut self, node: u16) -> &mut Life {
        &mut self.lives[usize::from(node) - 1]
    }

    fn holder(&self, server: Option<&Server>) -> Option<(u16, &Life)> {
        let member = server?.member;
        let life = &self.lives[usize::from(member.node.0) - 1];
        (life.name == Some(member.incarnation)).then_some((member.node.0, life))
    }

    /// Whether the primary `life` could answer a client now; its backup may have to agree.
    fn serves(&self, node: u16, life: &Life) -> bool {
        let alone = life.adopted.backup.is_none() || !life.installed;
        let agreed = || {
            let backup = self.holder(life.adopted.backup.as_ref());
            backup.is_some_and(|(_, backup)| backup.adopted.number == life.adopted.number)
        };
        life.role(node) == Some(Role::Primary) && (alone || agreed())
    }

    /// Everything that server `node` may be saying just now is said.
    fn speak(&mut self, node: u16) {
        let life = self.life(node).clone();
        let Some(incarnation) = life.name else { return };
        let member = Member { node: NodeId(node), incarnation };
        let server = Server { member, addr: String::new() };
        let role = life.adopted.role(member);
        let heir = if role == Role::Idle { life.heir } else { Vec::new() };
        let (view, installed) = (life.adopted.number, life.installed);
        // `lost_backup` says nothing that the belief in a dead backup does not do as well.
        self.said.insert(Ping { server, view, installed, heir, lost_backup: false });
    }

    fn release(&mut self) {
        for held in std::mem::take(&mut self.held) {
            match held {
                Held::Name(node, born, incarnation) => {
                    if self.names.contains(&incarnation) {
                        self.broken.insert(NAMES);
                    }
                    self.names.insert(incarnation);
                    // An answer to an earlier life finds nobody; one that is late is as good as a
                    // server that is not heard.
                    let life = self.life(node);
                    if life.born == born && life.name.is_none() {
                        life.name = Some(incarnation);
                        // Written down before the first ping leaves.
                        if !life.chain.is_empty() {
                            life.chain.push(incarnation);
                        }
                        self.speak(node);
                    }
                }
                Held::View(view) => self.tell(view),
            }
        }
    }

    fn tell(&mut self, view: View) {
        if self.told.iter().any(|other| other.number == view.number && *other != view) {
            self.broken.insert(NUMBERS);
        }
        self.told.insert(view);
    }

    /// A view was replaced at this ping: what the rules of the game say about it.
    fn judge(&mut self, before: &View, ping: &Ping) {
        let after = self.memory.view.clone();
        let members = |view: &View| -> Vec<Member> { view.servers().map(|it| it.member).collect() };
        if members(before) == members(&after) || after.number != before.number.next() {
            self.broken.insert(DIFFERENCE);
        }
        let (Some(old), Some(new)) = (&before.primary, &after.primary) else { return };
        let (old, new) = (old.member, new.member);
        let inherits = |from: Member| {
            ping.member() == new
                && new.node == from.node
                && new.incarnation > from.incarnation
                && ping.heir.contains(&from.incarnation)
        };
        let backup = before.backup.as_ref().map(|it| it.member);
        let same = new == old || inherits(old);
        if !same && backup != Some(new) && !backup.is_some_and(inherits) {
            self.broken.insert(SUCCESSION);
        }
        // What its primary really said, whatever the service remembers of it.
        let from_it = |it: &&Ping| it.member() == old && it.view == before.number;
        let adopted = self.said.iter().any(|it| from_it(&it));
        let acknowledged =
            self.said.iter().filter(from_it).any(|it| it.installed || backup.is_none());
        if !adopted && !inherits(old) {
            self.broken.insert(ADOPTION);
        }
        if !same && !acknowledged {
            self.broken.insert(PATIENCE);
        }
    }

    /// Something happens.
    pub fn take(&mut self, step: Step) {
        match step {
            Step::Restart { node, disk } => {
                let old = self.life(node).clone();
                let (has, chain) = if disk { (old.has, old.chain) } else { (0, Vec::new()) };
                let born = old.born + 1;
                self.mishaps += 1;
                let name = old.name.filter(|_| self.habits.nameless);
                let heir = chain.clone();
                *self.life(node) = Life { born, name, has, chain, heir, ..Life::default() };
            }
            Step::Adopt { node, view } => {
                let name = self.life(node).name.expect("a member has a name");
                let life = self.life(node);
                life.installed = false;
                life.adopted = view;
                match life.role(node) {
                    // It begins to be filled; what it had is given up.
                    Some(Role::Backup) => (life.has, life.chain) = (0, Vec::new()),
                    // The first primary has everything there is: nothing.
                    _ if life.chain.is_empty() => life.chain = vec![name],
                    _ => {}
                }
                let hasty = self.habits.hasty;
                let life = self.life(node);
                life.installed = hasty || life.adopted.backup.is_none() && !life.chain.is_empty();
                life.installed &= life.role(node) == Some(Role::Primary);
                self.speak(node);
            }
            Step::Transfer { primary, backup } => {
                let has = self.life(primary).has;
                let life = self.life(backup);
                (life.has, life.chain) = (has, life.name.into_iter().collect());
                self.life(primary).installed = true;
                self.speak(primary);
            }
            Step::Write { node } => {
                self.written += 1;
                let written = self.written;
                self.life(node).has = written;
                let life = self.life(node).clone();
                if life.installed
                    && let Some((backup, _)) = self.holder(life.adopted.backup.as_ref())
                {
                    self.life(backup).has = written;
                }
            }
            service => self.serve(service),
        }
        if !self.habits.lag && !self.pending.is_empty() {
            self.take(Step::Sync);
        }
        for node in 1..=NODES {
            let life = &self.lives[usize::from(node) - 1];
            if self.serves(node, life) && life.has != self.written {
                self.broken.insert(DATA);
            }
        }
    }

    /// Something happens to the service.
    fn serve(&mut self, step: Step) {
        match step {
            Step::Join { node } => {
                if self.memory.issued.0 >= ISSUED {
                    return;
                }
                let (joined, record) = self.memory.issue();
                let born = self.life(node).born;
                self.pending.push(record);
                self.held.push(Held::Name(node, born, joined.incarnation));
            }
            Step::Hear { ping, beliefs } => {
                let before = self.memory.view.clone();
                self.pending.extend(self.memory.ping(&ping, &beliefs));
                if self.memory.view != before {
                    self.judge(&before, &ping);
                    self.held.push(Held::View(self.memory.view.clone()));
                }
            }
            Step::Sync => {
                for record in self.pending.drain(..) {
                    self.disk.replay(record, false).expect("they continue the story");
                }
                self.release();
            }
            Step::Crash { kept } => {
                for record in self.pending.drain(..).take(kept) {
                    self.disk.replay(record, false).expect("they continue the story");
                }
                self.held.clear();
                self.memory = self.disk.clone();
                self.tell(self.memory.view.clone());
            }
            server => panic!("{server:?} is none of its business"),
        }
    }

    /// Whoever could be appointed, when `pinging` pings: any life ever heard of, dead or not.
    fn volunteers(&self, pinging: NodeId, backup_gone: bool) -> Vec<Option<Server>> {
        let view = &self.memory.view;
        let backup = view.backup.as_ref().filter(|_| !backup_gone).map(|it| it.member.node);
        let idle = |it: &&Server| {
            let node = it.member.node;
            view.role(it.member) == Role::Idle && node != pinging && Some(node) != backup
        };
        let all: BTreeSet<&Server> = self.said.iter().map(|it| &it.server).filter(idle).collect();
        std::iter::once(None).chain(all.into_iter().map(|it| Some(it.clone()))).collect()
    }

    /// Everything that may happen next.
    pub fn steps(&self, steps: &mut Vec<Step>) {
        if !self.pending.is_empty() {
            steps.push(Step::Sync);
        }
        steps.extend((0..=self.pending.len()).map(|kept| Step::Crash { kept }));
        for node in 1..=NODES {
            let life = &self.lives[usize::from(node) - 1];
            if self.mishaps < MISHAPS && life.name.is_some() {
                steps.extend([true, false].map(|disk| Step::Restart { node, disk }));
            }
            if life.name.is_none() && self.pending.is_empty() {
                steps.push(Step::Join { node });
            }
            for view in self.told.iter().filter(|view| view.number > life.adopted.number) {
                let member =
                    life.name.map(|incarnation| Member { node: NodeId(node), incarnation });
                if member.is_some_and(|member| view.role(member) != Role::Idle) {
                    steps.push(Step::Adopt { node, view: view.clone() });
                }
            }
            if self.written < WRITES && self.serves(node, life) {
                steps.push(Step::Write { node });
            }
            let backup = self.holder(life.adopted.backup.as_ref());
            if let Some((to, backup)) = backup
                && life.role(node) == Some(Role::Primary)
                && !life.installed
                && backup.adopted == life.adopted
            {
                steps.push(Step::Transfer { primary: node, backup: to });
            }
        }
        if !self.pending.is_empty() {
            return;
        }
        for ping in self.said.iter().filter(|ping| self.memory.admit(ping).is_ok()) {
            for (primary_gone, backup_gone) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                for volunteer in self.volunteers(ping.member().node, backup_gone) {
                    let beliefs = Beliefs { primary_gone, backup_gone, volunteer };
                    steps.push(Step::Hear { ping: ping.clone(), beliefs });
                }
            }
        }
    }
}
