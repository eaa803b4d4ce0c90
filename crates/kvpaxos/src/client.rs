//! The client of a store: finds the leader, repeats itself safely, and says what it knows.

mod more;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use net::{
    Addr, Bounds, CallError, Calls, Line, Network, Peers, PeersConfig, Refusal, RpcError, Wire,
    hello::Hello,
};
use paxosrsm::{
    Clerk, Coded, Index, Refused,
    clerk::{Heard, Next, Try},
    message::{Chunk, Digest, Done, Piece, Query, Submit, Taken},
};
use protocol::NodeId;
use tarpc::context::Context;
use tokio::time::Instant;

use crate::{
    command::{
        Command, Expect, MAX_COMMAND, MAX_KEY, MAX_KEYS_PER_CALL, MAX_VALUE, Response, Version,
    },
    question::{Found, MAX_ANSWER, Question, Value},
    server::SERVICE,
    service::{KvClient, NodeStatus},
};

/// How long one try may take before another server is asked.
const TRY: Duration = Duration::from_millis(1000);

/// What a connection to a store is asked.
#[derive(Debug)]
pub enum Call {
    /// See [`Kv`](crate::service::Kv).
    Submit(Submit),
    /// See [`Kv`](crate::service::Kv).
    Get(Query),
    /// See [`Kv`](crate::service::Kv).
    Status,
    /// See [`Kv`](crate::service::Kv).
    Digest,
    /// See [`Kv`](crate::service::Kv).
    Snapshot(Index),
    /// See [`Kv`](crate::service::Kv).
    Piece(Chunk),
}

/// What it answers.
#[derive(Debug)]
pub enum Answer {
    /// To a submit or a get.
    Done(Result<Done, Refused>),
    /// To a status.
    Status(Option<NodeStatus>),
    /// To a digest.
    Digest(Option<Digest>),
    /// To a snapshot.
    Taken(Taken),
    /// To a piece.
    Piece(Piece),
}

/// A store's service, from the caller's side.
pub struct KvWire(KvClient);

impl Wire<Call, Answer> for KvWire {
    fn open(line: Line) -> Self {
        Self(KvClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(&self, context: Context, call: Call) -> Result<Answer, RpcError> {
        Ok(match call {
            Call::Submit(submit) => Answer::Done(self.0.submit(context, submit).await?),
            Call::Get(query) => Answer::Done(self.0.get(context, query).await?),
            Call::Status => Answer::Status(self.0.status(context).await?),
            Call::Digest => Answer::Digest(self.0.digest(context).await?),
            Call::Snapshot(covering) => Answer::Taken(self.0.snapshot(context, covering).await?),
            Call::Piece(chunk) => Answer::Piece(self.0.piece(context, chunk).await?),
        })
    }
}

/// Connections to the servers of a store, shared by as many clients as wanted.
#[derive(Clone)]
pub struct Connections {
    peers: Peers<KvWire, Call>,
    servers: Vec<NodeId>,
}

impl Connections {
    /// To these servers; dialled when first needed.
    #[must_use]
    pub fn new(
        network: Arc<dyn Network>,
        cluster: u64,
        addrs: BTreeMap<NodeId, Addr>,
        seed: u64,
    ) -> Self {
        let servers = addrs.keys().copied().collect();
        let hello = Hello { cluster, node: None, service: SERVICE.to_owned() };
        let patience = |_: &Call| TRY;
        let config = PeersConfig { hello, addrs, bounds: Bounds::CLIENT, patience, seed };
        Self { peers: Peers::new(network, config), servers }
    }

    /// The servers, in order.
    #[must_use]
    pub fn servers(&self) -> &[NodeId] {
        &self.servers
    }

    /// How this server is doing.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub async fn status(&self, server: NodeId) -> Result<NodeStatus, CallError> {
        match self.peers.call(server, Call::Status).await? {
            Answer::Status(Some(status)) => Ok(status),
            Answer::Status(None) => Err(CallError::Lost),
            _ => Err(CallError::WrongKind),
        }
    }

    /// The fingerprint of this server's state.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub async fn digest(&self, server: NodeId) -> Result<Digest, CallError> {
        match self.peers.call(server, Call::Digest).await? {
            Answer::Digest(Some(digest)) => Ok(digest),
            Answer::Digest(None) => Err(CallError::Lost),
            _ => Err(CallError::WrongKind),
        }
    }

