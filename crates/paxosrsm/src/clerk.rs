//! What a client does about silence, redirects and expired sessions: the same request again, to
//! somebody else, under the same number, until it is answered. Pure: no socket, no clock.

use std::time::Duration;

use bytes::Bytes;
use protocol::{NodeId, Rng, planted};

use crate::{
    agreement::Refused,
    machine::Coded,
    sessions::{ClientId, Command, RequestNo, Response},
};

/// How long to wait before the next try, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// What to send next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// To whom.
    pub to: NodeId,
    /// After this pause.
    pub after: Duration,
    /// A command to submit, or a query.
    pub bytes: Bytes,
    /// Whether it is a command.
    pub changes: bool,
}

/// How a call to a server ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It answered.
    Done(Bytes),
    /// It refused.
    Refused(Refused),
    /// No connection: certainly nothing was sent.
    Unreachable,
    /// Sent, and not answered: anything may have happened.
    Silence,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again like this.
    Try(Try),
    /// The machine's response or answer.
    Done(Bytes),
    /// It may have happened, and nobody will ever tell: the session expired meanwhile.
    Unknown,
    /// It certainly did not happen, and trying again will not help.
    Refused(Refused),
}

/// What a client wants at the moment.
#[derive(Clone, Debug)]
enum Errand {
    Command(Bytes),
    Bare(Bytes),
    Query(Bytes),
}

/// A client: its name, its numbers, whom it asks.
#[derive(Clone, Debug)]
pub struct Clerk {
    servers: Vec<NodeId>,
    favourite: usize,
    client: Option<ClientId>,
    number: RequestNo,
    errand: Option<Errand>,
    /// Whether a command of this number was sent under this session and may have arrived.
    exposed: bool,
    registering: bool,
    pause: Duration,
    rng: Rng,
}

impl Clerk {
    /// A client of these servers. `seed` spreads its first choice and its pauses.
    ///
    /// # Panics
    ///
    /// Without servers.
    #[must_use]
    pub fn new(servers: Vec<NodeId>, seed: u64) -> Self {
        assert!(!servers.is_empty(), "a client needs somebody to ask");
        let mut rng = Rng::new(seed);
        let favourite = rng.below(servers.len() as u64) as usize;
        Self {
            servers,
            favourite,
            client: None,
            number: RequestNo(0),
            errand: None,
            exposed: false,
            registering: false,
            pause: BACKOFF.0,
            rng,
        }
    }

    /// Whom it would ask now.
    #[must_use]
    pub fn favourite(&self) -> NodeId {
        self.servers[self.favourite]
    }

    /// Whether the command under way may have had an effect already; of a bare one that was
    /// answered, whether that was an earlier try than the one the answer speaks of.
    #[must_use]
    pub fn exposed(&self) -> bool {
        self.exposed
    }

    /// Begins a command, encoded as the machine's own. One at a time.
    pub fn submit(&mut self, command: Bytes) -> Try {
        self.number.0 += 1;
        self.begin(Errand::Command(command))
    }

    /// Begins a command without a session. It is repeated like any other, and every try may take
    /// effect: only for commands that are harmless the second time. One at a time.
    pub fn bare(&mut self, command: Bytes) -> Try {
        self.begin(Errand::Bare(command))
    }

    /// Begins a query. One at a time.
    pub fn query(&mut self, query: Bytes) -> Try {
        self.begin(Errand::Query(query))
    }

    /// Gives the errand up. A later command takes the next number, so nothing of this one can be
    /// mistaken for it.
    pub fn give_up(&mut self) {
        self.errand = None;
        self.exposed = false;
    }

    fn begin(&mut self, errand: Errand) -> Try {
        self.errand = Some(errand);
        self.exposed = false;
        self.pause = BACKOFF.0;
        self.attempt(Duration::ZERO)
    }

