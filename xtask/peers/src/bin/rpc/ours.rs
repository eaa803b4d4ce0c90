//! Our network: a server with a mount, and peers that are kept up.

use std::{collections::BTreeMap, sync::Arc, sync::mpsc, thread, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use net::{
    Addr, Bounds, Calls, Hello, Line, Mount, Network, Peers, PeersConfig, RpcError, Server, Tcp,
    Wire,
};
use protocol::NodeId;
use tarpc::server::Serve;
use tokio::sync::oneshot;

use crate::{Cell, Echo, EchoClient, Measured, Parrot, measured as measure, runtime};

const SERVER: NodeId = NodeId(1);

impl Wire<Bytes, Bytes> for EchoClient {
    fn open(line: Line) -> Self {
        Self::new(line.config(), line.transport()).spawn()
    }

    async fn call(
        &self,
        context: tarpc::context::Context,
        bytes: Bytes,
    ) -> Result<Bytes, RpcError> {
        self.echo(context, bytes).await
    }
}

async fn serve(tell: mpsc::Sender<Addr>, end: oneshot::Receiver<()>) -> Result<()> {
    let echo = Mount::tarpc(Bounds::PEER, |_| {
        move |context, request| Parrot.serve().serve(context, request)
    });
    let listener = Tcp.listen(&Addr::any()).await?;
    tell.send(listener.addr())?;
    let _running = Server::new(0, SERVER).mount("echo", echo).start(listener);
    // Ready either way: told to end, or nobody is left to tell.
    let _ = end.await;
    Ok(())
}

/// A server, a client, and their end.
pub(crate) fn measured(cell: Cell) -> Result<Measured> {
    let ((tell, told), (end, ended)) = (mpsc::channel(), oneshot::channel());
    let server = thread::spawn(move || runtime()?.block_on(serve(tell, ended)));
    let addr = told.recv().context("the server started")?;
    let measured = runtime()?.block_on(async {
        let config = PeersConfig {
            hello: Hello { cluster: 0, node: None, service: "echo".into() },
            addrs: BTreeMap::from([(SERVER, addr)]),
            bounds: Bounds::PEER,
            patience: |_: &Bytes| Duration::from_secs(10),
            seed: 1,
        };
        let peers = Peers::<EchoClient, Bytes>::new(Arc::new(Tcp), config);
        let measured = measure(cell, |bytes| {
            let answer = peers.call(SERVER, bytes);
            async { Ok(answer.await?) }
        });
        measured.await
    });
    drop(end);
    server.join().expect("the server does not panic")?;
    measured
}
