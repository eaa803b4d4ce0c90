//! tarpc by itself, with our codec so that the same bytes travel.

use std::{net::SocketAddr, sync::mpsc, thread, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::StreamExt;
use net::{
    codec::{ClientCodec, ServerCodec},
    limits::PEER_FRAME,
};
use tarpc::server::{BaseChannel, Channel};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_util::codec::Framed;

use crate::{Cell, Echo, EchoClient, Measured, Parrot, measured as measure, runtime};

async fn serve(tell: mpsc::Sender<SocketAddr>, end: oneshot::Receiver<()>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell.send(listener.local_addr()?)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let channel = BaseChannel::with_defaults(Framed::new(stream, ServerCodec::new(PEER_FRAME)));
    let answering = channel.execute(Parrot.serve()).for_each(|answer| async {
        tokio::spawn(answer);
    });
    tokio::select! {
        () = answering => {}
        _ = end => {}
    }
    Ok(())
}

/// A server, a client, and their end.
pub(crate) fn measured(cell: Cell) -> Result<Measured> {
    let ((tell, told), (end, ended)) = (mpsc::channel(), oneshot::channel());
    let server = thread::spawn(move || runtime()?.block_on(serve(tell, ended)));
    let addr = told.recv().context("the server started")?;
    let measured = runtime()?.block_on(async {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let framed = Framed::new(stream, ClientCodec::new(PEER_FRAME));
        let client = EchoClient::new(tarpc::client::Config::default(), framed).spawn();
        let call = |bytes| {
            let client = &client;
            async move {
                let mut context = tarpc::context::current();
                context.deadline = std::time::Instant::now() + Duration::from_secs(10);
                Ok(client.echo(context, bytes).await?)
            }
        };
        let measured = measure(cell, |bytes: Bytes| call(bytes));
        measured.await
    });
    drop(end);
    server.join().expect("the server does not panic")?;
    measured
}
