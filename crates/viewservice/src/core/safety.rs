//! Safety: which view may follow, whatever is believed about who lives.
//!
//! Everything here is decided from what is on disk and what a ping says of its sender. Who is dead
//! is only believed ([`Beliefs`]), and no rule trusts it with anybody's data: with every belief
//! wrong, the data still goes from view to view with the one who has it.

use protocol::planted;
use serde::{Deserialize, Serialize};

use crate::{
    message::{Joined, Ping, Refused},
    record::Record,
    view::{Incarnation, Role, Server, View, ViewNum},
};

/// What the service must never forget: the view in force, how far its primary has come with it,
/// and which incarnations are used up. No time and no chance in it, so a model can walk through
/// all its states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Safety {
    /// The highest incarnation issued.
    pub issued: Incarnation,
    /// The view in force.
    pub view: View,
    /// Its primary knows it.
    pub adopted: bool,
    /// Its primary said that its backup has everything, or that it has none. Only from then on may
    /// somebody else become primary.
    pub acknowledged: bool,
}

/// What is believed of the others when a ping is heard. It decides when a view changes and whom
/// is appointed, never whether a change is safe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Beliefs {
    /// The primary is dead, or a later life of it was heard.
    pub primary_gone: bool,
    /// There is a backup, and it is dead or a later life of it was heard.
    pub backup_gone: bool,
    /// The idle server to appoint if one is needed: never a life of the server that pings, nor of
    /// a backup that is not gone.
    pub volunteer: Option<Server>,
}

/// Records that do not continue the story: the log is not this service's, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log goes on with {record:?}, which cannot follow {}", .before.view)]
pub struct Discontinued {
    /// What was known before.
    pub before: Box<Safety>,
    /// What came then.
    pub record: Record,
}

impl Safety {
    /// A name for a new life, used up from now on.
    pub fn issue(&mut self) -> (Joined, Record) {
        self.issued.0 += 1;
        (Joined { incarnation: self.issued }, Record::Issued(self.issued))
    }

