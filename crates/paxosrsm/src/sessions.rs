//! A coat for any machine: each request takes effect at most once.
//!
//! A client registers once and gets its name from the log itself, so which names exist, and which
//! has gone unused the longest, is the same on every replica. It numbers its requests and has one
//! under way at a time. A request that comes again is answered from memory; nothing happens twice.
//!
//! The table is bounded. When it is full a new client takes the place of the one that was silent
//! longest; that one hears *expired* if it ever comes back, and never has a request run again
//! unawares. The table travels in the snapshot: a replica restored without it would run old
//! requests a second time.

mod table;

use bytes::Bytes;
use protocol::planted;

use crate::machine::{Coded, Image, Reader, StateMachine, put_bytes};
use table::Table;

/// The most clients remembered.
pub const MAX_SESSIONS: usize = 131_072;

/// Names beyond this one are never reached by counting; an image that claims them is not ours.
const LAST_NAME: u64 = 1 << 62;

/// A client, named by the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// The requests of one client, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNo(pub u64);

/// What goes into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<C> {
    /// A new client asks for a name.
    Register,
    /// A request of a client.
    Do {
        /// Whose.
        client: ClientId,
        /// Which of its requests. It must not begin another before this one is answered.
        request: RequestNo,
        /// What it wants done.
        command: C,
    },
    /// A request without a name: nothing is remembered of it, and it is applied as often as it
    /// arrives. Only for commands that are harmless the second time by what they say themselves.
    Bare(C),
}

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response<R> {
    /// The client's name.
    Registered(ClientId),
    /// Done, now or at an earlier try of the same request.
    Done(R),
    /// This client is not remembered: whether an earlier try had an effect is not known.
    Expired,
    /// A later request of this client was done already; the answer to this one is gone.
    Stale,
    /// The bytes were no command. Nothing happened.
    Malformed,
}

const REGISTER: u8 = 0;
const DO: u8 = 1;
const BARE: u8 = 2;

impl<C: Coded> Coded for Command<C> {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Register => into.push(REGISTER),
            Self::Do { client, request, command } => {
                into.push(DO);
                into.extend_from_slice(&client.0.to_le_bytes());
                into.extend_from_slice(&request.0.to_le_bytes());
                command.encode(into);
            }
            Self::Bare(command) => {
                into.push(BARE);
                command.encode(into);
            }
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            REGISTER => reader.end(Self::Register),
            DO => {
                let client = ClientId(reader.u64()?);
                let request = RequestNo(reader.u64()?);
                Some(Self::Do { client, request, command: C::decode(&reader.rest())? })
            }
            BARE => Some(Self::Bare(C::decode(&reader.rest())?)),
            _ => None,
        }
    }
}

impl<R: Coded> Coded for Response<R> {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Registered(client) => {
                into.push(0);
                into.extend_from_slice(&client.0.to_le_bytes());
            }
            Self::Done(response) => {
                into.push(1);
                response.encode(into);
            }
            Self::Expired => into.push(2),
            Self::Stale => into.push(3),
            Self::Malformed => into.push(4),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            0 => {
                let client = ClientId(reader.u64()?);
                reader.end(Self::Registered(client))
            }
            1 => Some(Self::Done(R::decode(&reader.rest())?)),
            2 => reader.end(Self::Expired),
            3 => reader.end(Self::Stale),
            4 => reader.end(Self::Malformed),
            _ => None,
        }
    }
}

/// A machine in its coat.
#[derive(Debug)]
pub struct Sessions<M: StateMachine> {
    machine: M,
    sessions: Table<M::Response>,
    /// The next name to give.
    next: u64,
    limit: usize,
}

impl<M: StateMachine> Sessions<M> {
    /// `machine` in a new coat that remembers [`MAX_SESSIONS`] clients.
    #[must_use]
    pub fn new(machine: M) -> Self {
        Self::with_limit(machine, MAX_SESSIONS)
    }

    /// `machine` in a new coat that remembers `limit` clients, one at least.
    #[must_use]
    pub fn with_limit(machine: M, limit: usize) -> Self {
        Self { machine, sessions: Table::default(), next: 1, limit: limit.max(1) }
    }

    /// The machine inside.
    #[must_use]
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// How many clients are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn register(&mut self) -> ClientId {
        if self.sessions.len() >= self.limit {
            self.sessions.forget_oldest();
        }
        let client = ClientId(self.next);
        self.next += 1;
        assert!(self.sessions.add(client, RequestNo(0), None), "{client:?} was given twice");
        client
    }

    fn perform(
        &mut self,
        client: ClientId,
        request: RequestNo,
        command: M::Command,
    ) -> Response<M::Response> {
        let Some(session) = self.sessions.touch(client) else { return Response::Expired };
        if request == session.request && !planted::is("runs-duplicates") {
            return session.response.clone().map_or(Response::Stale, Response::Done);
        }
        if request < session.request {
            return Response::Stale;
        }
        session.request = request;
        let response = self.machine.apply(command);
        session.response = Some(response.clone());
        Response::Done(response)
    }
}

impl<M: StateMachine> StateMachine for Sessions<M> {
    type Command = Command<M::Command>;
    type Response = Response<M::Response>;
    type Query = M::Query;
    type Answer = M::Answer;

    fn apply(&mut self, command: Self::Command) -> Self::Response {
        match command {
            Command::Register => Response::Registered(self.register()),
            Command::Do { client, request, command } => self.perform(client, request, command),
            Command::Bare(command) => Response::Done(self.machine.apply(command)),
        }
    }

    fn query(&self, query: Self::Query) -> Self::Answer {
        self.machine.query(query)
    }

    fn freeze(&self) -> Image {
        let mut table = Vec::new();
        for number in [self.next, self.limit as u64] {
            table.extend_from_slice(&number.to_le_bytes());
        }
        let sessions =
            if planted::is("snapshot-forgets-sessions") { 0 } else { self.sessions.len() };
        table.extend_from_slice(&(sessions as u64).to_le_bytes());
        let mut response = Vec::new();
        for (client, session) in self.sessions.by_use().take(sessions) {
            for number in [client.0, session.request.0] {
                table.extend_from_slice(&number.to_le_bytes());
            }
            response.clear();
            if let Some(kept) = &session.response {
                kept.encode(&mut response);
            }
            put_bytes(&mut table, &response);
        }
        let machine = self.machine.freeze();
        Image::new(move || {
            table.extend_from_slice(&machine.write());
            table
        })
    }

    fn restore(image: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(image);
        let next = reader.u64()?;
        let limit = usize::try_from(reader.u64()?).ok()?;
        let count = reader.u64()?;
        if count > limit as u64 || next > LAST_NAME {
            return None;
        }
        let mut sessions = Table::default();
        for _ in 0..count {
            let client = ClientId(reader.u64()?);
            let request = RequestNo(reader.u64()?);
            let kept = reader.bytes()?;
            // A response is never empty bytes only if its code says so; no request yet means none.
            let response = match request {
                RequestNo(0) => None,
                _ => Some(M::Response::decode(&kept)?),
            };
            let given = (1..next).contains(&client.0);
            if !given || !sessions.add(client, request, response) {
                return None; // A name that was never given, or given twice.
            }
        }
        let machine = M::restore(&reader.rest())?;
        Some(Self { machine, sessions, next, limit })
    }
}