    /// Which durable snapshot of this server covers everything below `covering`. `None`: it is
    /// being written, or what it must cover is not applied there yet; ask again.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub async fn snapshot(
        &self,
        server: NodeId,
        covering: Index,
    ) -> Result<Option<Index>, CallError> {
        match self.peers.call(server, Call::Snapshot(covering)).await? {
            Answer::Taken(Taken(upto)) => Ok(upto),
            _ => Err(CallError::WrongKind),
        }
    }

    /// A piece of a snapshot of this server; its `total` is 0 if that snapshot is gone there.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub async fn piece(&self, server: NodeId, chunk: Chunk) -> Result<Piece, CallError> {
        match self.peers.call(server, Call::Piece(chunk)).await? {
            Answer::Piece(piece) => Ok(piece),
            _ => Err(CallError::WrongKind),
        }
    }

    /// Ends every connection.
    pub fn close(&self) {
        self.peers.close();
    }
}

/// Why a client could not say *done*.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It may have happened. Asking the same client again would be a new request.
    #[error("it may or may not have happened: no answer came in time")]
    Unknown,
    /// It certainly did not happen: nobody could be reached, or nobody led, in time.
    #[error("it did not happen: no server that leads could be reached in time{0}")]
    Unreachable(String),
    /// It certainly did not happen: a key, a value or the whole is too large.
    #[error(
        "it did not happen: a key may have {MAX_KEY} bytes and a value {MAX_VALUE}, after an append \
         too; one call may have {MAX_KEYS_PER_CALL} keys, and {MAX_COMMAND} bytes to write"
    )]
    TooLarge,
    /// The values that were asked for are too much for one answer. Nothing else is wrong with them.
    #[error("the values have more than {MAX_ANSWER} bytes together: ask for fewer keys at a time")]
    TooMuch,
    /// It certainly did not happen: the servers did not understand it.
    #[error("it did not happen: the servers did not understand it; are they of another version?")]
    Malformed,
}

/// One client of a store, with one request under way at a time.
pub struct Client {
    clerk: Clerk,
    connections: Connections,
    /// How long an operation is tried for before it is given up.
    pub budget: Duration,
}

impl Client {
    /// A client over these connections. `seed` should differ from client to client.
    #[must_use]
    pub fn new(connections: Connections, seed: u64) -> Self {
        let clerk = Clerk::new(connections.servers.clone(), seed);
        Self { clerk, connections, budget: Duration::from_secs(5) }
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// See [`Error`]: each variant says whether it may have happened.
    pub async fn put(&mut self, key: Bytes, value: Bytes) -> Result<Version, Error> {
        self.written(Command::Put(key, value)).await
    }

    /// Adds `tail` to the end of what `key` has.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn append(&mut self, key: Bytes, tail: Bytes) -> Result<Version, Error> {
        self.written(Command::Append(key, tail)).await
    }

