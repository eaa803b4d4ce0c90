//! A view service, a primary, a backup and those who wait, with their disks and their clients, as a
//! subject of the simulator.

mod clients;

pub mod day;

mod disks;

pub mod node;

pub mod scene;

pub mod shape;

pub mod verdict;

mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pbservice::{Duty, Pb, Record as Kept, Reply, Request};
use protocol::{NodeId, Time, Word};
use sim::{Io, Plan, Subject, View, World, world::Record as Numbered};
use viewservice::{Refused, SERVICE_NODE, ViewService};

pub use clients::{Clients, Links, RAW};
pub use disks::Disks;
pub use node::Node;
pub use shape::Shape;
pub use watch::Watch;

use crate::rare::{Rare, Sight};
use clients::{Around, Call};
use node::{Output, Record};

/// How often a scripted day looks whether the script wants something.
const PULSE: Duration = Duration::from_millis(1);
/// Whoever has lost the only data must have been silent for so long.
const SILENCE: Duration = Duration::from_secs(2);

/// Something that is going to happen outside the nodes.
#[derive(Debug)]
enum Alarm {
    Client(Call),
    Pulse,
}

/// What is going to happen, by the token of its timer.
#[derive(Debug, Default)]
struct Alarms {
    next: u64,
    set: BTreeMap<u64, Alarm>,
}

impl Alarms {
    fn set(&mut self, io: &mut Io<Node>, after: Duration, alarm: Alarm) {
        self.next += 1;
        self.set.insert(self.next, alarm);
        io.timer(after, self.next);
    }
}

/// The store and everything around it.
#[derive(Debug)]
pub struct Pair {
    /// What kind of day it is.
    pub shape: Shape,
    /// Who asks.
    pub clients: Clients,
    /// What is on which disk.
    pub disks: Disks,
    /// Who sees everything.
    pub watch: Watch,
    /// What hardly ever happens.
    pub rare: Rare,
    /// Timer events that only looked at the script.
    pub pulses: u64,
    /// Requests that reached the view service, by servers and by clients.
    pub views_asked: u64,
    scripted: bool,
    down: BTreeSet<NodeId>,
    lives: BTreeMap<NodeId, u64>,
    alarms: Alarms,
}

impl Pair {
    /// A store of this shape on the day of `plan`.
    #[must_use]
    pub fn new(shape: Shape, plan: &Plan) -> Self {
        Self {
            clients: Clients::new(&shape, plan.seed, plan.storm_until),
            disks: Disks::default(),
            watch: Watch::new(shape.durable),
            rare: Rare::default(),
            pulses: 0,
            views_asked: 0,
            scripted: shape.clients == 0,
            down: shape.nodes().into_iter().collect(),
            lives: BTreeMap::new(),
            alarms: Alarms::default(),
            shape,
        }
    }

    /// The world of such a store.
    #[must_use]
    pub fn world(shape: Shape, plan: Plan) -> World<Self> {
        let pair = Self::new(shape, &plan);
        let nodes = pair.shape.nodes();
        World::new(pair, &nodes, plan)
    }

    /// A node's next life, from its disk.
    fn born(&self, node: NodeId, records: Vec<Numbered<Node>>) -> Node {
        if node == SERVICE_NODE {
            let records = records.into_iter().filter_map(|(lsn, record)| match record {
                Record::Service(record) => Some((lsn, record)),
                Record::Server(_) => None,
            });
            let service = ViewService::recover(records).expect("its own records");
            return Node::Service(Box::new(service));
        }
        let records = records.into_iter().filter_map(|(lsn, record)| match record {
            Record::Server(record) => Some((lsn, record)),
            Record::Service(_) => None,
        });
        Node::Server(Box::new(Pb::recover(self.shape.server(node), records)))
    }

    fn with_clients(&mut self, io: &mut Io<Node>, act: impl FnOnce(&mut Clients, &mut Around<'_>)) {
        let mut around =
            Around { io, alarms: &mut self.alarms, rare: &mut self.rare, down: &self.down };
        act(&mut self.clients, &mut around);
    }

    /// Whether the only data is lost for ever, and nobody has answered for a while.
    #[must_use]
    pub fn lost(&self, view: &View<'_, Node>) -> bool {
        self.watch.lost(view, &self.disks)
    }

    fn witness_service(
        &mut self,
        reply: &viewservice::Reply,
        durable: &[Numbered<Node>],
    ) -> Result<(), String> {
        match reply {
            viewservice::Reply::Joined(Ok(joined)) => {
                self.watch.told_incarnation(joined.incarnation, durable)
            }
            viewservice::Reply::Pong(Ok(pong)) => self.watch.told_view(&pong.view, durable),
            viewservice::Reply::View(view) => self.watch.told_view(view, durable),
            _ => Ok(()),
        }
    }
}

impl Subject for Pair {
    type Core = Node;