    fn attempt(&mut self, after: Duration) -> Try {
        let to = self.favourite();
        match &self.errand {
            Some(Errand::Query(query)) => Try { to, after, bytes: query.clone(), changes: false },
            Some(Errand::Command(command)) => {
                let bytes = match self.client {
                    Some(client) => {
                        self.registering = false;
                        encode_do(client, self.number, command)
                    }
                    None => {
                        self.registering = true;
                        Command::<Raw>::Register.to_bytes()
                    }
                };
                Try { to, after, bytes, changes: true }
            }
            Some(Errand::Bare(command)) => {
                self.registering = false;
                let bytes = Command::Bare(Raw(command.clone())).to_bytes();
                Try { to, after, bytes, changes: true }
            }
            None => Try { to, after, bytes: Bytes::new(), changes: false },
        }
    }

    /// What the last try led to, and what to do now. A try is heard of once, before the next one:
    /// what still comes of a try that was given up must not be told here.
    pub fn heard(&mut self, heard: Heard) -> Next {
        match heard {
            Heard::Done(bytes) => self.done(bytes),
            Heard::Refused(Refused::NotLeading(leader)) => {
                let known = leader
                    .and_then(|leader| self.servers.iter().position(|server| *server == leader));
                match known.filter(|known| *known != self.favourite) {
                    Some(known) => {
                        self.favourite = known;
                        let soon = self.rng.between(Duration::ZERO, BACKOFF.0);
                        Next::Try(self.attempt(soon))
                    }
                    None => self.elsewhere(),
                }
            }
            Heard::Refused(Refused::Busy) => {
                let pause = self.rest();
                Next::Try(self.attempt(pause))
            }
            Heard::Refused(Refused::Unknown) | Heard::Silence => {
                self.exposed |= !self.registering && !self.is_query();
                if planted::is("retries-under-a-new-number") {
                    self.number.0 += 1;
                }
                self.elsewhere()
            }
            Heard::Unreachable => self.elsewhere(),
            Heard::Refused(refused) => {
                self.errand = None;
                // It speaks of this try; an earlier one may have been done.
                if self.exposed { Next::Unknown } else { Next::Refused(refused) }
            }
        }
    }

    fn is_query(&self) -> bool {
        matches!(self.errand, Some(Errand::Query(_)))
    }

    fn done(&mut self, bytes: Bytes) -> Next {
        if self.is_query() {
            self.errand = None;
            return Next::Done(bytes);
        }
        match Response::<Raw>::decode(&bytes) {
            Some(Response::Registered(client)) if self.registering => {
                self.client = Some(client);
                Next::Try(self.attempt(Duration::ZERO))
            }
            Some(Response::Done(Raw(response))) => {
                self.exposed &= matches!(self.errand.take(), Some(Errand::Bare(_)));
                Next::Done(response)
            }
            Some(Response::Expired) if self.exposed => {
                // An earlier try may have been done before the session was forgotten.
                self.client = None;
                self.errand = None;
                Next::Unknown
            }
            Some(Response::Expired) => {
                self.client = None;
                Next::Try(self.attempt(Duration::ZERO))
            }
            Some(Response::Stale | Response::Malformed | Response::Registered(_)) | None => {
                self.errand = None;
                if self.exposed { Next::Unknown } else { Next::Refused(Refused::Malformed) }
            }
        }
    }

    /// The next server, after a pause that grows.
    fn elsewhere(&mut self) -> Next {
        self.favourite = (self.favourite + 1) % self.servers.len();
        let pause = self.rest();
        Next::Try(self.attempt(pause))
    }

    fn rest(&mut self) -> Duration {
        let pause = self.rng.between(self.pause / 2, self.pause);
        self.pause = (self.pause * 2).min(BACKOFF.1);
        pause
    }
}

fn encode_do(client: ClientId, request: RequestNo, command: &Bytes) -> Bytes {
    Command::Do { client, request, command: Raw(command.clone()) }.to_bytes()
}

/// Bytes that are passed on as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Raw(Bytes);

impl Coded for Raw {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0);
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        Some(Self(bytes.clone()))
    }
}
