//! The view service and the servers as machines of one kind, so that one world can hold them all.

use pbservice::{Pb, Reply, Request};
use protocol::{Core, Effects, Event, Time, Wrap};
use viewservice::{View, ViewService};

/// The view service or a server, as shipped.
#[derive(Debug)]
pub enum Node {
    /// Who is primary now.
    Service(Box<ViewService>),
    /// A server of the store.
    Server(Box<Pb>),
}

/// What either must never forget.
#[derive(Clone, Debug)]
pub enum Record {
    /// Of the view service.
    Service(viewservice::Record),
    /// Of a server.
    Server(pbservice::Record),
}

/// What either announces.
#[derive(Debug)]
pub enum Output {
    /// The view service: a view has come into force.
    Service(View),
    /// A server.
    Server(pbservice::Output),
}

impl From<pbservice::Output> for Output {
    fn from(output: pbservice::Output) -> Self {
        Self::Server(output)
    }
}

impl Core for Node {
    type Request = Request;
    type Reply = Reply;
    type Record = Record;
    type Output = Output;

    fn step(&mut self, now: Time, event: Event<Self>, fx: &mut Effects<Self>) {
        match self {
            Self::Service(service) => {
                let wrap = Wrap {
                    request: Request::View,
                    reply: Reply::View,
                    record: Record::Service,
                    output: Output::Service,
                };
                let Some(event) = for_service(event) else { return };
                let free = fx.nest(wrap, |fx| service.step(now, event, fx));
                assert!(free.is_empty(), "the view service announces nothing before it is saved");
            }
            Self::Server(server) => {
                let wrap = Wrap {
                    request: |request| request,
                    reply: |reply| reply,
                    record: Record::Server,
                    output: Output::Server,
                };
                let event = for_server(event);
                for output in fx.nest(wrap, |fx| server.step(now, event, fx)) {
                    fx.output_free(output);
                }
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self {
            Self::Service(service) => service.deadline(),
            Self::Server(server) => server.deadline(),
        }
    }
}

/// The same event for a view service; nothing if it is none of its business: it calls nobody, and
/// whoever asks it for a value gets no answer.
fn for_service(event: Event<Node>) -> Option<Event<ViewService>> {
    match event {
        Event::Request { caller, request: Request::View(request) } => {
            Some(Event::Request { caller, request })
        }
        Event::Request { .. } | Event::Reply(_) | Event::Failed { .. } => None,
        Event::DiskHealthy(healthy) => Some(Event::DiskHealthy(healthy)),
        Event::Wake => Some(Event::Wake),
    }
}

fn for_server(event: Event<Node>) -> Event<Pb> {
    match event {
        Event::Request { caller, request } => Event::Request { caller, request },
        Event::Reply(heard) => Event::Reply(heard),
        Event::Failed { to, call } => Event::Failed { to, call },
        Event::DiskHealthy(healthy) => Event::DiskHealthy(healthy),
        Event::Wake => Event::Wake,
    }
}
