//! One bare call over the same network: what a put costs at least, twice.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use net::{
    Addr, Bounds, Calls, Hello, Line, Mount, Network, Peers, PeersConfig, RpcError, Server, Tcp,
    Wire,
};
use pbservice::{Done, Refused, message::Submit};
use protocol::NodeId;
use tarpc::{context::Context, server::Serve};

use crate::{Outcome, processes::CLUSTER};

const SERVICE: &str = "echo";
const SERVER: NodeId = NodeId(1);

/// The same words as a put, both ways, and nothing behind them.
#[tarpc::service]
trait Echo {
    async fn submit(submit: Submit) -> Result<Done, Refused>;
}

#[derive(Clone)]
struct InPlace;

impl Echo for InPlace {
    async fn submit(self, _: Context, _: Submit) -> Result<Done, Refused> {
        Ok(Done::Written)
    }
}

/// An echo, from the caller's side.
pub(crate) struct EchoWire(EchoClient);

impl Wire<Submit, Result<Done, Refused>> for EchoWire {
    fn open(line: Line) -> Self {
        Self(EchoClient::new(line.config(), line.transport()).spawn())
    }

    async fn call(
        &self,
        context: Context,
        submit: Submit,
    ) -> Result<Result<Done, Refused>, RpcError> {
        self.0.submit(context, submit).await
    }
}

/// Answers for ever.
pub(crate) async fn serve() -> Outcome<()> {
    let mount = Mount::tarpc(Bounds::CLIENT, |_: &Hello| {
        move |context, request| InPlace.serve().serve(context, request)
    });
    let listener = Tcp.listen(&Addr::any()).await?;
    println!("{}", listener.addr());
    let mut running = Server::new(CLUSTER, SERVER).mount(SERVICE, mount).start(listener);
    Ok(running.ended().await?)
}

/// A connection to an echo.
pub(crate) struct Caller(Peers<EchoWire, Submit>);

impl Caller {
    pub(crate) fn new(addr: &Addr) -> Self {
        let hello = Hello { cluster: CLUSTER, node: None, service: SERVICE.to_owned() };
        let addrs = BTreeMap::from([(SERVER, addr.clone())]);
        let patience = |_: &Submit| Duration::from_secs(10);
        let config = PeersConfig { hello, addrs, bounds: Bounds::CLIENT, patience, seed: 1 };
        Self(Peers::new(Arc::new(Tcp), config))
    }

    /// One call there and back.
    pub(crate) async fn call(&self, submit: Submit) -> Outcome<()> {
        self.0.call(SERVER, submit).await??;
        Ok(())
    }
}
