//! One view service in virtual time, and servers that say what a scenario wants said.

use std::{collections::BTreeMap, time::Duration};

use protocol::{Desk, Lsn, NodeId, Time, Word};
use sim::Scenario;
use viewservice::{
    Incarnation, Join, Joined, Member, PING_INTERVAL, Ping, Record, Refused, Reply, Request,
    SERVICE_NODE, Server, Status, View, ViewNum, ViewService,
};

/// A service whose disk is quick, and what is told to it.
pub struct Scene {
    desk: Desk<ViewService>,
    disk: Vec<(Lsn, Record)>,
    pub now: Time,
    /// The life each server is in.
    lives: BTreeMap<u16, Incarnation>,
    /// Requests made.
    pub asked: u64,
    /// Views put out, in order.
    pub views: Vec<View>,
}

pub fn node(number: u16) -> NodeId {
    NodeId(number)
}

impl Scene {
    pub fn new() -> Self {
        Self {
            desk: Self::recover(&[]),
            disk: Vec::new(),
            now: Time::ZERO,
            lives: BTreeMap::new(),
            asked: 0,
            views: Vec::new(),
        }
    }

    fn recover(disk: &[(Lsn, Record)]) -> Desk<ViewService> {
        let core = ViewService::recover(disk.to_vec()).expect("its own records");
        let mut desk = Desk::new(SERVICE_NODE, core, disk.last().map_or(Lsn(0), |(lsn, _)| *lsn));
        desk.wake(Time::ZERO);
        desk
    }

    /// The service dies and comes back with its disk. Its clock begins anew.
    pub fn restart_service(&mut self) {
        self.desk = Self::recover(&self.disk);
        self.now = Time::ZERO;
    }

    /// What is on its disk.
    pub fn disk(&self) -> &[(Lsn, Record)] {
        &self.disk
    }

    pub fn core(&self) -> &ViewService {
        self.desk.core()
    }

    /// Asks, as the server `peer` proved to be or as a bystander.
    pub fn ask(&mut self, peer: Option<NodeId>, request: Request) -> Reply {
        self.asked += 1;
        self.desk.request(self.now, self.asked, peer, request);
        let records: Vec<Record> = self.desk.records().collect();
        for record in records {
            let lsn = Lsn(self.disk.last().map_or(0, |(lsn, _)| lsn.0) + 1);
            self.disk.push((lsn, record));
        }
        let saved = self.desk.saved();
        self.desk.durable(self.now, saved);
        let mut answer = None;
        while let Some(word) = self.desk.next_word() {
            match word {
                Word::Answer { ticket, reply } if ticket == self.asked => answer = Some(reply),
                Word::Output(view) => self.views.push(view),
                Word::Forget(keep) => self.disk.retain(|(lsn, _)| *lsn >= keep),
                other => panic!("the service says something unasked: {other:?}"),
            }
        }
        answer.expect("every request is answered")
    }

    pub fn try_join(&mut self, number: u16) -> Result<Incarnation, Refused> {
        match self.ask(Some(node(number)), Request::Join(Join { node: node(number) })) {
            Reply::Joined(result) => result.map(|Joined { incarnation }| incarnation),
            other => panic!("a join is answered by {other:?}"),
        }
    }

    pub fn try_ping(&mut self, ping: Ping) -> Result<View, Refused> {
        match self.ask(Some(ping.member().node), Request::Ping(ping)) {
            Reply::Pong(result) => result.map(|pong| pong.view),
            other => panic!("a ping is answered by {other:?}"),
        }
    }

    /// What server `number` says in its present life, having adopted `view`, and nothing special.
    pub fn words(&self, number: u16, view: u64) -> Ping {
        let incarnation = *self.lives.get(&number).expect("it joined");
        let member = Member { node: node(number), incarnation };
        let server = Server { member, addr: format!("host{number}:1") };
        let view = ViewNum(view);
        Ping { server, view, installed: false, heir: Vec::new(), lost_backup: false }
    }

    /// The course's `Ping(0)`: a new life begins and says so. Waits until its name is free.
    pub fn fresh(&mut self, number: u16) -> View {
        let incarnation = match self.try_join(number) {
            Err(Refused::Taken) => {
                self.now = self.now.plus(Duration::from_millis(150));
                self.try_join(number)
            }
            result => result,
        };
        self.lives.insert(number, incarnation.expect("a name"));
        let words = self.words(number, 0);
        self.try_ping(words).expect("it is listened to")
    }

    /// A new life that has the disk of all its earlier ones.
    pub fn heir(&mut self, number: u16) -> View {
        let from = *self.lives.get(&number).expect("it lived before");
        self.now = self.now.plus(Duration::from_millis(150));
        let incarnation = self.try_join(number).expect("a name");
        self.lives.insert(number, incarnation);
        let ping = Ping { heir: vec![from], ..self.words(number, 0) };
        self.try_ping(ping).expect("it is listened to")
    }

    /// The course's `Ping(view)`: adopted, and everything installed.
    pub fn ping(&mut self, number: u16, view: u64) -> View {
        let ping = Ping { installed: true, ..self.words(number, view) };
        self.try_ping(ping).expect("it is listened to")
    }

    /// Adopted, and the backup has not everything yet.
    pub fn adopt(&mut self, number: u16, view: u64) -> View {
        let ping = self.words(number, view);
        self.try_ping(ping).expect("it is listened to")
    }

    /// So many intervals pass; in each, these servers say that they have adopted those views.
    pub fn intervals(&mut self, count: u32, pinging: &[(u16, u64)]) {
        for _ in 0..count {
            self.now = self.now.plus(PING_INTERVAL);
            for (number, view) in pinging {
                self.ping(*number, *view);
            }
        }
    }

    pub fn pass(&mut self, millis: u64) {
        self.now = self.now.plus(Duration::from_millis(millis));
    }

    pub fn life(&self, number: u16) -> Member {
        Member { node: node(number), incarnation: self.lives[&number] }
    }

    /// The view in force, as a bystander sees it.
    pub fn get(&mut self) -> View {
        match self.ask(None, Request::Get) {
            Reply::View(view) => view,
            other => panic!("a get is answered by {other:?}"),
        }
    }

    pub fn status(&mut self) -> Status {
        match self.ask(None, Request::Status) {
            Reply::Status(status) => status,
            other => panic!("a status is answered by {other:?}"),
        }
    }

    /// The number of the view, its primary and its backup; 0 for nobody.
    pub fn seen(&mut self) -> (u64, u16, u16) {
        let view = self.get();
        let number = |server: Option<Server>| server.map_or(0, |it| it.member.node.0);
        (view.number.0, number(view.primary), number(view.backup))
    }

    /// View 2 with server 1 as primary and server 2 as backup, acknowledged.
    pub fn pair() -> Self {
        let mut scene = Self::new();
        scene.fresh(1);
        scene.ping(1, 1);
        scene.fresh(2);
        scene.ping(1, 1);
        scene.ping(1, 2);
        scene.ping(2, 2);
        assert_eq!(scene.seen(), (2, 1, 2));
        scene
    }

    /// Writes down what this scenario did.
    pub fn end(self, name: &str, figure: &str) {
        let (events, acknowledged) = (self.asked, self.views.len() as u64);
        Scenario { seeds: 1, events, acknowledged, figure: figure.to_owned() }.write(name);
    }
}
