//! The other end of the wire: for servers a way to make their calls, for people a look.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use net::{
    Addr, CallError, Calls, Line, Network, Peers, PeersConfig, RpcError, Wire, hello::Hello,
};
use protocol::NodeId;
use tarpc::context::Context;

use crate::{
    message::{Reply, Request, Status},
    server::{BOUNDS, SERVICE},
    service::ViewsClient,
    view::{SERVICE_NODE, View},
};

/// A view service, from the caller's side.
pub struct ViewWire(ViewsClient);

impl Wire<Request, Reply> for ViewWire {
    fn open(line: Line) -> Self {
        Self(ViewsClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(&self, context: Context, request: Request) -> Result<Reply, RpcError> {
        Ok(match request {
            Request::Join(join) => Reply::Joined(self.0.join(context, join).await?),
            Request::Ping(ping) => Reply::Pong(self.0.ping(context, ping).await?),
            Request::Get => Reply::View(self.0.get(context).await?),
            Request::Status => Reply::Status(self.0.status(context).await?),
        })
    }
}

/// How long an answer is waited for. A sign of life is soon followed by the next: three that are
/// late in a row end the connection, and a new one is tried before the server is taken for dead.
#[must_use]
pub fn patience(request: &Request) -> Duration {
    match request {
        Request::Join(_) | Request::Ping(_) => Duration::from_millis(300),
        Request::Get | Request::Status => Duration::from_secs(1),
    }
}

/// The way of `node`, or of a client that is none, to the view service at `addr`, which greets as
/// [`SERVICE_NODE`]. Dialled when first needed.
#[must_use]
pub fn calls(
    network: Arc<dyn Network>,
    cluster: u64,
    node: Option<NodeId>,
    addr: Addr,
    seed: u64,
) -> Peers<ViewWire, Request> {
    let hello = Hello { cluster, node, service: SERVICE.to_owned() };
    let addrs = BTreeMap::from([(SERVICE_NODE, addr)]);
    Peers::new(network, PeersConfig { hello, addrs, bounds: BOUNDS, patience, seed })
}

/// Somebody who only looks. Cheap to clone; looking never changes a view.
#[derive(Clone)]
pub struct ViewClient {
    peers: Peers<ViewWire, Request>,
}

impl ViewClient {
    /// A client of the view service at `addr`.
    #[must_use]
    pub fn new(network: Arc<dyn Network>, cluster: u64, addr: Addr) -> Self {
        Self { peers: calls(network, cluster, None, addr, 0) }
    }

    /// The view in force.
    ///
    /// # Errors
    ///
    /// If the service cannot be reached; at once if it was tried in vain a moment ago.
    pub async fn get(&self) -> Result<View, CallError> {
        match self.peers.call(SERVICE_NODE, Request::Get).await? {
            Reply::View(view) => Ok(view),
            _ => Err(CallError::WrongKind),
        }
    }

    /// How the world looks from there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn status(&self) -> Result<Status, CallError> {
        match self.peers.call(SERVICE_NODE, Request::Status).await? {
            Reply::Status(status) => Ok(status),
            _ => Err(CallError::WrongKind),
        }
    }
}
