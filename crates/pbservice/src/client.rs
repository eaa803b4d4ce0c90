//! The client of a store: finds the primary, repeats itself safely, and says what it knows.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use net::{
    Addr, Bounds, CallError, Calls, Line, Network, Peers, PeersConfig, RpcError, Wire, hello::Hello,
};
use protocol::NodeId;
use tarpc::context::Context;
use tokio::time::Instant;
use viewservice::{SERVICE_NODE, Server, View, ViewNum, client::ViewWire};

use crate::{
    change::{Change, Done, MAX_KEY, MAX_VALUE},
    clerk::{Ask, Clerk, GLANCE, Heard, Next, Try},
    message::{Answer, Digest, Get, Open, Refused, Request, Submit},
    server::{Book, SERVICE},
    service::{NodeStatus, PbClient},
};

/// How long one try may take, at a server or at the view service: a server that hangs costs its
/// client no more than it costs the view service to notice.
const TRY: Duration = Duration::from_millis(500);

/// What a connection to a server is asked.
#[derive(Debug)]
pub enum Call {
    /// See [`Pb`](crate::service::Pb).
    Open,
    /// See [`Pb`](crate::service::Pb).
    Submit(Submit),
    /// See [`Pb`](crate::service::Pb).
    Get(Get),
    /// See [`Pb`](crate::service::Pb).
    Status,
    /// See [`Pb`](crate::service::Pb).
    Digest,
}

/// What it answers.
#[derive(Debug)]
pub enum Answered {
    /// To everything that a clerk asks.
    Client(Result<Answer, Refused>),
    /// To a status.
    Status(Option<NodeStatus>),
    /// To a digest.
    Digest(Option<Digest>),
}

/// A server's service, from the client's side.
pub struct PbWire(PbClient);

impl Wire<Call, Answered> for PbWire {
    fn open(line: Line) -> Self {
        Self(PbClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(&self, context: Context, call: Call) -> Result<Answered, RpcError> {
        Ok(match call {
            Call::Open => Answered::Client(self.0.open(context, Open).await?.map(Answer::Opened)),
            Call::Submit(submit) => {
                Answered::Client(self.0.submit(context, submit).await?.map(Answer::Done))
            }
            Call::Get(get) => Answered::Client(self.0.get(context, get).await?.map(Answer::Value)),
            Call::Status => Answered::Status(self.0.status(context).await?),
            Call::Digest => Answered::Digest(self.0.digest(context).await?),
        })
    }
}

/// Connections to the view service and to the servers of a store, shared by as many clients as
/// wanted. Where servers are is taken from the views.
#[derive(Clone)]
pub struct Connections {
    service: Peers<ViewWire, viewservice::Request>,
    servers: Peers<PbWire, Call>,
    known: Arc<Mutex<Known>>,
}

/// What the views have said so far.
#[derive(Default)]
struct Known {
    view: ViewNum,
    book: Book,
}

impl Connections {
    /// To the store whose view service is at `view`; dialled when first needed.
    #[must_use]
    pub fn new(network: Arc<dyn Network>, cluster: u64, view: Addr, seed: u64) -> Self {
        let hello = |service: &str| Hello { cluster, node: None, service: service.to_owned() };
        let service = PeersConfig {
            hello: hello(viewservice::server::SERVICE),
            addrs: BTreeMap::from([(SERVICE_NODE, view)]),
            bounds: viewservice::server::BOUNDS,
            patience: |_| TRY,
            seed,
        };
        let servers = PeersConfig {
            hello: hello(SERVICE),
            addrs: BTreeMap::new(),
            bounds: Bounds::CLIENT,
            patience: |_| TRY,
            seed,
        };
        Self {
            service: Peers::new(Arc::clone(&network), service),
            servers: Peers::new(network, servers),
            known: Arc::default(),
        }
    }

    /// The view in force. Its servers can be called from now on.
    ///
    /// # Errors
    ///
    /// If the view service cannot be reached.
    pub async fn view(&self) -> Result<View, CallError> {
        match self.service.call(SERVICE_NODE, viewservice::Request::Get).await? {
            viewservice::Reply::View(view) => {
                self.learn(&view);
                Ok(view)
            }
            _ => Err(CallError::WrongKind),
        }
    }

    /// How the view service sees the world.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub async fn views(&self) -> Result<viewservice::Status, CallError> {
        match self.service.call(SERVICE_NODE, viewservice::Request::Status).await? {
            viewservice::Reply::Status(status) => {
                self.learn(&status.view);
                Ok(status)
            }
            _ => Err(CallError::WrongKind),
        }
    }

    /// How this server is doing. It must have been primary or backup in a view that was seen here;
    /// [`meet`](Self::meet) makes any other one known.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub async fn status(&self, server: NodeId) -> Result<NodeStatus, CallError> {
        match self.servers.call(server, Call::Status).await? {
            Answered::Status(Some(status)) => Ok(status),
            Answered::Status(None) => Err(CallError::Lost),
            Answered::Client(_) | Answered::Digest(_) => Err(CallError::WrongKind),
        }
    }

