//! The client of a lock service: a session that keeps itself alive, repeats itself safely, and
//! says what it lost.

mod session;
mod shared;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use net::{
    Addr, CallError, Calls, Line, Network, Peers, PeersConfig, RpcError, Wire, hello::Hello,
};
use tarpc::context::Context;
use tokio::time::Instant;

use crate::{
    Grant, Name, Refusal, View,
    clerk::Heard,
    core::LINGER,
    message::{Answer, Refused, Reply, Request},
    server::{BOUNDS, SERVICE, SERVICE_NODE},
    service::LocksClient,
    table::LockView,
};
pub use session::Session;

/// How long one try may take.
const TRY: Duration = Duration::from_secs(1);

/// The pause before another try where no clerk says one.
const PAUSE: Duration = Duration::from_millis(50);

/// How long an answer is waited for. Who waits for a lock is told so before that.
#[must_use]
pub fn patience(request: &Request) -> Duration {
    match request {
        Request::Acquire(_) => LINGER + TRY,
        _ => TRY,
    }
}

/// A lock service, from the caller's side.
pub struct LockWire(LocksClient);

impl Wire<Request, Reply> for LockWire {
    fn open(line: Line) -> Self {
        Self(LocksClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(&self, context: Context, request: Request) -> Result<Reply, RpcError> {
        let waited = |granted: Option<Vec<Grant>>, or| granted.map_or(or, Answer::Granted);
        Ok(match request {
            Request::Open(terms) => self.0.open(context, terms).await?.map(Answer::Opened),
            Request::Acquire(acquire) => {
                let granted = self.0.acquire(context, acquire).await?;
                granted.map(|granted| waited(granted, Answer::Waiting))
            }
            Request::Release(release) => {
                self.0.release(context, release).await?.map(|()| Answer::Done)
            }
            Request::Cancel(ticket) => {
                let granted = self.0.cancel(context, ticket).await?;
                granted.map(|granted| waited(granted, Answer::Done))
            }
            Request::Renew(owner) => self.0.renew(context, owner).await?.map(Answer::Renewed),
            Request::Close(owner) => self.0.close(context, owner).await?.map(|()| Answer::Done),
            Request::Look(name) => self.0.look(context, name).await?.map(Answer::Lock),
            Request::View(after) => {
                self.0.view(context, after).await?.map(|view| Answer::View(Box::new(view)))
            }
            Request::Tell(_) => unreachable!("only the service's own process says this"),
        })
    }
}

/// Why a client could not say *done*.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not so, and certainly so.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It may have happened.
    #[error("it may or may not have happened: no answer came in time")]
    Unknown,
    /// It certainly did not happen: nobody could be reached in time.
    #[error("it did not happen: the lock service could not be reached in time{0}")]
    Unreachable(String),
}

/// The way to one lock service, for as many sessions as wanted. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    /// For who waits for locks, which may be many and for long.
    queue: Peers<LockWire, Request>,
    /// For everything else: who waits must not keep a sign of life from its way, nor a release.
    pulse: Peers<LockWire, Request>,
}

impl Connections {
    /// To the lock service at `addr`; dialled when first needed.
    #[must_use]
    pub fn new(network: Arc<dyn Network>, cluster: u64, addr: Addr, seed: u64) -> Self {
        let hello = Hello { cluster, node: None, service: SERVICE.to_owned() };
        let addrs = BTreeMap::from([(SERVICE_NODE, addr)]);
        let config = |seed| PeersConfig {
            hello: hello.clone(),
            addrs: addrs.clone(),
            bounds: BOUNDS,
            patience,
            seed,
        };
        let queue = Peers::new(Arc::clone(&network), config(seed));
        Self { queue, pulse: Peers::new(network, config(!seed)) }
    }

    /// Who holds this name, who waits for it.
    ///
    /// # Errors
    ///
    /// If nobody answered within `budget`.
    pub async fn look(&self, name: Name, budget: Duration) -> Result<Option<LockView>, Error> {
        match self.until(Request::Look(name), budget).await?.0 {
            Answer::Lock(seen) => Ok(seen),
            _ => Err(Error::Unknown),
        }
    }

    /// What is to be seen behind the name `after`, or from the first one on.
    ///
    /// # Errors
    ///
    /// If nobody answered within `budget`.
    pub async fn view(&self, after: Option<Name>, budget: Duration) -> Result<View, Error> {
        match self.until(Request::View(after), budget).await?.0 {
            Answer::View(view) => Ok(*view),
            _ => Err(Error::Unknown),
        }
    }

    /// Ends every connection.
    pub fn close(&self) {
        self.queue.close();
        self.pulse.close();
    }

    /// What one call came to, and what was in its way, in words.
    async fn ask(&self, request: Request) -> (Heard, Option<String>) {
        let waits = matches!(request, Request::Acquire(_));
        let way = if waits { &self.queue } else { &self.pulse };
        match way.call(SERVICE_NODE, request).await {
            Ok(Ok(answer)) => (Heard::Answer(answer), None),
            Ok(Err(refused)) => {
                let why = format!(": {refused}");
                (Heard::Refused(refused), Some(why))
            }
            Err(error @ CallError::Down(_)) => (Heard::Unreachable, Some(format!(": {error}"))),
            Err(CallError::TooBig) => {
                let refusal = Refusal::Unsound(crate::Unsound::Wants);
                (Heard::Refused(refusal.into()), None)
            }
            Err(error) => (Heard::Silence, Some(format!(": {error}"))),
        }
    }

    /// Asks what is harmless to ask twice until it is answered, and when that was asked.
    async fn until(&self, request: Request, budget: Duration) -> Result<(Answer, Instant), Error> {
        let deadline = Instant::now() + budget;
        let (mut exposed, mut why) = (false, String::new());
        loop {
            let asked = Instant::now();
            match tokio::time::timeout_at(deadline, self.ask(request.clone())).await {
                Ok((Heard::Answer(answer), _)) => return Ok((answer, asked)),
                Ok((Heard::Refused(Refused::Table(refusal)), _)) => {
                    return Err(Error::Refused(refusal));
                }
                Ok((Heard::Refused(Refused::Busy) | Heard::Unreachable, trouble)) => {
                    why = trouble.unwrap_or(why);
                }
                Ok(_) | Err(_) => exposed = true,
            }
            if Instant::now() + PAUSE >= deadline {
                let changes = !matches!(request, Request::Look(_) | Request::View(_));
                return Err(match exposed && changes {
                    true => Error::Unknown,
                    false => Error::Unreachable(why),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
