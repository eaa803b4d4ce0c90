//! How a world gets to where a search begins, and how it is told to people.

use protocol::NodeId;
use viewservice::{PING_INTERVAL, View};

use crate::{
    actors::{Process, Who},
    model::Action,
    world::World,
};

/// So many quiet ping intervals are enough for anything.
const QUIET: usize = 50;

impl World {
    /// Everything goes well until `there`.
    pub(crate) fn calm(mut self, there: impl Fn(&Self) -> bool) -> Self {
        for _ in 0..QUIET {
            self.arrive();
            if there(&self) {
                return self;
            }
            self.interval();
        }
        panic!("it never gets there: {}", self.state_of_things());
    }

    /// Everything goes well, and the clients ask whoever leads. Whether they are answered.
    pub(crate) fn heals(&mut self) -> bool {
        for _ in 0..QUIET {
            self.arrive();
            for client in 0..self.clients.len() {
                let leader = self.primary().map(|node| self.newest(node));
                let (leader, it) = (leader.expect("there was a view"), &self.clients[client]);
                if !it.is_done() {
                    self.ask(client, it.at, leader);
                }
            }
            self.arrive();
            if self.is_done() {
                return true;
            }
            self.interval();
        }
        false
    }

    /// All that is on its way arrives, and what comes of it.
    fn arrive(&mut self) {
        self.tidy();
        while !self.flights.is_empty() {
            let flight = self.flights.remove(0);
            let process = match flight.to {
                Who::Server(to) => self.newest(to),
                _ => 0,
            };
            self.deliver(&flight, process);
            self.tidy();
        }
    }

    /// A ping interval passes for everybody.
    fn interval(&mut self) {
        for process in 0..self.processes.len() {
            if self.processes[process].up {
                self.pass_interval(process);
            }
        }
        self.pass_at_service(PING_INTERVAL);
    }

    /// The latest process that runs this server.
    fn newest(&self, node: NodeId) -> usize {
        let mine = |it: &Process| it.node == node;
        self.processes.iter().rposition(mine).expect("every server has run")
    }

    /// The servers are up, the first two are primary and backup of an acknowledged view, and the
    /// clients have their sessions.
    pub(crate) fn paired(self) -> Self {
        let mut world = self.calm(|it| it.view().backup.is_some() && it.is_acknowledged());
        world.open_sessions(0);
        world.calm(|_| true)
    }

    /// The one server there is leads alone, and the clients have their sessions.
    pub(crate) fn alone(self) -> Self {
        let mut world = self.calm(Self::is_acknowledged);
        world.open_sessions(0);
        world.calm(|_| true)
    }

    /// The view in force.
    pub(crate) fn view(&self) -> &View {
        self.service.view()
    }

    /// Whether the view in force may be replaced.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.service.safety().acknowledged
    }

    /// The primary of the view in force.
    pub(crate) fn primary(&self) -> Option<NodeId> {
        self.view().primary.as_ref().map(|it| it.member.node)
    }

    /// Whether every client has done everything.
    pub(crate) fn is_done(&self) -> bool {
        self.clients.iter().all(|client| client.is_done())
    }

    /// The whole in a line.
    pub(crate) fn state_of_things(&self) -> String {
        let servers = self.processes.iter().enumerate().map(|(at, it)| {
            let core = it.core();
            let up = if it.up { "" } else { ", down" };
            let value = core.state().get(b"k").map_or(&b"-"[..], |value| value);
            let value = String::from_utf8_lossy(value);
            format!(
                "; {}: {:?} of {} has {value}{up}",
                self.who(Who::Process(at)),
                core.duty(),
                core.view()
            )
        });
        let acknowledged = if self.is_acknowledged() { ", acknowledged" } else { "" };
        let servers: String = servers.collect();
        format!("{}{acknowledged}{servers}", self.view())
    }

    fn who(&self, who: Who) -> String {
        match who {
            Who::Service => "the view service".into(),
            Who::Server(node) => node.to_string(),
            Who::Process(at) => format!("{} (process {at})", self.processes[at].node),
            Who::Client(at) => format!("client {at}"),
        }
    }

    /// What is about to happen, in words.
    pub(crate) fn describe(&self, action: Action) -> String {
        let process = |at| self.who(Who::Process(at));
        match action {
            Action::Ask(client, at) => {
                let client = &self.clients[client];
                format!("{:?} arrives at {}", client.program[client.at], process(at))
            }
            Action::AskLate(client, at) => {
                let client = &self.clients[client];
                format!("late, {:?} arrives at {}", client.program[client.at - 1], process(at))
            }
            Action::Deliver(flight, at) | Action::Repeat(flight, at) => {
                let flight = &self.flights[flight];
                let to = if matches!(flight.to, Who::Server(_)) {
                    process(at)
                } else {
                    self.who(flight.to)
                };
                let again = if matches!(action, Action::Repeat(..)) {
                    " (not for the last time)"
                } else {
                    ""
                };
                format!("{} -> {to}: {:?}{again}", self.who(flight.from), flight.what)
            }
            Action::Fail(at) => format!("{} gives its forward up", process(at)),
            Action::Pause(at) => format!("{} has paused", process(at)),
            Action::Pass(at) => format!("a ping interval passes at {}", process(at)),
            Action::Impatience(at) => format!("{} has lost patience", process(at)),
            Action::HearOnly(these) => {
                let these = (0..self.processes.len()).filter(|at| these & 1 << at != 0);
                let these: Vec<String> = these.map(process).collect();
                format!("the view service hears only {}", these.join(", "))
            }
            Action::Restart(at) => format!("{} ends, and another life begins", process(at)),
            Action::Twin(at) => format!("another life of {} begins beside it", process(at)),
            Action::RestartService => "the view service ends and begins again".into(),
            Action::Cut => format!("{:?} is cut off", self.primary()),
        }
    }
}
