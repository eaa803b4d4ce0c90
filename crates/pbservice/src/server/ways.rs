//! Whom a server calls: the view service, and its backup.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::Either;
use net::{
    Addr, Bounds, CallError, Calls, Line, Network, Peers, PeersConfig, RpcError, Wire, hello::Hello,
};
use protocol::NodeId;
use tarpc::context::Context;
use viewservice::{Server, client::ViewWire};

use super::PEER_SERVICE;
use crate::{
    config,
    item::Item,
    message::{Forward, Forwarded, Rebuff, Reply, Request},
    service::PbPeerClient,
};

/// A backup, from its primary's side.
pub(crate) struct PeerWire(PbPeerClient);

impl Wire<Forward, Result<Forwarded, Rebuff>> for PeerWire {
    fn open(line: Line) -> Self {
        Self(PbPeerClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(
        &self,
        context: Context,
        forward: Forward,
    ) -> Result<Result<Forwarded, Rebuff>, RpcError> {
        self.0.forward(context, forward).await
    }
}

/// How long a backup's answer is waited for: as long as until the backup counts as lost. Whoever
/// gave up earlier would only send the same bytes again.
fn patience(forward: &Forward) -> Duration {
    config::patience(forward.items.iter().map(Item::bytes).sum())
}

/// Connections to whoever is backup.
pub(crate) type Backups = Peers<PeerWire, Forward>;

/// Whom a server calls.
pub(crate) struct Ways {
    view: Peers<ViewWire, viewservice::Request>,
    pub(crate) backup: Backups,
}

impl Ways {
    pub(crate) fn new(
        network: Arc<dyn Network>,
        cluster: u64,
        me: NodeId,
        view: Addr,
        seed: u64,
    ) -> Self {
        let view = viewservice::client::calls(Arc::clone(&network), cluster, Some(me), view, seed);
        let hello = Hello { cluster, node: Some(me), service: PEER_SERVICE.to_owned() };
        let (addrs, bounds) = (BTreeMap::new(), Bounds::PEER);
        let backup = Peers::new(network, PeersConfig { hello, addrs, bounds, patience, seed });
        Self { view, backup }
    }
}

impl Calls<Request, Reply> for Ways {
    fn call(
        &self,
        to: NodeId,
        request: Request,
    ) -> impl Future<Output = Result<Reply, CallError>> + Send + use<> {
        let way = match request {
            Request::View(request) => Either::Left(self.view.call(to, request)),
            Request::Forward(forward) => Either::Right(self.backup.call(to, forward)),
            other => panic!("a server asks nobody else: {other:?}"),
        };
        async move {
            match way {
                Either::Left(answer) => answer.await.map(Reply::View),
                Either::Right(answer) => answer.await.map(Reply::Forwarded),
            }
        }
    }
}

/// Which life of each server the connections lead to.
#[derive(Default)]
pub(crate) struct Book(BTreeMap<NodeId, Server>);

impl Book {
    /// `server` is wanted. Whatever is known of an earlier life of it, a connection or the pause
    /// after one that was lost, is of no use.
    pub(crate) fn want<W, Q>(&mut self, peers: &Peers<W, Q>, server: &Server)
    where
        W: Send + Sync + 'static,
        Q: 'static,
    {
        let node = server.member.node;
        if self.0.get(&node) != Some(server) {
            peers.remove(node);
            peers.set(node, Addr::from(server.addr.as_str()));
            self.0.insert(node, server.clone());
        }
    }
}