    fn recover(&mut self, node: NodeId, _seed: u64, records: Vec<Numbered<Node>>) -> Node {
        let life = self.lives.entry(node).or_default();
        *life += 1;
        let again = *life > 1;
        if self.down.len() == usize::from(self.shape.servers) + 1 && again {
            self.rare.saw(Sight::AllDown);
        }
        self.down.remove(&node);
        self.disks.follow(node, &records);
        let under_way = records
            .iter()
            .skip(1)
            .any(|(_, record)| matches!(record, Record::Server(Kept::Checkpoint(_))));
        let core = self.born(node, records);
        match &core {
            Node::Server(server) => {
                if under_way {
                    self.rare.saw(Sight::CheckpointCut);
                }
                if let Err(what) = self.disks.recovered(node, server.state()) {
                    self.watch.blame(what);
                }
            }
            Node::Service(_) if again => self.rare.saw(Sight::ServiceRestarted),
            Node::Service(_) => {}
        }
        core
    }

    fn twin(&self, node: NodeId, _seed: u64, records: Vec<Numbered<Node>>) -> Option<Node> {
        Some(self.born(node, records))
    }

    fn state(&self, core: &Node) -> String {
        format!("{core:?}")
    }

    fn lasting(&self, core: &Node) -> String {
        match core {
            Node::Service(service) => format!("{:?}", service.safety()),
            Node::Server(server) => {
                format!("{:?} {:?} {:?}", server.view(), server.places(), server.state())
            }
        }
    }

    /// What a primary hands on may come any number of times; so may questions.
    fn harmless(&self, request: &Request) -> bool {
        matches!(
            request,
            Request::Forward(_) | Request::View(viewservice::Request::Get) | Request::Status
        )
    }

    fn describe(&self, _: NodeId, core: &Node) -> String {
        match core {
            Node::Service(service) => format!("{:?}", service.safety()),
            Node::Server(server) => {
                let name = server.member().map_or("nobody".into(), |member| member.to_string());
                let (last, forwarded) = server.places();
                let whole = if server.state().is_whole() { "whole" } else { "not whole" };
                format!(
                    "{name} is {:?} in {}, {whole}; at {} of its stream, {} with its backup",
                    server.duty(),
                    server.view(),
                    last.0,
                    forwarded.0
                )
            }
        }
    }

    fn waits(&self, now: Time) -> Vec<String> {
        self.clients.waits(now)
    }

    fn output(&mut self, node: NodeId, output: Output, _: &mut Io<Node>) {
        use pbservice::Output as Said;
        match output {
            Output::Server(Said::Superseded(by)) => {
                self.watch
                    .blame(format!("P5 duty: {node} is told to end by {by}, and is the last"));
            }
            Output::Server(Said::Hollow(view)) => {
                self.watch.blame(format!(
                    "P5 duty: {node} shall be primary of view {view} and has not the whole state"
                ));
            }
            Output::Server(Said::Unwelcome(why @ (Refused::Unknown | Refused::Unproven))) => {
                self.watch.blame(format!("P5 duty: {node} is refused: {why}"));
            }
            Output::Server(_) | Output::Service(_) => {}
        }
    }

    fn answer(&mut self, ticket: u64, reply: Reply, io: &mut Io<Node>) {
        if matches!(reply, Reply::Client(Ok(_))) {
            self.watch.spoke = io.now;
        }
        self.with_clients(io, |clients, around| clients.answered(ticket, reply, around));
    }

    fn tick(&mut self, token: u64, io: &mut Io<Node>) {
        if token == 0 {
            self.with_clients(io, Clients::start);
            if self.scripted {
                self.alarms.set(io, PULSE, Alarm::Pulse);
            }
            return;
        }
        match self.alarms.set.remove(&token) {
            Some(Alarm::Client(call)) => {
                self.with_clients(io, |clients, around| clients.happen(call, around));
            }
            Some(Alarm::Pulse) => {
                self.pulses += 1;
                self.with_clients(io, Clients::obey);
                self.alarms.set(io, PULSE, Alarm::Pulse);
            }
            None => {}
        }
    }

