//! Who lives in a small world, and what is on its way in it.

use std::sync::Arc;

use pbservice::{Config, Pb, Reply, Request, config::FORWARD_PAUSE};
use protocol::{CallId, Desk, Lsn, NodeId, Time};

use crate::{
    canon::{Canon, digest},
    history::{Op, Ret},
};

/// One process that runs a server.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) node: NodeId,
    pub(crate) up: bool,
    pub(crate) desk: Arc<Shared>,
    /// On its own clock.
    pub(crate) now: Time,
    /// Worked out when the world is tidied.
    pub(crate) canon: Option<Canon>,
}

/// A desk that many worlds look at. Whoever wants to change it makes a copy of its own.
pub(crate) struct Shared(pub(crate) Desk<Pb>);

impl Clone for Shared {
    fn clone(&self) -> Self {
        Self(self.0.fork())
    }
}

impl Process {
    pub(crate) fn new(node: NodeId, addr: String) -> Self {
        let core = Pb::recover(Config::new(node, addr), []);
        let desk = Arc::new(Shared(Desk::new(node, core, Lsn(0))));
        Self { node, up: true, desk, now: Time::ZERO, canon: None }
    }

    pub(crate) fn core(&self) -> &Pb {
        self.desk.0.core()
    }

    /// Equal for equal states.
    pub(crate) fn digest(&self) -> u64 {
        self.canon().digest
    }

    pub(crate) fn canon(&self) -> &Canon {
        self.canon.as_ref().expect("a tidy world")
    }

    /// Says which state it is in.
    pub(crate) fn tidy(&mut self) {
        if self.canon.is_none() {
            self.canon = Some(Canon::new(self.core(), self.now));
        }
    }

    pub(crate) fn due(&self) -> Time {
        self.desk.0.deadline().expect("a server always has plans")
    }

    /// What this call is to it by now.
    pub(crate) fn call(&self, call: CallId) -> Call {
        match call {
            call if self.canon().ping == Some(call) => Call::Ping,
            call if self.canon().forward == Some(call) => Call::Forward,
            _ => Call::GivenUp,
        }
    }

    /// Whether a forward is under way.
    pub(crate) fn is_forwarding(&self) -> bool {
        self.up && self.canon().forward.is_some()
    }

    /// Whether it only waits a moment before it forwards again.
    pub(crate) fn is_pausing(&self) -> bool {
        self.up && self.due() > self.now && self.due() <= self.now.plus(FORWARD_PAUSE)
    }
}

/// What a call is to the one who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    Ping,
    Forward,
    GivenUp,
}

/// Who speaks or listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    Service,
    /// Every process that runs this server.
    Server(NodeId),
    Process(usize),
    Client(usize),
}

#[derive(Debug)]
pub(crate) enum What {
    Ask(Request),
    Reply(Reply),
    /// To the client's request of this number.
    Answer(usize, Ret),
}

/// What is on its way.
#[derive(Clone)]
pub(crate) struct Flight {
    pub(crate) from: Who,
    pub(crate) to: Who,
    pub(crate) what: Arc<What>,
    pub(crate) call: CallId,
    /// Of its words.
    pub(crate) digest: u64,
}

impl Flight {
    pub(crate) fn new(from: Who, to: Who, call: CallId, what: What) -> Self {
        let digest = digest(&format!("{what:?}"));
        Self { from, to, call, what: Arc::new(what), digest }
    }
}

/// A client and its errands.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) program: Arc<[Op]>,
    /// Its session.
    pub(crate) session: u64,
    /// How many of them are done.
    pub(crate) at: usize,
    /// How often the one under way was asked for.
    pub(crate) asked: u8,
    /// The last value it saw.
    pub(crate) saw: Option<String>,
}

impl Client {
    pub(crate) fn is_done(&self) -> bool {
        self.at == self.program.len()
    }
}

/// What some searches do without, so that they can try everything else.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Without {
    /// A ping that is on its way for any time, and an answer to one that only says what is known.
    /// A ping arrives at once or was never sent.
    pub(crate) slow_pings: bool,
    /// An answer that nobody waits for any more.
    pub(crate) stale_answers: bool,
    /// A forward that brings nothing new, and whose answer nobody waits for.
    pub(crate) stale_forwards: bool,
}