    /// Whether a ping may be listened to at all. A life is over once a later one of the same
    /// server is a member of the view.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn admit(&self, ping: &Ping) -> Result<(), Refused> {
        let Ping { server, view, heir, .. } = ping;
        let mine = server.member.incarnation;
        let issued =
            |incarnation: Incarnation| incarnation > Incarnation(0) && incarnation <= self.issued;
        if !issued(mine) || *view > self.view.number || heir.iter().any(|it| !issued(*it)) {
            return Err(Refused::Unknown);
        }
        match self.view.member_of(server.member.node) {
            Some(member) if member.outlived(server.member) => {
                Err(Refused::Superseded { by: member.incarnation })
            }
            _ => Ok(()),
        }
    }

    /// The whole of one admitted ping: notes what it says about the view in force, then replaces
    /// that view, at most once, if there is a reason and it is safe. Returns what must be saved.
    pub fn ping(&mut self, ping: &Ping, beliefs: &Beliefs) -> Vec<Record> {
        let mut records = Vec::new();
        records.extend(self.note(ping));
        if let Some((primary, backup)) = self.replacement(ping, beliefs) {
            records.push(self.replace(primary, backup));
        }
        records
    }

    /// The primary of the view in force says that it knows the view, and perhaps that it may be
    /// replaced. Neither is ever taken back.
    fn note(&mut self, ping: &Ping) -> Option<Record> {
        let here = self.view.role(ping.member()) == Role::Primary && ping.view == self.view.number;
        let acknowledges = ping.installed || self.view.backup.is_none();
        if !here || self.acknowledged || self.adopted && !acknowledges {
            return None;
        }
        self.adopted = true;
        self.acknowledged = acknowledges;
        Some(Record::Acked { view: self.view.number, acknowledged: acknowledges })
    }

    /// Who should be primary and backup now, if not those who are. Each way the view can change is
    /// one paragraph; the first that applies is taken.
    fn replacement(&self, ping: &Ping, beliefs: &Beliefs) -> Option<(Server, Option<Server>)> {
        let me = ping.member();
        let role = self.view.role(me);
        let volunteer = || beliefs.volunteer.clone();
        let acknowledged = self.acknowledged || planted::is("promotes-without-acknowledgement");
        // The first server that comes is the first primary: nobody has any data yet.
        let Some(primary) = &self.view.primary else {
            return Some((ping.server.clone(), None));
        };
        let backup = self.view.backup.as_ref();
        let live_backup = backup.filter(|_| !beliefs.backup_gone);

        // A later life of the primary. With the disk of the primary it *is* the primary of this
        // view, so nothing has to be acknowledged. Without, its data is lost, and the backup must
        // take over, if it is known to have everything.
        if ping.inherits(primary.member) {
            let backup = live_backup.cloned().or_else(volunteer);
            return Some((ping.server.clone(), backup));
        }
        if me.outlived(primary.member) && acknowledged && live_backup.is_some() {
            let heir = live_backup.cloned()?;
            return Some((heir, volunteer().or_else(|| Some(ping.server.clone()))));
        }

        // The primary itself wants another backup. That no view is made but at its own ping keeps
        // a primary that has just died from being stuck in a view it has never heard of.
        if role == Role::Primary && ping.view == self.view.number {
            let wanting = backup.is_none();
            let lost = backup.is_some() && (beliefs.backup_gone || ping.lost_backup);
            return match volunteer() {
                Some(volunteer) if wanting || lost => Some((ping.server.clone(), Some(volunteer))),
                None if lost => Some((ping.server.clone(), None)),
                _ => None,
            };
        }

        // The backup, or a later life of it with its disk, takes over from a primary that is gone:
        // everything acknowledged is there, because the view was acknowledged.
        let inherits = backup.is_some_and(|backup| ping.inherits(backup.member));
        if (role == Role::Backup || inherits) && acknowledged && beliefs.primary_gone {
            return Some((ping.server.clone(), volunteer()));
        }
        if planted::is("promotes-an-idle-server") && beliefs.primary_gone && live_backup.is_none() {
            return Some((ping.server.clone(), volunteer()));
        }
        None
    }

    /// Puts the next view in force.
    ///
    /// # Panics
    ///
    /// If the same server would be primary and backup, or nothing would change: our own bug.
    fn replace(&mut self, primary: Server, backup: Option<Server>) -> Record {
        let nodes = |server: &Server| server.member.node;
        assert!(
            backup.as_ref().is_none_or(|backup| nodes(backup) != nodes(&primary)),
            "a server cannot be its own backup"
        );
        let view = View { number: self.view.number.next(), primary: Some(primary), backup };
        assert!(
            !view.servers().map(|it| it.member).eq(self.view.servers().map(|it| it.member)),
            "a view differs from the one before"
        );
        self.enter(view.clone());
        Record::Viewed(view)
    }

    fn enter(&mut self, view: View) {
        (self.view, self.adopted, self.acknowledged) = (view, false, false);
    }

    /// What a record of an earlier life says. `first` is the oldest that was kept.
    ///
    /// # Errors
    ///
    /// If it does not follow what was before.
    pub fn replay(&mut self, record: Record, first: bool) -> Result<(), Discontinued> {
        let follows = match &record {
            Record::Issued(incarnation) => incarnation.0 == self.issued.0 + 1,
            Record::Viewed(view) => {
                let issued = |it: &Server| it.member.incarnation <= self.issued;
                view.number == self.view.number.next() && view.servers().all(issued)
            }
            Record::Acked { view, .. } => *view == self.view.number && *view > ViewNum(0),
            Record::Checkpoint(all) => first || all == self,
        };
        if !follows {
            return Err(Discontinued { before: Box::new(self.clone()), record });
        }
        match record {
            Record::Issued(incarnation) => self.issued = incarnation,
            Record::Viewed(view) => self.enter(view),
            Record::Acked { acknowledged, .. } => {
                self.adopted = true;
                self.acknowledged |= acknowledged;
            }
            Record::Checkpoint(all) => *self = all,
        }
        Ok(())
    }
}