    fn crashed(&mut self, node: NodeId) {
        self.down.insert(node);
        self.watch.crashed(node, &mut self.rare);
    }

    fn witness(
        &mut self,
        node: NodeId,
        word: &Word<Node>,
        durable: &[Numbered<Node>],
    ) -> Result<(), String> {
        // Before anything of it is forgotten.
        self.disks.follow(node, durable);
        match word {
            Word::Send { request: Request::Forward(forward), .. } => {
                self.watch.forwards(forward, &mut self.rare)
            }
            Word::Send { request: Request::View(request), .. } => {
                self.views_asked += 1;
                if matches!(request, viewservice::Request::Ping(ping) if ping.lost_backup) {
                    self.rare.saw(Sight::BackupLost);
                }
                Ok(())
            }
            Word::Answer { reply: Reply::View(reply), .. } => self.witness_service(reply, durable),
            Word::Answer { reply: Reply::Forwarded(answer), .. } => {
                self.watch.has(node, answer, &self.disks, &mut self.rare)
            }
            Word::Answer { ticket, reply: Reply::Client(answer) } => {
                let Some(asked) = self.clients.asked(*ticket) else { return Ok(()) };
                self.watch.answers(node, asked, answer, &self.disks, &mut self.rare)
            }
            Word::Forget(_) => {
                let checkpoint = |(_, record): &Numbered<Node>| {
                    matches!(record, Record::Server(Kept::Checkpoint(_)))
                };
                if durable.iter().any(checkpoint) {
                    self.rare.saw(Sight::LogShortened);
                }
                Ok(())
            }
            Word::Output(Output::Service(view)) => self.watch.told_view(view, durable),
            _ => Ok(()),
        }
    }

    fn check(&mut self, node: NodeId, view: &View<'_, Node>) -> Result<(), String> {
        self.disks.follow(node, view.durable(node));
        self.watch.look(node, view, &self.disks, &mut self.rare)
    }

    fn at_rest(&self, view: &View<'_, Node>) -> Result<(), String> {
        if !view.all_up() {
            return Err("somebody is down".into());
        }
        if self.lost(view) {
            // Whoever still answers has invented the answer; that takes no time.
            let silent = view.now.since(self.watch.spoke) >= SILENCE;
            return if silent { Ok(()) } else { Err("the only data is lost".into()) };
        }
        self.clients.at_rest()?;
        settled(view)
    }
}

/// One primary that everybody knows, with a backup that is equal to it if there is anybody for it.
fn settled(view: &View<'_, Node>) -> Result<(), String> {
    let Some(Node::Service(service)) = view.core(SERVICE_NODE) else {
        return Err("there is no view service".into());
    };
    let safety = service.safety();
    let servers: Vec<&Pb> = view
        .cores()
        .filter_map(|(_, core)| match core {
            Node::Server(server) => Some(&**server),
            Node::Service(_) => None,
        })
        .collect();
    if !safety.acknowledged || safety.view.backup.is_none() && servers.len() > 1 {
        return Err(format!("{safety:?}"));
    }
    let find = |wanted: &Option<viewservice::Server>| {
        let wanted = wanted.as_ref().map(|server| server.member)?;
        servers.iter().find(|server| server.member() == Some(wanted)).copied()
    };
    let Some(primary) = find(&safety.view.primary) else {
        return Err(format!("the primary of {} is not there", safety.view));
    };
    if servers.iter().any(|server| server.view() != &safety.view) {
        return Err(format!("not everybody knows {}", safety.view));
    }
    let duty = if safety.view.backup.is_some() { Duty::Paired } else { Duty::Alone };
    if primary.duty() != duty {
        return Err(format!("the primary is {:?}", primary.duty()));
    }
    if safety.view.backup.is_some() {
        let Some(backup) = find(&safety.view.backup) else {
            return Err(format!("the backup of {} is not there", safety.view));
        };
        let (last, forwarded) = primary.places();
        if last != forwarded || backup.places().0 != last {
            return Err("the backup has not everything".into());
        }
        if backup.state() != primary.state() {
            return Err("P3 stream: primary and backup differ at rest".into());
        }
    }
    Ok(())
}
