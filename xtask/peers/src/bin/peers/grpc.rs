//! The other store's client: three calls over HTTP/2, their messages written by hand.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::{
    Request,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::load::Client;

/// After this an operation has failed.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member_id: u64,
    #[prost(int64, tag = "3")]
    revision: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

/// Linearizable unless it says otherwise.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// One connection, shared by as many clients as wanted.
#[derive(Clone)]
pub(crate) struct Connection(Grpc<Channel>);

impl Connection {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let endpoint = Endpoint::from_shared(url.to_owned())?;
        let endpoint = endpoint.tcp_nodelay(true).connect_timeout(PATIENCE).timeout(PATIENCE);
        Ok(Self(Grpc::new(endpoint.connect().await?)))
    }

    async fn call<Q, A>(&mut self, path: &'static str, question: Q) -> Result<A>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.0.ready().await?;
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        Ok(self.0.unary(Request::new(question), path, codec).await?.into_inner())
    }
}

impl Client for Connection {
    async fn put(&mut self, key: Bytes, value: Bytes) -> Result<()> {
        let done: PutResponse =
            self.call("/etcdserverpb.KV/Put", PutRequest { key, value }).await?;
        done.header.filter(|header| header.revision > 1).context("an answer without a revision")?;
        Ok(())
    }

    async fn get(&mut self, key: Bytes) -> Result<usize> {
        let found: RangeResponse =
            self.call("/etcdserverpb.KV/Range", RangeRequest { key }).await?;
        Ok(found.kvs.first().context("a key that was written is gone")?.value.len())
    }
}

/// Whether the node behind this address leads.
pub(crate) async fn leads(url: &str) -> Result<bool> {
    let mut connection = Connection::open(url).await?;
    let status: StatusResponse =
        connection.call("/etcdserverpb.Maintenance/Status", StatusRequest {}).await?;
    Ok(status.leader != 0 && status.header.is_some_and(|header| header.member_id == status.leader))
}