    /// The fingerprint of what this server has. It must be known, as for [`status`](Self::status).
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub async fn digest(&self, server: NodeId) -> Result<Digest, CallError> {
        match self.servers.call(server, Call::Digest).await? {
            Answered::Digest(Some(digest)) => Ok(digest),
            Answered::Digest(None) => Err(CallError::Lost),
            Answered::Client(_) | Answered::Status(_) => Err(CallError::WrongKind),
        }
    }

    /// From now on `server` can be called, though no view has named it yet.
    pub fn meet(&self, server: &Server) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.book.want(&self.servers, server);
    }

    /// Ends every connection.
    pub fn close(&self) {
        self.service.close();
        self.servers.close();
    }

    /// Takes the addresses of a view, unless a newer one was seen.
    fn learn(&self, view: &View) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if view.number > known.view {
            known.view = view.number;
            for server in view.servers() {
                known.book.want(&self.servers, server);
            }
        }
    }
}

/// Why a client could not say *done*.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It may have happened. Asking the same client again would be a new request.
    #[error("it may or may not have happened: no answer came in time")]
    Unknown,
    /// It certainly did not happen: nobody could be reached, or nobody was primary, in time.
    #[error("it did not happen: no primary could be reached in time{0}")]
    Unreachable(String),
    /// It certainly did not happen: a key or a value is too large.
    #[error(
        "it did not happen: a key may have {MAX_KEY} bytes and a value {MAX_VALUE}, after an append \
         too"
    )]
    TooLarge,
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
        Self { clerk: Clerk::new(seed), connections, budget: Duration::from_secs(5) }
    }

    /// The view it believes in.
    #[must_use]
    pub fn view(&self) -> &View {
        self.clerk.view()
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// See [`Error`]: each variant says whether it may have happened.
    pub async fn put(&mut self, key: Bytes, value: Bytes) -> Result<(), Error> {
        self.change(Change::Put(key, value)).await.map(|_| ())
    }

    /// Adds `tail` to the end of what `key` has.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn append(&mut self, key: Bytes, tail: Bytes) -> Result<(), Error> {
        self.change(Change::Append(key, tail)).await.map(|_| ())
    }

    /// Forgets `key`. Whether there was anything.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn delete(&mut self, key: Bytes) -> Result<bool, Error> {
        Ok(self.change(Change::Delete(key)).await? == Done::Deleted(true))
    }

    /// The value of `key`, as of some moment during the call.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get(&mut self, key: Bytes) -> Result<Option<Bytes>, Error> {
        if key.len() > MAX_KEY {
            return Err(Error::TooLarge);
        }
        let first = self.clerk.get(key);
        match self.errand(first).await? {
            Answer::Value(value) => Ok(value),
            // A clerk ends an errand only with an answer of its kind.
            Answer::Done(_) | Answer::Opened(_) => Err(Error::Unknown),
        }
    }

    async fn change(&mut self, change: Change) -> Result<Done, Error> {
        if !change.fits() {
            return Err(Error::TooLarge);
        }
        let first = self.clerk.change(change);
        match self.errand(first).await? {
            Answer::Done(Done::TooLarge) => Err(Error::TooLarge),
            Answer::Done(done) => Ok(done),
            Answer::Value(_) | Answer::Opened(_) => Err(Error::Unknown),
        }
    }

    /// Tries until there is an answer or the time is up.
    async fn errand(&mut self, first: Try) -> Result<Answer, Error> {
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
            let heard = match tokio::time::timeout_at(deadline, self.ask(attempt.ask)).await {
                Ok((heard, trouble)) => {
                    why = trouble.unwrap_or(why);
                    heard
                }
                Err(_) => Heard::Silence,
            };
            match self.clerk.heard(heard) {
                Next::Try(next) => attempt = next,
                Next::Done(done) => return Ok(Answer::Done(done)),
                Next::Value(value) => return Ok(Answer::Value(value)),
                Next::Refused(Refused::TooLarge) => return Err(Error::TooLarge),
                // What else a server can refuse for good makes no sense for a clerk's requests;
                // whoever hears nonsense knows nothing.
                Next::Unknown | Next::Refused(_) => return Err(Error::Unknown),
            }
        }
    }

    fn out_of_time(&mut self, why: String) -> Error {
        let exposed = self.clerk.exposed();
        self.clerk.give_up();
        if exposed { Error::Unknown } else { Error::Unreachable(why) }
    }

    /// What one try came to, and what was in its way, in words.
    async fn ask(&self, ask: Ask) -> (Heard, Option<String>) {
        match ask {
            Ask::View => match self.connections.view().await {
                Ok(view) if view.primary.is_none() => {
                    (Heard::View(view), Some(": there is no primary yet".to_owned()))
                }
                Ok(view) => (Heard::View(view), None),
                Err(error) => (Heard::Unreachable, Some(format!(": the view service: {error}"))),
            },
            Ask::Server(server, request) => self.ask_server(&server, request).await,
        }
    }

    async fn ask_server(&self, server: &Server, request: Request) -> (Heard, Option<String>) {
        let call = match request {
            Request::Open(Open) => Call::Open,
            Request::Submit(submit) => Call::Submit(submit),
            Request::Get(get) => Call::Get(get),
            other => unreachable!("a clerk asks no such thing: {other:?}"),
        };
        let says = |what: &dyn std::fmt::Display| Some(format!(": {server}: {what}"));
        let answer = pin!(self.connections.servers.call(server.member.node, call));
        let answer = match select(answer, pin!(self.overtaken())).await {
            Either::Left((answer, _)) => answer,
            Either::Right((view, _)) => {
                return (Heard::Overtaken(view), says(&"it is primary no more"));
            }
        };
        match answer {
            Ok(Answered::Client(Ok(answer))) => (Heard::Answer(answer), None),
            Ok(Answered::Client(Err(refused))) => {
                let why = says(&refused);
                (Heard::Refused(refused), why)
            }
            Err(error @ CallError::Down(_)) => (Heard::Unreachable, says(&error)),
            Err(CallError::TooBig) => (Heard::Refused(Refused::TooLarge), None),
            Err(error) => (Heard::Silence, says(&error)),
            Ok(Answered::Status(_) | Answered::Digest(_)) => (Heard::Silence, None),
        }
    }
    /// Looks now and then, beside a try that is not answered, who is primary. Ends when that is
    /// somebody else.
    async fn overtaken(&self) -> View {
        tokio::time::sleep(GLANCE.0).await;
        loop {
            if let Ok(view) = self.connections.view().await
                && self.clerk.leads_elsewhere(&view)
            {
                return view;
            }
            tokio::time::sleep(GLANCE.1).await;
        }
    }
}