    /// Forgets `key`. Whether there was anything.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn delete(&mut self, key: Bytes) -> Result<bool, Error> {
        match self.change(&Command::Delete(key)).await? {
            Response::Deleted(existed) => Ok(existed),
            other => Err(unexpected(&other)),
        }
    }

    /// Sets `key` to `value` if it is as expected: the new version, or the one that is there.
    ///
    /// # Errors
    ///
    /// See [`Error`]. That something else was there is no error.
    pub async fn cas(
        &mut self,
        key: Bytes,
        expect: Expect,
        value: Bytes,
    ) -> Result<Result<Version, Option<Version>>, Error> {
        match self.change(&Command::Cas(key, expect, value)).await? {
            Response::Written(version) => Ok(Ok(version)),
            Response::Differs(version) => Ok(Err(version)),
            other => Err(unexpected(&other)),
        }
    }

    /// The value of `key` and its version, as of some moment during the call.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get(&mut self, key: Bytes) -> Result<Option<Value>, Error> {
        match self.look(&Question::Get(key)).await? {
            Found::One(found) => Ok(found),
            _ => Err(Error::Malformed),
        }
    }

    async fn look(&mut self, question: &Question) -> Result<Found, Error> {
        if !question.fits() {
            return Err(Error::TooLarge);
        }
        let first = self.clerk.query(question.to_bytes());
        let answer = self.errand(first).await?;
        match Found::decode(&answer) {
            Some(Found::TooMuch) => Err(Error::TooMuch),
            found => found.ok_or(Error::Malformed),
        }
    }

    async fn written(&mut self, command: Command) -> Result<Version, Error> {
        match self.change(&command).await? {
            Response::Written(version) => Ok(version),
            other => Err(unexpected(&other)),
        }
    }

    async fn change(&mut self, command: &Command) -> Result<Response, Error> {
        if !command.fits() {
            return Err(Error::TooLarge);
        }
        let first = self.clerk.submit(command.to_bytes());
        let response = self.errand(first).await?;
        match Response::decode(&response) {
            Some(Response::TooLarge) => Err(Error::TooLarge),
            Some(response) => Ok(response),
            None => Err(Error::Unknown),
        }
    }

    /// Tries until there is an answer or the time is up.
    async fn errand(&mut self, first: Try) -> Result<Bytes, Error> {
        let deadline = Instant::now() + self.budget;
        let mut attempt = first;
        let mut why = String::new();
        loop {
            if !attempt.after.is_zero() {
                tokio::time::sleep(attempt.after).await;
            }
            if Instant::now() >= deadline {
                return Err(self.out_of_time(why));
            }
            let heard = match tokio::time::timeout_at(deadline, self.ask(attempt)).await {
                Ok((heard, refusal)) => {
                    why = refusal.unwrap_or(why);
                    heard
                }
                Err(_) => Heard::Silence,
            };
            match self.clerk.heard(heard) {
                Next::Try(next) => attempt = next,
                Next::Done(bytes) => return Ok(bytes),
                Next::Unknown => return Err(Error::Unknown),
                Next::Refused(Refused::TooLarge) => return Err(Error::TooLarge),
                Next::Refused(_) => return Err(Error::Malformed),
            }
        }
    }

    fn out_of_time(&mut self, why: String) -> Error {
        let exposed = self.clerk.exposed();
        self.clerk.give_up();
        if exposed { Error::Unknown } else { Error::Unreachable(why) }
    }

    async fn ask(&self, attempt: Try) -> (Heard, Option<String>) {
        let Try { to, bytes, changes, .. } = attempt;
        let call = if changes { Call::Submit(Submit(bytes)) } else { Call::Get(Query(bytes)) };
        match self.connections.peers.call(to, call).await {
            Ok(Answer::Done(Ok(Done(bytes)))) => (Heard::Done(bytes), None),
            Ok(Answer::Done(Err(refused))) => (Heard::Refused(refused), None),
            Err(CallError::Down(refusal)) => (Heard::Unreachable, refusal.map(|it| worded(&it))),
            Err(CallError::TooBig) => (Heard::Refused(Refused::TooLarge), None),
            Ok(_) | Err(_) => (Heard::Silence, None),
        }
    }
}

fn worded(refusal: &Refusal) -> String {
    format!(": {refusal}")
}

fn unexpected(_: &Response) -> Error {
    // A response of another kind than the command's: it was done, in words we do not know.
    Error::Unknown
}
